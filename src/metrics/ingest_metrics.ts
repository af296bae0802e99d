/**
 * The families of the way into the archive: pages by network, ids that were known, signatures,
 * batches. In: what ingest, the verifier and the synchronizer report. Out: families in a registry.
 * Never: a relay's URL as a label.
 */
import { DROP_REASONS, type DropCounts, type DropReason } from "../ingest/drop.ts";
import { counter, gauge, histogram, type Registry } from "../lib/metrics.ts";
import type { Verifier } from "../verify/verifier.ts";
import { BATCH_BUCKETS, LAG_BUCKETS, TURN_BUCKETS } from "./buckets.ts";

/** What is read of a verifier. */
export type WatchedVerifier = Pick<Verifier, "backend" | "workers" | "stats">;

/** Families of what comes in. */
export class IngestMetrics {
  readonly #registry: Registry;
  readonly #dropped;
  readonly #known;
  readonly #batchSeconds;
  readonly #batchRows;
  readonly #events;
  readonly #turns;
  readonly #turnSeconds;
  readonly #tailLag;

  constructor(registry: Registry) {
    this.#registry = registry;
    this.#dropped = counter(registry, {
      name: "bigbrotr_ingest_dropped_total",
      help: "Events that were received and not archived, by reason.",
      labels: ["reason"],
    });
    for (const reason of DROP_REASONS) this.#dropped.inc({ reason }, 0);
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
    this.#events = counter(registry, {
      name: "bigbrotr_sync_events_total",
      help:
        "Events that relays sent to the archive, by network and result (new, repeated, dropped).",
      labels: ["network", "result"],
    });
    this.#tailLag = histogram(registry, {
      name: "bigbrotr_tail_lag_seconds",
      help: "From the date of an event that came live to its commit.",
      buckets: LAG_BUCKETS,
    });
    this.#turns = counter(registry, {
      name: "bigbrotr_sync_turns_total",
      help: "Turns of relays in the archive, by network and outcome.",
      labels: ["network", "outcome"],
    });
    this.#turnSeconds = histogram(registry, {
      name: "bigbrotr_sync_turn_duration_seconds",
      help: "How long the turn of a relay took, by network.",
      labels: ["network"],
      buckets: TURN_BUCKETS,
    });
  }

  /** Events that ingest did not take. */
  dropped(reason: DropReason, n: number): void {
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
    this.#batchSeconds.observe({}, facts.ms / 1000);
    this.#batchRows.inc({ table: "event" }, facts.events);
    this.#batchRows.inc({ table: "event_relay" }, facts.sightings);
  }

  /** A page of a relay is committed. */
  page(
    network: string,
    { newEvents, repeated, dropped }: { newEvents: number; repeated: number; dropped: DropCounts },
  ): void {
    let drops = 0;
    for (const reason of DROP_REASONS) drops += dropped[reason] ?? 0;
    this.#events.inc({ network, result: "new" }, newEvents);
    this.#events.inc({ network, result: "repeated" }, repeated);
    this.#events.inc({ network, result: "dropped" }, drops);
  }

  /** An event that came live was committed so long after its date. */
  tailLag(seconds: number): void {
    this.#tailLag.observe({}, seconds);
  }

  /** A relay's turn is over. */
  turn(network: string, { outcome, elapsedMs }: { outcome: string; elapsedMs: number }): void {
    this.#turns.inc({ network, outcome });
    this.#turnSeconds.observe({ network }, elapsedMs / 1000);
  }

  /** Which signature checker is in use, and what it judged. */
  watchVerifier(verifier: WatchedVerifier): void {
    gauge(this.#registry, {
      name: "bigbrotr_verifier_info",
      help: "Always 1; the labels say which library checks signatures, in how many threads.",
      labels: ["backend", "workers"],
    }).set({ backend: verifier.backend, workers: String(verifier.workers) }, 1);
    counter(this.#registry, {
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
}
