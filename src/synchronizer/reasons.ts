// The words of the ledger: why ground is open, or a gap. A closed list, because reports, metrics and
// queries count by it. How each one comes about stands beside it.

/** Why an interval is open. */
export const OPEN_REASONS = [
  /**
   * Walked in pages, each newest first, each reaching back into the one before: nothing more to ask
   * here. Not proven yet, because no page below it has come back empty. Counts as open.
   */
  "paged",
  /**
   * A live subscription stood, and everything it brought is archived: not asked for again for a while.
   * Not proven, because a relay may forget to pass an event on. Counts as open.
   */
  "followed",
  /** The relay's turn was over; the next one goes on from here. */
  "time_up",
  /** The process was told to stop. */
  "stopped",
  /** It could not be connected to. */
  "unreachable",
  /** The connection ended under the request, again and again. */
  "disconnected",
  /** No EOSE and no event for too long. */
  "idle",
  /** CLOSED without a prefix that says more. */
  "closed",
  /** Refused in the words of a NOTICE. */
  "notice",
  "auth_required",
  /** Restricted, blocked, or for paying members. */
  "restricted",
  "rate_limited",
  "protocol_error",
  /** It answers with newer events than were asked for, and nothing older: it can't be paged. */
  "ignores_until",
  /** It takes `until` as exclusive: events of a page's oldest second may be lost. */
  "until_exclusive",
  /** A page was not newest first: what lies between its events is anybody's guess. */
  "unsorted",
  /** Events came after EOSE: its end of data means nothing. */
  "early_eose",
  /** A page held nothing that we take (other events, forged ones): it may have hidden others. */
  "all_dropped",
  /** A second that could not be split, before it is tried again. */
  "dense_second",
  /** By NIP-77 the relay lists events here that it does not give, or gives others for. */
  "undelivered",
] as const;
/** One of {@linkcode OPEN_REASONS}. */
export type OpenReason = typeof OPEN_REASONS[number];

/** Ways to answer that make everything unproven doubtful, not only the page at hand. */
export const LIES = ["until_exclusive", "unsorted", "early_eose"] as const;
/** One of {@linkcode LIES}. */
export type Lie = typeof LIES[number];

/** Why a second is a gap: it holds more events than a page, and nothing would split them. */
export type GapReason = "dense_second";

/** Ways to answer pages that leave ground open which NIP-77 may still close. */
export function isPagingHabit(reason: OpenReason): boolean {
  return isLie(reason) || reason === "ignores_until" || reason === "all_dropped";
}

/** Whether it lies in the ground alone, so that the relay can be asked for other ground. */
export function isOfGround(reason: OpenReason): boolean {
  return reason === "all_dropped" || reason === "undelivered";
}

/** Whether a reason puts earlier pages of the relay in doubt. */
export function isLie(reason: OpenReason): reason is Lie {
  return (LIES as readonly string[]).includes(reason);
}
