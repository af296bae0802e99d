/**
 * The refresher: keeps the statistics and the marks of events in step with the archive, and now and
 * then does the upkeep that the embedded database does not do by itself. In: new events and
 * sightings, and the time. Out: marks, and statistics whose windows end at most one interval ago.
 * Never reads again what it has read: a refresh costs what is new.
 */
import type { RefresherConfig } from "../config/refresher.ts";
import { type Clock, systemClock, unixSeconds } from "../lib/clock.ts";
import type { CycleContext, CycleTask } from "../lib/cycle.ts";
import { logger } from "../lib/log.ts";
import type { Store } from "../store/connect.ts";
import { refreshEventMarks } from "../store/event_marks.ts";
import { maintain } from "../store/maintain.ts";
import { refreshStatistics } from "../store/statistics.ts";
import { Cleanup, type CleanupConfig } from "./cleanup.ts";

/** Upkeep is due after so many new rows: plans made for a table a tenth of its size go wrong. */
const MAINTAIN_ROWS = 100_000;
/** And after so long in any case: checks, jobs and coverage leave dead rows without a new event. */
const MAINTAIN_INTERVAL_MS = 600_000;

/** What the refresher works with. */
export interface RefresherDeps {
  store: Store;
  config: RefresherConfig;
  /** What is deleted; nothing unless given. */
  cleanup?: CleanupConfig | undefined;
  clock?: Clock | undefined;
}

/**
 * A cycle counts all that is new and moves the windows to now, in transactions of at most
 * `batchSize` rows each, so that the writers' lock and the embedded database's one connection are
 * free in between. Counts: `events`, `sightings`, `marks`, `maintenances`, and those of cleanup.ts.
 */
export function createRefresher(deps: RefresherDeps): CycleTask {
  const { store, config, clock = systemClock } = deps;
  const log = logger("refresher");
  const cleanup = deps.cleanup && new Cleanup(store, deps.cleanup, clock);
  let newRows = 0;
  let deletedRows = 0;
  let maintainedMs = clock.monotonicMs();

  async function maintainWhenDue({ signal, count }: CycleContext): Promise<void> {
    const quietMs = clock.monotonicMs() - maintainedMs;
    const isDue = newRows >= MAINTAIN_ROWS || quietMs >= MAINTAIN_INTERVAL_MS;
    if (!isDue) return;
    const { elapsedMs } = await maintain(store, { vacuumEvents: deletedRows > 0, signal });
    newRows = 0;
    deletedRows = 0;
    maintainedMs = clock.monotonicMs();
    count("maintenances");
    log.debug("upkeep of the database took {elapsedMs} ms", { elapsedMs: Math.round(elapsedMs) });
  }

  async function refreshMarks({ signal, count }: CycleContext): Promise<void> {
    for (;;) {
      signal.throwIfAborted();
      const { made, behind } = await refreshEventMarks(store, {
        maxRows: config.batchSize,
        signal,
      });
      if (made > 0) count("marks", made);
      if (behind <= 0) return;
    }
  }

  async function refreshCounts(context: CycleContext): Promise<void> {
    const { signal, count } = context;
    for (;;) {
      signal.throwIfAborted();
      const { events, sightings, behind } = await refreshStatistics(store, {
        maxRows: config.batchSize,
        at: unixSeconds(clock),
        signal,
      });
      if (events > 0) count("events", events);
      if (sightings > 0) count("sightings", sightings);
      newRows += events + sightings;
      await maintainWhenDue(context);
      if (behind <= 0) return;
    }
  }

  return {
    name: "refresher",
    async cycle(context): Promise<void> {
      const deleted = await cleanup?.run(context) ?? 0;
      deletedRows += deleted;
      newRows += deleted;
      await refreshMarks(context);
      await refreshCounts(context);
    },
  };
}
