// The sums over a relay's events that are kept between two comparisons (NIP-77), and the sightings
// since. In: a relay, a filter. Out: rows, sightings in bounded steps. Never computes a sum: the
// segments are the synchronizer's to read and to write.
import type { CoverageWindow } from "../model/coverage.ts";
import type { Filter } from "../model/filter.ts";
import type { Store } from "./connect.ts";
import { filterCondition } from "./filter_sql.ts";
import type { SightedId } from "./sighted_ids.ts";

/** What is kept of one relay and filter. */
export interface FingerprintRow {
  filterId: number;
  /** Grows with each change, by whomever. */
  version: number;
  /** All sightings up to here are in the sums. */
  sightingSeq: number;
  /** Days of created_at (of 86,400 s) from which events were deleted since. */
  staleDays: number[];
  segments: Uint8Array;
}

/** Sightings in one step. */
const STEP_ROWS = 5_000;

/** What is kept of this relay and filter; an empty row is made where there is none. */
export function openFingerprints(
  store: Store,
  relayId: number,
  filterKey: string,
  o: { signal?: AbortSignal | undefined } = {},
): Promise<FingerprintRow> {
  return store.run("relay_fingerprint_open", async (sql) => {
    const [row] = await sql<(Omit<FingerprintRow, "staleDays"> & { staleDays: string })[]>`
      select filter_id as "filterId", version, sighting_seq as "sightingSeq",
        array_to_string(stale_days, ',') as "staleDays", segments
      from relay_fingerprint_open(${relayId}::int, ${filterKey}::text)`;
    if (row === undefined) throw new Error("relay_fingerprint_open gave no row");
    const { staleDays } = row;
    return { ...row, staleDays: staleDays === "" ? [] : staleDays.split(",").map(Number) };
  }, { retry: true, signal: o.signal });
}

/** Stores sums of this version; false when it is not the newest any more, and they are void. */
export function storeFingerprints(
  store: Store,
  relayId: number,
  row: Omit<FingerprintRow, "staleDays">,
  o: { signal?: AbortSignal | undefined } = {},
): Promise<boolean> {
  return store.run("relay_fingerprint_store", async (sql) => {
    const [stored] = await sql<{ ok: boolean }[]>`select relay_fingerprint_store(
      ${relayId}::int, ${row.filterId}::int, ${row.version}::int, ${row.sightingSeq}::bigint,
      decode(${row.segments.toHex()}::text, 'hex')) as ok`;
    return stored?.ok ?? false;
  }, { signal: o.signal });
}

/** The number at or below which every sighting is committed. */
export function settledSightingSeq(
  store: Store,
  o: { signal?: AbortSignal | undefined } = {},
): Promise<number> {
  return store.run("statistics_horizon", async (sql) => {
    const [row] = await sql<{ seq: number }[]>`
      select sighting_seq as seq from statistics_horizon()`;
    return row?.seq ?? 0;
  }, { retry: true, signal: o.signal });
}

/**
 * Gives `take` the events seen on the relay by sightings in (after, upTo], in no order, a few
 * thousand at a time. The filter's tags are compared by their 64-bit keys alone. Not repeated when
 * the database goes away under it: rejects, and `take` has had a part.
 */
export function eachSightingSince(
  store: Store,
  o: {
    relayId: number;
    filter: Filter;
    after: number;
    upTo: number;
    signal?: AbortSignal | undefined;
  },
  take: (batch: readonly SightedId[]) => void,
): Promise<void> {
  const { relayId, filter, after, upTo, signal } = o;
  return store.run("sightings_since", async (sql) => {
    const { where } = filterCondition(sql, filter);
    const rows = sql<SightedId[]>`
      select event.created_at as "createdAt", encode(event.id, 'hex') as id
      from event_relay s join event on event.seq = s.event_seq
      where s.relay_id = ${relayId}::int and s.seq > ${after}::bigint and s.seq <= ${upTo}::bigint
        and ${where}`;
    for await (const batch of rows.cursor(STEP_ROWS)) take(batch);
  }, { signal, statementTimeoutMs: 0 });
}

/**
 * The same as `sightedIds` in one step, by the relay's sightings instead of the archive's events:
 * for relays of few events in a large archive.
 */
export function sightedIdsByRelay(
  store: Store,
  o: {
    relayId: number;
    filter: Filter;
    window: CoverageWindow;
    atMost: number;
    signal?: AbortSignal | undefined;
  },
): Promise<SightedId[]> {
  const { relayId, filter, window: { since, until }, atMost, signal } = o;
  return store.run("sighted_ids_by_relay", async (sql) => {
    const { where } = filterCondition(sql, { ...filter, since, until });
    return [
      ...await sql<SightedId[]>`
        select event.created_at as "createdAt", encode(event.id, 'hex') as id
        from event_relay s join event on event.seq = s.event_seq
        where s.relay_id = ${relayId}::int and ${where}
        order by event.created_at desc, event.id desc limit ${atMost}`,
    ];
  }, { retry: true, signal, statementTimeoutMs: 0 });
}
