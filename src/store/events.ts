// The archive as it is read and cleaned: events by filter, by place, one by one. In: filters and
// cursors. Out: pages of events, always by keyset. Writing is event_batches.ts, which is passed on
// from here. Never judges who may read.
import { type Filter, filterMatcher } from "../model/filter.ts";
import type { Store } from "./connect.ts";
import { type EventColumns, type StoredEvent, toEvent } from "./event_codec.ts";
import { filterCondition } from "./filter_sql.ts";
import { numberArray } from "./pg_text.ts";

export * from "./event_batches.ts";
export { isWhole, type StoredEvent } from "./event_codec.ts";

/** Where a page ended: newest first, ties by id. */
export interface EventCursor {
  createdAt: number;
  id: string;
}

/** Rows that one round grows to; an event may have a megabyte. */
const ROUND_ROWS = 200;

/** Bytes that a scan brings at once, and at most one event more. */
const SCAN_BYTES = 8 * 1024 * 1024;

/** One page of the events that match: newest first, ties by the lowest id. */
export function readEvents(
  store: Store,
  o: { filter?: Filter; after?: EventCursor; limit: number; signal?: AbortSignal },
): Promise<{ events: StoredEvent[]; next?: EventCursor }> {
  const { filter = {}, after, limit } = o;
  return store.run("read_events", async (sql) => {
    const { where, needsCheck } = filterCondition(sql, filter);
    const matches = filterMatcher(filter);
    const events: StoredEvent[] = [];
    let cursor = after;
    // Keys that collide cost another round, never a missing event. Rounds grow: whoever makes such keys
    // on purpose does not get one for each row.
    for (let asked = limit; limit > 0; asked = Math.max(limit, Math.min(2 * asked, ROUND_ROWS))) {
      const rows = await sql<EventColumns[]>`
        select seq, encode(id, 'hex') as id, encode(pubkey, 'hex') as pubkey, created_at, kind,
          event_tags(event) as tags, content, content_raw, encode(sig, 'hex') as sig
        from event where ${where} ${
        cursor === undefined ? sql`` : sql`and created_at <= ${cursor.createdAt}::bigint
          and (created_at < ${cursor.createdAt}::bigint or id > decode(${cursor.id}, 'hex'))`
      }
        order by created_at desc, id asc limit ${asked}`;
      for (const row of rows) {
        const event = toEvent(row);
        cursor = { createdAt: event.created_at, id: event.id };
        if (needsCheck && !matches(event)) continue;
        events.push(event);
        if (events.length === limit) return { events, next: cursor };
      }
      if (rows.length < asked) break;
    }
    return { events };
  }, { retry: true, signal: o.signal });
}

/**
 * Events in the order in which they were archived, after `afterSeq`; each is read once. What comes is
 * at most `limit` events, and ends with the one by which it has `maxBytes` (8 MiB): fewer than the
 * limit are not the end, none are.
 */
export function scanEvents(
  store: Store,
  o: {
    afterSeq: number;
    kinds?: readonly number[];
    limit: number;
    maxBytes?: number;
    signal?: AbortSignal;
  },
): Promise<StoredEvent[]> {
  return store.run("scan_events", async (sql) => {
    const after = sql`seq > ${o.afterSeq}::bigint ${
      o.kinds === undefined ? sql`` : sql`and kind = any (${numberArray(o.kinds)}::int[])`
    }`;
    // By a bound on seq: what lies beyond it is measured, never read.
    const rows = await sql<EventColumns[]>`
      select seq, encode(id, 'hex') as id, encode(pubkey, 'hex') as pubkey, created_at, kind,
        event_tags(event) as tags, content, content_raw, encode(sig, 'hex') as sig
      from event where ${after} and seq <= (
        select max(page.seq) from (
          select page.seq, sum(page.bytes) over (
            order by page.seq rows between unbounded preceding and 1 preceding) as before
          from (
            select seq, event_bytes(event) as bytes
            from event where ${after} order by seq limit ${o.limit}
          ) page
        ) page
        where coalesce(page.before, 0) < ${o.maxBytes ?? SCAN_BYTES}::bigint
      )
      order by seq limit ${o.limit}`;
    return rows.map(toEvent);
  }, { retry: true, signal: o.signal });
}

/**
 * The highest sequence number at or below which every event is committed: writers take numbers in
 * one order and commit in another, so who reads events once must not read beyond it.
 */
export function settledEventSeq(
  store: Store,
  o: { signal?: AbortSignal } = {},
): Promise<number> {
  return store.run("statistics_horizon", async (sql) => {
    const [row] = await sql<{ seq: number }[]>`select event_seq as seq from statistics_horizon()`;
    return row?.seq ?? 0;
  }, { retry: true, signal: o.signal });
}

/** How many archived events match; rejects with StatementTimeout after `timeoutMs`. */
export function countEvents(
  store: Store,
  filter: Filter,
  o: { timeoutMs: number; signal?: AbortSignal },
): Promise<number> {
  return store.run("count_events", async (sql) => {
    const { where, needsCheck } = filterCondition(sql, filter);
    if (!needsCheck) {
      const [row] = await sql<{ n: number }[]>`select count(*) as n from event where ${where}`;
      return row?.n ?? 0;
    }
    const matches = filterMatcher(filter);
    let n = 0;
    const rows = sql<EventColumns[]>`
      select seq, encode(id, 'hex') as id, encode(pubkey, 'hex') as pubkey, created_at, kind,
        event_tags(event) as tags, '' as content, '' as content_raw, '' as sig
      from event where ${where}`;
    for await (const page of rows.cursor(1000)) {
      for (const row of page) if (matches(toEvent(row))) n += 1;
    }
    return n;
  }, { retry: true, signal: o.signal, statementTimeoutMs: o.timeoutMs });
}

/** Deletes events and their sightings, and takes them off the statistics; says how many. */
export function deleteEvents(
  store: Store,
  seqs: readonly number[],
  o: { signal?: AbortSignal } = {},
): Promise<number> {
  return store.run("event_delete", async (sql) => {
    const [row] = await sql<{ n: number }[]>`
      select event_delete(${numberArray(seqs)}::bigint[]) as n`;
    return row?.n ?? 0;
  }, { signal: o.signal });
}

/** Deletes sightings, and takes them off the statistics; the events stay. Says how many. */
export function deleteSightings(
  store: Store,
  sightings: readonly { seq: number; relayId: number }[],
  o: { signal?: AbortSignal } = {},
): Promise<number> {
  return store.run("event_relay_delete", async (sql) => {
    const [row] = await sql<{ n: number }[]>`select event_relay_delete(
      ${numberArray(sightings.map(({ seq }) => seq))}::bigint[],
      ${numberArray(sightings.map(({ relayId }) => relayId))}::int[]) as n`;
    return row?.n ?? 0;
  }, { signal: o.signal });
}

/**
 * Deletes those of the next `limit` sequence numbers after `afterSeq` that no relay was seen to
 * hold; walk on by `afterSeq + limit` up to `settledEventSeq`.
 */
export function deleteOrphanEvents(
  store: Store,
  o: { afterSeq: number; limit: number; signal?: AbortSignal },
): Promise<number> {
  return store.run("orphan_event_delete", async (sql) => {
    const [row] = await sql<{ n: number }[]>`
      select orphan_event_delete(${o.afterSeq}::bigint, ${o.limit}::int) as n`;
    return row?.n ?? 0;
  }, { signal: o.signal });
}
