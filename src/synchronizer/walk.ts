// One strategy to archive a hole in the ledger: by pages, newest first, `until` inclusive, each page
// reaching back into the one before. In: a hole. Out: events to ingest, and entries in the ledger,
// which move only when everything above them is committed. The next page is asked for while the last
// one is being verified and written (never more than one ahead).
//
// What a finished page proves: a relay that answers newest first has, down to the page's oldest
// second, nothing that it did not send (that ground is "paged"); of the oldest second itself the cap
// may have cut a part, which is why the next page begins with it again. Only a page that comes back
// empty shows that the ground ends here, and closes it all. A relay that breaks these rules is
// noticed where it can be, and then nothing is closed.
import type { CoverageProof, CoverageWindow } from "../model/coverage.ts";
import type { NostrEvent } from "../model/event.ts";
import type { PageResult } from "../ingest/ingest.ts";
import type { Capacity } from "./capacity.ts";
import type { SecondSplit } from "./dense.ts";
import type { Ledger } from "./ledger.ts";
import { judgePage, likelyNextUntil, type PageVerdict } from "./page_verdict.ts";
import { isLie, type Lie, type OpenReason } from "./reasons.ts";

/** What a relay answered to one request. */
export interface PageAnswer {
  events: readonly unknown[];
  /** The `limit` that was asked for. */
  limit: number;
  /** `limit` = cut off by us, as it sent more than that; `stopped` = see `stop`. */
  end: "eose" | "limit" | "idle" | "stopped";
  /** NIP-67. */
  hint?: "finish" | "more";
  /** Why it will not answer any more for now. The events that came before are good. */
  stop?: OpenReason;
  /** Events came after EOSE. */
  late: boolean;
  /** EVENT frames or what may have been such: `events` and frames that could not be read. */
  size: number;
}

/** What a walk works with. */
export interface WalkDeps {
  /** Asks for one page of the archive's filter. Rejects only on abort. */
  fetch(window: CoverageWindow): Promise<PageAnswer>;
  /** Ingests a page; resolves after the commit. */
  take(page: PageAnswer): Promise<PageResult>;
  /** Tries to get all of a second that is denser than a page, of which these ids are known. */
  split(second: number, known: ReadonlySet<string>): Promise<SecondSplit>;
  /** A page of at least so many events, from anywhere, if the relay can give one. */
  probeCapacity(size: number): Promise<void>;
  readonly ledger: Ledger;
  readonly capacity: Capacity;
  /** Called when the ledger has moved. */
  moved(): Promise<void>;
  /** Why to stop now, if there is a reason. */
  mustStop(): OpenReason | undefined;
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
  await walk.splitDense();
  return end;
}

/** How much a page held, and how much of it was ours. */
interface PageSize {
  size: number;
  limit: number;
  ours: number;
}

/** A second that filled a page, with the ids that were seen of it. */
interface Suspect extends PageSize {
  second: number;
  ids: ReadonlySet<string>;
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
  /** Ids seen in the second of the cursor: the next page has to show some of them again. */
  #boundary: Set<string> | undefined;
  /** A second that filled a whole page; whether it was cut, the next page tells. */
  #suspect: Suspect | undefined;
  /** The last page that reached below its newest second. */
  #last: PageSize | undefined;
  /** Since this happened the ledger stands still: only events are collected. */
  #frozen: OpenReason | undefined;
  /** Gaps of this walk: to be split in the end, when more kinds and authors are known. */
  readonly #dense: Suspect[] = [];
  #proof: CoverageProof | undefined;
  #skipped = false;
  #idlePages = 0;
  #bottomPages = 0;

  constructor(hole: CoverageWindow, deps: WalkDeps) {
    this.#hole = hole;
    this.#deps = deps;
    this.#cursor = hole.until;
    this.#floor = hole.until + 1;
    this.#top = hole.until;
  }

  async run(): Promise<OpenReason | undefined> {
    let ahead: PageAnswer | undefined;
    for (;;) {
      const stop = this.#deps.mustStop();
      if (stop !== undefined) {
        const end = this.#open(stop);
        await this.#deps.moved();
        return end;
      }
      const window = { since: this.#hole.since, until: this.#cursor };
      const page = ahead ?? await this.#deps.fetch(window);
      const next = this.#worthAskingAhead(page) ? likelyNextUntil(page.events, window) : undefined;
      const [taken, asked] = await bothSettled(
        this.#deps.take(page),
        next === undefined ? undefined : this.#deps.fetch({ ...window, until: next }),
      );
      const step = await this.#judge(page, taken.accepted, window);
      await this.#deps.moved();
      if (step !== undefined) return step.end;
      ahead = next === this.#cursor ? asked : undefined;
    }
  }

  /** Goes back to the seconds that were denser than a page. */
  async splitDense(): Promise<void> {
    const { ledger } = this.#deps;
    for (const { second, ids } of this.#dense) {
      if (this.#frozen !== undefined || this.#deps.mustStop() !== undefined) return;
      const { complete, missing } = await this.#deps.split(second, ids);
      if (complete) ledger.fill(second, this.#proof);
      else ledger.gap(second, "dense_second", missing);
      await this.#deps.moved();
    }
  }

  #worthAskingAhead(page: PageAnswer): boolean {
    return (page.end === "eose" || page.end === "limit") && page.hint !== "finish" && !page.late &&
      this.#deps.mustStop() === undefined;
  }

  async #judge(
    page: PageAnswer,
    accepted: readonly NostrEvent[],
    window: CoverageWindow,
  ): Promise<Step> {
    const { verdict, tooNew, sorted } = judgePage(page.size, page.events, accepted, window);
    if (page.late) this.#caught("early_eose");
    if (!sorted) this.#caught("unsorted");
    if (page.end === "stopped") return { end: this.#open(page.stop ?? "protocol_error") };
    if (page.end === "idle" && page.events.length < page.limit) {
      this.#frozen ??= "idle";
      if (verdict.kind === "empty" || ++this.#idlePages > MAX_IDLE_PAGES) {
        return { end: this.#open("idle") };
      }
    } else if (page.end === "eose") this.#deps.capacity.saw(accepted.length);
    await this.#checkBoundary(verdict);
    switch (verdict.kind) {
      case "empty":
        return await this.#atEnd(page);
      case "nothing_ours":
        return await this.#atNothingOurs(page, verdict.oldest, tooNew);
      case "one_second":
        if (this.#suspect?.second !== this.#cursor) await this.#settleSuspect(true);
        return await this.#atOneSecond(page, accepted.length, verdict.ids);
      case "reaches":
        await this.#settleSuspect(true);
        return this.#atReach(page, accepted.length, verdict);
    }
  }

  /** The end of the data, if the relay can be believed. */
  async #atEnd(page: PageAnswer): Promise<Step> {
    if (page.end !== "eose") return { end: this.#open("protocol_error") };
    if (page.hint === "more") this.#caught("early_eose");
    await this.#settleSuspect(false);
    return this.#close(page.hint === "finish" ? "eose_finish" : "eose_empty");
  }

  #atReach(page: PageAnswer, ours: number, verdict: PageVerdict & { kind: "reaches" }): Step {
    const { oldest, ids } = verdict;
    this.#sawCut(this.#last);
    this.#last = { size: page.size, limit: page.limit, ours };
    this.#write({ since: oldest + 1, until: this.#cursor });
    if (page.hint === "finish" && page.end === "eose") return this.#close("eose_finish");
    this.#cursor = oldest;
    this.#boundary = ids;
    return undefined;
  }

  async #atOneSecond(page: PageAnswer, ours: number, ids: Set<string>): Promise<Step> {
    const second = this.#cursor;
    const { size, limit } = page;
    if (page.hint === "finish" && page.end === "eose") {
      this.#write({ since: second, until: second });
      return this.#close("eose_finish");
    }
    this.#suspect = { second, size, limit, ours, ids: ids.union(this.#boundary ?? new Set()) };
    if (second > this.#hole.since) {
      this.#cursor = second - 1;
      this.#boundary = undefined;
      return undefined;
    }
    // The bottom of the hole: no page below could come back empty, so this one is asked again until
    // it brings nothing that is new.
    const isNew = this.#boundary === undefined || !ids.isSubsetOf(this.#boundary);
    this.#boundary = ids.union(this.#boundary ?? new Set());
    if (isNew && ++this.#bottomPages < MAX_BOTTOM_PAGES) return undefined;
    await this.#settleSuspect(isNew);
    return this.#close("eose_empty");
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
    if (page.end === "eose" && this.#deps.capacity.isWhole(page.size, page.limit)) {
      return await this.#atEnd(page);
    }
    if (oldest === undefined) return { end: this.#open(tooNew ? "ignores_until" : "all_dropped") };
    await this.#settleSuspect(true);
    const next = oldest < this.#cursor ? oldest : oldest - 1;
    if (this.#frozen === undefined) {
      this.#deps.ledger.open({ since: next + 1, until: this.#floor - 1 }, "all_dropped");
      this.#floor = next + 1;
    }
    this.#skipped = true;
    this.#cursor = next;
    this.#top = next;
    this.#boundary = undefined;
    this.#last = undefined;
    return next < this.#hole.since ? { end: this.#open("all_dropped") } : undefined;
  }

  /**
   * The page before showed events in the second that this one begins with. When this one shows none,
   * they were deleted meanwhile, or this relay's `until` is exclusive and loses their siblings.
   */
  async #checkBoundary(verdict: PageVerdict): Promise<void> {
    const boundary = this.#boundary;
    if (boundary === undefined || this.#frozen !== undefined) return;
    const lost = verdict.kind === "empty" || (verdict.kind === "reaches" && !verdict.touchesUntil);
    if (!lost) return;
    const page = await this.#deps.fetch({ since: this.#cursor, until: this.#cursor + 1 });
    const { accepted } = await this.#deps.take(page);
    if (accepted.some((event) => boundary.has(event.id))) this.#caught("until_exclusive");
  }

  /**
   * Decides about a second that filled a page: `cut` when older events are known to follow it. One
   * that may hold more than the page is a gap, until it is split.
   */
  async #settleSuspect(cut: boolean): Promise<void> {
    const suspect = this.#suspect;
    if (suspect === undefined) return;
    this.#suspect = undefined;
    if (this.#frozen !== undefined) return;
    const { second, size, limit } = suspect;
    const { capacity } = this.#deps;
    if (cut) this.#sawCut(suspect);
    else if (!capacity.isWhole(size, limit)) await this.#deps.probeCapacity(size + 1);
    if (!cut && capacity.isWhole(size, limit)) {
      this.#write({ since: second, until: second });
      return;
    }
    // The walk goes on around it.
    this.#dense.push(suspect);
    this.#deps.ledger.gap(second, "dense_second", undefined);
    this.#floor = second;
  }

  /** The relay, not our limit, has ended this page before its data ended. */
  #sawCut(page: PageSize | undefined): void {
    if (page !== undefined && page.size < page.limit) this.#deps.capacity.sawCut(page.ours);
  }

  #write(window: CoverageWindow): void {
    if (this.#frozen !== undefined) return;
    this.#deps.ledger.paged(window);
    this.#floor = window.since;
  }

  #caught(lie: Lie): void {
    // The first lie stays; it outweighs a page without EOSE.
    if (this.#frozen === undefined || !isLie(this.#frozen)) this.#frozen = lie;
    this.#deps.ledger.doubt(lie);
  }

  #close(proof: CoverageProof): Step {
    if (this.#frozen !== undefined) return { end: this.#open(this.#frozen) };
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

/** Both answers, when both have come; the first rejection, when both have ended. */
async function bothSettled<A, B>(
  first: Promise<A>,
  second: Promise<B> | undefined,
): Promise<[A, B | undefined]> {
  const [a, b] = await Promise.allSettled([first, second]);
  if (a.status === "rejected") throw a.reason;
  if (b.status === "rejected") throw b.reason;
  return [a.value, b.value];
}
