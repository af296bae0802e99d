// How a relay's live session ended, and when the next one may begin: at once after one that lasted,
// later and later where another try makes no sense. In: the end, and how many did not last. Out:
// Unix seconds. Pure but for the random spread, which keeps relays from coming back together.
import { backoffMs } from "../../lib/retry.ts";
import type { OpenReason } from "../reasons.ts";

/** Why a live session is over. A closed list: it is counted by. */
export type TailEndReason =
  | OpenReason
  /** Another connection of ours has its host. */
  | "busy"
  /** It is to be left alone. */
  | "blocked"
  /** It sent more than a live relay has to say; what it holds is fetched by turns. */
  | "flooding"
  /** A relay that has more to say took its place. */
  | "displaced"
  /** Another process follows it now. */
  | "lease_lost"
  /** A fault of ours. */
  | "internal";

/** How a session went. */
export interface TailEnd {
  reason: TailEndReason;
  /** From EOSE on. */
  liveMs: number;
  /** As the relay asks (HTTP 429, 503). */
  retryAfterMs?: number | undefined;
}

const SECOND_MS = 1000;
const MINUTE_MS = 60 * SECOND_MS;
const HOUR_MS = 60 * MINUTE_MS;

/** A session that lasted so long was a good one. */
export const STABLE_MS = MINUTE_MS;

/** Sessions in a row that did not last, this one included. */
export function failuresAfter(end: TailEnd, before: number): number {
  return end.liveMs >= STABLE_MS ? 0 : before + 1;
}

/** When the relay may be followed again, Unix seconds. */
export function nextTailAt(
  end: TailEnd,
  { now, failures, random }: { now: number; failures: number; random: () => number },
): number {
  const [baseMs, maxMs] = restOf(end.reason);
  const restMs = backoffMs(Math.max(0, failures - 1), { baseMs, maxMs, random });
  return now + Math.ceil(Math.max(restMs, end.retryAfterMs ?? 0) / 1000);
}

function restOf(reason: TailEndReason): [baseMs: number, maxMs: number] {
  switch (reason) {
    case "stopped":
    case "lease_lost":
    case "disconnected":
    case "idle":
    case "unreachable":
      return [SECOND_MS, HOUR_MS];
    case "busy":
      return [MINUTE_MS, 10 * MINUTE_MS];
    case "displaced":
      return [10 * MINUTE_MS, 10 * MINUTE_MS];
    case "closed":
    case "notice":
    case "protocol_error":
      return [MINUTE_MS, 6 * HOUR_MS];
    case "blocked":
    case "rate_limited":
      return [10 * MINUTE_MS, 6 * HOUR_MS];
    case "flooding":
    case "internal":
      return [HOUR_MS, 6 * HOUR_MS];
    // Walls.
    default:
      return [6 * HOUR_MS, 24 * HOUR_MS];
  }
}
