// Two turns of one relay and filter at once, as `bigbrotr sync` beside `run` makes them.
import assert from "node:assert/strict";
import type { CoverageInterval } from "../../src/model/coverage.ts";
import type { Store } from "../../src/store/connect.ts";
import { readCoverage, replaceCoverage } from "../../src/store/coverage.ts";
import { relaysByUrl } from "../../src/store/relays.ts";
import { cap, startHostileRelay } from "../relay/mod.ts";
import { generateEvents, REGULAR_KINDS } from "../support/events.ts";
import { storeTest } from "../support/store.ts";
import { ALL_CLOSED, openArchive, words } from "./archive.ts";

const events = generateEvents(120, { kinds: REGULAR_KINDS });

/** The store, with something to be done just before the ledger is written for the first time. */
function meddledWith(store: Store, meddle: () => Promise<void>): Store {
  let isDone = false;
  const run: Store["run"] = async (name, fn, options) => {
    if (name === "coverage_replace" && !isDone) {
      isDone = true;
      await meddle();
    }
    return await store.run(name, fn, options);
  };
  return new Proxy(store, {
    get(target, key): unknown {
      if (key === "run") return run;
      const value: unknown = Reflect.get(target, key, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}

storeTest(
  "a turn whose ledger another one has written ends, and writes nothing over it",
  async (store) => {
    await using relay = await startHostileRelay({ events, behaviours: [cap(50)] });
    const theirs: CoverageInterval[] = [
      { since: 0, until: 99, state: "open", reason: "undelivered", at: 7 },
    ];
    let relayId = 0;
    const meddled = meddledWith(store, async () => {
      relayId = (await relaysByUrl(store, [relay.url])).get(relay.url) ?? 0;
      assert.ok(await replaceCoverage(store, relayId, "{}", theirs, { expected: [] }));
    });
    {
      await using archive = await openArchive(meddled);
      const report = await archive.sync(relay.url);
      assert.equal(report.outcome, "busy");
      assert.deepEqual(await readCoverage(store, relayId, "{}"), theirs);
    }
    await using archive = await openArchive(store);
    const next = await archive.sync(relay.url);
    assert.equal(next.outcome, "complete");
    assert.deepEqual(words(next.coverage), ALL_CLOSED);
    assert.equal((await archive.idsOf(relayId)).size, events.length);
  },
);

storeTest("of two turns at once one archives the relay, and its ledger is whole", async (store) => {
  await using relay = await startHostileRelay({ events, behaviours: [cap(10)] });
  await using archive = await openArchive(store);
  const reports = await Promise.all([archive.sync(relay.url), archive.sync(relay.url)]);
  const [first] = reports;
  assert.ok(first);
  const outcomes = reports.map(({ outcome }) => outcome).sort();
  assert.ok(outcomes.includes("complete"), outcomes.join());
  assert.ok(outcomes.every((outcome) => ["busy", "complete"].includes(outcome)), outcomes.join());
  assert.deepEqual(words(await readCoverage(store, first.relayId, "{}")), ALL_CLOSED);
  assert.equal((await archive.idsOf(first.relayId)).size, events.length);
});
