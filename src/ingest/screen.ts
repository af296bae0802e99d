// The first, cheap part of ingest: structure, bounds, the filter once more, repeats within the
// page. In: what a relay (or a file) sent. Out: well-formed matching events, one entry per id; those
// that came as frames are not parsed here unless the filter looks at tags.
// Pure and synchronous; knows no store and checks no signature.
import type { Result } from "../lib/result.ts";
import { fail } from "../lib/result.ts";
import { computeEventId, type EventLimits, type NostrEvent, parseEvent } from "../model/event.ts";
import { type Filter, filterMatcher, headMatcher } from "../model/filter.ts";
import { EventFrame } from "../nostr/event_frame.ts";
import { countDrop, type DropCounts, type DropReason } from "./drop.ts";
import type { PageEvent } from "./page.ts";

/** An event of a page, with the other copies of it that differ under the same id. */
export interface ScreenedEvent {
  readonly event: PageEvent;
  /** Only forgers make these: at most one copy of them all can be the true one. */
  readonly rivals: readonly PageEvent[];
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
const NONE: readonly PageEvent[] = [];

/** Screens a page. Never throws, whatever the values are. */
export function screenPage(
  values: readonly unknown[],
  filter: Filter,
  limits: Readonly<EventLimits>,
): ScreenedPage {
  const matches = filterMatcher(filter);
  const matchesHead = filter.tags === undefined ? headMatcher(filter) : undefined;
  const events = new Map<string, ScreenedEvent>();
  const dropped: DropCounts = {};
  let duplicates = 0;
  for (const value of values) {
    let event: PageEvent;
    let isWanted: boolean;
    if (matchesHead !== undefined && value instanceof EventFrame) {
      event = value;
      isWanted = matchesHead(value);
    } else {
      const read = readEvent(value, limits);
      if (!read.ok) {
        countDrop(dropped, read.failure);
        continue;
      }
      event = read.value;
      isWanted = matches(read.value);
    }
    if (!isWanted) {
      countDrop(dropped, "not_matching");
      continue;
    }
    const first = events.get(event.id);
    if (first === undefined) events.set(event.id, { event, rivals: NONE });
    else if (isSameFrame(first.event, event)) duplicates++;
    else if (addRival(events, first, event, { limits, dropped })) duplicates++;
  }
  return { events, duplicates, dropped };
}

/** A checked event of a frame, or of what JSON.parse made of one. Never throws. */
export function readEvent(
  value: unknown,
  limits: Readonly<EventLimits>,
): Result<NostrEvent, DropReason> {
  if (!(value instanceof EventFrame)) return parseEvent(value, limits);
  const json = value.parse();
  if (json === undefined) return fail("not_json");
  const event = parseEvent(json, limits);
  return event.ok && !hasHead(event.value, value) ? fail("not_json") : event;
}

/** Whether the event's id is the hash of it, whatever its size; a frame is parsed to find out. */
export function hasTrueId(event: PageEvent): boolean {
  const read = readEvent(event, NO_LIMITS);
  return read.ok && computeEventId(read.value) === event.id;
}

const NO_LIMITS: EventLimits = {
  maxEventBytes: Infinity,
  maxTags: Infinity,
  maxTagItems: Infinity,
};

function hasHead(event: NostrEvent, { id, pubkey, created_at, kind }: EventFrame): boolean {
  return event.id === id && event.pubkey === pubkey && event.created_at === created_at &&
    event.kind === kind;
}

function isSameFrame(a: PageEvent, b: PageEvent): boolean {
  return a instanceof EventFrame && b instanceof EventFrame && a.equals(b);
}

/**
 * Adds another copy under an id; true when it is the same event, spelled in another way. From now on
 * the copies of this id are parsed, each once: forgers may send as many as they like.
 */
function addRival(
  events: Map<string, ScreenedEvent>,
  { event: first, rivals }: ScreenedEvent,
  copy: PageEvent,
  { limits, dropped }: { limits: Readonly<EventLimits>; dropped: DropCounts },
): boolean {
  const read = (value: PageEvent): NostrEvent[] => {
    if (!(value instanceof EventFrame)) return [value];
    const event = readEvent(value, limits);
    if (event.ok) return [event.value];
    countDrop(dropped, event.failure);
    return [];
  };
  const held = [first, ...rivals].flatMap(read);
  const [event] = read(copy);
  const isSame = event !== undefined && held.some((other) => sameEvent(other, event));
  if (event !== undefined && !isSame) {
    if (held.length <= MAX_RIVALS) held.push(event);
    else countDrop(dropped, "wrong_id");
  }
  const [kept, ...others] = held;
  if (kept === undefined) events.delete(copy.id);
  else events.set(copy.id, { event: kept, rivals: others });
  return isSame;
}

function sameEvent(a: NostrEvent, b: NostrEvent): boolean {
  return a.sig === b.sig && a.pubkey === b.pubkey && a.created_at === b.created_at &&
    a.kind === b.kind && a.content === b.content &&
    JSON.stringify(a.tags) === JSON.stringify(b.tags);
}
