// What checks over time make of a relay: online, unreachable, dead, and when it is asked again.
// In: where it stood and how the check went. Out: where it stands and the next check. Pure
// arithmetic; nothing is demoted on one bad cycle, and nothing is ever given up wholly.
import type { RelayState } from "../model/check.ts";

/** How states change and checks are spaced. */
export interface LadderConfig {
  /** Between two checks of a relay that is online, in milliseconds. */
  checkIntervalMs: number;
  /** So many failures in a row make a relay unreachable. */
  unreachableAfter: number;
  /** So many failures in a row make it dead. */
  deadAfter: number;
  /** Waits after the first, second, … failure in a row; the last one repeats. Milliseconds. */
  retryDelaysMs: readonly number[];
}

/** Where a relay stands. */
export interface Standing {
  state: RelayState;
  /** Failures in a row. */
  failures: number;
}

/** Where it stands after a check. */
export interface NextStanding extends Standing {
  /** Unix seconds. */
  nextCheckAt: number;
}

/** Waits vary by this share each way. */
const JITTER = 0.1;

/**
 * The standing after a check. One success is proof of life, whatever came before. `at` is the
 * moment of the check in Unix seconds.
 */
export function nextStanding(
  before: Standing,
  alive: boolean,
  config: LadderConfig,
  options: { at: number; random: () => number },
): NextStanding {
  const { at, random } = options;
  if (alive) {
    // The first interval is cut at random: relays that came in one batch spread over the whole of
    // it, and stay spread.
    const share = before.state === "unknown"
      ? 0.25 + 0.75 * random()
      : 1 + JITTER * (2 * random() - 1);
    return { state: "online", failures: 0, nextCheckAt: after(at, config.checkIntervalMs * share) };
  }
  const failures = before.failures + 1;
  const delays = config.retryDelaysMs;
  const delayMs = delays[Math.min(failures, delays.length) - 1] ?? config.checkIntervalMs;
  const spread = 1 + JITTER * (2 * random() - 1);
  return {
    state: failures >= config.deadAfter
      ? "dead"
      : failures >= config.unreachableAfter
      ? "unreachable"
      : before.state,
    failures,
    nextCheckAt: after(at, delayMs * spread),
  };
}

function after(at: number, ms: number): number {
  return at + Math.max(1, Math.ceil(ms / 1000));
}
