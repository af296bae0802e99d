// When a relay has its next turn: at once where there is more to fetch, after the interval where all
// is well, later and later the less sense another try makes. In: how a turn ended. Out: Unix
// seconds. Pure but for the random spread, which keeps relays from coming back together.
import type { SyncReport } from "./sync_relay.ts";

const MINUTE = 60;
/** Whoever refuses us rests so many times as long as who was cut off; walls and habits longer. */
const REFUSED = 6;
const WALLED = 24;

/** How turns are spread. */
export interface RestOptions {
  /** Unix seconds. */
  now: number;
  intervalMs: number;
  /** The least rest after a turn that was cut off. */
  retryRestMs: number;
  random: () => number;
}

/** The time of the next turn, Unix seconds. */
export function nextTurnAt(
  report: Pick<SyncReport, "outcome" | "reason">,
  { now, intervalMs, retryRestMs, random }: RestOptions,
): number {
  if (report.reason === "time_up") return now;
  const restSeconds = Math.max(intervalMs / 1000, leastRest(report, retryRestMs / 1000));
  return now + Math.round(restSeconds * (1 + random() / 4));
}

function leastRest(
  { outcome, reason }: Pick<SyncReport, "outcome" | "reason">,
  retrySeconds: number,
): number {
  if (outcome === "busy") return MINUTE;
  switch (reason) {
    case undefined:
    // What the relay lists and does not give is tried again as gaps are; the rest goes on.
    case "undelivered":
      return 0;
    case "disconnected":
    case "idle":
    case "unreachable":
    case "rate_limited":
      return retrySeconds;
    case "all_dropped":
    case "closed":
    case "notice":
    case "protocol_error":
      return REFUSED * retrySeconds;
    // Walls and habits: another day, or never.
    default:
      return WALLED * retrySeconds;
  }
}
