/**
 * The four families that dashboards of the Python BigBrotr (6.6) read, under their old names and
 * labels: `service_info`, `service_gauge`, `service_counter_total`, `cycle_duration_seconds`. In:
 * what the stages report. Out: families in a registry, so that those dashboards carry over. Never:
 * a name that our own families depend on.
 */
import type { CycleStatus } from "../lib/cycle.ts";
import { counter, gauge, histogram, LabelGuard, type Registry } from "../lib/metrics.ts";
import { failureReason } from "./stage_metrics.ts";

/** Its ten buckets, from 1 s to 1 h. */
const BUCKETS = [1, 5, 10, 30, 60, 120, 300, 600, 1800, 3600] as const;
/** Counts of all services together. */
const MAX_NAMES = 400;

/** Its gauges by service, and which of our counts say the same. Sums since the start, as there. */
const GAUGES: Readonly<Record<string, Readonly<Record<string, readonly string[]>>>> = {
  finder: { rows_seen: ["events_read"], relays_seen: ["candidates_inserted"] },
  validator: {
    total: ["candidates_claimed"],
    validated: ["candidates_promoted"],
    not_validated: ["candidates_put_off", "candidates_junk"],
  },
  monitor: { total: ["checks_done"], succeeded: ["relays_online"] },
  synchronizer: {
    total_relays: ["relays_synced", "relays_failed"],
    relays_seen: ["relays_synced"],
    events_seen: ["events_received"],
  },
};

/** Families labelled by service: what we call a stage. */
export class PredecessorMetrics {
  readonly #registry: Registry;
  readonly #cycleSeconds;
  /** Failed cycles by service and the kind of error. */
  readonly #errors = new Map<string, Map<string, number>>();
  readonly #requests = new Map<string, { total: number; failed: number }>();

  constructor(registry: Registry) {
    this.#registry = registry;
    this.#cycleSeconds = histogram(registry, {
      name: "cycle_duration_seconds",
      help: "Duration of service cycle in seconds",
      labels: ["service"],
      buckets: BUCKETS,
    });
  }

  /** After each cycle of a stage. Only good ones are in the histogram, as there. */
  cycle(status: CycleStatus, error: unknown | undefined): void {
    const service = status.name;
    if (error === undefined) {
      this.#cycleSeconds.observe({ service }, (status.lastDurationMs ?? 0) / 1000);
      return;
    }
    const errors = this.#errors.get(service) ?? new Map<string, number>();
    this.#errors.set(service, errors);
    const name = `errors_${failureReason(error)}`;
    errors.set(name, (errors.get(name) ?? 0) + 1);
  }

  /** After each request to a front door. */
  request(service: "api" | "dvm", ok: boolean): void {
    const counts = this.#requests.get(service) ?? { total: 0, failed: 0 };
    this.#requests.set(service, counts);
    counts.total += 1;
    if (!ok) counts.failed += 1;
  }

  /** How each stage fares, read when somebody asks. */
  watch(statuses: () => readonly CycleStatus[]): void {
    const guard = new LabelGuard(MAX_NAMES);
    gauge(this.#registry, {
      name: "service_info",
      help: "Service information and metadata",
      labels: ["service"],
      collect: (family) => {
        for (const { name } of statuses()) family.set({ service: name }, 1);
        for (const service of this.#requests.keys()) family.set({ service }, 1);
      },
    });
    gauge(this.#registry, {
      name: "service_gauge",
      help: "Service gauge values (point-in-time state)",
      labels: ["service", "name"],
      collect: (family) => {
        for (const status of statuses()) {
          for (const [name, value] of gaugesOf(status)) {
            family.set({ service: status.name, name }, value);
          }
        }
        if (!this.#requests.has("api")) return;
        // It has no status: that this is answered is its sign of life.
        const now = Math.floor(Date.now() / 1000);
        family.set({ service: "api", name: "last_cycle_timestamp" }, now);
        family.set({ service: "api", name: "consecutive_failures" }, 0);
      },
    });
    counter(this.#registry, {
      name: "service_counter_total",
      help: "Service counter values (cumulative totals)",
      labels: ["service", "name"],
      collect: (family) => {
        family.reset();
        const add = (service: string, name: string, n: number): void => {
          family.inc({ service, name: guard.value(name) }, n);
        };
        for (const { name, cycles, failures, totals } of statuses()) {
          add(name, "cycles_success", cycles - failures);
          add(name, "cycles_failed", failures);
          for (const [error, n] of this.#errors.get(name) ?? []) add(name, error, n);
          for (const [item, n] of Object.entries(totals)) add(name, `total_${item}`, n);
        }
        for (const [service, { total, failed }] of this.#requests) {
          add(service, "requests_total", total);
          add(service, "requests_failed", failed);
        }
      },
    });
  }
}

function gaugesOf(status: CycleStatus): [name: string, value: number][] {
  const { name, consecutiveFailures, lastSuccessAt, totals } = status;
  const gauges: [string, number][] = [["consecutive_failures", consecutiveFailures]];
  if (lastSuccessAt !== undefined) gauges.push(["last_cycle_timestamp", lastSuccessAt]);
  for (const [gauge, items] of Object.entries(GAUGES[name] ?? {})) {
    gauges.push([gauge, items.reduce((sum, item) => sum + (totals[item] ?? 0), 0)]);
  }
  if (name === "monitor") {
    gauges.push(["failed", (totals["checks_done"] ?? 0) - (totals["relays_online"] ?? 0)]);
  }
  return gauges;
}
