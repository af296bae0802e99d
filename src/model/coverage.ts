// The archive's ledger arithmetic: for one relay and one filter, which seconds of created_at are
// complete (closed, with a proof), which were tried and are not (open, with a reason), and which
// can't be had (gap). Intervals are inclusive integer seconds; lists are sorted and disjoint.
// Pure functions; the store keeps the rows, the synchronizer decides what to insert.

/** closed = complete with a proof; open = asked, not complete; gap = known to be unobtainable. */
export type CoverageState = "closed" | "open" | "gap";

/** Only these close an interval: an empty page's EOSE, NIP-67 `finish`, a finished NIP-77 round. */
export type CoverageProof = "eose_empty" | "eose_finish" | "reconciled";

/** An inclusive range of created_at in Unix seconds. */
export interface CoverageWindow {
  since: number;
  until: number;
}

/** One row of the ledger. */
export interface CoverageInterval extends CoverageWindow {
  state: CoverageState;
  /** Of a closed interval, always. */
  proof?: CoverageProof;
  /** Of an open interval or a gap: how the last request ended, or "dense_second" and the like. */
  reason?: string;
  /** Of a gap: how many events the relay counts that we don't have, where it said so. */
  missing?: number;
  /** Unix seconds: when this was found out; of merged closed intervals the oldest. */
  at: number;
}

/**
 * Writes `next` into the ledger and returns the new one. A closed interval replaces whatever it
 * covers. An open one replaces only open ground: neither proof nor a known gap is lost to a
 * failed attempt. A gap replaces open ground and older gaps, and proven ground only when it is
 * newer and counts missing events, which is evidence against the proof. Neighbours that say the
 * same are merged; gaps never are, their counts belong to their seconds. A gap that is cut loses
 * its count. Throws RangeError for an impossible interval and TypeError for closed without proof.
 */
export function coverageInsert(
  list: readonly CoverageInterval[],
  next: CoverageInterval,
): CoverageInterval[] {
  assertWindow(next);
  if (next.state === "closed" && next.proof === undefined) {
    throw new TypeError("Cannot close a coverage interval without a proof");
  }
  const pieces: CoverageInterval[] = [];
  // Where the next uncut stretch of `next` starts.
  let from = next.since;
  for (const held of list) {
    if (held.until < next.since || held.since > next.until) {
      if (held.since > next.until && from <= next.until) {
        pieces.push(cutTo(next, from, next.until));
        from = next.until + 1;
      }
      pieces.push(held);
      continue;
    }
    if (replaces(next, held)) {
      if (held.since < next.since) pieces.push(cutTo(held, held.since, next.since - 1));
      if (held.until > next.until) {
        pieces.push(cutTo(next, from, next.until), cutTo(held, next.until + 1, held.until));
        from = next.until + 1;
      }
    } else {
      if (from < held.since) pieces.push(cutTo(next, from, held.since - 1));
      pieces.push(held);
      from = held.until + 1;
    }
  }
  if (from <= next.until) pieces.push(cutTo(next, from, next.until));
  return merged(pieces);
}

/**
 * The parts of the window that the ledger does not call settled, newest first. Settled means
 * closed; name "gap" too to leave out what is known to be unobtainable.
 */
export function uncovered(
  list: readonly CoverageInterval[],
  window: CoverageWindow,
  settled: readonly CoverageState[] = ["closed"],
): CoverageWindow[] {
  assertWindow(window);
  const holes: CoverageWindow[] = [];
  let until = window.until;
  for (const held of list.toReversed()) {
    if (until < window.since || held.until < window.since) break;
    if (held.since > until || !settled.includes(held.state)) continue;
    if (held.until < until) holes.push({ since: held.until + 1, until });
    until = held.since - 1;
  }
  if (until >= window.since) holes.push({ since: window.since, until });
  return holes;
}

/** The ledger without what lies in the window; a list where nothing does has the same intervals. */
export function cutCoverage(
  list: readonly CoverageInterval[],
  window: CoverageWindow,
): CoverageInterval[] {
  assertWindow(window);
  const { since, until } = window;
  return list.flatMap((held) => {
    if (held.until < since || held.since > until) return [held];
    return [
      ...(held.since < since ? [cutTo(held, held.since, since - 1)] : []),
      ...(held.until > until ? [cutTo(held, until + 1, held.until)] : []),
    ];
  });
}

/** How many seconds of the window are in this state. */
export function coveredSeconds(
  list: readonly CoverageInterval[],
  window: CoverageWindow,
  state: CoverageState = "closed",
): number {
  assertWindow(window);
  let seconds = 0;
  for (const held of list) {
    if (held.state !== state) continue;
    const length = Math.min(held.until, window.until) - Math.max(held.since, window.since) + 1;
    if (length > 0) seconds += length;
  }
  return seconds;
}

function replaces(next: CoverageInterval, held: CoverageInterval): boolean {
  if (next.state === "closed") return true;
  if (next.state === "open") return held.state === "open";
  return held.state !== "closed" || (next.at > held.at && (next.missing ?? 0) > 0);
}

function cutTo(interval: CoverageInterval, since: number, until: number): CoverageInterval {
  if (interval.since === since && interval.until === until) return interval;
  const { missing: _missing, ...rest } = interval;
  return { ...rest, since, until };
}

function merged(pieces: readonly CoverageInterval[]): CoverageInterval[] {
  const result: CoverageInterval[] = [];
  for (const piece of pieces) {
    const last = result.at(-1);
    if (last !== undefined && mergeable(last, piece)) {
      const at = piece.state === "closed"
        ? Math.min(last.at, piece.at)
        : Math.max(last.at, piece.at);
      result[result.length - 1] = { ...last, until: piece.until, at };
    } else {
      result.push(piece);
    }
  }
  return result;
}

function mergeable(a: CoverageInterval, b: CoverageInterval): boolean {
  return a.until + 1 === b.since && a.state === b.state && a.state !== "gap" &&
    a.proof === b.proof && a.reason === b.reason;
}

function assertWindow({ since, until }: CoverageWindow): void {
  if (!Number.isSafeInteger(since) || !Number.isSafeInteger(until) || since > until) {
    throw new RangeError(`Cannot use a coverage window as ordered seconds: ${since} to ${until}`);
  }
}
