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

/** When a check was, and what its successor's time depends on. */
export interface CheckMoment {
  /** Unix seconds. */
  at: number;
  /** The relay's own place in the interval, from 0 up to 1. */
  phase: number;
  random: () => number;
}

/** Waits vary by this share each way: after a failure, and around a relay's own moment. */
const JITTER = 0.1;
const MOMENT_JITTER = 0.02;
/** The least wait for a relay's own moment, as a share of the interval. */
const LEAST_SHARE = 0.25;

/** The standing after a check. One success is proof of life, whatever came before. */
export function nextStanding(
  before: Standing,
  alive: boolean,
  config: LadderConfig,
  moment: CheckMoment,
): NextStanding {
  const { at, random } = moment;
  if (alive) {
    return { state: "online", failures: 0, nextCheckAt: ownMoment(config.checkIntervalMs, moment) };
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

/**
 * Each relay has a moment of its own in every interval. So ten thousand that came in one batch, or
 * were all due when the process came back, are spread evenly with their next check and stay so; by
 * chance alone that would take days. The price: a wait is between 0.25 and 1.25 intervals once, and
 * one interval from then on.
 */
function ownMoment(intervalMs: number, { at, phase, random }: CheckMoment): number {
  const offsetMs = phase * intervalMs;
  const earliestMs = at * 1000 + LEAST_SHARE * intervalMs;
  const round = Math.ceil((earliestMs - offsetMs) / intervalMs);
  const jitterMs = MOMENT_JITTER * (2 * random() - 1) * intervalMs;
  return Math.max(at + 1, Math.round((round * intervalMs + offsetMs + jitterMs) / 1000));
}

function after(at: number, ms: number): number {
  return at + Math.max(1, Math.ceil(ms / 1000));
}
