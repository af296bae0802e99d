// What the archive no longer keeps is deleted: events past their retention, and, if so configured,
// events that no relay was seen to hold. In: rules. Out: fewer events; their sightings, marks and
// counts go with them. A pass is done in batches, some seconds a cycle; what is left of it is the
// next cycle's. Several processes may do it at once.
import type { StoreConfig } from "../config/store.ts";
import { type Clock, unixSeconds } from "../lib/clock.ts";
import type { CycleContext } from "../lib/cycle.ts";
import { logger } from "../lib/log.ts";
import { type RetentionSweep, retentionSweeps } from "../model/retention.ts";
import type { Store } from "../store/connect.ts";
import { deleteOrphanEvents, settledEventSeq } from "../store/events.ts";
import { deletePastRetention } from "../store/retention.ts";

/** What is deleted, and how much at a time. */
export type CleanupConfig = Pick<
  StoreConfig,
  "retention" | "deleteOrphans" | "cleanupIntervalMs" | "cleanupBatch" | "cleanupTimeMs"
>;

/** Deletes a batch. */
type Step = (signal: AbortSignal) => Promise<{ deleted: number; more: boolean }>;

/** Sequence numbers that are looked at for orphans in one go; most of them are none. */
const ORPHAN_RANGE = 10_000;

const log = logger("refresher");

/** The clean-up of one process. */
export class Cleanup {
  readonly #store: Store;
  readonly #config: CleanupConfig;
  readonly #clock: Clock;
  /** The pass under way. */
  #steps: { counted: string; step: Step }[] = [];
  #dueMs = -Infinity;

  constructor(store: Store, config: CleanupConfig, clock: Clock) {
    this.#store = store;
    this.#config = config;
    this.#clock = clock;
  }

  /**
   * Goes on with the pass, or begins one when it is due; gives the number of events deleted. Counts:
   * `retention_deleted`, `orphans_deleted`.
   */
  async run({ signal, count }: CycleContext): Promise<number> {
    const { cleanupTimeMs, cleanupIntervalMs } = this.#config;
    const startedMs = this.#clock.monotonicMs();
    if (this.#steps.length === 0) {
      if (startedMs < this.#dueMs) return 0;
      this.#steps = this.#pass();
      this.#dueMs = startedMs + cleanupIntervalMs;
    }
    let total = 0;
    for (let next = this.#steps[0]; next !== undefined; next = this.#steps[0]) {
      const { deleted, more } = await next.step(signal);
      if (deleted > 0) count(next.counted, deleted);
      total += deleted;
      if (!more) this.#steps.shift();
      if (this.#clock.monotonicMs() - startedMs >= cleanupTimeMs) break;
    }
    if (total > 0) log.info("{total} events are deleted that are not kept", { total });
    return total;
  }

  #pass(): { counted: string; step: Step }[] {
    const { retention, deleteOrphans } = this.#config;
    const steps = retentionSweeps(retention, unixSeconds(this.#clock))
      .map((sweep) => ({ counted: "retention_deleted", step: this.#sweep(sweep) }));
    return deleteOrphans
      ? [...steps, { counted: "orphans_deleted", step: this.#orphans() }]
      : steps;
  }

  #sweep(sweep: RetentionSweep): Step {
    let from = 0;
    return async (signal) => {
      const limit = this.#config.cleanupBatch;
      const done = await deletePastRetention(this.#store, { ...sweep, from, limit, signal });
      // Inclusive: of the last second, the batch may have taken a part.
      from = done.reached ?? from;
      return done;
    };
  }

  #orphans(): Step {
    let afterSeq = 0;
    let end: number | undefined;
    return async (signal) => {
      const store = this.#store;
      end ??= await settledEventSeq(store, { signal });
      const limit = Math.min(ORPHAN_RANGE, this.#config.cleanupBatch);
      const deleted = await deleteOrphanEvents(store, { afterSeq, limit, signal });
      afterSeq += limit;
      return { deleted, more: afterSeq < end };
    };
  }
}
