// The copies of a page's events that have to be looked at in full: frames are parsed here, a little at
// a time, so that a page of large ones does not hold up everything else. In: ids. Out: their copies.
import { setImmediate } from "node:timers";
import type { EventLimits, NostrEvent } from "../model/event.ts";
import { EventFrame } from "../nostr/event_frame.ts";
import { countDrop, type DropCounts } from "./drop.ts";
import { readEvent, type ScreenedEvent } from "./screen.ts";

/** Of frames that are parsed in one turn of the event loop: some 10 ms. */
const TURN_BYTES = 1024 * 1024;

/** All well-formed copies of these ids; what is none is counted in `dropped`. */
export async function readCopies(
  ids: readonly string[],
  screened: ReadonlyMap<string, ScreenedEvent>,
  limits: Readonly<EventLimits>,
  dropped: DropCounts,
): Promise<NostrEvent[]> {
  const copies: NostrEvent[] = [];
  let bytes = 0;
  for (const id of ids) {
    const held = screened.get(id);
    for (const copy of held === undefined ? [] : [held.event, ...held.rivals]) {
      if (copy instanceof EventFrame) bytes += copy.byteLength;
      if (bytes > TURN_BYTES) {
        bytes = 0;
        await new Promise((resolve) => setImmediate(resolve));
      }
      const event = readEvent(copy, limits);
      if (event.ok) copies.push(event.value);
      else countDrop(dropped, event.failure);
    }
  }
  return copies;
}
