/**
 * The families of looking at relays and telling of it: candidates tried, checks made, round trips,
 * events published. In: what validator, monitor and publishers report. Out: families in a registry.
 * Never: a relay's URL as a label, nor a reason that a relay made up.
 */
import { counter, histogram, type Registry } from "../lib/metrics.ts";
import { RTT_BUCKETS } from "./buckets.ts";

/** The parts of a check whose time is worth a histogram. */
export type TimedPart = "open" | "read" | "write" | "nip11";

/** Families of checks and reports. */
export class RelayMetrics {
  readonly #tried;
  readonly #rtt;
  readonly #checks;
  readonly #published;

  constructor(registry: Registry) {
    this.#tried = counter(registry, {
      name: "bigbrotr_candidates_tried_total",
      help: "Candidates tried, by network and result (relay, or the reason why not).",
      labels: ["network", "result"],
    });
    this.#checks = counter(registry, {
      name: "bigbrotr_checks_total",
      help: "Checks of relays by network and what they found (online, or the reason).",
      labels: ["network", "result"],
    });
    this.#rtt = histogram(registry, {
      name: "bigbrotr_check_rtt_seconds",
      help:
        "Round trips of checks by network and part: open is from dialling to an open WebSocket.",
      labels: ["network", "part"],
      buckets: RTT_BUCKETS,
    });
    this.#published = counter(registry, {
      name: "bigbrotr_published_total",
      help: "Events sent to relays by kind and result (ok, or the reason).",
      labels: ["kind", "result"],
    });
  }

  /** A candidate was tried; `reason` says why it is no relay yet. */
  tried(network: string, reason: string | undefined): void {
    this.#tried.inc({ network, result: reason ?? "relay" });
  }

  /** After each check: `result` is "online" or a reason from its closed list. */
  checked(network: string, result: string): void {
    this.#checks.inc({ network, result });
  }

  /** How long one part of a check took. */
  rtt(network: string, part: TimedPart, ms: number): void {
    this.#rtt.observe({ network, part }, ms / 1000);
  }

  /** After each event was sent to one relay: "ok", or the reason. Kinds are only our own. */
  published(kind: number, result: string): void {
    this.#published.inc({ kind: String(kind), result });
  }
}
