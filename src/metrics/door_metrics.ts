/**
 * The families of the front doors: jobs of the data vending machine, requests over HTTP. In: what
 * the doors report. Out: families in a registry. Never: a path or a customer as a label.
 */
import { counter, gauge, histogram, type Registry } from "../lib/metrics.ts";
import { QUERY_BUCKETS } from "./buckets.ts";
import type { PredecessorMetrics } from "./predecessor_metrics.ts";

/** Jobs that were worked on, and how that ended: what was not for us, or came too often, is neither. */
const WORKED_ON: Readonly<Record<string, boolean>> = { success: true, failed: false, error: false };

/** Families of questions and answers. */
export class DoorMetrics {
  readonly #predecessor: PredecessorMetrics;
  readonly #jobs;
  readonly #jobSeconds;
  readonly #jobRelays;
  readonly #requests;
  readonly #requestSeconds;

  constructor(registry: Registry, predecessor: PredecessorMetrics) {
    this.#predecessor = predecessor;
    this.#jobs = counter(registry, {
      name: "bigbrotr_dvm_jobs_total",
      help: "Job requests by kind and how they ended.",
      labels: ["kind", "result"],
    });
    this.#jobSeconds = histogram(registry, {
      name: "bigbrotr_dvm_job_duration_seconds",
      help: "From receiving a job request, or its payment, to its terminal answer.",
      labels: ["kind"],
      buckets: QUERY_BUCKETS,
    });
    this.#jobRelays = gauge(registry, {
      name: "bigbrotr_dvm_relays_connected",
      help: "Relays that jobs are listened for on, connected now.",
    });
    this.#requests = counter(registry, {
      name: "bigbrotr_http_requests_total",
      help: "HTTP requests by route and status.",
      labels: ["route", "status"],
    });
    this.#requestSeconds = histogram(registry, {
      name: "bigbrotr_http_request_duration_seconds",
      help: "How long HTTP requests took, by route.",
      labels: ["route"],
      buckets: QUERY_BUCKETS,
    });
  }

  /** After a job request came to an end. Kinds are only those we answer. */
  job(kind: number, result: string, elapsedMs: number | undefined): void {
    this.#jobs.inc({ kind: String(kind), result });
    if (elapsedMs !== undefined) this.#jobSeconds.observe({ kind: String(kind) }, elapsedMs / 1000);
    const isGood = WORKED_ON[result];
    if (isGood !== undefined) this.#predecessor.request("dvm", isGood);
  }

  /** How many relays the data vending machine is connected to. */
  dvmRelays(connected: number): void {
    this.#jobRelays.set({}, connected);
  }

  /** After each HTTP request; `route` is the pattern, never the path. */
  request(route: string, status: number, elapsedMs: number): void {
    this.#requests.inc({ route, status: String(status) });
    this.#requestSeconds.observe({ route }, elapsedMs / 1000);
    this.#predecessor.request("api", status < 500);
  }
}
