// Reports of other monitors in a test's archive. In: relays. Out: the events that were stored.
import type { NostrEvent } from "../../src/model/event.ts";
import { writeBatch } from "../../src/store/events.ts";
import type { Store } from "../../src/store/connect.ts";
import { makeAuthor, signEvent } from "../support/events.ts";

/** Another monitor. */
export const MONITOR = makeAuthor(8, 1);

/** One report, with these tags beside `d`. */
export function report(
  url: string,
  createdAt: number,
  tags: string[][] = [["rtt-open", "80"]],
  author = MONITOR,
): NostrEvent {
  return signEvent(author, {
    kind: 30166,
    created_at: createdAt,
    tags: [["d", url], ...tags],
    content: "",
  });
}

/** Stores reports. */
export async function addReports(store: Store, events: readonly NostrEvent[]): Promise<void> {
  await writeBatch(store, { events, sightings: [] });
}
