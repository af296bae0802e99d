/**
 * Reads what only the database and the disk know, now and then, so that a scrape costs nothing. In:
 * a store and a folder. Out: fresh figures in their families. Never: ends the process; what could
 * not be read keeps its last value, and its age is a metric of its own.
 */
import { statfs } from "node:fs/promises";
import { type Clock, systemClock, unixSeconds } from "../lib/clock.ts";
import { logger } from "../lib/log.ts";
import { isAbort } from "../lib/task_group.ts";
import { errorText } from "../lib/text.ts";
import type { Store } from "../store/connect.ts";
import { readFigures } from "../store/figures.ts";
import type { ArchiveMetrics } from "./archive_metrics.ts";
import type { DiskRoom, ProcessMetrics } from "./process_metrics.ts";

/** Of the time, reading takes at most one part in so many: a large archive is read less often. */
const LEAST_REST = 5;

const log = logger("pipeline");

/** What is read, for whom, how often. */
export interface FigureKeeperOptions {
  store: Store;
  /** The disk under it is measured. */
  dataDir: string;
  metrics: { archive: ArchiveMetrics; process: ProcessMetrics };
  intervalMs: number;
  clock?: Clock | undefined;
}

/** Reads at once and then every `intervalMs`, until the signal aborts. */
export async function keepFigures(
  options: FigureKeeperOptions,
  signal: AbortSignal,
): Promise<void> {
  const { store, dataDir, metrics, intervalMs, clock = systemClock } = options;
  while (!signal.aborted) {
    const startedMs = clock.monotonicMs();
    try {
      const room = await diskRoom(dataDir);
      if (room !== undefined) metrics.process.disk(room);
      if (store.health().state === "up") {
        const at = unixSeconds(clock);
        const figures = await readFigures(store, { at, signal });
        metrics.archive.update(figures, { at, elapsedMs: clock.monotonicMs() - startedMs });
      }
    } catch (error) {
      if (isAbort(error, signal)) return;
      log.warn("Cannot count what is in the database: {error}", { error: errorText(error) });
    }
    const restMs = Math.max(intervalMs, (clock.monotonicMs() - startedMs) * LEAST_REST);
    await clock.sleep(restMs, { signal });
  }
}

/** The room under a folder; undefined where there is none yet, or nobody may ask. */
export async function diskRoom(folder: string): Promise<DiskRoom | undefined> {
  try {
    const { bavail, blocks, bsize } = await statfs(folder);
    return { freeBytes: bavail * bsize, sizeBytes: blocks * bsize };
  } catch (error) {
    if (error instanceof Deno.errors.NotCapable || isMissing(error)) return undefined;
    throw error;
  }
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ENOENT";
}
