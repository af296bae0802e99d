// A page of a relay's events, between the session that asks for it and the walk that judges it.
import type { OpenReason } from "./reasons.ts";

/** What a relay answered to one request. */
export interface PageAnswer {
  /** As they came, unchecked. */
  events: readonly unknown[];
  /** Frames that were, or may have been, events: `events` and what could not be read. */
  size: number;
  /** The `limit` that was asked for, or at which we cut the page off. */
  limit: number;
  /** `limit` = cut off by us, or filled and then broken off; `stopped` = see `stop`. */
  end: "eose" | "limit" | "idle" | "stopped";
  /** NIP-67. */
  hint?: "finish" | "more";
  /** Why it will not answer any more for now. The events that came before are good. */
  stop?: OpenReason;
  /** Events came behind EOSE. */
  late: boolean;
}
