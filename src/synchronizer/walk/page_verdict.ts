// What a page proves. In: the events that a relay sent for one request, those of them that ingest
// accepted, and what was asked. Out: a verdict that the walk acts on. Pure; trusts no order, no
// `until` and no timestamp of an event whose id was not recomputed.
import { hasTrueId, type PageEvent } from "../../ingest/ingest.ts";
import type { EventHead } from "../../model/event.ts";
import type { CoverageWindow } from "../../model/coverage.ts";

/** The verdict on one page. */
export type PageVerdict =
  /** Nothing came. */
  | { kind: "empty" }
  /** Events came, none of them ours; `oldest` is what they claim, if they claim to be in here. */
  | { kind: "nothing_ours"; oldest: number | undefined }
  /** All of ours lie in the newest second asked for. */
  | { kind: "one_second"; ids: Set<string> }
  /** Down to `oldest`, whose ids (as far as the page goes) are `ids`. */
  | { kind: "reaches"; oldest: number; ids: Set<string>; touchesUntil: boolean };

/** Further facts about a page. */
export interface JudgedPage {
  verdict: PageVerdict;
  /** Events newer than were asked for came. */
  tooNew: boolean;
  /** Newest first, as far as our events go. */
  sorted: boolean;
}

/** Judges a page of `size` frames that was asked for with this window. */
export function judgePage(
  size: number,
  events: readonly unknown[],
  accepted: readonly PageEvent[],
  window: CoverageWindow,
): JudgedPage {
  const inside = accepted.filter((event) =>
    event.created_at >= window.since && event.created_at <= window.until
  );
  const tooNew = events.some((event) => (claimedSecond(event) ?? 0) > window.until);
  return { verdict: verdictOn(size, events, inside, window), tooNew, sorted: isSorted(accepted) };
}

/** Of a page: with so much of it in its oldest second, the next page would mostly repeat it. */
const DENSE_SHARE = 0.3;
/** Small pages cost little, and say little. */
const MIN_DENSE_PAGE = 100;

/**
 * Whether a page of `size` frames, `inOldest` of them in its oldest second, was probably cut within a
 * second that is denser than a page.
 */
export function looksDense(inOldest: number, size: number, mayBeCut: boolean): boolean {
  return mayBeCut && size >= MIN_DENSE_PAGE && inOldest >= size * DENSE_SHARE;
}

/**
 * The `until` that the next request will most likely have, from what the events claim: for asking
 * ahead while the page is still being verified. Undefined when nothing speaks for a next request.
 */
export function likelyNextUntil(
  events: readonly unknown[],
  window: CoverageWindow,
  mayBeCut: boolean,
): number | undefined {
  const oldest = oldestClaim(events, window);
  if (oldest === undefined) return undefined;
  const inOldest = events.filter((event) => claimedSecond(event) === oldest).length;
  const isDense = looksDense(inOldest, events.length, mayBeCut) && oldest > window.since;
  const next = oldest < window.until && !isDense ? oldest : oldest - 1;
  return next < window.since ? undefined : next;
}

function verdictOn(
  size: number,
  events: readonly unknown[],
  inside: readonly PageEvent[],
  window: CoverageWindow,
): PageVerdict {
  if (size === 0) return { kind: "empty" };
  const oldest = oldestTrue(inside);
  if (oldest === undefined) return { kind: "nothing_ours", oldest: oldestClaim(events, window) };
  const ids = new Set<string>();
  for (const event of inside) if (event.created_at === oldest) ids.add(event.id);
  if (oldest === window.until) return { kind: "one_second", ids };
  const touchesUntil = inside.some((event) => event.created_at === window.until);
  return { kind: "reaches", oldest, ids, touchesUntil };
}

/**
 * The oldest second among the events. Of events that were stored before, ingest has not compared
 * the copy with its id, and a forged date would let the walk leap: those that define the oldest
 * second are hashed here (a few per page), and passed over when they lie.
 */
function oldestTrue(events: readonly PageEvent[]): number | undefined {
  const byAge = events.toSorted((a, b) => a.created_at - b.created_at);
  return byAge.find(hasTrueId)?.created_at;
}

function isSorted(events: readonly EventHead[]): boolean {
  let last = Infinity;
  for (const { created_at } of events) {
    if (created_at > last) return false;
    last = created_at;
  }
  return true;
}

function oldestClaim(events: readonly unknown[], window: CoverageWindow): number | undefined {
  let oldest: number | undefined;
  for (const event of events) {
    const second = claimedSecond(event);
    if (second === undefined || second < window.since || second > window.until) continue;
    if (oldest === undefined || second < oldest) oldest = second;
  }
  return oldest;
}

function claimedSecond(event: unknown): number | undefined {
  const second = (event as { created_at?: unknown } | null | undefined)?.created_at;
  return Number.isSafeInteger(second) ? second as number : undefined;
}
