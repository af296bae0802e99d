// A page on its way through ingest: as it came, and what became of it.
import type { NostrEvent } from "../model/event.ts";
import type { Filter } from "../model/filter.ts";
import type { EventFrame } from "../nostr/event_frame.ts";
import type { DropCounts } from "./drop.ts";

/** An event, as far as it had to be read: a frame of one that was stored before is never parsed. */
export type PageEvent = NostrEvent | EventFrame;

/** Events as they came, from one place. */
export interface IngestPage {
  /** Where they were seen; without it no sighting is recorded. */
  relayId?: number | undefined;
  /** Events that don't match are dropped; `limit` and `search` are not conditions. */
  filter?: Filter | undefined;
  events: readonly unknown[];
  /** Unix seconds. */
  seenAt: number;
}

/** What became of a page; everything in it is committed. */
export interface PageResult {
  received: number;
  /**
   * Stored events of the page, in the order of arrival, no id twice. Of one that was known before,
   * this is the relay's copy, of which nobody has looked at more than the head: the stored copy wins. True events that
   * are too old to be kept are among them too, and counted as dropped: the relay did give them.
   */
  accepted: PageEvent[];
  newEvents: number;
  newSightings: number;
  /** Events that were stored before, or came twice in the page. */
  repeated: number;
  dropped: DropCounts;
}
