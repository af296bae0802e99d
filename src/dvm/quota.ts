// How much one customer may ask: a token bucket a key, so that a burst is fine and a flood is not.
// In: public keys that signed what we count. Out: whether there is room, and whether a refusal is
// still worth an event. Never grows with the number of customers beyond its bound.
import { LRUCache } from "lru-cache";
import { type Clock, systemClock } from "../lib/clock.ts";

/** Keys remembered; whoever is forgotten starts with a full bucket. */
const MAX_KEYS = 20_000;

/** What becomes of a request: taken, refused with a word, or dropped in silence. */
export type QuotaVerdict = "ok" | "refuse" | "silent";

/** How much may be asked; also the largest bursts. */
export interface QuotaOptions {
  /** Requests a minute of one key. */
  perPubkey: number;
  /** Requests a minute of all keys. */
  total: number;
  /**
   * Refusals a minute that one key is told; all keys together as many as `total`, because keys cost
   * nothing to make. The rest would only double the flood.
   */
  refusals: number;
  clock?: Clock;
}

/** Buckets by public key, and one for all. */
export class Quota {
  readonly #options: QuotaOptions;
  readonly #clock: Clock;
  readonly #keys = new LRUCache<string, { requests: Bucket; refusals: Bucket }>({ max: MAX_KEYS });
  readonly #total: Bucket;
  readonly #refusals: Bucket;

  constructor(options: QuotaOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#total = new Bucket(options.total, this.#clock.monotonicMs());
    this.#refusals = new Bucket(options.total, this.#clock.monotonicMs());
  }

  /** Counts one request of this key. */
  take(pubkey: string): QuotaVerdict {
    const { perPubkey, refusals } = this.#options;
    const nowMs = this.#clock.monotonicMs();
    const own = this.#keys.get(pubkey) ??
      { requests: new Bucket(perPubkey, nowMs), refusals: new Bucket(refusals, nowMs) };
    this.#keys.set(pubkey, own);
    // The key's own bucket first: one who floods does not use up everybody's.
    if (own.requests.take(nowMs) && this.#total.take(nowMs)) return "ok";
    return own.refusals.take(nowMs) && this.#refusals.take(nowMs) ? "refuse" : "silent";
  }
}

/** Tokens that come back evenly over a minute. */
class Bucket {
  readonly #size: number;
  #tokens: number;
  #atMs: number;

  constructor(size: number, nowMs: number) {
    this.#size = size;
    this.#tokens = size;
    this.#atMs = nowMs;
  }

  take(nowMs: number): boolean {
    const back = (nowMs - this.#atMs) / 60_000 * this.#size;
    this.#tokens = Math.min(this.#size, this.#tokens + back);
    this.#atMs = nowMs;
    if (this.#tokens < 1) return false;
    this.#tokens -= 1;
    return true;
  }
}
