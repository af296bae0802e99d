// When a candidate that failed is tried again, and when it is junk. Pure arithmetic over its count
// of failures: no clock of its own, no I/O. A tombstone is a postponement too, a far one, so that
// the next list that names the same junk does not bring it back.
import type { ProofFailure } from "./proof.ts";

/** How long failures postpone a candidate. */
export interface PostponementConfig {
  /** Waits after the first, second, … failure; the last one repeats. Milliseconds. */
  retryDelaysMs: readonly number[];
  /** So many failures, the last one of a kind that does not pass by itself, make it junk. */
  junkAfter: number;
  /** So many failures of any kind make it junk. */
  giveUpAfter: number;
  /** How long junk is left alone, in milliseconds. */
  junkRestMs: number;
}

/** What becomes of a candidate. */
export interface Postponement {
  /** Unix seconds. */
  nextAttemptAt: number;
  junk: boolean;
}

/** Waits vary by this share each way, so that a list's candidates don't come back as one burst. */
const JITTER = 0.2;

/** Reasons that time rarely cures: the name is gone, or what answers there is no relay. */
const LASTING: ReadonlySet<ProofFailure["reason"]> = new Set([
  "name_not_found",
  "forbidden_address",
  "bad_url",
  "not_websocket",
  "http_status",
  "not_nostr",
]);

/**
 * The next attempt after a failure. `attempts` counts the failures before this one; `at` is now in
 * Unix seconds.
 */
export function postpone(
  failure: ProofFailure,
  attempts: number,
  config: PostponementConfig,
  options: { at: number; random: () => number },
): Postponement {
  const failures = attempts + 1;
  const junk = failures >= config.giveUpAfter ||
    (isLasting(failure) && failures >= config.junkAfter);
  const delays = config.retryDelaysMs;
  const delayMs = junk ? config.junkRestMs : delays[Math.min(attempts, delays.length - 1)] ?? 0;
  const spread = 1 + JITTER * (2 * options.random() - 1);
  const askedMs = failure.retryAfterMs ?? 0;
  return {
    nextAttemptAt: options.at + Math.ceil(Math.max(delayMs * spread, askedMs) / 1000),
    junk,
  };
}

/** Too Many Requests and server errors are the mood of a day; other statuses are what it is. */
function isLasting({ reason, httpStatus }: ProofFailure): boolean {
  if (reason === "http_status" && httpStatus !== undefined) {
    return httpStatus !== 429 && httpStatus < 500;
  }
  return LASTING.has(reason);
}
