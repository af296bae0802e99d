// The archive's rows: events, written in batches and read by filter. In: verified events and their
// sightings. Out: sequence numbers, pages of events. A row that PostgreSQL refuses never takes its
// batch with it. Never verifies and never judges who may read.
import type { NostrEvent } from "../model/event.ts";
import { type Filter, filterMatcher } from "../model/filter.ts";
import type { Sql, Store } from "./connect.ts";
import { isDataError } from "./errors.ts";
import {
  contentColumns,
  type EventColumns,
  rowProblem,
  type StoredEvent,
  toEvent,
} from "./event_codec.ts";
import { insertSightingRows, type SightingRow } from "./event_relays.ts";
import { filterCondition } from "./filter_sql.ts";
import { numberArray, textArray } from "./pg_text.ts";
import { tagKeys } from "./tag_key.ts";

export type { StoredEvent } from "./event_codec.ts";

/** An event was seen on a relay. */
export interface EventSighting {
  eventId: string;
  relayId: number;
  /** Unix seconds. */
  seenAt: number;
}

/** What to write in one transaction. */
export interface EventBatch {
  events: readonly NostrEvent[];
  /** Of these events or of archived ones. */
  sightings: readonly EventSighting[];
}

/** What was written. */
export interface WriteResult {
  newEvents: number;
  newSightings: number;
  /** Events that can't be stored; their sightings are left out. */
  rejected: { eventId: string; reason: string }[];
  /** Sequence numbers of the batch's events, by id. */
  seqs: Map<string, number>;
}

/** Where a page ended: newest first, ties by id. */
export interface EventCursor {
  createdAt: number;
  id: string;
}

/** The sequence numbers of those of the ids (64 hex digits each) that are archived. */
export function knownEvents(
  store: Store,
  ids: readonly string[],
  o: { signal?: AbortSignal } = {},
): Promise<Map<string, number>> {
  if (ids.length === 0) return Promise.resolve(new Map());
  return store.run("event_known", (sql) => knownRows(sql, ids), { retry: true, signal: o.signal });
}

/**
 * Writes events and sightings in one transaction; known events and sightings are fine. What can't
 * be stored is in `rejected` with a reason, and the rest is written all the same.
 */
export async function writeBatch(
  store: Store,
  batch: EventBatch,
  o: { signal?: AbortSignal } = {},
): Promise<WriteResult> {
  const rejected: WriteResult["rejected"] = [];
  const events = new Map<string, NostrEvent>();
  for (const event of batch.events) {
    const reason = rowProblem(event);
    if (reason === undefined) events.set(event.id, event);
    else rejected.push({ eventId: event.id, reason });
  }
  const bad = new Set<string>();
  for (;;) {
    const good = [...events.values()].filter((event) => !bad.has(event.id)).sort(byId);
    try {
      const written = await store.transaction(
        "event_insert",
        (sql) => writeRows(sql, good, batch.sightings),
        { retry: true, signal: o.signal },
      );
      return { ...written, rejected };
    } catch (error) {
      if (!isDataError(error) || good.length === 0) throw error;
      const found = await findPoison(store, good, o);
      if (found.length === 0) throw error;
      for (const { eventId, reason } of found) {
        bad.add(eventId);
        rejected.push({ eventId, reason });
      }
    }
  }
}

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
    // Keys that collide cost another round, never a missing event.
    for (;;) {
      const wanted = limit - events.length;
      const rows = await sql<EventColumns[]>`
        select seq, encode(id, 'hex') as id, encode(pubkey, 'hex') as pubkey, created_at, kind,
          tags, content, content_raw, encode(sig, 'hex') as sig
        from event where ${where} ${
        cursor === undefined ? sql`` : sql`and created_at <= ${cursor.createdAt}::bigint
          and (created_at < ${cursor.createdAt}::bigint or id > decode(${cursor.id}, 'hex'))`
      }
        order by created_at desc, id asc limit ${wanted}`;
      for (const row of rows) {
        const event = toEvent(row);
        if (!needsCheck || matches(event)) events.push(event);
        cursor = { createdAt: event.created_at, id: event.id };
      }
      if (rows.length < wanted) return { events };
      if (events.length >= limit) {
        return cursor === undefined ? { events } : { events, next: cursor };
      }
    }
  }, { retry: true, signal: o.signal });
}

/** Events in the order in which they were archived, after `afterSeq`; each is read once. */
export function scanEvents(
  store: Store,
  o: { afterSeq: number; kinds?: readonly number[]; limit: number; signal?: AbortSignal },
): Promise<StoredEvent[]> {
  return store.run("scan_events", async (sql) => {
    const rows = await sql<EventColumns[]>`
      select seq, encode(id, 'hex') as id, encode(pubkey, 'hex') as pubkey, created_at, kind,
        tags, content, content_raw, encode(sig, 'hex') as sig
      from event where seq > ${o.afterSeq}::bigint ${
      o.kinds === undefined ? sql`` : sql`and kind = any (${numberArray(o.kinds)}::int[])`
    }
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
        tags, '' as content, '' as content_raw, '' as sig
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

// Two writers that insert the same events wait for each other in the same order, not for ever; and
// the index of ids is filled in its own order.
function byId(a: NostrEvent, b: NostrEvent): number {
  return a.id < b.id ? -1 : a.id > b.id ? 1 : 0;
}

async function knownRows(sql: Sql, ids: readonly string[]): Promise<Map<string, number>> {
  const [row] = await sql<{ seqs: string | null }[]>`
    select event_known(decode(${ids.join("")}::text, 'hex'))::text as seqs`;
  const known = new Map<string, number>();
  parseSeqs(row?.seqs).forEach((seq, i) => {
    const id = ids[i];
    if (seq !== undefined && id !== undefined) known.set(id, seq);
  });
  return known;
}

async function writeRows(
  sql: Sql,
  events: readonly NostrEvent[],
  sightings: readonly EventSighting[],
): Promise<Omit<WriteResult, "rejected">> {
  const seqs = new Map<string, number>();
  let newEvents = 0;
  if (events.length > 0) {
    const inserted = await insertEventRows(sql, events);
    newEvents = inserted.count;
    events.forEach((event, i) => {
      const seq = inserted.seqs[i];
      if (seq !== undefined) seqs.set(event.id, seq);
    });
  }
  const elsewhere = new Set<string>();
  for (const { eventId } of sightings) if (!seqs.has(eventId)) elsewhere.add(eventId);
  const archived = elsewhere.size === 0
    ? new Map<string, number>()
    : await knownRows(sql, [...elsewhere].filter((id) => /^[0-9a-f]{64}$/.test(id)));
  const rows: SightingRow[] = [];
  for (const { eventId, relayId, seenAt } of sightings) {
    const seq = seqs.get(eventId) ?? archived.get(eventId);
    if (seq !== undefined) rows.push({ seq, relayId, seenAt });
  }
  rows.sort((a, b) => a.seq - b.seq || a.relayId - b.relayId);
  return { newEvents, newSightings: await insertSightingRows(sql, rows), seqs };
}

async function insertEventRows(
  sql: Sql,
  events: readonly NostrEvent[],
): Promise<{ count: number; seqs: (number | undefined)[] }> {
  const contents: string[] = [];
  const raws: string[] = [];
  const tags: string[] = [];
  const keys: string[] = [];
  let ids = "";
  let pubkeys = "";
  let sigs = "";
  for (const event of events) {
    const { content, raw } = contentColumns(event.content);
    contents.push(content);
    raws.push(raw);
    tags.push(JSON.stringify(event.tags));
    keys.push(numberArray(tagKeys(event.tags)));
    ids += event.id;
    pubkeys += event.pubkey;
    sigs += event.sig;
  }
  const [row] = await sql<{ inserted: number; seqs: string | null }[]>`
    select inserted, seqs::text as seqs from event_insert(
      decode(${ids}::text, 'hex'), decode(${pubkeys}::text, 'hex'), decode(${sigs}::text, 'hex'),
      ${numberArray(events.map((event) => event.created_at))}::bigint[],
      ${numberArray(events.map((event) => event.kind))}::int[],
      ${textArray(tags)}::text[], ${textArray(contents)}::text[], ${textArray(raws)}::text[],
      ${textArray(keys)}::text[])`;
  return { count: row?.inserted ?? 0, seqs: parseSeqs(row?.seqs) };
}

// A data error names no row: halves are tried apart until single events fail.
async function findPoison(
  store: Store,
  events: readonly NostrEvent[],
  o: { signal?: AbortSignal },
): Promise<{ eventId: string; reason: string }[]> {
  try {
    await store.transaction("event_probe", async (sql) => {
      await insertEventRows(sql, events);
      throw new ProbePassed();
    }, { signal: o.signal });
    return [];
  } catch (error) {
    if (error instanceof ProbePassed) return [];
    if (!isDataError(error)) throw error;
    const [only] = events;
    if (events.length === 1 && only !== undefined) {
      return [{ eventId: only.id, reason: "refused_by_database" }];
    }
    const half = events.length >> 1;
    return [
      ...await findPoison(store, events.slice(0, half), o),
      ...await findPoison(store, events.slice(half), o),
    ];
  }
}

/** Rolls a probe back. */
class ProbePassed extends Error {
  override readonly name = "ProbePassed";
}

function parseSeqs(text: string | null | undefined): (number | undefined)[] {
  if (text === null || text === undefined || text === "{}") return [];
  return text.slice(1, -1).split(",").map((seq) => seq === "NULL" ? undefined : Number(seq));
}
