// The one way of events into the archive: batches with their sightings, in one transaction. In:
// verified events. Out: sequence numbers, and what could not be stored with the reason. A row that
// PostgreSQL refuses never takes its batch with it. Never verifies.
import type { NostrEvent } from "../model/event.ts";
import { isHex } from "../model/hex.ts";
import type { Sql, Store } from "./connect.ts";
import { isDataError } from "./errors.ts";
import { contentColumns, rowProblem } from "./event_codec.ts";
import { insertSightingRows, type SightingRow } from "./event_relays.ts";
import { numberArray, textArray } from "./pg_text.ts";
import { tagKeys } from "./tag_key.ts";

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
      for (const { id } of good) {
        // Another event has half its id (sql/README.md): nobody makes these by accident.
        if (!written.seqs.has(id)) rejected.push({ eventId: id, reason: "id_taken" });
      }
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
  // Of these it is known that they are not archived.
  for (const { id } of events) elsewhere.delete(id);
  const archived = elsewhere.size === 0
    ? new Map<string, number>()
    : await knownRows(sql, [...elsewhere].filter((id) => isHex(id, 32)));
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
