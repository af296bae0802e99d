// The one batching writer of the archive: events that passed all checks, and sightings of events
// that are stored already, from many pages at once. Answers after the commit. In: a page's rows.
// Out: what became of them. Never verifies, never fails a page for another page's rows.
import type { Clock } from "../lib/clock.ts";
import type { NostrEvent } from "../model/event.ts";
import { insertSightings } from "../store/event_relays.ts";
import { writeBatch } from "../store/events.ts";
import type { Store } from "../store/connect.ts";
import { type GroupCall, openGroupCall } from "./group_call.ts";

/** What one page has to write. */
export interface PageRows {
  /** Verified, not stored as far as we know; no id twice among all pages at a time. */
  events: readonly NostrEvent[];
  /** Sequence numbers of stored events that were seen again. */
  knownSeqs: readonly number[];
  /** Where they were seen; without it events are stored without a sighting. */
  relayId: number | undefined;
  /** Unix seconds. */
  seenAt: number;
}

/** What became of a page's rows. */
export interface WrittenRows {
  newEvents: number;
  newSightings: number;
  /** Sequence numbers by id of the page's events that are stored now. */
  seqs: Map<string, number>;
  /** Ids that the database refused. */
  refused: string[];
}

/** Told after each commit. */
export type OnBatch = (facts: { events: number; sightings: number; ms: number }) => void;

/** What the writer needs. */
export interface WriterOptions {
  store: Store;
  clock: Clock;
  /** Rows in one batch: new events, and for each that is missing four sightings of stored ones. */
  maxRows: number;
  /** Pages that may wait; further ones hold their relay back. */
  maxWaitingPages: number;
  onBatch: OnBatch;
}

/** A sighting takes an eighth of an event's time: more of them share a commit. */
const SIGHTING_WEIGHT = 0.25;

/** Opens the writer; disposing of it writes what it has accepted. */
export function openWriter(options: WriterOptions): GroupCall<PageRows, WrittenRows> {
  return openGroupCall<PageRows, WrittenRows>({
    capacity: options.maxWaitingPages,
    maxWeight: options.maxRows,
    weigh: (page) => page.events.length + page.knownSeqs.length * SIGHTING_WEIGHT,
    call: (pages) => writePages(pages, options),
  });
}

async function writePages(
  pages: readonly PageRows[],
  { store, clock, onBatch }: WriterOptions,
): Promise<WrittenRows[]> {
  const startedMs = clock.monotonicMs();
  const written = await writeNew(store, pages);
  const known = await writeKnown(store, pages);
  const results = pages.map((page, index): WrittenRows => {
    const seqs = new Map<string, number>();
    const refused: string[] = [];
    for (const { id } of page.events) {
      const seq = written.seqs.get(id);
      if (seq === undefined) refused.push(id);
      else seqs.set(id, seq);
    }
    return {
      newEvents: written.newEvents[index] ?? 0,
      newSightings: (written.newSightings[index] ?? 0) + (known[index] ?? 0),
      seqs,
      refused,
    };
  });
  let events = 0;
  let sightings = 0;
  for (const result of results) {
    events += result.newEvents;
    sightings += result.newSightings;
  }
  onBatch({ events, sightings, ms: clock.monotonicMs() - startedMs });
  return results;
}

interface WrittenNew {
  newEvents: number[];
  newSightings: number[];
  seqs: ReadonlyMap<string, number>;
}

async function writeNew(store: Store, pages: readonly PageRows[]): Promise<WrittenNew> {
  const events = pages.flatMap((page) => page.events);
  if (events.length === 0) return { newEvents: [], newSightings: [], seqs: new Map() };
  const sightings = pages.flatMap(({ events, relayId, seenAt }) =>
    relayId === undefined ? [] : events.map(({ id }) => ({ eventId: id, relayId, seenAt }))
  );
  const batch = await writeBatch(store, { events, sightings });
  return {
    newEvents: apportion(batch.newEvents, pages.map((page) => page.events.length)),
    newSightings: apportion(
      batch.newSightings,
      pages.map((page) => page.relayId === undefined ? 0 : page.events.length),
    ),
    seqs: batch.seqs,
  };
}

async function writeKnown(store: Store, pages: readonly PageRows[]): Promise<number[]> {
  const rows = pages.flatMap(({ knownSeqs, relayId, seenAt }) =>
    relayId === undefined ? [] : knownSeqs.map((seq) => ({ seq, relayId, seenAt }))
  );
  if (rows.length === 0) return [];
  const inserted = await insertSightings(store, rows);
  return apportion(
    inserted,
    pages.map((page) => page.relayId === undefined ? 0 : page.knownSeqs.length),
  );
}

/**
 * Shares `total` out in proportion to `weights`, in whole numbers whose sum is `total`. The database
 * counts a batch, not its pages: a page alone in its batch has its exact count, pages that share one
 * have exact sums.
 */
export function apportion(total: number, weights: readonly number[]): number[] {
  const sum = weights.reduce((a, b) => a + b, 0);
  let weightSoFar = 0;
  let givenSoFar = 0;
  return weights.map((weight) => {
    weightSoFar += weight;
    const share = sum === 0 ? 0 : Math.round(total * weightSoFar / sum) - givenSoFar;
    givenSoFar += share;
    return share;
  });
}
