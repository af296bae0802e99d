// The statistics against a count by hand of the same rows: whatever is written, deleted and moved by
// time, wherever a refresh stops or fails, in both stores.
import assert from "node:assert/strict";
import fc from "fast-check";
import type { NostrEvent } from "../../src/model/event.ts";
import { parseRelayUrl, type RelayUrl } from "../../src/model/relay_url.ts";
import type { Store } from "../../src/store/connect.ts";
import { deleteEvents, deleteSightings, knownEvents, writeBatch } from "../../src/store/events.ts";
import { insertRelays, relaysByUrl } from "../../src/store/relays.ts";
import {
  readEventStats,
  rebuildStatistics,
  refreshStatistics,
} from "../../src/store/statistics.ts";
import { anyEvent, hexOf } from "../support/arbitrary_events.ts";
import { generateEvents } from "../support/events.ts";
import { emptyStore, storeTest } from "../support/store.ts";
import { assertExact, storedCounts } from "./statistics_tables.ts";

const NOW = 1_700_000_000;
const DAY = 86_400;

const RELAYS = Array.from({ length: 3 }, (_, i): RelayUrl => {
  const url = parseRelayUrl(`wss://relay${i}.example.com`);
  assert.ok(url.ok);
  return url.value;
});

async function relayIds(store: Store): Promise<number[]> {
  await insertRelays(store, RELAYS, { at: 1 });
  return [...(await relaysByUrl(store, RELAYS)).values()].sort((a, b) => a - b);
}

async function refreshAll(store: Store, o: { maxRows: number; at: number }): Promise<void> {
  for (;;) if ((await refreshStatistics(store, o)).behind === 0) return;
}

async function write(
  store: Store,
  events: readonly NostrEvent[],
  relayId: number | undefined,
): Promise<void> {
  const sightings = relayId === undefined
    ? []
    : events.map((event) => ({ eventId: event.id, relayId, seenAt: NOW }));
  await writeBatch(store, { events, sightings });
}

async function seqsOf(store: Store, ids: readonly number[]): Promise<number[]> {
  return [...(await knownEvents(store, ids.map((n) => hexOf(n)))).values()];
}

type Step =
  | { do: "write"; events: NostrEvent[]; relay: number }
  | { do: "delete"; ids: number[] }
  | { do: "unsee"; ids: number[]; relay: number }
  | { do: "refresh"; maxRows: number; seconds: number; fails: boolean }
  | { do: "rebuild"; seconds: number };

const IDS = 30;
/** Around the edges of the windows, within and far beyond them. */
const anyTime: fc.Arbitrary<number> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.tuple(
      fc.constantFrom(0, 3_600, DAY, 7 * DAY, 30 * DAY),
      fc.integer({ min: -3, max: 3 }),
    ).map(([width, off]) => NOW - width + off),
  },
  { weight: 3, arbitrary: fc.integer({ min: NOW - 40 * DAY, max: NOW + 3 * DAY }) },
  {
    weight: 1,
    arbitrary: fc.constantFrom(0, 253_402_300_799, 253_402_300_800, Number.MAX_SAFE_INTEGER),
  },
);
const anySeconds = fc.constantFrom(0, 1, 2, 5, 600, 3_600, 90_000, 8 * DAY, 45 * DAY, -1, -7_200);
const anyMaxRows = fc.integer({ min: 1, max: 12 });
const someIds = fc.array(fc.integer({ min: 1, max: IDS }), { minLength: 1, maxLength: 6 });
const anyRelay = fc.nat({ max: RELAYS.length - 1 });

const anyStep: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant("write" as const),
      events: fc.array(
        fc.tuple(anyEvent({ ids: IDS, authors: 3 }), anyTime)
          .map(([event, created_at]) => ({ ...event, tags: [], content: "", created_at })),
        { minLength: 1, maxLength: 8 },
      ),
      // One more than there are: seen nowhere.
      relay: fc.nat({ max: RELAYS.length }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("delete" as const), ids: someIds }) },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant("unsee" as const), ids: someIds, relay: anyRelay }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant("refresh" as const),
      fails: fc.constantFrom(false, false, true),
      maxRows: anyMaxRows,
      seconds: anySeconds,
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant("rebuild" as const), seconds: anySeconds }),
  },
);

/** A refresh that comes to its end and is not committed. */
async function failedRefresh(store: Store, o: { maxRows: number; at: number }): Promise<void> {
  const before = await storedCounts(store);
  const failure = new Error("no");
  await assert.rejects(
    store.transaction("fail", async (sql) => {
      await sql`select statistics_refresh(h.event_seq, h.sighting_seq, ${o.maxRows}::bigint,
        ${o.at}::bigint) from statistics_horizon() h`;
      throw failure;
    }),
    (error) => error === failure,
  );
  assert.deepEqual(await storedCounts(store), before);
}

storeTest(
  "whatever is written, deleted, refreshed and moved by time, all counts are those of the rows",
  async (store) => {
    await fc.assert(
      fc.asyncProperty(fc.array(anyStep, { maxLength: 14 }), async (steps) => {
        await emptyStore(store);
        const relays = await relayIds(store);
        let at = NOW;
        for (const step of steps) {
          if ("seconds" in step) at += step.seconds;
          if (step.do === "write") await write(store, step.events, relays[step.relay]);
          else if (step.do === "refresh") {
            const refresh = step.fails ? failedRefresh : refreshStatistics;
            await refresh(store, { maxRows: step.maxRows, at });
          } else if (step.do === "rebuild") await rebuildStatistics(store, { at });
          else if (step.do === "delete") await deleteEvents(store, await seqsOf(store, step.ids));
          else {
            const relayId = relays[step.relay] ?? 0;
            const seqs = await seqsOf(store, step.ids);
            await deleteSightings(store, seqs.map((seq) => ({ seq, relayId })));
          }
          await assertExact(store);
        }
        await refreshAll(store, { maxRows: 7, at });
        assert.equal((await assertExact(store)).at, at);
        const counted = await storedCounts(store);
        await rebuildStatistics(store, { at });
        assert.deepEqual(await storedCounts(store), counted);
      }),
      { numRuns: 15 },
    );
  },
);

storeTest(
  "writers, deleters and refreshers at the same time count nothing twice and miss nothing",
  async (store) => {
    const relays = await relayIds(store);
    const events = generateEvents(600, { seed: 11, authors: 15 });
    let writing = true;
    let at = 1_705_000_000;
    const writers = relays.map(async (relayId, i) => {
      const from = i * 100;
      const mine = events.slice(from, from + 300);
      for (let next = 0; next < mine.length; next += 20) {
        await write(store, mine.slice(next, next + 20), relayId);
      }
    });
    const refreshers = [5, 400].map(async (maxRows) => {
      while (writing) await refreshStatistics(store, { maxRows, at: at += 10_000 });
    });
    const deleter = (async (): Promise<void> => {
      for (let next = 0; writing; next = (next + 37) % events.length) {
        const some = events.slice(next, next + 3).map((event) => event.id);
        const [seq, ...others] = (await knownEvents(store, some)).values();
        await deleteEvents(store, others);
        if (seq === undefined) continue;
        await deleteSightings(store, relays.map((relayId) => ({ seq, relayId })));
      }
    })();
    try {
      await Promise.all(writers);
    } finally {
      writing = false;
      await Promise.all([...refreshers, deleter]);
    }
    await refreshAll(store, { maxRows: 1000, at });
    await assertExact(store);
    const counted = await storedCounts(store);
    await rebuildStatistics(store, { at });
    assert.deepEqual(await storedCounts(store), counted);
  },
);

storeTest("a refresh that fails counts nothing, and the next one counts all", async (store) => {
  const [relay = 1] = await relayIds(store);
  await write(store, generateEvents(30, { seed: 12 }), relay);
  await store.run("refuse", (sql) => sql`alter table stat_relay add constraint no check (false)`);
  await assert.rejects(refreshStatistics(store, { maxRows: 1000, at: NOW }));
  await store.run("allow", (sql) => sql`alter table stat_relay drop constraint no`);
  assert.equal((await readEventStats(store)).events, 0);
  const done = await refreshStatistics(store, { maxRows: 1000, at: NOW });
  assert.deepEqual(done, { events: 30, sightings: 30, behind: 0 });
  assert.deepEqual(await refreshStatistics(store, { maxRows: 1000, at: NOW }), {
    events: 0,
    sightings: 0,
    behind: 0,
  });
});

storeTest("a backend that is killed in mid-refresh counts once all the same", async (store) => {
  const [relay = 1] = await relayIds(store);
  await write(store, generateEvents(200, { seed: 14 }), relay);
  let refreshed: Promise<unknown> | undefined;
  await store.transaction("hold", async (sql) => {
    // By then the events are counted, and the sightings in part.
    await sql`lock table stat_relay in exclusive mode`;
    refreshed = refreshStatistics(store, { maxRows: 1000, at: NOW });
    for (;;) {
      await sql`select pg_stat_clear_snapshot()`;
      const [killed] = await sql`
        select pg_terminate_backend(pid) as done from pg_stat_activity
        where datname = current_database() and wait_event_type = 'Lock'
          and query like '%from statistics_refresh(%'`;
      if (killed?.done === true) return;
      await sql`select pg_sleep(0.01)`;
    }
  });
  assert.deepEqual(await refreshed, { events: 200, sightings: 200, behind: 0 });
  await assertExact(store);
  assert.equal((await readEventStats(store)).events, 200);
}, { kinds: ["postgres"] });

storeTest("windows shrink as time goes by, and what is dated later comes in", async (store) => {
  const [relay = 1] = await relayIds(store);
  const template = generateEvents(3, { seed: 15, authors: 3 });
  const dated = [NOW, NOW - 1_800, NOW + 60];
  await write(
    store,
    template.map((event, i) => ({ ...event, kind: 1, created_at: dated[i] ?? 0 })),
    relay,
  );
  const within = async (at: number): Promise<number[]> => {
    await refreshAll(store, { maxRows: 1000, at });
    const [hour, day, month, all] = [
      await readEventStats(store, { window: "1h" }),
      await readEventStats(store, { window: "24h" }),
      await readEventStats(store, { window: "30d" }),
      await readEventStats(store),
    ];
    assert.equal(hour.asOf, at);
    return [hour.events, hour.relays, day.events, month.events, all.events];
  };
  assert.deepEqual(await within(NOW), [2, 1, 2, 2, 3]);
  assert.deepEqual(await within(NOW + 60), [3, 1, 3, 3, 3]);
  assert.deepEqual(await within(NOW + 1_799), [3, 1, 3, 3, 3]);
  assert.deepEqual(await within(NOW + 1_800), [2, 1, 3, 3, 3]);
  assert.deepEqual(await within(NOW + 3_660), [0, 0, 3, 3, 3]);
  assert.deepEqual(await within(NOW + 31 * DAY), [0, 0, 0, 0, 3]);
  // A clock that had been wrong is set right.
  assert.deepEqual(await within(NOW), [2, 1, 2, 2, 3]);
});

storeTest("no sighting is counted before its event", async (store) => {
  const [relay = 1] = await relayIds(store);
  const events = generateEvents(12, { seed: 17 });
  await write(store, events.slice(0, 6), undefined);
  await write(store, events.slice(6), relay);
  for (let step = 0; step < 6; step++) {
    await refreshStatistics(store, { maxRows: 3, at: NOW });
    await assertExact(store);
  }
  assert.equal((await readEventStats(store)).sightings, 6);
});
