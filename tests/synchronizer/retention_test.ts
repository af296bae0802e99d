// Retention and the synchronizer: what is deleted is not downloaded again, neither by pages nor by a
// comparison, and the ledger does not take it for missing.
import assert from "node:assert/strict";
import { type Clock, systemClock } from "../../src/lib/clock.ts";
import type { NostrEvent } from "../../src/model/event.ts";
import { isPastRetention, type RetentionRule, retentionSweeps } from "../../src/model/retention.ts";
import type { Store } from "../../src/store/connect.ts";
import { readCoverage } from "../../src/store/coverage.ts";
import { deletePastRetention } from "../../src/store/retention.ts";
import { reopenKeptLonger } from "../../src/synchronizer/kept_longer.ts";
import type { SyncReport } from "../../src/synchronizer/sync_relay.ts";
import { cap, startHostileRelay, supportsNegentropy } from "../relay/mod.ts";
import { generateEvents } from "../support/events.ts";
import { storeTest } from "../support/store.ts";
import { NEWEST, NOW, openArchive, STILL, words } from "./archive.ts";

const DAY = 86_400;
const DAY_MS = DAY * 1000;
/** Events of the last hundred days. */
const events = generateEvents(400, {
  seed: 41,
  kinds: { 1: 3, 7: 2 },
  since: NOW - 100 * DAY,
  until: NOW - 60,
});

async function deleteOld(store: Store, rules: readonly RetentionRule[], at: number): Promise<void> {
  for (const sweep of retentionSweeps(rules, at)) {
    const { more } = await deletePastRetention(store, { ...sweep, from: 0, limit: 1_000 });
    assert.equal(more, false);
  }
}

function keptAt(rules: readonly RetentionRule[], at: number): Set<string> {
  return new Set(
    events.filter((event) => !isPastRetention(rules, event, at)).map(({ id }: NostrEvent) => id),
  );
}

for (const speaks of [false, true]) {
  const by = speaks ? "NIP-77" : "pages";
  const behaviours = speaks ? [cap(50), supportsNegentropy()] : [cap(50)];

  storeTest(`relays are not asked for what is kept of no kind (${by})`, async (store) => {
    const retention: RetentionRule[] = [{ kinds: [], olderThanMs: 40 * DAY_MS }];
    let now = NOW;
    const clock: Clock = { ...systemClock, nowMs: () => now * 1000 };
    await using archive = await openArchive(store, { clock, retention });
    await using relay = await startHostileRelay({ events, behaviours });
    const first = await archive.sync(relay.url);
    assert.deepEqual(first.dropped, {});
    assert.deepEqual(await archive.idsOf(first.relayId), keptAt(retention, NOW));
    for (const { filters } of relay.seen.reqs) {
      for (const { since, ids } of filters) {
        assert.ok(ids !== undefined || Number(since) >= NOW - 40 * DAY, JSON.stringify(filters));
      }
    }
    now += 10 * DAY;
    await deleteOld(store, retention, now);
    const later = await archive.sync(relay.url, {}, { recheckSeconds: DAY });
    assert.equal(later.newEvents, 0);
    assert.deepEqual(await archive.idsOf(first.relayId), keptAt(retention, now));
  });

  storeTest(`what is kept of some kinds only is downloaded once (${by})`, async (store) => {
    const retention: RetentionRule[] = [{ kinds: [7], olderThanMs: 30 * DAY_MS }];
    let now = NOW;
    const clock: Clock = { ...systemClock, nowMs: () => now * 1000 };
    await using archive = await openArchive(store, { clock, retention });
    await using relay = await startHostileRelay({ events, behaviours });
    const first = await archive.sync(relay.url);
    const old = events.length - keptAt(retention, NOW).size;
    assert.ok(old > 50);
    assert.ok((first.dropped.retention ?? 0) >= old);
    assert.deepEqual(await archive.idsOf(first.relayId), keptAt(retention, NOW));
    assert.equal(first.outcome, "complete");
    assert.equal(words(first.coverage).at(-1)?.includes("closed"), true);

    for (let days = 0; days < 3; days++) {
      now += 5 * DAY;
      await deleteOld(store, retention, now);
      const later = await archive.sync(relay.url, {}, { recheckSeconds: DAY });
      assert.equal(later.newEvents, 0);
      assert.equal(later.dropped.retention, undefined);
      // What the newest page overlaps with, and one event to try NIP-77 with.
      assert.ok(later.received <= 5, `${later.received} events came`);
      assert.deepEqual(await archive.idsOf(first.relayId), keptAt(retention, now));
      assert.equal(later.outcome, "complete");
      assert.ok(later.coverage.every((held) => held.state === "closed"));
      assert.equal(later.coverage.at(-1)?.until, NEWEST + (days + 1) * 5 * DAY);
    }
  });
}

storeTest("what is kept again is asked for again, and nothing else", async (store) => {
  const narrow: RetentionRule[] = [
    { kinds: [7], olderThanMs: 30 * DAY_MS },
    { kinds: [], olderThanMs: 60 * DAY_MS },
  ];
  const { signal } = new AbortController();
  const changeTo = (retention: readonly RetentionRule[]): Promise<number> =>
    reopenKeptLonger({ store, retention, clock: STILL }, signal);
  await using relay = await startHostileRelay({ events, behaviours: [cap(50)] });
  const syncUnder = async (retention: readonly RetentionRule[]): Promise<SyncReport> => {
    await using archive = await openArchive(store, { retention });
    const report = await archive.sync(relay.url);
    assert.equal(report.outcome, "complete", words(report.coverage).join("\n"));
    assert.deepEqual(await archive.idsOf(report.relayId), keptAt(retention, NOW));
    return report;
  };
  assert.equal(await changeTo([]), 0);
  await syncUnder([]);
  // Narrower: nothing to ask for, and nothing is called complete of which nothing is kept.
  assert.equal(await changeTo(narrow), 0);
  await deleteOld(store, narrow, NOW);
  const less = await syncUnder(narrow);
  assert.equal(less.requests, 0);
  assert.equal((await readCoverage(store, less.relayId, "{}"))[0]?.since, NOW - 60 * DAY);
  // The same again, as after a restart.
  assert.equal(await changeTo(narrow), 0);
  // Wider for one kind: its time alone is asked for.
  const wider: RetentionRule[] = [{ kinds: [7], olderThanMs: 50 * DAY_MS }, ...narrow.slice(1)];
  assert.equal(await changeTo(wider), 1);
  const asked = relay.seen.reqs.length;
  await syncUnder(wider);
  for (const { filters: [filter = {}] } of relay.seen.reqs.slice(asked)) {
    const { since, until } = filter as { since?: number; until?: number };
    if (since !== undefined && since !== until) assert.ok(since >= NOW - 50 * DAY - 300);
    if (until !== undefined) assert.ok(until <= NEWEST);
  }
  assert.equal(await changeTo([]), 1);
  await syncUnder([]);
  assert.ok(keptAt([], NOW).size > keptAt(wider, NOW).size);
}, { kinds: ["pglite"] });

storeTest("a late event of a kind that is kept is found where all kinds are", async (store) => {
  const retention: RetentionRule[] = [{ kinds: [7], olderThanMs: 30 * DAY_MS }];
  let now = NOW;
  const clock: Clock = { ...systemClock, nowMs: () => now * 1000 };
  await using archive = await openArchive(store, { clock, retention });
  const late = events.find((event) => event.created_at > NOW - 20 * DAY);
  assert.ok(late);
  await using relay = await startHostileRelay({
    events: events.filter((event) => event !== late),
    behaviours: [supportsNegentropy()],
  });
  await archive.sync(relay.url);
  relay.inject(late);
  now += 2 * DAY;
  assert.equal((await archive.sync(relay.url, {}, { recheckSeconds: DAY })).newEvents, 1);
});
