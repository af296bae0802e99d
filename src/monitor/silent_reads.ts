// Relays that open and then leave a REQ unanswered, check after check: each costs a whole deadline
// every time, more than fifty that answer. After some silences in a row the read is left out, and
// tried again with its whole deadline once per interval. In: finished checks. Out: whether to ask.
// Kept in memory alone: a new process asks all of them once more.
import type { Check } from "../model/check.ts";
import type { RelayUrl } from "../model/relay_url.ts";

/** When reads are left out. */
export interface SilentReadsConfig {
  /** So many failures in a row are no accident. */
  unreachableAfter: number;
  /** Between two tries of a silent read, in milliseconds. */
  silentReadIntervalMs: number;
}

/** Relays remembered; the one that was asked longest ago is forgotten first. */
const MAX_REMEMBERED = 20_000;

/** Who was silent, and when it was asked last. */
export class SilentReads {
  readonly #config: SilentReadsConfig;
  readonly #silent = new Map<RelayUrl, { times: number; askedAt: number }>();

  constructor(config: SilentReadsConfig) {
    this.#config = config;
  }

  /** True when this relay's read should be left out of a check that begins now (Unix seconds). */
  rests(url: RelayUrl, now: number): boolean {
    const known = this.#silent.get(url);
    if (known === undefined || known.times < this.#config.unreachableAfter) return false;
    return now - known.askedAt < this.#config.silentReadIntervalMs / 1000;
  }

  /** Takes note of how a check's read went. One without a read says nothing. */
  learn({ url, read, checkedAt }: Pick<Check, "url" | "read" | "checkedAt">): void {
    if (read === undefined) return;
    const times = this.#silent.get(url)?.times ?? 0;
    this.#silent.delete(url);
    if (read.ok || read.reason !== "silent") return;
    this.#silent.set(url, { times: times + 1, askedAt: checkedAt });
    const oldest = this.#silent.size > MAX_REMEMBERED
      ? this.#silent.keys().next().value
      : undefined;
    if (oldest !== undefined) this.#silent.delete(oldest);
  }
}
