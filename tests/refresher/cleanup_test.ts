// The clean-up over real stores: what is past its retention goes, batch by batch, with all that hangs
// on it, and nothing else does.
import assert from "node:assert/strict";
import { CycleRunner } from "../../src/lib/cycle.ts";
import { isPastRetention } from "../../src/model/retention.ts";
import type { NostrEvent } from "../../src/model/event.ts";
import { parseRelayUrl } from "../../src/model/relay_url.ts";
import type { CleanupConfig } from "../../src/refresher/cleanup.ts";
import { createRefresher } from "../../src/refresher/refresher.ts";
import type { Store } from "../../src/store/connect.ts";
import { readEvents, writeBatch } from "../../src/store/events.ts";
import { ensureRelay } from "../../src/store/relays.ts";
import { readEventStats } from "../../src/store/statistics.ts";
import { generateEvents } from "../support/events.ts";
import { ManualClock } from "../support/manual_clock.ts";
import { storeTest } from "../support/store.ts";

const CONFIG = { enabled: true, intervalMs: 60_000, maxConsecutiveFailures: 10, batchSize: 1_000 };
const CLEANUP: CleanupConfig = {
  retention: [],
  deleteOrphans: false,
  cleanupIntervalMs: 3_600_000,
  cleanupBatch: 16,
  cleanupTimeMs: 60_000,
};
/** Generated events lie in the ten million seconds before. */
const NOW = 1_710_000_000;
const HOUR_MS = 3_600_000;
const RETENTION: CleanupConfig["retention"] = [
  { kinds: [7, 6], olderThanMs: 2_000_000_000 },
  { kinds: [0, 10002], olderThanMs: 36_500 * 24 * HOUR_MS },
  { kinds: [], olderThanMs: 6_000_000_000 },
];

async function archive(store: Store, events: readonly NostrEvent[]): Promise<void> {
  const url = parseRelayUrl("wss://relay.example.com");
  assert.ok(url.ok);
  const relayId = await ensureRelay(store, url.value, { at: NOW });
  const sightings = events.map(({ id }) => ({ eventId: id, relayId, seenAt: NOW }));
  await writeBatch(store, { events, sightings });
}

async function storedIds(store: Store): Promise<Set<string>> {
  const { events } = await readEvents(store, { limit: 1_000 });
  return new Set(events.map(({ id }) => id));
}

function idsOf(events: readonly NostrEvent[]): Set<string> {
  return new Set(events.map(({ id }) => id));
}

function start(store: Store, cleanup: Partial<CleanupConfig>, clock: ManualClock): CycleRunner {
  const task = createRefresher({
    store,
    config: CONFIG,
    cleanup: { ...CLEANUP, ...cleanup },
    clock,
  });
  return new CycleRunner(task, { ...CONFIG, clock });
}

storeTest("what is past its retention is deleted, with its sightings and counts", async (store) => {
  const clock = new ManualClock(NOW * 1000);
  const events = generateEvents(300, { seed: 31, authors: 5 });
  const kept = events.filter((event) => !isPastRetention(RETENTION, event, NOW));
  assert.ok(kept.length > 50 && kept.length < 250);
  await archive(store, events);
  const runner = start(store, { retention: RETENTION }, clock);
  const counts = await runner.runOnce();
  assert.equal(counts.retention_deleted, events.length - kept.length);
  assert.deepEqual(await storedIds(store), idsOf(kept));
  const { events: counted, sightings } = await readEventStats(store);
  assert.deepEqual({ counted, sightings }, { counted: kept.length, sightings: kept.length });
  const [left] = await store.run("left", (sql) =>
    sql<{ sightings: number; versions: number }[]>`
      select (select count(*)::int from event_relay) as sightings,
        (select count(*)::int from event_version v
          where not exists (select from event e where e.seq = v.event_seq)) as versions`);
  assert.deepEqual({ ...left }, { sightings: kept.length, versions: 0 });
  // As time goes by more is too old, but it is looked for once an hour.
  await clock.advance(HOUR_MS / 2);
  assert.equal((await runner.runOnce()).retention_deleted, undefined);
  await clock.advance(500 * HOUR_MS);
  const later = NOW + 500.5 * 3600;
  const keptLater = kept.filter((event) => !isPastRetention(RETENTION, event, later));
  assert.ok(keptLater.length < kept.length);
  assert.equal((await runner.runOnce()).retention_deleted, kept.length - keptLater.length);
  assert.deepEqual(await storedIds(store), idsOf(keptLater));
});

storeTest("a cycle deletes for no longer than it may, and the next one goes on", async (store) => {
  const clock = new ManualClock(NOW * 1000);
  const events = generateEvents(100, { seed: 32, kinds: { 1: 1 }, until: NOW - 8_000_000 });
  await archive(store, events);
  const retention = [{ kinds: [1], olderThanMs: 1_000_000 }];
  // The time does not move while it works, so that no time at all is one batch.
  const runner = start(store, { retention, cleanupBatch: 40, cleanupTimeMs: 0 }, clock);
  const deleted = [];
  for (let cycle = 0; cycle < 4; cycle++) {
    deleted.push((await runner.runOnce()).retention_deleted ?? 0);
  }
  assert.deepEqual(deleted, [40, 40, 20, 0]);
  assert.equal((await storedIds(store)).size, 0);
});

storeTest("events that no relay holds go only where that is asked for", async (store) => {
  const clock = new ManualClock(NOW * 1000);
  const seen = generateEvents(30, { seed: 33 });
  const orphans = generateEvents(30, { seed: 34 });
  await archive(store, seen);
  await writeBatch(store, { events: orphans, sightings: [] });
  await start(store, {}, clock).runOnce();
  assert.equal((await storedIds(store)).size, 60);
  const counts = await start(store, { deleteOrphans: true }, clock).runOnce();
  assert.equal(counts.orphans_deleted, 30);
  assert.deepEqual(await storedIds(store), idsOf(seen));
});
