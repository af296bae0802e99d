// When a relay's next turn is, by how the last one ended. In: a report. Out: seconds to wait. A
// relay that still has ground to give comes back at once, behind the others that are due; one that
// refuses is left alone for longer. Pure.
import { backoffMs } from "../lib/retry.ts";
import type { OpenReason } from "./reasons.ts";
import type { SyncReport } from "./sync_relay.ts";

/** What the waits are made of. */
export interface TurnConfig {
  /** Between turns of a relay that answers. */
  intervalMs: number;
}

/** Refusals do not pass within minutes: a wall stays a wall, a tired relay wants its rest. */
const REFUSALS: ReadonlySet<OpenReason> = new Set([
  "auth_required",
  "restricted",
  "rate_limited",
  "closed",
  "notice",
  "unreachable",
]);
/** A refusal multiplies the interval by this at the least, and by twice as much at the most. */
const REFUSAL_FACTOR = 4;

/** Seconds from now to the relay's next turn. */
export function nextTurnSeconds(
  report: Pick<SyncReport, "reason">,
  config: TurnConfig,
  random: () => number,
): number {
  const { reason } = report;
  if (reason === "time_up") return 0;
  const { intervalMs } = config;
  if (reason !== undefined && REFUSALS.has(reason)) {
    const baseMs = 2 * REFUSAL_FACTOR * intervalMs;
    return backoffMs(0, { baseMs, maxMs: baseMs, random }) / 1000;
  }
  return intervalMs / 1000;
}
