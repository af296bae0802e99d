// NIP-65: a key's relay list, kind 10002. One of the finder's sources, and published for our own
// keys, because clients look there for the relays that have our reports and answers.
// In: an event, or a list. Out: a list with relays in normal form, or a template. No I/O.
import type { NostrEvent } from "../model/event.ts";
import { parseRelayUrl, type RelayUrl } from "../model/relay_url.ts";
import type { EventTemplate } from "./signer.ts";

/** Kind of a relay list; replaceable. */
export const RELAY_LIST_KIND = 10002;

/** One relay of the list and what the key uses it for; at least one of the two is true. */
export interface RelayListEntry {
  url: RelayUrl;
  read: boolean;
  write: boolean;
}

/** A relay list as a template, as of `createdAt` (Unix seconds). */
export function buildRelayList(
  entries: readonly RelayListEntry[],
  createdAt: number,
): EventTemplate {
  const tags = entries.filter(({ read, write }) => read || write).map(({ url, read, write }) => {
    if (read && write) return ["r", url];
    return ["r", url, read ? "read" : "write"];
  });
  return { kind: RELAY_LIST_KIND, created_at: createdAt, tags, content: "" };
}

/**
 * The relays of a list, in order, at most `maxEntries`. What is no relay URL is left out; the same
 * relay twice becomes one entry with both uses; an unknown marker counts as none.
 */
export function parseRelayList(
  event: Pick<NostrEvent, "tags">,
  maxEntries = 200,
): RelayListEntry[] {
  const entries = new Map<RelayUrl, RelayListEntry>();
  for (const tag of event.tags) {
    if (tag[0] !== "r") continue;
    const url = parseRelayUrl(tag[1]);
    if (!url.ok) continue;
    const read = tag[2] !== "write";
    const write = tag[2] !== "read";
    const known = entries.get(url.value);
    if (known !== undefined) {
      known.read ||= read;
      known.write ||= write;
    } else if (entries.size < maxEntries) {
      entries.set(url.value, { url: url.value, read, write });
    }
  }
  return [...entries.values()];
}
