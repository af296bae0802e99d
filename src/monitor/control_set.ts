// Whose fault is it? Before failures are believed, we are checked ourselves: against relays that
// were good until now, and against some that proved life a short while ago.
// In: how the checks of a cycle went, per network. Out: a verdict. Opens no connection of its own.
import type { RelayState } from "../model/check.ts";
import { hostPortOf, type RelayUrl } from "../model/relay_url.ts";

/** When failures are taken for our own. */
export interface ControlConfig {
  /** Fewer known-good relays than this prove nothing against us. */
  minimum: number;
  /** Our fault, when a larger share of the known-good ones fails. */
  maxFailedShare: number;
}

/** True for a relay whose failure would surprise. */
export function isKnownGood(before: { state: RelayState; failures: number }): boolean {
  return before.state === "online" && before.failures === 0;
}

/** So many of the latest are looked at apart: hundreds of successes before would hide an outage. */
const LATEST = 10;

/** Counts how the known-good relays of one network fared in one cycle. */
export class ControlSet {
  readonly #config: ControlConfig;
  readonly #latest: boolean[] = [];
  #alive = 0;
  #failed = 0;

  constructor(config: ControlConfig) {
    this.#config = config;
  }

  /** One known-good relay was checked. */
  add(alive: boolean): void {
    if (alive) this.#alive += 1;
    else this.#failed += 1;
    this.#latest.push(alive);
    if (this.#latest.length > LATEST) this.#latest.shift();
  }

  /** True when most failed, or enough of the latest did: time to ask further relays. */
  get suspicious(): boolean {
    return this.#isMost(this.#failed, this.#alive + this.#failed) || this.turning;
  }

  /** True when most of the latest failed, whatever came before. */
  get turning(): boolean {
    const { length } = this.#latest;
    const failed = this.#latest.filter((alive) => !alive).length;
    return length >= this.#config.minimum && this.#isMost(failed, length);
  }

  /** True when so many failed that the fault is ours. */
  get ownOutage(): boolean {
    return this.suspicious && this.#alive + this.#failed >= this.#config.minimum;
  }

  /** For the log. */
  toString(): string {
    return `${this.#failed} of ${this.#alive + this.#failed} known-good relays failed`;
  }

  #isMost(failed: number, total: number): boolean {
    return failed > 0 && failed > total * this.#config.maxFailedShare;
  }
}

/** The relays that proved life last, one per host and port, newest last; bounded. */
export class RecentlyAlive {
  readonly #capacity: number;
  readonly #urls = new Map<string, RelayUrl>();

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  add(url: RelayUrl): void {
    const key = hostKey(url);
    this.#urls.delete(key);
    this.#urls.set(key, url);
    for (const oldest of this.#urls.keys()) {
      if (this.#urls.size <= this.#capacity) return;
      this.#urls.delete(oldest);
    }
  }

  /** Forgets the host of one that failed, so that it vouches for nobody. */
  delete(url: RelayUrl): void {
    this.#urls.delete(hostKey(url));
  }

  /** The newest ones, at most `count`. */
  newest(count: number): RelayUrl[] {
    return [...this.#urls.values()].slice(-count).reverse();
  }
}

function hostKey(url: RelayUrl): string {
  const { host, port } = hostPortOf(url);
  return `${host} ${port}`;
}
