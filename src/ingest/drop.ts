// Why an event that came in does not get into the archive: the closed list that counts, metrics and
// reports share. A page is never failed by what it holds; each dropped event is counted here.
import { EVENT_PROBLEMS } from "../model/event.ts";

/** All reasons: the structural ones of `parseEvent`, and those of the later steps. */
export const DROP_REASONS = [
  ...EVENT_PROBLEMS,
  /** The frame is no JSON, or not what a scan of it made of it: a key is there twice. */
  "not_json",
  /** Well-formed, but not what the filter asks for. */
  "not_matching",
  /** The id is not the hash of the event. */
  "wrong_id",
  /** The signature is not the author's over the id. */
  "wrong_signature",
  /** Too old to be kept, as the configuration says. */
  "retention",
  /** The database refused this one row. */
  "refused_by_store",
] as const;

/** One of {@linkcode DROP_REASONS}. */
export type DropReason = typeof DROP_REASONS[number];

/** How many were dropped, by reason; a reason without a count does not appear. */
export type DropCounts = Partial<Record<DropReason, number>>;

/** Adds `n` to the count of `reason`. */
export function countDrop(counts: DropCounts, reason: DropReason, n = 1): void {
  if (n > 0) counts[reason] = (counts[reason] ?? 0) + n;
}

/** Adds all counts of `more` to `counts`. */
export function addDrops(counts: DropCounts, more: DropCounts): void {
  for (const reason of DROP_REASONS) countDrop(counts, reason, more[reason] ?? 0);
}

/** All drops together. */
export function totalDrops(counts: DropCounts): number {
  let total = 0;
  for (const reason of DROP_REASONS) total += counts[reason] ?? 0;
  return total;
}
