// What the archive knows about its own completeness, for one relay and one filter: the arithmetic of
// model/coverage.ts with the synchronizer's rules on top. In: what a walk found. Out: the intervals
// to store, and the ground still to be asked for. Never says "closed" without a proof.
//
// A walk goes down in pages. What lies between two pages is open with the reason "paged": a later
// walk need not ask for it again. It becomes closed together with the ground below it, when a page
// at the bottom of the chain comes back empty. A relay that is caught lying puts all its paged
// ground in doubt; closed ground keeps the proof that it had.
import {
  coverageInsert,
  type CoverageInterval,
  type CoverageProof,
  type CoverageWindow,
  cutCoverage,
  uncovered,
} from "../model/coverage.ts";
import type { GapReason, Lie, OpenReason } from "./reasons.ts";

/** How the ledger decides what is to be asked for. */
export interface LedgerOptions {
  /** Unix seconds. */
  now: number;
  /** How far below new ground is asked again, for events that came a little late. */
  overlapSeconds: number;
  /** A gap is tried again when it is so old. */
  gapRetrySeconds: number;
  /** Followed ground is not asked for until it reaches so far back. */
  proveSeconds: number;
}

/** A tail writes down how far it is every few seconds; the ground above that is still its own. */
const TAIL_SLACK_SECONDS = 90;

/** The ledger of one relay and filter, in memory. */
export class Ledger {
  readonly #options: LedgerOptions;
  #intervals: readonly CoverageInterval[];
  /** Dense seconds that this turn has found, split or not: nothing closes over them. */
  readonly #dense = new Set<number>();

  /** `stored`: what the store has, sorted and disjoint. */
  constructor(stored: readonly CoverageInterval[], options: LedgerOptions) {
    this.#intervals = stored;
    this.#options = options;
  }

  /** All intervals, oldest first; what the store is to hold. */
  get intervals(): readonly CoverageInterval[] {
    return this.#intervals;
  }

  /**
   * The parts of the window that must be asked for, newest first. Those that continue settled ground
   * upwards reach back into it by the overlap: events may have come late. With `proveFollowed`, what
   * was followed is asked for, however new it is.
   */
  todo(window: CoverageWindow, { proveFollowed = false } = {}): CoverageWindow[] {
    const settled = this.#intervals
      .filter((held) => this.#settled(held) && !(proveFollowed && isFollowed(held)))
      .map((held): CoverageInterval => ({ ...held, state: "closed" }));
    const newest = this.#intervals.at(-1);
    if (newest !== undefined && this.#isTailsEdge(newest, window) && !proveFollowed) {
      settled.splice(-1, 1, { ...newest, state: "closed", until: window.until });
    }
    const asked = this.#loose(window).reduce(without, settled);
    return uncovered(asked, window).map((hole) => this.#reachBack(hole, window));
  }

  /**
   * Where paged ground ends on closed ground, or at the window's beginning, no walk would come to its
   * end any more: the second there is asked for again, and closes it.
   */
  #loose({ since, until }: CoverageWindow): number[] {
    return this.#intervals.flatMap((held) => {
      if (!isPaged(held) || held.until < since || held.since > until) return [];
      if (held.since <= since) return [since];
      return this.#at(held.since - 1)?.state === "closed" ? [held.since - 1] : [];
    });
  }

  /**
   * Not only of the newest part: whatever a walk was kept from asking for is to be looked through
   * for late events. Ground that was asked for in vain has its overlap in it since.
   */
  #reachBack(hole: CoverageWindow, window: CoverageWindow): CoverageWindow {
    const below = this.#at(hole.since - 1);
    if (hole.since <= window.since || below === undefined) return hole;
    const continues = hole.until === window.until || below.state === "closed" || isPaged(below);
    const bottom = this.#at(hole.since);
    const wasAsked = bottom !== undefined && bottom.state !== "closed" && !isFollowed(bottom);
    if (!continues || wasAsked) return hole;
    // A second at least: of the newest one, an exclusive `until` has shown nothing.
    const since = hole.since - Math.max(1, this.#options.overlapSeconds);
    return { ...hole, since: Math.max(window.since, since) };
  }

  #at(second: number): CoverageInterval | undefined {
    return this.#intervals.find((held) => held.since <= second && held.until >= second);
  }

  /** Whether the relay has shown events of this second: a walk has come down to it, or it is dense. */
  hasEventsAt(second: number): boolean {
    return this.#intervals.some((held) =>
      (isPaged(held) && held.since === second + 1) ||
      ((held.state === "gap" || isDense(held)) && held.since <= second && held.until >= second)
    );
  }

  /** Ground between pages. */
  paged(window: CoverageWindow): void {
    this.#insert({ ...window, state: "open", reason: "paged" });
  }

  /**
   * Ground that a live subscription has followed. What is known better stays: proofs and gaps, too.
   */
  followed(window: CoverageWindow): void {
    const kept = this.#intervals
      .filter((held) => held.state !== "open" || isPaged(held) || isOfEvents(held))
      .map((held): CoverageInterval => ({ ...held, state: "closed" }));
    for (const part of uncovered(kept, window)) {
      this.#insert({ ...part, state: "open", reason: FOLLOWED });
    }
  }

  /**
   * Ground that was asked for in vain. What was complete in it before, the overlap, is to be asked
   * for again, too: it was not looked through for late events. What is known of single events stays.
   */
  open(window: CoverageWindow, reason: OpenReason): void {
    if (window.since > window.until) return;
    const kept = this.#intervals.filter((held) => held.state === "gap" || isOfEvents(held))
      .map((held): CoverageInterval => ({ ...held, state: "closed" }));
    for (const part of uncovered(kept, window)) {
      this.#clear(part);
      this.#insert({ ...part, state: "open", reason });
    }
  }

  /** A second with more events than a page, until it is split: open, and no walk closes over it. */
  dense(second: number): void {
    this.#dense.add(second);
    this.#dropGap(second);
    this.#insert({ since: second, until: second, state: "open", reason: "dense_second" });
  }

  /** A dense second that could not be split. */
  gap(second: number, missing: number | undefined): void {
    const reason: GapReason = "dense_second";
    this.#insert({
      since: second,
      until: second,
      state: "gap",
      reason,
      ...(missing === undefined ? {} : { missing }),
    });
  }

  /** A dense second of which everything was had: as good as the ground around it. */
  fill(second: number, proof: CoverageProof | undefined): void {
    this.#dense.delete(second);
    const window = { since: second, until: second };
    if (proof === undefined) this.paged(window);
    else this.#insert({ ...window, state: "closed", proof });
  }

  /**
   * Closes the ground of a walk that ended by this proof, and the paged ground that continues it
   * upwards, left by earlier walks. Dense seconds and gaps stay what they are.
   */
  close(window: CoverageWindow, proof: CoverageProof): void {
    let { until } = window;
    for (const held of this.#intervals) {
      if (held.until <= until) continue;
      if (held.since > until + 1 || !(isPaged(held) || this.#isKept(held))) break;
      until = held.until;
    }
    const kept = this.#intervals.filter((held) =>
      this.#freshGap(held) || this.#freshlyUndelivered(held) ||
      (isDense(held) && held.since > window.until)
    );
    const seconds = [...this.#dense].map((second) => ({ since: second, until: second }));
    const obstacles = [...kept, ...seconds].sort((a, b) => a.since - b.since);
    let { since } = window;
    for (const obstacle of obstacles) {
      if (obstacle.until < since || obstacle.since > until) continue;
      if (since < obstacle.since) {
        this.#insert({ since, until: obstacle.since - 1, state: "closed", proof });
      }
      since = obstacle.until + 1;
    }
    if (since <= until) this.#insert({ since, until, state: "closed", proof });
  }

  /**
   * Closes a window that was reconciled, whatever it held, but for the parts in which the relay
   * lists events that it does not give: those are open, even where they were closed before.
   */
  reconciled(window: CoverageWindow, undelivered: readonly CoverageWindow[]): void {
    for (const second of [...this.#dense]) {
      if (second >= window.since && second <= window.until) this.#dense.delete(second);
    }
    const at = this.#options.now;
    const open = undelivered.reduce<CoverageInterval[]>(
      (list, part) => coverageInsert(list, { ...part, state: "open", reason: "undelivered", at }),
      [],
    );
    for (const part of uncovered(open, window, ["open"])) {
      this.#insert({ ...part, state: "closed", proof: "reconciled" });
    }
    for (const part of open) {
      this.#clear(part);
      this.#insert(part);
    }
  }

  /** Whether the relay has listed events in the window that it did not give. */
  hasUndelivered(window: CoverageWindow): boolean {
    return this.#intervals.some((held) =>
      held.state === "open" && held.reason === "undelivered" && held.since <= window.until &&
      held.until >= window.since
    );
  }

  /** Whether all of the window is closed by this proof. */
  isClosed(window: CoverageWindow, proof: CoverageProof): boolean {
    const closed = this.#intervals.filter((held) => held.proof === proof);
    return uncovered(closed, window).length === 0;
  }

  /** The relay was caught: all that rests on the order of its pages is doubtful. */
  doubt(reason: Lie): void {
    this.#intervals = this.#intervals
      .map((held) => isPaged(held) ? { ...held, reason, at: this.#options.now } : held)
      // Inserted one by one, so that neighbours that say the same now are merged.
      .reduce<CoverageInterval[]>((list, held) => coverageInsert(list, held), []);
  }

  /** Ground of which nothing is kept any more. */
  forget(window: CoverageWindow): void {
    this.#clear(window);
  }

  #clear(window: CoverageWindow): void {
    this.#intervals = cutCoverage(this.#intervals, window);
  }

  #dropGap(second: number): void {
    this.#intervals = this.#intervals.filter((held) =>
      held.state !== "gap" || held.since !== second || held.until !== second
    );
  }

  #insert(interval: Omit<CoverageInterval, "at">): void {
    this.#intervals = coverageInsert(this.#intervals, { ...interval, at: this.#options.now });
  }

  #settled(held: CoverageInterval): boolean {
    return held.state === "closed" || isPaged(held) || this.#freshGap(held) ||
      this.#freshlyUndelivered(held) || this.#freshlyFollowed(held);
  }

  #freshlyFollowed(held: CoverageInterval): boolean {
    const { now, proveSeconds } = this.#options;
    return isFollowed(held) && held.since > now - proveSeconds;
  }

  #freshGap(held: CoverageInterval): boolean {
    const { now, gapRetrySeconds } = this.#options;
    return held.state === "gap" &&
      (this.#dense.has(held.since) || held.at > now - gapRetrySeconds);
  }

  /** Whether the live tail stands at the top of the window, and will say so in a moment. */
  #isTailsEdge(newest: CoverageInterval, window: CoverageWindow): boolean {
    return this.#freshlyFollowed(newest) && newest.until < window.until &&
      newest.until >= window.until - TAIL_SLACK_SECONDS;
  }

  #isKept(held: CoverageInterval): boolean {
    return this.#freshGap(held) || this.#freshlyUndelivered(held) || isDense(held);
  }

  #freshlyUndelivered(held: CoverageInterval): boolean {
    const { now, gapRetrySeconds } = this.#options;
    return held.state === "open" && held.reason === "undelivered" &&
      held.at > now - gapRetrySeconds;
  }
}

function without(list: readonly CoverageInterval[], second: number): CoverageInterval[] {
  return cutCoverage(list, { since: second, until: second });
}

function isPaged(held: CoverageInterval): boolean {
  return held.state === "open" && held.reason === "paged";
}

function isFollowed(held: CoverageInterval): boolean {
  return held.state === "open" && held.reason === FOLLOWED;
}

/** Open for events of its own: more than a page, or listed and not given. */
function isOfEvents(held: CoverageInterval): boolean {
  return isDense(held) || (held.state === "open" && held.reason === "undelivered");
}

const FOLLOWED: OpenReason = "followed";

function isDense(held: CoverageInterval): boolean {
  return held.state === "open" && held.reason === "dense_second";
}
