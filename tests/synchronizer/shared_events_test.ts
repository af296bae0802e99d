// The same events on many relays at once: each is verified and written once, whoever brings it
// first, and seen everywhere.
import assert from "node:assert/strict";
import { cap, startHostileRelay, supportsNegentropy } from "../relay/mod.ts";
import { generateEvents, REGULAR_KINDS } from "../support/events.ts";
import { storeTest } from "../support/store.ts";
import { NEWEST, openArchive } from "./archive.ts";

const RELAYS = 20;
const events = generateEvents(400, { kinds: REGULAR_KINDS });

storeTest("what twenty relays bring at once is verified and written once", async (store) => {
  await using archive = await openArchive(store);
  await using relay = await startHostileRelay({ events, behaviours: [cap(50)] });
  await using reconciling = await startHostileRelay({
    events,
    behaviours: [cap(50), supportsNegentropy()],
  });
  const reports = await Promise.all(
    Array.from({ length: RELAYS }, (_, i) => {
      const from = i % 4 === 0 ? reconciling : relay;
      return archive.sync(from.urlFor("127.0.0.1", `/${i}`), {}, { pageSize: 50, idleMs: 20_000 });
    }),
  );
  assert.deepEqual(archive.verifier.stats().verdicts, { ok: events.length, bad_id: 0, bad_sig: 0 });
  const sum = (of: (report: typeof reports[number]) => number): number =>
    reports.reduce((total, report) => total + of(report), 0);
  assert.equal(sum(({ newEvents }) => newEvents), events.length);
  assert.equal(sum(({ newSightings }) => newSightings), RELAYS * events.length);
  for (const { relayId, coverage } of reports) {
    assert.equal((await archive.idsOf(relayId)).size, events.length);
    assert.ok(coverage.every(({ state }) => state === "closed"));
    assert.equal(coverage[0]?.since, 0);
    assert.equal(coverage.at(-1)?.until, NEWEST);
  }
});
