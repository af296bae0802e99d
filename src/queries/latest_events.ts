// What the two questions for latest versions share: a version is the latest when no other of its
// author, kind (and `d`) is newer, ties to the lowest id (NIP-01). In: what is asked for. Out: a page
// of events. One that its author has deleted since is still the latest, and marked.
import { type EventKey, eventPage, type MarkedEvent } from "./event_page.ts";
import { type Marked, markedCondition } from "./marks.ts";
import type { AskFailure, Found, PageBounds } from "./query.ts";
import type { Read } from "./read.ts";
import { eventClass } from "../model/event.ts";
import { filterCondition } from "../store/filter_sql.ts";

/** What a page costs. */
export const LATEST_COST =
  "One page in the order of time, by author or kind by index; replaced versions between are passed";

/** What is asked for. */
export interface LatestAsked {
  class: "replaceable" | "addressable";
  pubkey?: string | undefined;
  kind?: readonly number[] | undefined;
  d?: string | undefined;
  marked?: Marked | undefined;
}

/** A page of latest versions; kinds of another class are a problem. */
export async function latestPage(
  sql: Read,
  asked: LatestAsked,
  page: PageBounds<EventKey>,
): Promise<Found<MarkedEvent, EventKey> | AskFailure> {
  const { pubkey, kind, d, marked } = asked;
  const stranger = kind?.find((one) => eventClass(one) !== asked.class);
  if (stranger !== undefined) {
    const problem = `must be ${asked.class} kinds; ${stranger} is not`;
    return { reason: "bad_params", problems: [{ field: "kind", problem }] };
  }
  const { where } = filterCondition(sql, {
    ...(pubkey === undefined ? {} : { authors: [pubkey] }),
    ...(kind === undefined ? {} : { kinds: [...kind] }),
    // An event without the tag has an empty `d`; any other value finds its events by the index.
    ...(d === undefined || d === "" ? {} : { tags: { d: [d] } }),
  });
  const ofClass = kind !== undefined
    ? sql`true`
    : asked.class === "addressable"
    ? sql`event.kind between 30000 and 39999`
    : sql`(event.kind in (0, 3) or event.kind between 10000 and 19999)`;
  // Exact, also of a tag whose key collides: the address is made of the whole value.
  const atAddress = d === undefined ? sql`true` : sql`v.address =
    event_address(event.pubkey, event.kind, ${JSON.stringify(d)}::text)`;
  return await eventPage(sql, {
    where: sql`${where} and ${ofClass} and ${markedCondition(sql, marked)}
      and (select v.latest and ${atAddress} from event_version v where v.event_seq = event.seq)`,
    needsCheck: false,
    matches: () => true,
    ...page,
  });
}
