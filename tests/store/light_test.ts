import assert from "node:assert/strict";
import fc from "fast-check";
import type { NostrEvent } from "../../src/model/event.ts";
import type { Filter } from "../../src/model/filter.ts";
import { parseRelayUrl } from "../../src/model/relay_url.ts";
import type { Store } from "../../src/store/connect.ts";
import {
  countEvents,
  deleteEvents,
  deleteOrphanEvents,
  type EventCursor,
  knownEvents,
  readEvents,
  scanEvents,
  settledEventSeq,
  type StoredEvent,
  writeBatch,
} from "../../src/store/events.ts";
import { checkLayout, ProfileMismatch, readLayout } from "../../src/store/layout.ts";
import { maintain } from "../../src/store/maintain.ts";
import { ensureRelay } from "../../src/store/relays.ts";
import { refreshStatistics } from "../../src/store/statistics.ts";
import { anyEvent, anyFilter } from "../support/arbitrary_events.ts";
import { generateEvents } from "../support/events.ts";
import { postgresMissing, postgresNote } from "../support/postgres_server.ts";
import { readRealEvents, sharedDataMissing, sharedDataNote } from "../support/shared_data.ts";
import { emptyStore, freshStore, STORE_KINDS } from "../support/store.ts";

const IDS = 60;
const RELAYS = ["wss://one.example.com", "wss://two.example.com"];

/** Tags whose name is a letter, `relay` or `expiration`, with their value alone. */
function keptTags(event: NostrEvent): string[][] {
  return event.tags.filter(([name = "", value]) =>
    value !== undefined && /^([A-Za-z]|relay|expiration)$/.test(name)
  ).map((tag) => tag.slice(0, 2));
}

/** What light keeps, tags in any order. */
function kept({ id, pubkey, created_at, kind, tags }: NostrEvent): unknown[] {
  return [id, pubkey, created_at, kind, tags.map((tag) => JSON.stringify(tag)).sort()];
}

function assertKept(stored: StoredEvent | undefined, event: NostrEvent): void {
  assert.ok(stored);
  assert.deepEqual(kept(stored), kept({ ...event, tags: keptTags(event) }));
  assert.deepEqual([stored.content, stored.sig], ["", ""]);
  // Of an address the first `d` tag counts.
  const d = (of: NostrEvent): string | undefined => of.tags.find(([name]) => name === "d")?.[1];
  assert.equal(d(stored), d({ ...event, tags: keptTags(event) }));
}

async function readIds(store: Store, filter: Filter, limit: number): Promise<string[]> {
  const ids: string[] = [];
  let after: EventCursor | undefined;
  do {
    const page = await readEvents(store, {
      filter,
      limit,
      ...(after === undefined ? {} : { after }),
    });
    ids.push(...page.events.map((event) => event.id));
    after = page.next;
  } while (after !== undefined);
  return ids;
}

async function scanAll(store: Store): Promise<Map<string, StoredEvent>> {
  const all = new Map<string, StoredEvent>();
  for (let afterSeq = 0;;) {
    const page = await scanEvents(store, { afterSeq, limit: 500 });
    for (const event of page) all.set(event.id, event);
    const last = page.at(-1);
    if (last === undefined) return all;
    afterSeq = last.seq;
  }
}

async function relayIds(store: Store): Promise<number[]> {
  const ids: number[] = [];
  for (const text of RELAYS) {
    const url = parseRelayUrl(text);
    assert.ok(url.ok);
    ids.push(await ensureRelay(store, url.value, { at: 1 }));
  }
  return ids;
}

async function answersAlike(small: Store, whole: Store): Promise<void> {
  const arbitrary = fc.array(anyEvent({ ids: IDS }), { maxLength: 40 }).chain((events) =>
    fc.record({
      events: fc.constant(events),
      filters: fc.array(anyFilter(events, IDS), { minLength: 6, maxLength: 6 }),
    })
  );
  await fc.assert(
    fc.asyncProperty(arbitrary, async ({ events, filters }) => {
      const byId = new Map(events.map((event) => [event.id, event]));
      const batch = [...byId.values()];
      for (const store of [small, whole]) {
        await emptyStore(store);
        // Twice, in part: known events are fine.
        await writeBatch(store, { events: batch.slice(0, 9), sightings: [] });
        const { seqs } = await writeBatch(store, { events: batch, sightings: [] });
        assert.equal(seqs.size, batch.length);
      }
      const stored = await scanAll(small);
      assert.equal(stored.size, batch.length);
      for (const event of batch) assertKept(stored.get(event.id), event);
      for (const filter of filters) {
        assert.deepEqual(await readIds(small, filter, 7), await readIds(whole, filter, 7));
        assert.equal(
          await countEvents(small, filter, { timeoutMs: 10_000 }),
          await countEvents(whole, filter, { timeoutMs: 10_000 }),
        );
      }
    }),
    { numRuns: 12 },
  );
}

/** Writes, deletes and counts; what came of it. */
async function facts(store: Store): Promise<unknown> {
  const events = generateEvents(500, { seed: 31 });
  const ids = events.map(({ id }) => id);
  const relays = await relayIds(store);
  // Writers at the same time, of events that overlap.
  const results = await Promise.all([0, 1, 2, 3].map((i) => {
    const batch = events.slice(i * 100, i * 100 + 200);
    const relayId = relays[i % 2] ?? 0;
    return writeBatch(store, {
      events: batch,
      sightings: batch.map(({ id }) => ({ eventId: id, relayId, seenAt: 1_700_000_000 })),
    });
  }));
  assert.equal(results.reduce((sum, result) => sum + result.newEvents, 0), 500);
  await maintain(store);
  const known = await knownEvents(store, ids);
  assert.equal(known.size, 500);
  const gone = ids.slice(0, 120).map((id) => known.get(id) ?? 0);
  assert.equal(await deleteEvents(store, gone), 120);
  assert.equal((await knownEvents(store, ids)).size, 380);
  await maintain(store, { vacuumEvents: true });
  // What was deleted can come back.
  const back = await writeBatch(store, { events: events.slice(0, 20), sightings: [] });
  assert.equal(back.newEvents, 20);
  await refreshStatistics(store, { maxRows: 1_000_000 });
  const counted = await store.run("counts", async (sql) => [
    [...await sql`select kind, events from kind_counts order by kind`],
    [...await sql`select relay_url, events from relay_stats order by relay_url`],
    [...await sql`select count(*) as n from event_relay_view`],
  ]);
  const end = await settledEventSeq(store);
  assert.equal(await deleteOrphanEvents(store, { afterSeq: 0, limit: end }), 20);
  return counted;
}

async function scansByBytes(store: Store): Promise<void> {
  await emptyStore(store);
  // 73 kB of tags each: packed, and as text.
  const packed = Array.from({ length: 1000 }, (_, i) => ["e", i.toString(16).padStart(64, "0")]);
  const events = generateEvents(6, { seed: 13 })
    .map((event, i) => ({ ...event, tags: i % 2 === 0 ? packed : [["t", "x".repeat(73_000)]] }));
  await writeBatch(store, { events, sightings: [] });
  const page = await scanEvents(store, { afterSeq: 0, limit: 6, maxBytes: 140_000 });
  assert.equal(page.length, 2);
  const [row] = await store.run("measured", (sql) =>
    sql<{ said: number; is: number }[]>`
    select sum(event_bytes(e))::int as said, sum(octet_length(event_tags(e)))::int as is
    from event e`);
  assert.ok(row && Math.abs(row.said - row.is) < 100, JSON.stringify(row));
}

async function keepsRealEvents(store: Store): Promise<void> {
  await emptyStore(store);
  const events = readRealEvents() as NostrEvent[];
  for (let i = 0; i < events.length; i += 500) {
    await writeBatch(store, { events: events.slice(i, i + 500), sightings: [] });
  }
  const stored = await scanAll(store);
  assert.equal(stored.size, events.length);
  for (const event of events) assertKept(stored.get(event.id), event);
  const shown = await store.run(
    "view",
    (sql) => sql`select tags, content, sig from event_view limit 50`,
  );
  for (const row of shown) assert.deepEqual([row.content, row.sig], ["", ""]);
}

for (const kind of STORE_KINDS) {
  const ignore = kind === "postgres" && postgresMissing;

  Deno.test({
    name: `a light archive beside a full one [${kind}]${ignore ? postgresNote : ""}`,
    ignore,
    fn: async (t) => {
      await using small = await freshStore(kind, {
        layout: { profile: "light", partitionEvents: 100 },
      });
      await using whole = await freshStore(kind);
      await t.step("answers every filter alike", () => answersAlike(small.store, whole.store));
      await emptyStore(small.store);
      await emptyStore(whole.store);
      await t.step("keeps sightings, deletes and counts alike", async () => {
        assert.deepEqual(await facts(small.store), await facts(whole.store));
      });
      await t.step("has one partition of events, of sightings as many as else", async () => {
        const { partitions } = await readLayout(small.store);
        assert.ok(partitions > 4);
        const [row] = await small.store.run("partitions", (sql) =>
          sql`
          select (select count(*) from pg_inherits where inhparent = 'event'::regclass) as events,
            (select count(*) from pg_inherits where inhparent = 'event_relay'::regclass) as seen`);
        assert.deepEqual([Number(row?.events), Number(row?.seen)], [1, partitions]);
      });
      await t.step({
        name: `keeps all values of real events' tags${sharedDataNote}`,
        ignore: sharedDataMissing,
        fn: () => keepsRealEvents(small.store),
      });
      await t.step("is scanned in pages of bounded bytes", () => scansByBytes(small.store));
      await t.step("is refused by a program that wants another", async () => {
        await assert.rejects(
          checkLayout(small.store, { profile: "full" }),
          (error) => error instanceof ProfileMismatch && /light.*full/.test(error.message),
        );
        const { profile } = await checkLayout(small.store, { profile: "light" });
        assert.equal(profile, "light");
      });
    },
  });
}
