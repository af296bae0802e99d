// A second that holds more events than the relay gives in a page can't be paged by time. In: the
// second, and which kinds and authors this relay has shown. Out: as much of the second as kinds and
// authors can separate, and whether that is all of it. Never calls a second complete on a guess:
// either the filter itself names all kinds or authors there can be, or the relay's COUNT agrees.
import type { PageResult } from "../ingest/ingest.ts";
import type { NostrEvent } from "../model/event.ts";
import type { Filter } from "../model/filter.ts";
import type { Evidence } from "./evidence.ts";
import type { PageAnswer } from "./page.ts";
import type { OpenReason } from "./reasons.ts";

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

/** What a split works with. */
export interface SplitDeps {
  /** What is archived from this relay; no window. */
  readonly filter: Filter;
  /** One page of any filter. */
  fetch(filter: Filter): Promise<PageAnswer>;
  take(page: PageAnswer): Promise<PageResult>;
  /** The relay's own exact count (NIP-45), if it gives one. */
  count(filter: Filter): Promise<number | undefined>;
  readonly evidence: Evidence;
  readonly seen: SeenParts;
  /** False when the requests for splitting are used up; a bound for relays with tiny pages. */
  mayAsk(): boolean;
  /** Pages are asked for smaller than the session's best size at the moment. */
  readonly reduced: boolean;
}

/** Parts of a cut page's question: thirds, because a third of it mostly fits a page. */
const PARTS = 3;
/** A second pass is for kinds and authors that the first one has brought to light. */
const MAX_PASSES = 2;
const MAX_SEEN_KINDS = 512;
const MAX_SEEN_AUTHORS = 5000;

/** Kinds and authors that a relay has shown, with how often. Bounded: the first ones stay. */
export class SeenParts {
  readonly kinds = new Map<number, number>();
  readonly authors = new Map<string, number>();

  /** Grows with each kind and author that is new. */
  get size(): number {
    return this.kinds.size + this.authors.size;
  }

  note(events: readonly NostrEvent[]): void {
    for (const { kind, pubkey } of events) {
      tally(this.kinds, kind, MAX_SEEN_KINDS);
      tally(this.authors, pubkey, MAX_SEEN_AUTHORS);
    }
  }
}

/** Gets what can be had of a second of which `known` are the ids that were seen so far. */
export async function splitSecond(
  second: number,
  known: ReadonlySet<string>,
  deps: SplitDeps,
): Promise<SecondSplit> {
  const { filter } = deps;
  const split = new Split(second, known, deps);
  // Only if the page that filled up was smaller than it could be.
  if (deps.reduced && await split.ask({})) return { complete: true };
  const counted = await deps.count({ ...filter, since: second, until: second });
  let separated = false;
  for (let pass = 0, known = -1; pass < MAX_PASSES && known !== deps.seen.size; pass++) {
    known = deps.seen.size;
    separated = await split.byKinds();
    if (separated || (counted !== undefined && split.held.size >= counted)) break;
  }
  if (split.stop !== undefined) return { complete: false, stop: split.stop };
  if (counted === undefined) return { complete: separated };
  const missing = Math.max(0, counted - split.held.size);
  return missing === 0 ? { complete: true } : { complete: separated, missing };
}

class Split {
  /** Ids that the relay has shown in this second. */
  readonly held: Set<string>;
  /** The relay gives no more answers. */
  stop: OpenReason | undefined;
  readonly #second: number;
  readonly #deps: SplitDeps;

  constructor(second: number, known: ReadonlySet<string>, deps: SplitDeps) {
    this.held = new Set(known);
    this.#second = second;
    this.#deps = deps;
  }

  /** True when the page is known to be whole. */
  async ask(part: Pick<Filter, "kinds" | "authors">): Promise<boolean> {
    const deps = this.#deps;
    const second = this.#second;
    if (this.stop !== undefined || !deps.mayAsk()) return false;
    const page = await deps.fetch({ ...deps.filter, ...part, since: second, until: second });
    const { accepted } = await deps.take(page);
    for (const event of accepted) if (event.created_at === second) this.held.add(event.id);
    if (page.end === "stopped") this.stop = page.stop ?? "protocol_error";
    return page.end === "eose" && !page.late &&
      deps.evidence.isWhole(page.size, page.limit);
  }

  /** True when everything was had, and the filter says that there is nothing else. */
  async byKinds(): Promise<boolean> {
    const { filter, seen } = this.#deps;
    if (filter.kinds === undefined) {
      await this.#splitKinds(weighted(seen.kinds));
      return false;
    }
    // A single kind was asked for already, by the page that filled up.
    const [only] = filter.kinds;
    return filter.kinds.length === 1 && only !== undefined
      ? await this.#byAuthors(only)
      : await this.#splitKinds(filter.kinds);
  }

  async #splitKinds(kinds: readonly number[]): Promise<boolean> {
    let all = true;
    for (const part of parts(kinds, this.#deps.seen.kinds)) {
      if (await this.ask({ kinds: part })) continue;
      const [kind] = part;
      const got = part.length === 1 && kind !== undefined
        ? await this.#byAuthors(kind)
        : await this.#splitKinds(part);
      all &&= got;
    }
    return all;
  }

  async #byAuthors(kind: number): Promise<boolean> {
    const named = this.#deps.filter.authors;
    const authors = named ?? weighted(this.#deps.seen.authors);
    return await this.#splitAuthors(kind, authors) && named !== undefined;
  }

  async #splitAuthors(kind: number, authors: readonly string[]): Promise<boolean> {
    let all = true;
    for (const part of parts(authors, this.#deps.seen.authors)) {
      if (await this.ask({ kinds: [kind], authors: part })) continue;
      // One author's events of one kind in one second: nothing left to split by.
      const got = part.length > 1 && part.length < authors.length
        ? await this.#splitAuthors(kind, part)
        : false;
      all &&= got;
    }
    return all;
  }
}

/** The values in up to three parts that have come up about equally often. */
function parts<T>(values: readonly T[], seen: ReadonlyMap<T, number>): T[][] {
  const count = Math.min(PARTS, values.length);
  const made = Array.from({ length: count }, () => ({ weight: 0, values: [] as T[] }));
  const byWeight = values.map((value) => ({ value, weight: (seen.get(value) ?? 0) + 1 }))
    .sort((a, b) => b.weight - a.weight);
  for (const { value, weight } of byWeight) {
    // The heaviest value goes into the lightest part, and so on.
    const lightest = made.reduce((a, b) => b.weight < a.weight ? b : a);
    lightest.values.push(value);
    lightest.weight += weight;
  }
  return made.map((part) => part.values);
}

/** The keys, most frequent first. */
function weighted<T>(seen: ReadonlyMap<T, number>): T[] {
  return [...seen].sort((a, b) => b[1] - a[1]).map(([key]) => key);
}

function tally<T>(counts: Map<T, number>, key: T, max: number): void {
  const count = counts.get(key);
  if (count !== undefined) counts.set(key, count + 1);
  else if (counts.size < max) counts.set(key, 1);
}
