/**
 * The families that every stage has: its cycles, how long they took, why they failed, and what they
 * did by their own counts. In: the status after each cycle, and of all stages when somebody asks.
 * Out: families in a registry. Never: an error's text as a label.
 */
import type { CycleStatus } from "../lib/cycle.ts";
import { counter, gauge, histogram, LabelGuard, type Registry } from "../lib/metrics.ts";
import { CYCLE_BUCKETS } from "./buckets.ts";

/** Failures that a cycle is known to have, by the names of their errors; the rest is "other". */
const FAILURES = [
  "StoreUnavailable",
  "StatementTimeout",
  "AcquireTimeout",
  "CommitUnknown",
  "StoreClosed",
  "PostgresError",
  "VerifierError",
  "TypeError",
  "RangeError",
] as const;
const OTHER_FAILURE = "other";
/** Counts of all stages; their names are ours, with reasons from closed lists in them. */
const MAX_ITEMS = 400;

/** Families labelled by stage. */
export class StageMetrics {
  readonly #registry: Registry;
  readonly #cycles;
  readonly #failures;
  readonly #cycleSeconds;

  constructor(registry: Registry) {
    this.#registry = registry;
    this.#cycleSeconds = histogram(registry, {
      name: "bigbrotr_cycle_duration_seconds",
      help: "How long a stage's cycles took.",
      labels: ["stage"],
      buckets: CYCLE_BUCKETS,
    });
    this.#cycles = counter(registry, {
      name: "bigbrotr_cycles_total",
      help: "Cycles of a stage by how they ended (success, failure).",
      labels: ["stage", "result"],
    });
    this.#failures = counter(registry, {
      name: "bigbrotr_cycle_failures_total",
      help: "Failed cycles of a stage by the kind of error.",
      labels: ["stage", "reason"],
    });
  }

  /** A stage that runs: its counters begin at 0, so that the first failure is seen as a change. */
  open(stage: string): void {
    for (const result of ["success", "failure"]) this.#cycles.inc({ stage, result }, 0);
    for (const reason of [...FAILURES, OTHER_FAILURE]) this.#failures.inc({ stage, reason }, 0);
  }

  /** After each cycle of a stage. */
  cycle(status: CycleStatus, error: unknown | undefined): void {
    const stage = status.name;
    this.#cycles.inc({ stage, result: error === undefined ? "success" : "failure" });
    this.#cycleSeconds.observe({ stage }, (status.lastDurationMs ?? 0) / 1000);
    if (error !== undefined) this.#failures.inc({ stage, reason: failureReason(error) });
  }

  /** What each stage counted and when, read when somebody asks. */
  watch(statuses: () => readonly CycleStatus[]): void {
    const items = new LabelGuard(MAX_ITEMS);
    counter(this.#registry, {
      name: "bigbrotr_stage_items_total",
      help: "What the stages did, each by its own counts.",
      labels: ["stage", "item"],
      collect: (family) => {
        family.reset();
        for (const { name, totals } of statuses()) {
          for (const [item, n] of Object.entries(totals)) {
            family.inc({ stage: name, item: items.value(item) }, n);
          }
        }
      },
    });
    gauge(this.#registry, {
      name: "bigbrotr_stage_now",
      help: "How things stand in a stage now, by its own names.",
      labels: ["stage", "item"],
      collect: (family) => {
        family.reset();
        for (const { name, now = {} } of statuses()) {
          for (const [item, n] of Object.entries(now)) {
            family.set({ stage: name, item: items.value(item) }, n);
          }
        }
      },
    });
    for (const [name, { field, help }] of Object.entries(MOMENTS)) {
      gauge(this.#registry, {
        name,
        help,
        labels: ["stage"],
        collect: (family) => {
          for (const status of statuses()) {
            const value = status[field];
            if (value !== undefined) family.set({ stage: status.name }, value);
          }
        },
      });
    }
  }
}

const MOMENTS = {
  bigbrotr_stage_last_success_timestamp_seconds: {
    field: "lastSuccessAt",
    help: "When a cycle of the stage last succeeded, in Unix seconds.",
  },
  bigbrotr_stage_last_progress_timestamp_seconds: {
    field: "lastProgressAt",
    help: "When the stage last did something, in Unix seconds.",
  },
  bigbrotr_stage_consecutive_failures: {
    field: "consecutiveFailures",
    help: "Failed cycles in a row, up to now.",
  },
} as const;

/** The kind of error, out of a closed list: a name that a library makes up can't add a series. */
export function failureReason(error: unknown): string {
  const name = error instanceof Error ? error.name : "";
  return FAILURES.find((known) => known === name) ?? OTHER_FAILURE;
}
