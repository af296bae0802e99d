// What a turn tells: while it runs, and when it is over.
import type { DropCounts } from "../ingest/drop.ts";
import { type CoverageInterval, type CoverageWindow, uncovered } from "../model/coverage.ts";
import type { RelayUrl } from "../model/relay_url.ts";
import type { DialFailure } from "../net/dialer.ts";
import type { OpenReason } from "./reasons.ts";

/** How far a turn is. */
export interface SyncProgress {
  received: number;
  newEvents: number;
  newSightings: number;
  repeated: number;
  dropped: DropCounts;
  requests: number;
  /** From the relay, frames and all. */
  bytes: number;
  /** The oldest second that the turn has come to, Unix seconds. */
  reached: number | undefined;
  /** Gaps of the ledger in the window. */
  gaps: number;
}

/** How a turn ended. */
export interface SyncReport extends Omit<SyncProgress, "gaps"> {
  url: RelayUrl;
  relayId: number;
  window: CoverageWindow;
  /**
   * `complete`: all of the window is closed; `gaps`: all but gaps; `incomplete`: some is open, see
   * `reason`; `failed`: the relay could not be asked at all; `busy`: another turn has its host,
   * or has written its ledger meanwhile.
   */
  outcome: "complete" | "gaps" | "incomplete" | "failed" | "busy";
  reason?: OpenReason;
  /** Why it could not be connected to. */
  failure?: DialFailure;
  /** Seconds of the window that are gaps. */
  gaps: CoverageInterval[];
  /** The window's ledger, oldest first. */
  coverage: CoverageInterval[];
  /** How many events the relay gets, by those of the last day that this turn has seen. */
  eventsPerDay?: number;
  elapsedMs: number;
}

/** What the ledger says of the window. */
export function outcomeOf(
  intervals: readonly CoverageInterval[],
  window: CoverageWindow,
): SyncReport["outcome"] {
  if (uncovered(intervals, window).length === 0) return "complete";
  return uncovered(intervals, window, ["closed", "gap"]).length === 0 ? "gaps" : "incomplete";
}
