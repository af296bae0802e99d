/**
 * Politeness over time, beside host_slots.ts: at most a few relays of one host in a cycle, the others
 * spread over the cycles to come. In: relay URLs in the order in which they are due. Out: how long
 * each has to wait. Remembers hosts for one cycle only.
 */
import { hostPortOf, networkOf, type RelayUrl } from "../model/relay_url.ts";

/** The longest that a host's many relays are put off. */
const MAX_WAIT_MS = 7 * 86_400_000;

/** Counts hosts. */
export class HostQuota {
  readonly #perCycle: number;
  readonly #spacingMs: number;
  readonly #taken = new Map<string, number>();

  /** `perCycle` relays of a host at once, as many again after each `spacingMs`. */
  constructor(options: { perCycle: number; spacingMs: number }) {
    this.#perCycle = options.perCycle;
    this.#spacingMs = options.spacingMs;
  }

  /** 0 for one that may go now; else the milliseconds to wait, more for each further one. */
  waitMs(url: RelayUrl): number {
    const key = hostKey(url);
    const before = this.#taken.get(key) ?? 0;
    this.#taken.set(key, before + 1);
    return Math.min(Math.floor(before / this.#perCycle) * this.#spacingMs, MAX_WAIT_MS);
  }
}

/** On one's own network ports are services of their own; elsewhere they are one stranger's machine. */
function hostKey(url: RelayUrl): string {
  const { host, port } = hostPortOf(url);
  return networkOf(url) === "local" ? `${host} ${port}` : host;
}
