// The first, cheap part of ingest: structure, bounds, the filter once more, repeats within the
// page. In: what a relay (or a file) sent. Out: well-formed matching events, one entry per id.
// Pure and synchronous; knows no store and checks no signature.
import { type EventLimits, type NostrEvent, parseEvent } from "../model/event.ts";
import { countDrop, type DropCounts } from "./drop.ts";

/** An event of a page, with the other copies of it that differ under the same id. */
export interface ScreenedEvent {
  readonly event: NostrEvent;
  /** Only forgers make these: at most one copy of them all can be the true one. */
  readonly rivals: NostrEvent[];
}

/** What is left of a page. */
export interface ScreenedPage {
  /** In the order of arrival. */
  readonly events: Map<string, ScreenedEvent>;
  /** Identical copies of events of this page. */
  readonly duplicates: number;
  readonly dropped: DropCounts;
}

/** Copies that differ under one id, beyond the first; the rest is dropped as `wrong_id`. */
const MAX_RIVALS = 3;

/** Screens a page. Never throws, whatever the values are. */
export function screenPage(
  values: readonly unknown[],
  matches: (event: NostrEvent) => boolean,
  limits: Readonly<EventLimits>,
): ScreenedPage {
  const events = new Map<string, ScreenedEvent>();
  const dropped: DropCounts = {};
  let duplicates = 0;
  for (const value of values) {
    const parsed = parseEvent(value, limits);
    if (!parsed.ok) {
      countDrop(dropped, parsed.failure);
      continue;
    }
    const event = parsed.value;
    if (!matches(event)) {
      countDrop(dropped, "not_matching");
      continue;
    }
    const first = events.get(event.id);
    if (first === undefined) events.set(event.id, { event, rivals: [] });
    else if ([first.event, ...first.rivals].some((held) => sameEvent(held, event))) duplicates++;
    else if (first.rivals.length < MAX_RIVALS) first.rivals.push(event);
    else countDrop(dropped, "wrong_id");
  }
  return { events, duplicates, dropped };
}

function sameEvent(a: NostrEvent, b: NostrEvent): boolean {
  return a.sig === b.sig && a.pubkey === b.pubkey && a.created_at === b.created_at &&
    a.kind === b.kind && a.content === b.content &&
    JSON.stringify(a.tags) === JSON.stringify(b.tags);
}
