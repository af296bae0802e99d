// NIP-77 in one relay's turn: whether it really works there, where it is worth while, and when what
// is closed is compared once more. In: a session and a ledger. Out: reconciled ground; the verdict
// and how far the last comparison came are remembered under the relay and filter.
import type { PageResult } from "../../ingest/ingest.ts";
import { logger } from "../../lib/log.ts";
import type { CoverageWindow } from "../../model/coverage.ts";
import type { Filter } from "../../model/filter.ts";
import type { RelayUrl } from "../../model/relay_url.ts";
import { isHex } from "../../model/hex.ts";
import { insertSightings } from "../../store/event_relays.ts";
import { knownEvents } from "../../store/events.ts";
import type { Store } from "../../store/connect.ts";
import { countInWindow } from "../../store/sighted_ids.ts";
import type { Ledger } from "../ledger.ts";
import type { SyncLimits } from "../limits.ts";
import { Nip77Memory, type Remembered } from "./nip77_memory.ts";
import { probeNip77 } from "./nip77_probe.ts";
import { OurSide } from "./our_side.ts";
import type { PageAnswer } from "../page.ts";
import type { OpenReason } from "../reasons.ts";
import { recompare } from "./recompare.ts";
import { reconcile, type Reconciliation } from "./reconcile.ts";
import type { RelaySession } from "../session.ts";

/** What it works with. */
export interface Nip77Deps {
  readonly url: RelayUrl;
  readonly relayId: number;
  /** What is archived from this relay; no window. */
  readonly filter: Filter;
  /** What the turn is about. */
  readonly window: CoverageWindow;
  /**
   * Below this the relay lists events that we don't keep: they would be missing in each comparison,
   * so there is none. Unix seconds; 0 where all are kept.
   */
  readonly keptSince: number;
  /** The filter as the ledger knows it. */
  readonly filterKey: string;
  readonly store: Store;
  readonly ledger: Ledger;
  readonly limits: SyncLimits;
  /** Unix seconds. */
  readonly now: number;
  readonly signal: AbortSignal | undefined;
  take(page: PageAnswer): Promise<PageResult>;
  /** Told of sightings that cost no download. */
  sighted(newSightings: number): void;
  /** Called when the ledger has moved. */
  moved(): Promise<void>;
  mustStop(): OpenReason | undefined;
}

const VERDICT_SECONDS = 86_400;
const NARROW_SECONDS = 86_400;
/** New ground up to this is looked at together with a comparison of everything, where one is due. */
const RECENT_SECONDS = 2 * 86_400;
/** Archived events in new ground of less than a day that make reconciling cheaper than a page. */
const FEW_EVENTS = 20;
const LOOKUP_IDS = 1_000;

const log = logger("synchronizer");

/** NIP-77 for one relay and filter, during one turn. */
export class Nip77 {
  readonly #deps: Nip77Deps;
  readonly #memory: Nip77Memory;
  readonly #ours: OurSide;
  #session: RelaySession | undefined;

  /** Reads what is remembered. */
  static async open(deps: Nip77Deps): Promise<Nip77> {
    return new Nip77(deps, await Nip77Memory.open(deps));
  }

  private constructor(deps: Nip77Deps, memory: Nip77Memory) {
    this.#deps = deps;
    this.#memory = memory;
    this.#ours = new OurSide({ ...deps, maxIds: deps.limits.reconcileIds });
  }

  get #state(): Remembered | undefined {
    return this.#memory.state;
  }

  /** From now on the relay can be asked. */
  use(session: RelaySession): void {
    this.#session = session;
  }

  /** Whether it worked when it was tried last. */
  get hasWorked(): boolean {
    return this.#state?.works === true;
  }

  /** Whether a comparison of what is closed is due; true only where NIP-77 has worked. */
  get recheckIsDue(): boolean {
    const state = this.#state;
    if (state === undefined || !state.works) return false;
    return state.recheck !== undefined ||
      (state.recheckedAt ?? -Infinity) <= this.#deps.now - this.#deps.limits.recheckSeconds;
  }

  /**
   * Whether a comparison of everything that is due will do for these holes too: what is new since
   * the last turn is not walked first, and with nothing new no page is asked for.
   */
  async takesOn(holes: readonly CoverageWindow[]): Promise<boolean> {
    const { window, keptSince } = this.#deps;
    const from = Math.max(window.since + 1, keptSince, window.until - RECENT_SECONDS);
    return this.recheckIsDue && this.#state?.recheck === undefined &&
      holes.length > 0 && holes.every(({ since }) => since >= from) && await this.works();
  }

  /** Whether NIP-77 works here; tried once a day, for a relay's list of NIPs is a claim. */
  async works(): Promise<boolean> {
    const session = this.#session;
    if (session === undefined || this.#deps.filter.search !== undefined) return false;
    const state = this.#state;
    if (state !== undefined && state.triedAt > this.#deps.now - VERDICT_SECONDS) return state.works;
    const works = await probeNip77(session, {
      ...this.#deps,
      within: (window) => this.#within(window),
    });
    await this.#remember({ ...state, works, triedAt: this.#deps.now });
    return works;
  }

  /**
   * Whether to reconcile this hole rather than to walk it: what the archive does not hold comes
   * cheaper in pages, what it holds from elsewhere need not come at all.
   */
  async prefers(hole: CoverageWindow): Promise<boolean> {
    const { store, filter, ledger, limits, keptSince, signal } = this.#deps;
    if (hole.since < keptSince) return false;
    // An empty page would close what the relay has told us it does not give.
    if (ledger.hasUndelivered(hole)) return await this.works();
    const isNarrow = hole.until - hole.since < NARROW_SECONDS;
    const atMost = isNarrow ? Math.min(FEW_EVENTS, limits.pageSize) : limits.pageSize;
    const held = await countInWindow(store, { filter, window: hole, atMost, signal });
    return held >= atMost && await this.works();
  }

  /** Reconciles this ground. A relay that fails here by habit is not asked again for a day. */
  async reconcile(ground: CoverageWindow): Promise<Reconciliation> {
    const done = await this.#reconcile(ground, () => this.#deps.moved());
    const { window } = this.#deps;
    if (
      done.below === undefined && ground.since === window.since && ground.until === window.until
    ) {
      await this.#rechecked(this.#deps.now);
    }
    return await this.#settled(done);
  }

  /** Compares everything once more, or what an earlier turn has left of that. */
  async recheck(): Promise<Reconciliation> {
    const { window, keptSince } = this.#deps;
    const since = Math.max(window.since, keptSince);
    const begun = this.#state?.recheck;
    const startedAt = begun?.startedAt ?? this.#deps.now;
    const until = Math.min(window.until, begun?.below ?? window.until);
    let reached = until;
    const done: Reconciliation = until < since ? { undelivered: false } : await this.#settled(
      await this.#recompare({ since, until }, async (below) => {
        reached = below;
        await this.#deps.moved();
      }),
    );
    const { works, triedAt, recheckedAt } = this.#requireState();
    if (done.below === undefined) await this.#rechecked(startedAt);
    else {
      await this.#remember({
        works,
        triedAt,
        ...(recheckedAt === undefined ? {} : { recheckedAt }),
        recheck: { startedAt, below: reached },
      });
    }
    return done;
  }

  async #reconcile(
    ground: CoverageWindow,
    moved: (below: number) => Promise<void>,
  ): Promise<Reconciliation> {
    const { ledger, limits, signal, mustStop } = this.#deps;
    const session = this.#requireSession();
    const done = await reconcile(ground, {
      ledger,
      mustStop,
      moved,
      take: (page) => this.#take(page),
      maxIds: limits.reconcileIds,
      idsPerRequest: Math.min(limits.idsPerRequest, session.claims.maxLimit ?? Infinity),
      idRequests: limits.idRequests,
      open: (window) => session.negentropy(this.#within(window), { signal }),
      newest: (window) => session.page({ ...this.#within(window), limit: 1 }, { signal }),
      byIds: (ids) => session.byIds(ids, { signal }),
      ours: (window) => this.#ours.ids(window),
      recognise: (ids) => this.#recognise(ids),
    });
    signal?.throwIfAborted();
    return done;
  }

  async #recompare(
    ground: CoverageWindow,
    moved: (below: number) => Promise<void>,
  ): Promise<Reconciliation> {
    const { ledger, signal, mustStop } = this.#deps;
    const session = this.#requireSession();
    await this.#ours.refresh();
    const done = await recompare(ground, {
      ledger,
      mustStop,
      moved,
      open: (window) => session.negentropy(this.#within(window), { signal }),
      groups: (window, parts) => this.#ours.groups(window, parts),
      reconcile: (window) => this.#reconcile(window, moved),
    });
    signal?.throwIfAborted();
    return done;
  }

  /** Remembers a relay whose NIP-77 does not work after all. */
  async #settled(done: Reconciliation): Promise<Reconciliation> {
    if (done.fault === undefined) return done;
    log.debug("{url}: NIP-77 ended: {fault}", { url: this.#deps.url, fault: done.fault });
    if (done.isHabit) {
      await this.#remember({ ...this.#state, works: false, triedAt: this.#deps.now });
    }
    return done;
  }

  async #take(page: PageAnswer): Promise<PageResult> {
    const result = await this.#deps.take(page);
    if (result.newSightings > 0) this.#ours.grow();
    return result;
  }

  async #recognise(ids: readonly string[]): Promise<ReadonlySet<string>> {
    const { store, relayId, now } = this.#deps;
    const options = signalOf(this.#deps);
    const held = new Set<string>();
    for (let at = 0; at < ids.length; at += LOOKUP_IDS) {
      const asked = ids.slice(at, at + LOOKUP_IDS).filter((id) => isHex(id, 32));
      const seqs = await knownEvents(store, asked, options);
      const rows = [...seqs.values()].map((seq) => ({ seq, relayId, seenAt: now }));
      if (rows.length > 0) this.#ours.grow();
      this.#deps.sighted(await insertSightings(store, rows, options));
      for (const id of seqs.keys()) held.add(id);
    }
    return held;
  }

  /** Everything was compared, beginning at this time: the next turn finds its sums ready. */
  async #rechecked(startedAt: number): Promise<void> {
    if (this.#ours.hasGrown) await this.#ours.refresh();
    const { works, triedAt } = this.#requireState();
    await this.#remember({ works, triedAt, recheckedAt: startedAt });
  }

  #within({ since, until }: CoverageWindow): Filter {
    const { filter } = this.#deps;
    // For relays that take `since: 0` for nonsense.
    return since === 0 ? { ...filter, until } : { ...filter, since, until };
  }

  #remember(state: Remembered): Promise<void> {
    return this.#memory.remember(state);
  }

  #requireSession(): RelaySession {
    if (this.#session === undefined) throw new Error("Cannot reconcile without a connection");
    return this.#session;
  }

  #requireState(): Remembered {
    if (this.#state === undefined) throw new Error("Cannot compare before NIP-77 was tried");
    return this.#state;
  }
}

function signalOf({ signal }: Nip77Deps): { signal?: AbortSignal } {
  return signal === undefined ? {} : { signal };
}
