// Our side of a comparison with a relay (NIP-77): how many events were seen there and their sums,
// kept between turns; and the ids themselves of the windows for which sums are not enough. In: the
// store. Out: groups with sums, sets of ids, in bounded memory. Never asks the relay.
import type { CoverageWindow } from "../../model/coverage.ts";
import type { Filter } from "../../model/filter.ts";
import type { Store } from "../../store/connect.ts";
import {
  eachSightingSince,
  openFingerprints,
  settledSightingSeq,
  sightedIdsByRelay,
  storeFingerprints,
} from "../../store/fingerprints.ts";
import { countInWindow, type SightedId, sightedIds } from "../../store/sighted_ids.ts";
import type { Group } from "./compare.ts";
import { IdSet } from "./id_set.ts";
import type { OurIds } from "./reconcile.ts";
import { Segments } from "./segments.ts";

/** What it works with. */
export interface OurSideDeps {
  readonly store: Store;
  readonly relayId: number;
  /** What is archived from this relay; no window. */
  readonly filter: Filter;
  /** The filter as the ledger knows it. */
  readonly filterKey: string;
  /** Ids held in memory at a time, at most. */
  readonly maxIds: number;
  readonly signal: AbortSignal | undefined;
}

const DAY_SECONDS = 86_400;
/** Sightings that go into the sums at a time: 8 MB of texts. */
const LOAD_IDS = 50_000;
/** Archived events to look through for one of the relay's, before its sightings are read instead. */
const THIN = 8;
const FEW_EVENTS = 10_000;

/** What was seen on one relay, under one filter, during a turn. */
export class OurSide {
  readonly #deps: OurSideDeps;
  #segments: Segments | undefined;
  #grown = false;

  constructor(deps: OurSideDeps) {
    this.#deps = deps;
  }

  /** To be told when events were seen: what was known to be empty may not be any more. */
  grow(): void {
    this.#grown = true;
  }

  /** Events were seen since the last refresh. */
  get hasGrown(): boolean {
    return this.#grown;
  }

  /** Brings the sums up to what is committed; costs what is new since the last time. */
  async refresh(): Promise<Segments> {
    const { store, relayId, filterKey } = this.#deps;
    const row = await openFingerprints(store, relayId, filterKey, this.#deps);
    const upTo = await settledSightingSeq(store, this.#deps);
    const held = Segments.decode(row.segments);
    const segments = held ?? new Segments();
    const after = held === undefined ? 0 : row.sightingSeq;
    this.#grown = false;
    this.#segments = segments;
    if (after === upTo && row.staleDays.length === 0) return segments;
    await this.#load(segments, after, upTo);
    const stale = new Set(row.staleDays);
    const cleared = segments.clear((window) => touches(window, stale));
    for (const window of cleared) await this.#reload(segments, window, upTo);
    segments.join();
    // When somebody was faster, these sums serve this turn, and the next one begins with theirs.
    const { filterId, version } = row;
    const next = { filterId, version, sightingSeq: upTo, segments: segments.encode() };
    await storeFingerprints(store, relayId, next, this.#deps);
    return segments;
  }

  /** How many events were seen in the window, about. */
  async countIn(window: CoverageWindow): Promise<number> {
    return (this.#segments ?? await this.refresh()).countIn(window);
  }

  /** The window in at most so many groups; see {@linkcode Segments.groups}. */
  async groups(window: CoverageWindow, parts: number): Promise<Group[]> {
    return (this.#segments ?? await this.refresh()).groups(window, parts);
  }

  /**
   * The ids of a window, narrowed from below to what fits; undefined when one second holds more.
   */
  async ids(asked: CoverageWindow): Promise<OurIds | undefined> {
    const { maxIds } = this.#deps;
    const expected = await this.countIn(asked);
    if (expected === 0 && !this.#grown) return { window: asked, ids: new IdSet(0) };
    const ids = new IdSet(maxIds);
    for await (const batch of this.#read(asked, expected)) {
      for (const { createdAt, id } of batch) {
        if (ids.size() < maxIds) {
          ids.prepend(createdAt, id);
          continue;
        }
        // The second that does not fit wholly is for the next window.
        if (createdAt === asked.until) return undefined;
        ids.dropSecond(createdAt);
        return { window: { since: createdAt + 1, until: asked.until }, ids };
      }
    }
    return { window: asked, ids };
  }

  async #load(segments: Segments, after: number, upTo: number): Promise<void> {
    let waiting: SightedId[] = [];
    await eachSightingSince(this.#deps.store, { ...this.#deps, after, upTo }, (batch) => {
      waiting.push(...batch);
      if (waiting.length < LOAD_IDS) return;
      segments.add(waiting);
      waiting = [];
    });
    segments.add(waiting);
  }

  /** Ground whose sums are void, from the ids again. */
  async #reload(segments: Segments, { since, until }: CoverageWindow, upTo: number): Promise<void> {
    const window = { since, until: Math.min(until, Number.MAX_SAFE_INTEGER) };
    let waiting: SightedId[] = [];
    for await (const batch of sightedIds(this.#deps.store, { ...this.#deps, window, upTo })) {
      waiting.push(...batch);
      if (waiting.length < LOAD_IDS) continue;
      segments.add(waiting);
      waiting = [];
    }
    segments.add(waiting);
  }

  /** Newest first, by the way that reads less: the archive's events, or the relay's sightings. */
  async *#read(window: CoverageWindow, expected: number): AsyncGenerator<readonly SightedId[]> {
    const { store, maxIds } = this.#deps;
    const atMost = FEW_EVENTS + THIN * expected;
    const archived = await countInWindow(store, { ...this.#deps, window, atMost });
    if (archived < atMost) yield* sightedIds(store, { ...this.#deps, window });
    else yield await sightedIdsByRelay(store, { ...this.#deps, window, atMost: maxIds + 1 });
  }
}

function touches({ since, until }: CoverageWindow, days: ReadonlySet<number>): boolean {
  if (days.size === 0) return false;
  for (const day of days) {
    if (day * DAY_SECONDS <= until && (day + 1) * DAY_SECONDS > since) return true;
  }
  return false;
}
