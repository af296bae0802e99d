// How often one address may ask: a bucket that fills evenly, kept as one moment per address (GCRA).
// In: an address and the time. Out: whether it may, and the headers that say so. Never holds more
// addresses than it is told to; who is forgotten begins anew.
import ipaddr from "ipaddr.js";
import { LRUCache } from "lru-cache";
import type { Clock } from "../lib/clock.ts";

/** What an address has used and may still use. */
export interface RateVerdict {
  isAllowed: boolean;
  limit: number;
  windowSeconds: number;
  /** Requests that may follow at once. */
  remaining: number;
  /** Seconds until the whole limit is there again. */
  resetSeconds: number;
  /** Seconds until the next request is answered; 0 when it would be now. */
  retryAfterSeconds: number;
}

/** `requests` in `windowMs`, for at most `maxAddresses` addresses at a time. */
export class RateLimit {
  readonly #requests: number;
  readonly #windowMs: number;
  readonly #clock: Clock;
  // When each address will have everything back, in monotonic ms.
  readonly #fullAt: LRUCache<string, number>;

  constructor(
    options: { requests: number; windowMs: number; maxAddresses: number; clock: Clock },
  ) {
    this.#requests = options.requests;
    this.#windowMs = options.windowMs;
    this.#clock = options.clock;
    this.#fullAt = new LRUCache({ max: options.maxAddresses });
  }

  /** Takes one request of this address, if it may. */
  take(address: string): RateVerdict {
    const key = addressKey(address);
    const now = this.#clock.monotonicMs();
    const costMs = this.#windowMs / this.#requests;
    const used = Math.max(0, (this.#fullAt.get(key) ?? now) - now);
    const isAllowed = used + costMs <= this.#windowMs + 1e-6;
    const usedMs = isAllowed ? used + costMs : used;
    this.#fullAt.set(key, now + usedMs);
    const remaining = Math.max(0, Math.floor((this.#windowMs - usedMs) / costMs + 1e-6));
    return {
      isAllowed,
      limit: this.#requests,
      windowSeconds: Math.ceil(this.#windowMs / 1000),
      remaining,
      resetSeconds: Math.ceil(usedMs / 1000),
      retryAfterSeconds: remaining > 0
        ? 0
        : Math.max(1, Math.ceil((usedMs + costMs - this.#windowMs) / 1000)),
    };
  }
}

/** The RateLimit fields of the IETF draft, in the form that clients read. */
export function rateHeaders(verdict: RateVerdict): Record<string, string> {
  const { limit, windowSeconds, remaining, resetSeconds } = verdict;
  return {
    "ratelimit-policy": `${limit};w=${windowSeconds}`,
    "ratelimit-limit": String(limit),
    "ratelimit-remaining": String(remaining),
    "ratelimit-reset": String(resetSeconds),
  };
}

/**
 * Whose request it is: the peer's address, or, where a proxy connects from loopback and `header` is
 * set, the last address in that header (the one that the proxy itself saw).
 */
export function clientAddress(peer: string, headers: Headers, header: string | undefined): string {
  if (header === undefined || rangeOf(peer) !== "loopback") return peer;
  const last = headers.get(header)?.split(",").at(-1)?.trim() ?? "";
  return ipaddr.isValid(last) ? last : peer;
}

/** One key for each IPv4 address and for each IPv6 network of a customer (/64). */
function addressKey(address: string): string {
  if (!ipaddr.isValid(address)) return address.slice(0, 64);
  const parsed = ipaddr.process(address);
  if (parsed.kind() === "ipv4") return parsed.toString();
  return parsed.toByteArray().slice(0, 8).join(".");
}

function rangeOf(address: string): string | undefined {
  return ipaddr.isValid(address) ? ipaddr.process(address).range() : undefined;
}
