/**
 * The metric families of the process, all in one place so that a name means one thing. In: what
 * stages, store, verifier and ingest report, each by the narrow interface that it declares itself.
 * Out: the text of `/metrics`. Never: a label whose values a stranger chooses.
 */
import type { CycleStatus } from "./lib/cycle.ts";
import { counter, createRegistry, gauge, histogram, type Registry } from "./lib/metrics.ts";
import { NAME, VERSION } from "./lib/version.ts";
import type { QueryReport, Store } from "./store/connect.ts";
import type { Verifier } from "./verify/verifier.ts";

/** Cycles take from a blink to hours. */
const CYCLE_BUCKETS = [0.1, 1, 5, 15, 30, 60, 300, 900, 1800, 3600] as const;
const QUERY_BUCKETS = [0.001, 0.005, 0.02, 0.1, 0.5, 2, 10, 60] as const;
const RTT_BUCKETS = [0.01, 0.025, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 10, 30] as const;
const BATCH_BUCKETS = [0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 2, 10] as const;
/** How often the event loop is asked how late it is. */
const LAG_SAMPLE_MS = 500;

/** All families, and the methods by which they grow. */
export class Metrics implements Disposable {
  readonly #registry: Registry = createRegistry();
  readonly #cycleSeconds;
  readonly #cycles;
  readonly #querySeconds;
  readonly #queryFailures;
  readonly #dropped;
  readonly #known;
  readonly #batchSeconds;
  readonly #batchRows;
  readonly #rttOpen;
  readonly #checks;
  readonly #published;
  readonly #jobs;
  readonly #jobSeconds;
  readonly #liveRelays;
  readonly #http;
  readonly #httpSeconds;
  readonly #lag: LagMeter = new LagMeter();

  constructor() {
    const registry = this.#registry;
    gauge(registry, {
      name: "bigbrotr_build_info",
      help: "Always 1; the labels say what runs.",
      labels: ["name", "version", "deno"],
    }).set({ name: NAME, version: VERSION, deno: Deno.version.deno }, 1);
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
    this.#querySeconds = histogram(registry, {
      name: "bigbrotr_store_query_duration_seconds",
      help: "Pieces of work in the database, waiting included, by name.",
      labels: ["query"],
      buckets: QUERY_BUCKETS,
    });
    this.#queryFailures = counter(registry, {
      name: "bigbrotr_store_query_failures_total",
      help: "Pieces of work in the database that failed for good, by name.",
      labels: ["query"],
    });
    this.#dropped = counter(registry, {
      name: "bigbrotr_ingest_dropped_total",
      help: "Events that were received and not archived, by reason.",
      labels: ["reason"],
    });
    this.#known = counter(registry, {
      name: "bigbrotr_ingest_known_total",
      help: "Look-ups of event ids, by where the answer was found (memory, store, nowhere).",
      labels: ["found"],
    });
    this.#batchSeconds = histogram(registry, {
      name: "bigbrotr_ingest_batch_duration_seconds",
      help: "How long writing one batch of events and sightings took.",
      buckets: BATCH_BUCKETS,
    });
    this.#batchRows = counter(registry, {
      name: "bigbrotr_ingest_rows_total",
      help: "Rows handed to the database, by table (event, event_relay).",
      labels: ["table"],
    });
    this.#rttOpen = histogram(registry, {
      name: "bigbrotr_check_rtt_open_seconds",
      help: "From dialling a relay to an open WebSocket.",
      labels: ["network"],
      buckets: RTT_BUCKETS,
    });
    this.#checks = counter(registry, {
      name: "bigbrotr_checks_total",
      help: "Checks of relays by network and what they found (online, or the reason).",
      labels: ["network", "result"],
    });
    this.#published = counter(registry, {
      name: "bigbrotr_published_total",
      help: "Events sent to relays by kind and result (ok, or the reason).",
      labels: ["kind", "result"],
    });
    this.#jobs = counter(registry, {
      name: "bigbrotr_dvm_jobs_total",
      help: "Job requests by kind and how they ended.",
      labels: ["kind", "result"],
    });
    this.#jobSeconds = histogram(registry, {
      name: "bigbrotr_dvm_job_duration_seconds",
      help: "From receiving a job request to its terminal answer.",
      labels: ["kind"],
      buckets: QUERY_BUCKETS,
    });
    this.#liveRelays = gauge(registry, {
      name: "bigbrotr_dvm_relays_connected",
      help: "Relays that jobs are listened for on, connected now.",
    });
    this.#http = counter(registry, {
      name: "bigbrotr_http_requests_total",
      help: "HTTP requests by route and status.",
      labels: ["route", "status"],
    });
    this.#httpSeconds = histogram(registry, {
      name: "bigbrotr_http_request_duration_seconds",
      help: "How long HTTP requests took, by route.",
      labels: ["route"],
      buckets: QUERY_BUCKETS,
    });
    this.#addProcess();
  }

  /** The exposition text of `/metrics`. */
  text(): Promise<string> {
    return this.#registry.metrics();
  }

  /** After each cycle of a stage. */
  cycle(status: CycleStatus, error: unknown | undefined): void {
    const labels = { stage: status.name };
    this.#cycles.inc({ ...labels, result: error === undefined ? "success" : "failure" });
    this.#cycleSeconds.observe(labels, (status.lastDurationMs ?? 0) / 1000);
  }

  /** After each piece of work of the store. */
  query(query: QueryReport): void {
    this.#querySeconds.observe({ query: query.name }, query.elapsedMs / 1000);
    if (!query.ok) this.#queryFailures.inc({ query: query.name });
  }

  /** Events that ingest did not take. */
  dropped(reason: string, n: number): void {
    this.#dropped.inc({ reason }, n);
  }

  /** Look-ups of ids by ingest. */
  known(facts: { remembered: number; stored: number; unknown: number }): void {
    this.#known.inc({ found: "memory" }, facts.remembered);
    this.#known.inc({ found: "store" }, facts.stored);
    this.#known.inc({ found: "nowhere" }, facts.unknown);
  }

  /** After each batch that ingest wrote. */
  batch(facts: { events: number; sightings: number; ms: number }): void {
    this.#batchSeconds.observe(facts.ms / 1000);
    this.#batchRows.inc({ table: "event" }, facts.events);
    this.#batchRows.inc({ table: "event_relay" }, facts.sightings);
  }

  /** After each check: `result` is "online" or a reason from its closed list. */
  checked(network: string, result: string): void {
    this.#checks.inc({ network, result });
  }

  /** How long opening a relay took. */
  rttOpen(network: string, ms: number): void {
    this.#rttOpen.observe({ network }, ms / 1000);
  }

  /** After each event was sent to one relay: "ok", or the reason. Kinds are only our own. */
  published(kind: number, result: string): void {
    this.#published.inc({ kind: String(kind), result });
  }

  /** After a job request came to an end. Kinds are only those we answer. */
  job(kind: number, result: string, elapsedMs: number | undefined): void {
    this.#jobs.inc({ kind: String(kind), result });
    if (elapsedMs !== undefined) this.#jobSeconds.observe({ kind: String(kind) }, elapsedMs / 1000);
  }

  /** How many relays the data vending machine is connected to. */
  dvmRelays(connected: number): void {
    this.#liveRelays.set(connected);
  }

  /** After each HTTP request; `route` is the pattern, never the path. */
  request(route: string, status: number, elapsedMs: number): void {
    this.#http.inc({ route, status: String(status) });
    this.#httpSeconds.observe({ route }, elapsedMs / 1000);
  }

  /** What each stage counted, read when somebody asks. */
  watchStages(statuses: () => readonly CycleStatus[]): void {
    const registry = this.#registry;
    counter(registry, {
      name: "bigbrotr_stage_items_total",
      help: "What the stages did, each by its own counts.",
      labels: ["stage", "item"],
      collect: (family) => {
        family.reset();
        for (const { name, totals } of statuses()) {
          for (const [item, n] of Object.entries(totals)) family.inc({ stage: name, item }, n);
        }
      },
    });
    const moments = {
      bigbrotr_stage_last_success_timestamp_seconds: "lastSuccessAt",
      bigbrotr_stage_last_progress_timestamp_seconds: "lastProgressAt",
      bigbrotr_stage_consecutive_failures: "consecutiveFailures",
    } as const;
    const help = {
      lastSuccessAt: "When a cycle of the stage last succeeded, in Unix seconds.",
      lastProgressAt: "When the stage last did something, in Unix seconds.",
      consecutiveFailures: "Failed cycles in a row, up to now.",
    } as const;
    for (const [name, field] of Object.entries(moments)) {
      gauge(registry, {
        name,
        help: help[field],
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

  /** The store's state and pool, read when somebody asks. */
  watchStore(store: Store): void {
    const registry = this.#registry;
    gauge(registry, {
      name: "bigbrotr_store_up",
      help: "1 while the database answers, 0 while it is away.",
      labels: ["store"],
      collect: (family) => {
        family.set({ store: store.kind }, store.health().state === "up" ? 1 : 0);
      },
    });
    gauge(registry, {
      name: "bigbrotr_store_connections",
      help: "Connections of the pool by state, and work that waits for one.",
      labels: ["state"],
      collect: (family) => {
        const { max, open, inUse, waiting } = store.stats();
        family.set({ state: "max" }, max);
        family.set({ state: "open" }, open);
        family.set({ state: "in_use" }, inUse);
        family.set({ state: "waiting" }, waiting);
      },
    });
    counter(registry, {
      name: "bigbrotr_store_retries_total",
      help: "Pieces of work that were tried again after a conflict or while the database was away.",
      collect: (family) => {
        family.reset();
        family.inc(store.stats().retries);
      },
    });
  }

  /** Which signature checker is in use, and what it judged. */
  watchVerifier(verifier: Verifier): void {
    const registry = this.#registry;
    gauge(registry, {
      name: "bigbrotr_verifier_info",
      help: "Always 1; the label says which library checks signatures.",
      labels: ["backend"],
    }).set({ backend: verifier.backend }, 1);
    counter(registry, {
      name: "bigbrotr_verified_total",
      help: "Events whose id and signature were checked, by verdict.",
      labels: ["verdict"],
      collect: (family) => {
        family.reset();
        for (const [verdict, n] of Object.entries(verifier.stats().verdicts)) {
          family.inc({ verdict }, n);
        }
      },
    });
  }

  /** Stops measuring. */
  [Symbol.dispose](): void {
    this.#lag[Symbol.dispose]();
  }

  #addProcess(): void {
    const registry = this.#registry;
    gauge(registry, {
      name: "process_resident_memory_bytes",
      help: "Resident memory of the process.",
      collect: (family) => family.set(Deno.memoryUsage().rss),
    });
    gauge(registry, {
      name: "bigbrotr_event_loop_lag_seconds",
      help: "The longest that the event loop was late since the last reading.",
      collect: (family) => family.set(this.#lag.takeMaxMs() / 1000),
    });
    gauge(registry, {
      name: "process_start_time_seconds",
      help: "When the process started, in Unix seconds.",
    }).set(Math.floor(performance.timeOrigin / 1000));
  }
}

/** Sleeps again and again, and notes how much later than asked it woke. */
class LagMeter implements Disposable {
  readonly #timer: ReturnType<typeof setInterval>;
  #maxMs = 0;
  #expectedMs = performance.now() + LAG_SAMPLE_MS;

  constructor() {
    this.#timer = setInterval(() => {
      const nowMs = performance.now();
      this.#maxMs = Math.max(this.#maxMs, nowMs - this.#expectedMs);
      this.#expectedMs = nowMs + LAG_SAMPLE_MS;
    }, LAG_SAMPLE_MS);
    this.#timer.unref();
  }

  /** The longest delay since the last call. */
  takeMaxMs(): number {
    const maxMs = this.#maxMs;
    this.#maxMs = 0;
    return maxMs;
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }
}
