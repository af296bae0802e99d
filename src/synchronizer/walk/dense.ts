// A second that holds more events than the relay gives in a page can't be paged by time. In: the
// second, and which kinds and authors this relay has shown. Out: as much of the second as kinds and
// authors can separate, and whether that is all of it. Never calls a second complete on a guess:
// either the filter itself names all kinds or authors there can be, or the relay's COUNT agrees with
// what its parts have shown. By itself a COUNT proves nothing: some relays cut it as they cut pages.
//
// Nothing says which events need not be sent again, so each is downloaded once more. What can be
// saved are pages that are cut, and so asked for twice: part_plan.ts makes parts that fit.
import type { PageResult } from "../../ingest/ingest.ts";
import type { EventHead } from "../../model/event.ts";
import type { Filter } from "../../model/filter.ts";
import type { Evidence } from "./evidence.ts";
import type { PageAnswer } from "../page.ts";
import { type Part, PartPlan } from "./part_plan.ts";
import type { OpenReason } from "../reasons.ts";

/** How far a split came. */
export interface SecondSplit {
  complete: boolean;
  /** Events that the relay counts and we don't have, where it counts. */
  missing?: number;
  /** It was reconciled, and the ledger says already what came of it. */
  reconciled?: boolean;
  /** Why the relay gave no more answers; then the rest of the second was not asked for. */
  stop?: OpenReason;
}

/** What a walk has seen of a second. */
export interface KnownSecond {
  readonly ids: ReadonlySet<string>;
  /** Frames of the page that it filled, or filled the end of. */
  readonly size: number;
  /** A page began with it and held nothing else; otherwise it was left before that was tried. */
  readonly paged: boolean;
}

/** What a split works with. */
export interface SplitDeps {
  /** What is archived from this relay; no window. */
  readonly filter: Filter;
  /** One page of any filter. */
  fetch(filter: Filter): Promise<PageAnswer>;
  /** The same, listening for events behind EOSE. */
  listen(filter: Filter): Promise<PageAnswer>;
  take(page: PageAnswer): Promise<PageResult>;
  /** The relay's own exact count (NIP-45), if it gives one. */
  count(filter: Filter): Promise<number | undefined>;
  readonly evidence: Evidence;
  readonly seen: SeenParts;
  /** False when the requests for splitting are used up; a bound for relays with tiny pages. */
  mayAsk(): boolean;
  /** Why to stop now, if there is a reason. */
  mustStop(): OpenReason | undefined;
  /** Pages are asked for smaller than the session's best size at the moment. */
  readonly reduced: boolean;
}

const MAX_SEEN_KINDS = 512;
const MAX_SEEN_AUTHORS = 5000;
/** So many events of one second in a page may be the beginning of a dense one. */
const CROWD = 10;
const MAX_CROWDS = 64;
const MAX_CROWD_EVENTS = 2_000;
/** A second that is estimated to fill less than this of a page is asked for in one. */
const FITS_SHARE = 0.9;
/** Pages without EOSE that a split puts up with; each costs an idle timeout. */
const MAX_IDLE_PAGES = 3;

/** An event, as far as splitting needs it. */
export type EventPart = Pick<EventHead, "kind" | "pubkey">;

/** Kinds and authors that a relay has shown, with how often. Bounded: the first ones stay. */
export class SeenParts {
  readonly kinds = new Map<number, number>();
  readonly authors = new Map<string, number>();
  /** Of seconds with many events: which. The oldest entries go. */
  readonly #crowds = new Map<number, Map<string, EventPart>>();

  note(events: readonly EventHead[]): void {
    const seconds = new Map<number, number>();
    for (const { kind, pubkey, created_at } of events) {
      tally(this.kinds, kind, MAX_SEEN_KINDS);
      tally(this.authors, pubkey, MAX_SEEN_AUTHORS);
      seconds.set(created_at, (seconds.get(created_at) ?? 0) + 1);
    }
    if (seconds.size === events.length) return;
    for (const { id, kind, pubkey, created_at } of events) {
      if ((seconds.get(created_at) ?? 0) < CROWD && !this.#crowds.has(created_at)) continue;
      const crowd = this.#crowds.get(created_at) ?? new Map<string, EventPart>();
      if (crowd.size < MAX_CROWD_EVENTS) crowd.set(id, { kind, pubkey });
      this.#crowds.set(created_at, crowd);
      const [oldest] = this.#crowds.keys();
      if (this.#crowds.size > MAX_CROWDS && oldest !== undefined) this.#crowds.delete(oldest);
    }
  }

  /** Events that were seen of a second with many. */
  crowdOf(second: number): readonly EventPart[] {
    return [...this.#crowds.get(second)?.values() ?? []];
  }
}

/** Gets what can be had of a second of which these ids were seen so far. */
export async function splitSecond(
  second: number,
  known: KnownSecond,
  deps: SplitDeps,
): Promise<SecondSplit> {
  const { filter } = deps;
  const split = new Split(second, known, deps);
  // Only if the page that filled up was smaller than it could be.
  if (deps.reduced && await split.ask({})) return { complete: true };
  const counted = await deps.count({ ...filter, since: second, until: second });
  const complete = await split.run(counted);
  if (split.stop !== undefined) return { complete: false, stop: split.stop };
  if (counted === undefined || counted < split.held.size) return { complete };
  if (counted > split.held.size) return { complete, missing: counted - split.held.size };
  return { complete: complete || split.isExhausted };
}

class Split {
  /** Ids that the relay has shown in this second. */
  readonly held: Set<string>;
  /** The relay gives no more answers. */
  stop: OpenReason | undefined;
  /** Everything was asked for that could be, and of no part anything was cut. */
  isExhausted = false;
  readonly #second: number;
  readonly #known: KnownSecond;
  readonly #deps: SplitDeps;
  /** Events of the last page. */
  #got = 0;
  #isUsedUp = false;
  #idlePages = 0;

  constructor(second: number, known: KnownSecond, deps: SplitDeps) {
    this.held = new Set(known.ids);
    this.#second = second;
    this.#known = known;
    this.#deps = deps;
  }

  /** True when the page is known to be whole. */
  async ask(part: Part): Promise<boolean> {
    const deps = this.#deps;
    const second = this.#second;
    this.#got = 0;
    this.stop ??= deps.mustStop();
    if (this.stop !== undefined || this.#isUsedUp) return false;
    this.#isUsedUp = !deps.mayAsk();
    if (this.#isUsedUp) return false;
    const asked = { ...deps.filter, ...part, since: second, until: second };
    // Where it may be all there is, an EOSE that comes too early must not pass.
    const isPartOnly = deps.filter.kinds === undefined && part.kinds !== undefined;
    const page = await (isPartOnly ? deps.fetch(asked) : deps.listen(asked));
    const { accepted } = await deps.take(page);
    for (const event of accepted) if (event.created_at === second) this.held.add(event.id);
    this.#got = accepted.length;
    if (page.end === "stopped") this.stop = page.stop ?? "protocol_error";
    if (page.end === "idle" && ++this.#idlePages >= MAX_IDLE_PAGES) this.stop = "idle";
    return page.end === "eose" && !page.late &&
      deps.evidence.isWhole(page.size, page.limit);
  }

  /** True when all of the second was had for sure. */
  async run(counted: number | undefined): Promise<boolean> {
    const { filter, seen } = this.#deps;
    const { size, paged } = this.#known;
    const fits = size * FITS_SHARE;
    let mayFit = !paged;
    const plan = new PartPlan(filter, seen, seen.crowdOf(this.#second), size);
    if (counted !== undefined) plan.expect(counted);
    for (;;) {
      if (mayFit && plan.total !== undefined) {
        mayFit = false;
        if (plan.total <= fits && await this.ask({})) return true;
      }
      const part = plan.next();
      if (part === undefined) {
        this.isExhausted = !plan.isInseparable;
        return plan.separates;
      }
      const isWhole = await this.ask(part);
      if (this.stop !== undefined || this.#isUsedUp) return false;
      plan.answered(isWhole, this.#got);
    }
  }
}

function tally<T>(counts: Map<T, number>, key: T, max: number): void {
  const count = counts.get(key);
  if (count !== undefined) counts.set(key, count + 1);
  else if (counts.size < max) counts.set(key, 1);
}
