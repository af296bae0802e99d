// Sightings: which event was seen on which relay, and when. In: sequence numbers. Out: how many are
// new. The cheapest row of all, for most of what a relay sends is archived already.
import type { RelayUrl } from "../model/relay_url.ts";
import type { Sql, Store } from "./connect.ts";
import { numberArray } from "./pg_text.ts";

/** An archived event was seen on a relay. */
export interface SightingRow {
  seq: number;
  relayId: number;
  /** Unix seconds. */
  seenAt: number;
}

/** Where an event was seen first at a relay. */
export interface SeenOn {
  relayUrl: RelayUrl;
  /** Unix seconds. */
  seenAt: number;
}

/** Inserts the sightings that are new, and says how many; the first one of each relay stays. */
export function insertSightings(
  store: Store,
  rows: readonly SightingRow[],
  o: { signal?: AbortSignal } = {},
): Promise<number> {
  if (rows.length === 0) return Promise.resolve(0);
  // In one order everywhere, so that writers of the same rows can't wait for each other for ever.
  const sorted = rows.toSorted((a, b) => a.seq - b.seq || a.relayId - b.relayId);
  return store.run("event_relay_insert", (sql) => insertSightingRows(sql, sorted), {
    retry: true,
    signal: o.signal,
  });
}

/** The same within a transaction. */
export async function insertSightingRows(
  sql: Sql,
  rows: readonly SightingRow[],
): Promise<number> {
  if (rows.length === 0) return 0;
  const [row] = await sql<{ n: number }[]>`select event_relay_insert(
    ${numberArray(rows.map((row) => row.seq))}::bigint[],
    ${numberArray(rows.map((row) => row.relayId))}::int[],
    ${numberArray(rows.map((row) => row.seenAt))}::bigint[]) as n`;
  return row?.n ?? 0;
}

/** The relays that an event was seen on, by the time of the first sighting. */
export function sightingsOf(
  store: Store,
  eventId: string,
  o: { signal?: AbortSignal } = {},
): Promise<SeenOn[]> {
  return store.run("sightings_of", async (sql) => [
    ...await sql<SeenOn[]>`
      select r.url as "relayUrl", s.seen_at + 1577836800::bigint as "seenAt"
      from event_relay s join relay r on r.id = s.relay_id
      where s.event_seq = (select (event_found(decode(${eventId}, 'hex')))[1])
      order by s.seen_at, r.url`,
  ], { retry: true, signal: o.signal });
}

/** The same of several events at once, by their sequence numbers; events never seen are left out. */
export function sightingsOfEvents(
  store: Store,
  seqs: readonly number[],
  o: { signal?: AbortSignal } = {},
): Promise<Map<number, SeenOn[]>> {
  return store.run("sightings_of_events", async (sql) => {
    const rows = await sql<(SeenOn & { seq: number })[]>`
      select s.event_seq as seq, r.url as "relayUrl", s.seen_at + 1577836800::bigint as "seenAt"
      from event_relay s join relay r on r.id = s.relay_id
      where s.event_seq = any (${numberArray(seqs)}::bigint[])
      order by s.event_seq, s.seen_at, r.url`;
    const bySeq = new Map<number, SeenOn[]>();
    for (const { seq, ...seen } of rows) {
      const list = bySeq.get(seq);
      if (list === undefined) bySeq.set(seq, [seen]);
      else list.push(seen);
    }
    return bySeq;
  }, { retry: true, signal: o.signal });
}
