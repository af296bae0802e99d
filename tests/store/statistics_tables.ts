// The statistics as the tables have them, and as somebody would count who has only the rows: both in
// one form, so that they can be compared whole. In: a store. Out: counts by table and key.
import assert from "node:assert/strict";
import { isWithin, WINDOWS } from "../../src/model/window.ts";
import type { Store } from "../../src/store/connect.ts";

/** Table and key, with its counts: of 1 h, 24 h, 7 d, 30 d and all time; several such in a row. */
export type Counts = Record<string, number[]>;

/** Up to where the statistics have counted. */
export interface Reached {
  event_seq: number;
  sighting_seq: number;
  at: number;
}

interface EventRow {
  seq: number;
  kind: number;
  pubkey: string;
  created_at: number;
}

/** The statistics' tables. */
export function storedCounts(store: Store): Promise<Counts> {
  return store.run("counts", async (sql) => {
    const five = (name: string): string =>
      ["1h", "24h", "7d", "30d"].map((window) => `${name}_${window}`).join(", ") + `, ${name}`;
    const author = "encode(a.pubkey, 'hex')";
    const rows = await sql.unsafe<{ key: string; counts: string }[]>(`
      select 'total' as key, array[events, sightings, ${five("pubkeys")}]::text as counts
        from stat_total
      union all select 'kind ' || kind, array[${five("events")}, ${five("pubkeys")}]::text
        from stat_kind
      union all select 'pubkey ' || ${author}, array[${five("events")}]::text from stat_pubkey a
      union all select 'pubkey_kind ' || ${author} || ' ' || kind, array[${five("k.events")}]::text
        from stat_pubkey_kind k join stat_pubkey a on a.id = k.pubkey_id
      union all select 'relay ' || relay_id,
        array[${five("sightings")}, ${five("pubkeys")}, ${five("kinds")}]::text from stat_relay
      union all select 'kind_relay ' || kind || ' ' || relay_id, array[${five("sightings")}]::text
        from stat_kind_relay
      union all select 'pubkey_relay ' || ${author} || ' ' || relay_id,
        array[${five("p.sightings")}]::text
        from stat_pubkey_relay p join stat_pubkey a on a.id = p.pubkey_id
      union all select 'pubkey_day ' || ${author} || ' ' || day || ' ' || kind, array[d.events]::text
        from stat_pubkey_day d join stat_pubkey a on a.id = d.pubkey_id
      union all select 'day ' || day || ' ' || kind, array[events, pubkeys]::text from stat_day`);
    return sorted(rows.map(({ key, counts }) => [key, JSON.parse(`[${counts.slice(1, -1)}]`)]));
  });
}

/** The same, counted one by one from the events and sightings that the statistics have reached. */
export async function countedByHand(store: Store): Promise<{ counts: Counts; reached: Reached }> {
  const { events, sightings, reached } = await store.run("rows", async (sql) => {
    const [reached] = await sql<Reached[]>`select event_seq, sighting_seq, at from stat_total`;
    assert.ok(reached);
    const events = await sql<EventRow[]>`
      select seq, kind, encode(pubkey, 'hex') as pubkey, created_at from event
      where seq <= ${reached.event_seq}::bigint`;
    const sightings = await sql<{ event_seq: number; relay_id: number }[]>`
      select event_seq, relay_id from event_relay where seq <= ${reached.sighting_seq}::bigint`;
    return { events, sightings, reached };
  });
  const bySeq = new Map(events.map((event) => [event.seq, event]));
  const seen = sightings.map(({ event_seq, relay_id }) => {
    const event = bySeq.get(event_seq);
    assert.ok(event, "a sighting is counted whose event is not");
    return { ...event, relay_id };
  });
  const inWindows = <T extends EventRow>(rows: readonly T[]): T[][] =>
    WINDOWS.map((window) => rows.filter((row) => isWithin(window, row.created_at, reached.at)));
  const sizes = <T extends EventRow>(rows: readonly T[]): number[] =>
    inWindows(rows).map((some) => some.length);
  const different = <T extends EventRow>(rows: readonly T[], of: (row: T) => unknown): number[] =>
    inWindows(rows).map((some) => new Set(some.map(of)).size);
  const authors = (rows: readonly EventRow[]): number[] => different(rows, (row) => row.pubkey);
  const kinds = (rows: readonly EventRow[]): number[] => different(rows, (row) => row.kind);
  const by = <T extends EventRow>(
    table: string,
    rows: readonly T[],
    key: (row: T) => string,
    counts: (rows: readonly T[]) => number[],
  ): [string, number[]][] =>
    [...Map.groupBy(rows, key)].map(([name, some]) => [`${table} ${name}`, counts(some)]);
  const dated = events.filter((event) => event.created_at < 253_402_300_800);
  const dayOf = (event: EventRow): number => Math.floor(event.created_at / 86_400);
  const ofDay = (some: readonly EventRow[]): number[] => [
    some.length,
    new Set(some.map((event) => event.pubkey)).size,
  ];
  const counts = sorted([
    ["total", [events.length, seen.length, ...authors(events)]],
    ...by("kind", events, (e) => `${e.kind}`, (some) => [...sizes(some), ...authors(some)]),
    ...by("pubkey", events, (e) => e.pubkey, sizes),
    ...by("pubkey_kind", events, (e) => `${e.pubkey} ${e.kind}`, sizes),
    ...by("relay", seen, (s) => `${s.relay_id}`, (some) => [
      ...sizes(some),
      ...authors(some),
      ...kinds(some),
    ]),
    ...by("kind_relay", seen, (s) => `${s.kind} ${s.relay_id}`, sizes),
    ...by("pubkey_relay", seen, (s) => `${s.pubkey} ${s.relay_id}`, sizes),
    ...by("pubkey_day", dated, (e) => `${e.pubkey} ${dayOf(e)} ${e.kind}`, (some) => [some.length]),
    ...by("day", dated, (e) => `${dayOf(e)} ${e.kind}`, ofDay),
    ...by("day", dated, (e) => `${dayOf(e)} -1`, ofDay),
  ]);
  return { counts, reached };
}

/** Fails unless the tables say what the rows do, wherever the statistics have got to. */
export async function assertExact(store: Store): Promise<Reached> {
  const { counts, reached } = await countedByHand(store);
  assert.deepEqual(await storedCounts(store), counts);
  return reached;
}

function sorted(entries: readonly [string, number[]][]): Counts {
  return Object.fromEntries(entries.toSorted(([a], [b]) => a < b ? -1 : a > b ? 1 : 0));
}
