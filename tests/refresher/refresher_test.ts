// The refresher over real stores: everything new is counted once, in bounded steps.
import assert from "node:assert/strict";
import { type Counts, CycleRunner } from "../../src/lib/cycle.ts";
import { createRefresher } from "../../src/refresher/refresher.ts";
import type { Store } from "../../src/store/connect.ts";
import { writeBatch } from "../../src/store/events.ts";
import { ensureRelay } from "../../src/store/relays.ts";
import { deleteState, putState } from "../../src/store/service_state.ts";
import { readEventStats, rebuildStatistics } from "../../src/store/statistics.ts";
import { parseRelayUrl } from "../../src/model/relay_url.ts";
import { generateEvents } from "../support/events.ts";
import { ManualClock } from "../support/manual_clock.ts";
import { storeTest } from "../support/store.ts";

const CONFIG = { enabled: true, intervalMs: 60_000, maxConsecutiveFailures: 10, batchSize: 100 };

/** What a generated mix has of versions, deletions and times of expiry is the marks' own test. */
function withoutMarks({ marks: _marks, ...counts }: Counts): Counts {
  return counts;
}

async function archive(store: Store, seed: number, count: number): Promise<void> {
  const url = parseRelayUrl("wss://relay.example.com");
  assert.ok(url.ok);
  const relayId = await ensureRelay(store, url.value, { at: 1_760_000_000 });
  const events = generateEvents(count, { seed });
  const sightings = events.map(({ id }) => ({ eventId: id, relayId, seenAt: 1_760_000_000 }));
  await writeBatch(store, { events, sightings });
}

storeTest("a cycle counts all that is new, in steps of the batch size", async (store) => {
  const task = createRefresher({ store, config: CONFIG });
  const runner = new CycleRunner(task, CONFIG);
  assert.deepEqual(await runner.runOnce(), {});
  await archive(store, 1, 250);
  assert.deepEqual(withoutMarks(await runner.runOnce()), { events: 250, sightings: 250 });
  await archive(store, 2, 30);
  assert.deepEqual(withoutMarks(await runner.runOnce()), { events: 30, sightings: 30 });
  const refreshed = await readEventStats(store);
  assert.equal(refreshed.events, 280);
  await rebuildStatistics(store, { at: refreshed.asOf });
  assert.deepEqual(await readEventStats(store), refreshed);
});

storeTest("upkeep is done now and then, also when no event is new", async (store) => {
  const clock = new ManualClock();
  const runner = new CycleRunner(createRefresher({ store, config: CONFIG, clock }), CONFIG);
  await archive(store, 1, 10);
  assert.deepEqual(withoutMarks(await runner.runOnce()), { events: 10, sightings: 10 });
  for (let i = 0; i < 2; i++) {
    await clock.advance(599_999);
    assert.deepEqual(await runner.runOnce(), {});
    await clock.advance(1);
    assert.deepEqual(await runner.runOnce(), { maintenances: 1 });
  }
});

storeTest(
  "what checks and jobs leave in the embedded database is cleaned up without any event",
  async (store) => {
    const clock = new ManualClock();
    const runner = new CycleRunner(createRefresher({ store, config: CONFIG, clock }), CONFIG);
    for (let at = 1; at <= 300; at++) await putState(store, "test", "key", { at }, { at });
    const sizeOf = (): Promise<number | undefined> =>
      store.run("size", async (sql) => {
        const [row] = await sql<{ bytes: number }[]>`
          select pg_relation_size('service_state') as bytes`;
        return row?.bytes;
      });
    await deleteState(store, "test", "key");
    assert.notEqual(await sizeOf(), 0);
    await clock.advance(600_000);
    await runner.runOnce();
    assert.equal(await sizeOf(), 0);
  },
  { kinds: ["pglite"] },
);

storeTest("a cycle marks what is new, in steps of the batch size", async (store) => {
  const profiles = generateEvents(250, { seed: 4, authors: 3, kinds: { 0: 1 } });
  await writeBatch(store, { events: profiles, sightings: [] });
  const runner = new CycleRunner(createRefresher({ store, config: CONFIG }), CONFIG);
  assert.deepEqual(await runner.runOnce(), { events: 250, marks: 250 });
  assert.deepEqual(await runner.runOnce(), {});
  const [row] = await store.run("latest", (sql) =>
    sql<{ n: number }[]>`
    select count(*)::int as n from latest_replaceable_events`);
  assert.equal(row?.n, 3);
});

storeTest("an abort ends the cycle as an abort", async (store) => {
  await archive(store, 1, 50);
  const runner = new CycleRunner(createRefresher({ store, config: CONFIG }), CONFIG);
  const reason = new Error("enough");
  await assert.rejects(runner.runOnce({ signal: AbortSignal.abort(reason) }), (e) => e === reason);
});
