// How the holes of a ledger are filled: each by the strategy that is cheaper there (pages, or ids by
// NIP-77), by the other one where that fails, dense seconds by whichever can; and in the end, where
// it is due, a comparison of everything. In: holes. Out: entries in the ledger, and why some ground
// is open. Never asks for ground that is settled.
import type { PageResult } from "../ingest/ingest.ts";
import type { SignalOptions } from "../lib/clock.ts";
import type { CoverageWindow } from "../model/coverage.ts";
import type { Filter } from "../model/filter.ts";
import { type SecondSplit, type SeenParts, splitSecond } from "./walk/dense.ts";
import { Evidence } from "./walk/evidence.ts";
import type { Ledger } from "./ledger.ts";
import type { SyncLimits } from "./limits.ts";
import type { Nip77 } from "./nip77/nip77.ts";
import type { PageAnswer } from "./page.ts";
import { Probes } from "./walk/probes.ts";
import { isOfGround, isPagingHabit, type OpenReason } from "./reasons.ts";
import type { Reconciliation } from "./nip77/reconcile.ts";
import type { RelaySession } from "./session.ts";
import { walkHole } from "./walk/walk.ts";

/** What filling works with: a turn. */
export interface FillDeps {
  /** What is archived from this relay; no window. */
  readonly filter: Filter;
  /** What the turn is about. */
  readonly window: CoverageWindow;
  readonly ledger: Ledger;
  readonly session: RelaySession;
  readonly nip77: Nip77;
  readonly seen: SeenParts;
  readonly limits: SyncLimits;
  readonly signal: AbortSignal | undefined;
  /** A page of the archive's filter in this window. */
  fetch(window: CoverageWindow, options: SignalOptions): Promise<PageAnswer>;
  take(page: PageAnswer): Promise<PageResult>;
  /** Whether the hole ends in the present, so that the next turn overlaps with it. */
  isNewest(hole: CoverageWindow): boolean;
  /** Called when the ledger has moved. */
  moved(): Promise<void>;
  mustStop(): OpenReason | undefined;
}

/** Fills the holes in their order, then compares where that is due; why some ground is open. */
export async function fillHoles(
  holes: readonly CoverageWindow[],
  deps: FillDeps,
): Promise<OpenReason | undefined> {
  const filling = new Filling(deps);
  const { nip77 } = deps;
  if (await nip77.takesOn(holes)) {
    const done = await nip77.recheck();
    if (done.fault === undefined) return filling.endOfAll(holes, done);
  }
  let reason: OpenReason | undefined;
  for (const hole of holes) {
    const end = await filling.fill(hole);
    reason ??= end;
    // What lies in the ground is behind it now; every other reason is the relay's.
    if (end !== undefined && !isOfGround(end)) return reason;
  }
  if (!await nip77.works() || !nip77.recheckIsDue) return reason;
  const { stop, undelivered } = await nip77.recheck();
  return stop ?? reason ?? (undelivered ? "undelivered" : undefined);
}

class Filling {
  readonly #deps: FillDeps;
  readonly #evidence = new Evidence();
  #splitRequests = 0;

  constructor(deps: FillDeps) {
    this.#deps = deps;
  }

  /** One hole, by the strategy that is cheaper there, and by the other one where that fails. */
  async fill(hole: CoverageWindow): Promise<OpenReason | undefined> {
    const { nip77 } = this.#deps;
    let rest = hole;
    if (await nip77.prefers(hole)) {
      const done = await nip77.reconcile(hole);
      if (done.fault === undefined) return this.#endOf(hole, done);
      rest = { since: hole.since, until: done.below ?? hole.until };
    }
    const end = await this.#walk(rest);
    if (end === undefined || !isPagingHabit(end) || !await nip77.works()) return end;
    const done = await nip77.reconcile(rest);
    return done.fault === undefined ? this.#endOf(rest, done) : end;
  }

  /** The same for several holes, newest first. */
  endOfAll(holes: readonly CoverageWindow[], done: Reconciliation): OpenReason | undefined {
    const { below = -Infinity } = done;
    let reason: OpenReason | undefined;
    for (const hole of holes) {
      const left = below < hole.since ? {} : { below: Math.min(hole.until, below) };
      reason = this.#endOf(hole, { ...done, below: undefined, ...left }) ?? reason;
    }
    return reason;
  }

  /** Why reconciled ground is open, if it is; what was not come to is open for that reason. */
  #endOf(hole: CoverageWindow, done: Reconciliation): OpenReason | undefined {
    const { stop, below, undelivered } = done;
    if (stop === undefined) return undelivered ? "undelivered" : undefined;
    if (below !== undefined) this.#deps.ledger.open({ since: hole.since, until: below }, stop);
    return stop;
  }

  /** A second that is denser than a page: by its ids where that works, else by kinds and authors. */
  async #split(second: number, byParts: () => Promise<SecondSplit>): Promise<SecondSplit> {
    const { nip77 } = this.#deps;
    if (!await nip77.works()) return await byParts();
    const done = await nip77.reconcile({ since: second, until: second });
    if (done.fault !== undefined) return await byParts();
    if (done.stop !== undefined) return { complete: false, stop: done.stop };
    return { complete: !done.undelivered, reconciled: true };
  }

  #walk(hole: CoverageWindow): Promise<OpenReason | undefined> {
    const { filter, window, session, ledger, limits, seen, signal, ...deps } = this.#deps;
    const options = { signal };
    const evidence = this.#evidence;
    const asked = {
      filter,
      evidence,
      fetch: (filter: Filter): Promise<PageAnswer> => session.page(filter, options),
      listen: (filter: Filter): Promise<PageAnswer> => session.listen(filter, options),
      take: deps.take,
    };
    return walkHole(hole, {
      ledger,
      evidence,
      probes: new Probes({ ...asked, window, pageSize: limits.pageSize }),
      take: deps.take,
      fetch: (window) => deps.fetch(window, options),
      split: (second, known) =>
        this.#split(second, () =>
          splitSecond(second, known, {
            ...asked,
            count: (filter) => session.count(filter, options),
            seen,
            mayAsk: () => this.#splitRequests++ < limits.splitRequests,
            mustStop: deps.mustStop,
            reduced: session.reduced,
          })),
      isNewest: deps.isNewest,
      moved: deps.moved,
      mustStop: deps.mustStop,
    });
  }
}
