// One strategy to archive a hole in the ledger: by pages, newest first, `until` inclusive, each page
// reaching back into the one before. In: a hole. Out: events to ingest, and entries in the ledger,
// which move only when everything above them is committed. Pages come ahead of that (pages_ahead.ts).
//
// What a finished page proves: a relay that answers newest first has, down to the page's oldest
// second, nothing that it did not send (that ground is "paged"); of the oldest second itself the cap
// may have cut a part, which is why the next page begins with it again. Only a page that comes back
// empty shows that the ground ends here, and closes it all. A relay that breaks these rules is
// noticed where it can be, and then nothing is closed.
import type { CoverageProof, CoverageWindow } from "../../model/coverage.ts";
import type { PageEvent } from "../../ingest/ingest.ts";
import { DenseSeconds, type DenseSecondsDeps } from "./dense_seconds.ts";
import type { PageSize } from "./evidence.ts";
import type { PageAnswer } from "../page.ts";
import { judgePage, looksDense, type PageVerdict } from "./page_verdict.ts";
import { PagesAhead, type PagesAheadDeps } from "./pages_ahead.ts";
import { isLie, type OpenReason } from "../reasons.ts";

/** What a walk works with. */
export interface WalkDeps extends DenseSecondsDeps, PagesAheadDeps {
  /** Whether the hole ends in the present, so that the next turn overlaps with it. */
  isNewest(hole: CoverageWindow): boolean;
}

/** Pages without EOSE that a walk puts up with; each costs an idle timeout. */
const MAX_IDLE_PAGES = 3;
/** How often the last second of a hole is asked again while it brings new events. */
const MAX_BOTTOM_PAGES = 3;

/** Walks a hole. Resolves with why it is not closed, or undefined when it is (gaps aside). */
export async function walkHole(
  hole: CoverageWindow,
  deps: WalkDeps,
): Promise<OpenReason | undefined> {
  const walk = new Walk(hole, deps);
  const end = await walk.run();
  // A relay that has stopped to answer is not asked for more; its dense seconds stay open.
  return end === undefined || end === "all_dropped" ? await walk.splitDense() ?? end : end;
}

/** `undefined`: go on; otherwise the walk is over. */
type Step = { end: OpenReason | undefined } | undefined;

class Walk {
  readonly #hole: CoverageWindow;
  readonly #deps: WalkDeps;
  /** The next request's `until`. */
  #cursor: number;
  /** Everything in the hole from here up is in the ledger. */
  #floor: number;
  /** Where the unbroken chain of pages began. */
  #top: number;
  /**
   * Ids seen in the second of the cursor: the next page has to show some of them again. Empty when
   * an earlier turn has seen them: then it is any event of that second.
   */
  #boundary: ReadonlySet<string> | undefined;
  /** The last page that reached below its newest second. */
  #last: PageSize | undefined;
  /** Since this happened the ledger stands still: only events are collected. */
  #frozen: OpenReason | undefined;
  readonly #dense: DenseSeconds;
  #proof: CoverageProof | undefined;
  #skipped = false;
  /** A page was asked for of whose newest second an exclusive `until` would have shown nothing. */
  #isBlind: boolean;
  #idlePages = 0;
  #bottomPages = 0;
  readonly #ahead: PagesAhead;

  constructor(hole: CoverageWindow, deps: WalkDeps) {
    this.#hole = hole;
    this.#deps = deps;
    this.#cursor = hole.until;
    this.#floor = hole.until + 1;
    this.#top = hole.until;
    this.#dense = new DenseSeconds(deps);
    this.#ahead = new PagesAhead(deps);
    // The newest second of all is walked over again by the next turn.
    this.#isBlind = !deps.isNewest(hole);
    if (deps.ledger.hasEventsAt(hole.until)) this.#boundary = new Set();
  }

  async run(): Promise<OpenReason | undefined> {
    let end: OpenReason | undefined;
    try {
      end = await this.#pages();
    } catch (error) {
      await this.#ahead.settle();
      throw error;
    }
    await this.#ahead.letGo();
    return end;
  }

  async #pages(): Promise<OpenReason | undefined> {
    for (let pages = 0;; pages++) {
      // However short the turn, it comes one page further, and knows what to think of it.
      const mayStop = pages > 0 && this.#dense.suspected === undefined;
      const stop = mayStop ? this.#deps.mustStop() : undefined;
      if (stop !== undefined) {
        const end = this.#open(stop);
        await this.#deps.moved();
        return end;
      }
      const window = { since: this.#hole.since, until: this.#cursor };
      const arrived = await this.#ahead.page(window);
      const { accepted } = await this.#ahead.committed(arrived);
      const step = await this.#judge(arrived.page, accepted, window);
      await this.#deps.moved();
      if (step !== undefined) return step.end;
      const cut = this.#dense.isFull ? await this.#dense.split() : undefined;
      if (cut !== undefined) return this.#open(cut);
    }
  }

  /** Goes back to the seconds that were denser than a page; why that was cut short, if it was. */
  splitDense(): Promise<OpenReason | undefined> {
    return this.#dense.split(this.#proof);
  }

  async #judge(
    page: PageAnswer,
    accepted: readonly PageEvent[],
    window: CoverageWindow,
  ): Promise<Step> {
    const { verdict, tooNew, sorted } = judgePage(page.size, page.events, accepted, window);
    if (page.late) this.#freeze("early_eose");
    if (!sorted) this.#freeze("unsorted");
    if (page.end === "stopped") return { end: this.#open(page.stop ?? "protocol_error") };
    if (page.end === "idle" && page.events.length < page.limit) {
      this.#frozen ??= "idle";
      if (verdict.kind === "empty" || ++this.#idlePages > MAX_IDLE_PAGES) {
        return { end: this.#open("idle") };
      }
    } else if (page.end === "eose") this.#deps.evidence.saw(accepted.length);
    await this.#checkBoundary(verdict);
    switch (verdict.kind) {
      case "empty":
        return await this.#atEnd(page);
      case "nothing_ours":
        return await this.#atNothingOurs(page, verdict.oldest, tooNew);
      case "one_second":
        if (this.#dense.suspected !== this.#cursor) await this.#settleSuspect(true);
        return await this.#atOneSecond(page, accepted.length, verdict.ids);
      case "reaches":
        await this.#settleSuspect(true);
        return await this.#atReach(page, accepted.length, verdict);
    }
  }

  /** The end of the data, if the relay can be believed. */
  async #atEnd(page: PageAnswer): Promise<Step> {
    if (page.end !== "eose") return { end: this.#open("protocol_error") };
    if (page.hint === "more") this.#freeze("early_eose");
    await this.#settleSuspect(false);
    return await this.#close(page.hint === "finish" ? "eose_finish" : "eose_empty");
  }

  async #atReach(
    page: PageAnswer,
    ours: number,
    verdict: PageVerdict & { kind: "reaches" },
  ): Promise<Step> {
    const { oldest, ids } = verdict;
    if (verdict.touchesUntil) this.#deps.evidence.untilIsInclusive = true;
    if (this.#last !== undefined) this.#deps.evidence.sawCut(this.#last);
    this.#last = { size: page.size, limit: page.limit, ours };
    this.#write({ since: oldest + 1, until: this.#cursor });
    if (page.hint === "finish" && page.end === "eose") return await this.#close("eose_finish");
    const { size, limit } = page;
    const mayBeCut = !this.#deps.evidence.isShort(size, limit);
    if (looksDense(ids.size, size, mayBeCut) && oldest > this.#hole.since) {
      this.#dense.suspect({ second: oldest, size, limit, ours, ids, cut: true, paged: false });
      this.#leap(oldest - 1);
    } else {
      this.#cursor = oldest;
      this.#boundary = ids;
    }
    return undefined;
  }

  async #atOneSecond(page: PageAnswer, ours: number, ids: Set<string>): Promise<Step> {
    const second = this.#cursor;
    const { size, limit } = page;
    this.#deps.evidence.untilIsInclusive = true;
    if (page.hint === "finish" && page.end === "eose") {
      this.#write({ since: second, until: second });
      return await this.#close("eose_finish");
    }
    const known = ids.union(this.#boundary ?? new Set<string>());
    // A page that lacks what an earlier one has shown of the second was cut for sure.
    const cut = known.size > ids.size;
    this.#dense.suspect({ second, size, limit, ours, ids: known, cut, paged: true });
    if (second > this.#hole.since) {
      this.#leap(second - 1);
      return undefined;
    }
    // The bottom of the hole: no page below could come back empty, so this one is asked again until
    // it brings nothing that is new.
    const isNew = !ids.isSubsetOf(this.#boundary ?? new Set<string>());
    this.#boundary = known;
    if (isNew && ++this.#bottomPages < MAX_BOTTOM_PAGES) return undefined;
    await this.#settleSuspect(isNew);
    return await this.#close("eose_empty");
  }

  /**
   * A page of what we don't take. When the relay is known to give more than that in a page, it has
   * nothing else here; otherwise others may be hidden behind them, and their ground stays open.
   */
  async #atNothingOurs(
    page: PageAnswer,
    oldest: number | undefined,
    tooNew: boolean,
  ): Promise<Step> {
    if (page.end === "eose" && this.#deps.evidence.isShort(page.size, page.limit)) {
      const isEnd = await this.#deps.probes.isEnd({ since: this.#hole.since, until: this.#cursor });
      if (typeof isEnd === "string") this.#freeze(isEnd);
      if (isEnd !== false) return await this.#atEnd(page);
    }
    if (oldest === undefined) return { end: this.#open(tooNew ? "ignores_until" : "all_dropped") };
    await this.#settleSuspect(true);
    const next = oldest < this.#cursor ? oldest : oldest - 1;
    if (this.#frozen === undefined) {
      this.#deps.ledger.open({ since: next + 1, until: this.#floor - 1 }, "all_dropped");
      this.#floor = next + 1;
    }
    this.#skipped = true;
    this.#leap(next);
    this.#top = next;
    this.#last = undefined;
    return next < this.#hole.since ? { end: this.#open("all_dropped") } : undefined;
  }

  /**
   * The page before showed events in the second that this one begins with. When this one shows none,
   * they were deleted meanwhile, or this relay's `until` is exclusive and loses their siblings.
   */
  async #checkBoundary(verdict: PageVerdict): Promise<void> {
    if (this.#boundary === undefined || this.#frozen !== undefined) return;
    if (verdict.kind === "empty" || (verdict.kind === "reaches" && !verdict.touchesUntil)) {
      const reason = await this.#deps.probes.boundaryLost(this.#cursor, this.#boundary);
      if (reason !== undefined) this.#freeze(reason);
    }
  }

  /** Decides about a second that filled a page; around a dense one the walk goes on. */
  async #settleSuspect(olderFollow: boolean): Promise<void> {
    const settled = await this.#dense.settle(olderFollow, this.#frozen === undefined);
    if (settled === undefined) return;
    const { second, is } = settled;
    if (is === "whole") this.#write({ since: second, until: second });
    else if (is === "dense") this.#floor = second;
    else this.#freeze(is);
  }

  /** The next page begins with a second of which nothing was seen. */
  #leap(cursor: number): void {
    this.#cursor = cursor;
    this.#boundary = undefined;
    this.#isBlind = true;
  }

  #write(window: CoverageWindow): void {
    if (this.#frozen !== undefined) return;
    this.#deps.ledger.paged(window);
    this.#floor = window.since;
  }

  /** From here on nothing is proven. A lie outweighs the rest, and all that rests on its like. */
  #freeze(reason: OpenReason): void {
    if (this.#frozen === undefined || !isLie(this.#frozen)) this.#frozen = reason;
    if (isLie(reason)) this.#deps.ledger.doubt(reason);
  }

  async #close(proof: CoverageProof): Promise<Step> {
    const doubt = this.#frozen ??
      (this.#isBlind ? await this.#deps.probes.untilDoubt(this.#hole.until) : undefined);
    if (doubt !== undefined) {
      this.#freeze(doubt);
      return { end: this.#open(doubt) };
    }
    this.#proof = proof;
    this.#deps.ledger.close({ since: this.#hole.since, until: this.#top }, proof);
    return { end: this.#skipped ? "all_dropped" : undefined };
  }

  /** Leaves open what is not in the ledger, a suspect second included. */
  #open(reason: OpenReason): OpenReason {
    const frozen = this.#frozen;
    const why = frozen !== undefined && isLie(frozen) ? frozen : reason;
    this.#deps.ledger.open({ since: this.#hole.since, until: this.#floor - 1 }, why);
    return why;
  }
}
