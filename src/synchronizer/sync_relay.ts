// One relay's archive brought as far as it goes: the ledger is read, what it lacks is walked, and
// what was proven is written down. In: a relay, a filter, a window. Out: a report, and rows in the
// store. Used by the stage for its turns and by the command `sync`; knows neither.
import type { Ingest, PageResult } from "../ingest/ingest.ts";
import { type Clock, systemClock, unixSeconds } from "../lib/clock.ts";
import type { CoverageInterval, CoverageWindow } from "../model/coverage.ts";
import type { BlockList } from "../model/block_list.ts";
import { canonicalFilter, type Filter } from "../model/filter.ts";
import type { RelayUrl } from "../model/relay_url.ts";
import { retentionBounds, type RetentionRule } from "../model/retention.ts";
import type { Dialer, DialFailure } from "../net/dialer.ts";
import { isOurFault } from "../net/failure.ts";
import { HostSlots } from "../net/host_slots.ts";
import type { Signer } from "../nostr/signer.ts";
import type { Store } from "../store/connect.ts";
import { readCoverage, replaceCoverage } from "../store/coverage.ts";
import { readTailSpans } from "../store/relay_tails.ts";
import { ensureRelay } from "../store/relays.ts";
import { relayClaims } from "./claims.ts";
import { SeenParts } from "./walk/dense.ts";
import { type FillDeps, fillHoles } from "./fill_holes.ts";
import { takeHostTurn } from "./host_turn.ts";
import { Ledger } from "./ledger.ts";
import { DEFAULT_SYNC_LIMITS, type SyncLimits } from "./limits.ts";
import { Nip77 } from "./nip77/nip77.ts";
import type { PageAnswer } from "./page.ts";
import type { OpenReason } from "./reasons.ts";
import { outcomeOf, type SyncProgress, type SyncReport } from "./report.ts";
import { openSession, type RelaySession } from "./session.ts";
import { TurnTally } from "./turn_tally.ts";
import { within } from "./window_filter.ts";

export { DEFAULT_SYNC_LIMITS, type SyncLimits, type SyncProgress, type SyncReport };

/** What a turn works with. */
export interface SyncDeps {
  store: Store;
  ingest: Ingest;
  dialer: Dialer;
  signer?: Signer | undefined;
  /** Shared by all turns of a process: one connection per host. */
  slots?: HostSlots | undefined;
  /** Relays and addresses that are left alone. */
  blocked?: BlockList | undefined;
  limits?: Partial<SyncLimits> | undefined;
  clock?: Clock | undefined;
  random?: (() => number) | undefined;
}

/** What is to be archived. */
export interface SyncRequest {
  /** Without a window; its `since`, `until` and `limit` are not looked at. */
  filter?: Filter | undefined;
  /** Unix seconds, inclusive; all of time unless given. */
  since?: number | undefined;
  /** Unix seconds, inclusive; never newer than a moment ago. */
  until?: number | undefined;
  /** What is not kept is not asked for; everything is kept unless given. */
  retention?: readonly RetentionRule[] | undefined;
  /** Told after each page that was committed. Must not throw. */
  onProgress?: ((progress: SyncProgress, page: PageResult) => void) | undefined;
  signal?: AbortSignal | undefined;
}

/** Sightings of archived events come without a page. */
const NO_PAGE = { received: 0, newEvents: 0, repeated: 0 };

/** Another turn has written the same ledger meanwhile: it goes on, and this one ends. */
class LedgerTaken extends Error {
  override readonly name = "LedgerTaken";
}

/** The ledger is written at most so often, and at the end. */
const SAVE_EVERY_MS = 1000;

/**
 * Gives a relay its turn. What a relay does wrong is in the report; rejects for a broken store or
 * verifier, or with `signal.reason` (what was committed and written down by then stays).
 */
export async function syncRelay(
  url: RelayUrl,
  deps: SyncDeps,
  request: SyncRequest = {},
): Promise<SyncReport> {
  const turn = await Turn.begin(url, deps, request);
  try {
    return await turn.run();
  } catch (error) {
    if (!(error instanceof LedgerTaken)) throw error;
    return turn.busy();
  }
}

class Turn {
  readonly #url: RelayUrl;
  readonly #relayId: number;
  readonly #deps: SyncDeps;
  readonly #request: SyncRequest;
  readonly #limits: SyncLimits;
  readonly #clock: Clock;
  readonly #filter: Filter;
  readonly #filterKey: string;
  readonly #window: CoverageWindow;
  /** From here on all that the filter takes is kept; below, some of it is dropped as it comes. */
  readonly #keptSince: number;
  readonly #ledger: Ledger;
  readonly #seen = new SeenParts();
  readonly #startedMs: number;
  readonly #tally: TurnTally;
  #session: RelaySession | undefined;
  #savedMs = -Infinity;
  #saved: readonly CoverageInterval[];

  static async begin(url: RelayUrl, deps: SyncDeps, request: SyncRequest): Promise<Turn> {
    const { store, clock = systemClock } = deps;
    const options = request.signal === undefined ? {} : { signal: request.signal };
    const relayId = await ensureRelay(store, url, { at: unixSeconds(clock), ...options });
    const key = canonicalFilter(request.filter ?? {});
    const stored = await readCoverage(store, relayId, key, options);
    const turn = new Turn(url, relayId, key, stored, deps, request);
    turn.#noteFollowed(await readTailSpans(store, relayId, key, options));
    return turn;
  }

  private constructor(
    url: RelayUrl,
    relayId: number,
    filterKey: string,
    stored: readonly CoverageInterval[],
    deps: SyncDeps,
    request: SyncRequest,
  ) {
    this.#url = url;
    this.#relayId = relayId;
    this.#filterKey = filterKey;
    this.#deps = deps;
    this.#request = request;
    this.#limits = { ...DEFAULT_SYNC_LIMITS, ...deps.limits };
    this.#clock = deps.clock ?? systemClock;
    this.#startedMs = this.#clock.monotonicMs();
    const { since: _since, until: _until, limit: _limit, ...filter } = request.filter ?? {};
    this.#filter = filter;
    const now = unixSeconds(this.#clock);
    const newest = now - this.#limits.settleSeconds;
    const until = Math.min(request.until ?? newest, newest);
    const kept = retentionBounds(request.retention ?? [], filter, now);
    this.#keptSince = kept.allSince;
    this.#window = { since: Math.min(Math.max(request.since ?? 0, kept.since), until), until };
    const { overlapSeconds, gapRetrySeconds, proveSeconds } = this.#limits;
    this.#ledger = new Ledger(stored, { now, overlapSeconds, gapRetrySeconds, proveSeconds });
    if (kept.since > 0) this.#ledger.forget({ since: 0, until: kept.since - 1 });
    this.#saved = stored;
    this.#tally = new TurnTally(this.#window, request.onProgress);
  }

  /** What the live tail has followed meanwhile. */
  #noteFollowed(spans: readonly CoverageWindow[]): void {
    for (const span of spans) {
      const since = Math.max(span.since, this.#window.since);
      const until = Math.min(span.until, this.#window.until);
      if (since <= until) this.#ledger.followed({ since, until });
    }
  }

  async run(): Promise<SyncReport> {
    const nip77 = await this.#openNip77();
    const holes = this.#ledger.todo(this.#window, { proveFollowed: nip77.hasWorked })
      .flatMap((hole) => splitAt(hole, this.#keptSince));
    this.#tally.begin(holes);
    if (holes.length === 0 && !nip77.recheckIsDue) {
      await this.#save();
      return this.#report({});
    }
    const { signal } = this.#request;
    const turn = await takeHostTurn(
      this.#url,
      { ...this.#deps, slots: this.#deps.slots ?? new HostSlots() },
      { waitMs: this.#limits.slotWaitMs, signal },
    );
    if (turn === undefined) return this.busy();
    if (!turn.ok) return await this.#failed(holes, turn.failure);
    using held = turn.value;
    const claims = await relayClaims(this.#url, { ...this.#deps, limits: this.#limits }, {
      signal,
    });
    const opened = await openSession(this.#url, {
      ...this.#deps,
      limits: this.#limits,
      claims,
      resolution: held.resolution,
    }, { signal });
    if (!opened.ok) return await this.#failed(holes, opened.failure);
    await using session = opened.value;
    this.#session = session;
    nip77.use(session);
    const reason = await fillHoles(holes, this.#fillDeps(session, nip77));
    await this.#save();
    return this.#report(reason === undefined ? {} : { reason });
  }

  /** The report of a turn to which another one has come first. */
  busy(): SyncReport {
    return this.#report({ outcome: "busy" });
  }

  #fillDeps(session: RelaySession, nip77: Nip77): FillDeps {
    return {
      filter: this.#filter,
      window: this.#window,
      ledger: this.#ledger,
      session,
      nip77,
      seen: this.#seen,
      limits: this.#limits,
      signal: this.#request.signal,
      fetch: (window, options) => {
        this.#tally.reach(window.until);
        return session.page(within(this.#filter, window), options);
      },
      take: (page) => this.#take(page),
      isNewest: (hole) => this.#request.until === undefined && hole.until === this.#window.until,
      moved: () => this.#moved(),
      mustStop: () => this.#mustStop(),
    };
  }

  #openNip77(): Promise<Nip77> {
    return Nip77.open({
      url: this.#url,
      relayId: this.#relayId,
      filter: this.#filter,
      window: this.#window,
      keptSince: this.#keptSince,
      filterKey: this.#filterKey,
      store: this.#deps.store,
      ledger: this.#ledger,
      limits: this.#limits,
      now: unixSeconds(this.#clock),
      signal: this.#request.signal,
      take: (page) => this.#take(page),
      sighted: (newSightings) => {
        this.#tell({ ...NO_PAGE, accepted: [], dropped: {}, newSightings });
      },
      moved: () => this.#moved(),
      mustStop: () => this.#mustStop(),
    });
  }

  #moved(): Promise<void> {
    const isEarly = this.#clock.monotonicMs() - this.#savedMs < SAVE_EVERY_MS;
    return isEarly ? Promise.resolve() : this.#save();
  }

  #mustStop(): OpenReason | undefined {
    const elapsedMs = this.#clock.monotonicMs() - this.#startedMs;
    return elapsedMs >= this.#limits.maxRelayMs ? "time_up" : undefined;
  }

  async #take(page: PageAnswer): Promise<PageResult> {
    const result = await this.#deps.ingest.page({
      relayId: this.#relayId,
      filter: within(this.#filter, this.#window),
      events: page.events,
      seenAt: unixSeconds(this.#clock),
    }, { signal: this.#request.signal });
    this.#seen.note(result.accepted);
    this.#tell(result);
    return result;
  }

  #tell(result: PageResult): void {
    const gaps = this.#ledger.intervals.filter((held) => held.state === "gap").length;
    this.#tally.note(result, { ...this.#cost(), gaps });
  }

  #cost(): { requests: number; bytes: number } {
    return { requests: this.#session?.requests ?? 0, bytes: this.#session?.bytes ?? 0 };
  }

  async #failed(holes: readonly CoverageWindow[], failure: DialFailure): Promise<SyncReport> {
    this.#request.signal?.throwIfAborted();
    // Nobody has asked, so nothing was learnt.
    if (failure.reason === "blocked" || isOurFault(failure.reason)) {
      return this.#report({ outcome: "failed", failure });
    }
    for (const hole of holes) this.#ledger.open(hole, "unreachable");
    await this.#save();
    return this.#report({ outcome: "failed", reason: "unreachable", failure });
  }

  async #save(): Promise<void> {
    this.#savedMs = this.#clock.monotonicMs();
    const { intervals } = this.#ledger;
    if (intervals === this.#saved) return;
    const { signal } = this.#request;
    const isOurs = await replaceCoverage(
      this.#deps.store,
      this.#relayId,
      this.#filterKey,
      intervals,
      { expected: this.#saved, ...(signal === undefined ? {} : { signal }) },
    );
    if (!isOurs) throw new LedgerTaken();
    this.#saved = intervals;
  }

  #report(end: Partial<Pick<SyncReport, "outcome" | "reason" | "failure">>): SyncReport {
    const { intervals } = this.#ledger;
    const window = this.#window;
    const coverage = intervals.filter((held) =>
      held.until >= window.since && held.since <= window.until
    );
    return {
      ...this.#tally.progress,
      ...this.#cost(),
      url: this.#url,
      relayId: this.#relayId,
      window,
      outcome: outcomeOf(intervals, window),
      ...end,
      gaps: coverage.filter((held) => held.state === "gap"),
      coverage,
      ...this.#tally.eventsPerDay(),
      elapsedMs: this.#clock.monotonicMs() - this.#startedMs,
    };
  }
}

/** The window in two, newest first, where the second lies within it. */
function splitAt(window: CoverageWindow, second: number): CoverageWindow[] {
  return window.since < second && second <= window.until
    ? [{ since: second, until: window.until }, { since: window.since, until: second - 1 }]
    : [window];
}
