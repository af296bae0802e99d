// By what events can be counted apart: the columns that SQL groups by, and what only a look at each
// event tells (kind 5400 registers content, root, reply and any tag's name).
// In: names of groups. Out: SQL expressions, and functions from an event to its value. Pure.
import { listOf, oneText, type Param, param } from "./params.ts";
import type { Fragment, Read } from "./read.ts";
import { fail, ok } from "../lib/result.ts";
import { type NostrEvent, tagValue } from "../model/event.ts";

const MAX_GROUPS = 2;
const MAX_NAME = 64;
const DAY_SECONDS = 86_400;

/** What SQL can group by. */
export const COLUMN_GROUPS = ["kind", "pubkey", "relay", "day"] as const;

/** One or two names to group by; any name that is not a known one is a tag's. */
export function groupParam(description: string): Param<string[]> {
  return param({ description }, (value) => {
    const names = listOf(value, (item) => {
      const text = oneText(item);
      if (!text.ok) return text;
      const name = text.value.trim();
      return name.length > MAX_NAME ? fail(`must have at most ${MAX_NAME} characters`) : ok(name);
    });
    if (!names.ok) return names;
    return names.value.length > MAX_GROUPS ? fail(`takes at most ${MAX_GROUPS} groups`) : names;
  });
}

/** True when every group is a column. */
export function isByColumns(groups: readonly string[]): boolean {
  return groups.every((name) => (COLUMN_GROUPS as readonly string[]).includes(name));
}

/** The text to group by in SQL over `event`, and `relay` where that is joined. */
export function groupColumn(sql: Read, name: string | undefined): Fragment {
  switch (name) {
    case undefined:
      return sql`''`;
    case "kind":
      return sql`event.kind::text`;
    case "pubkey":
      return sql`encode(event.pubkey, 'hex')`;
    case "relay":
      return sql`relay.url`;
    case "day":
      // Not to_timestamp: created_at may lie beyond what it takes.
      return sql`(event.created_at / ${DAY_SECONDS})::text`;
    default:
      throw new RangeError(`Cannot group by ${name} in SQL`);
  }
}

/** An event's value in one group; undefined leaves it out. */
export function groupValue(
  event: NostrEvent,
  name: string,
  relayUrl: string | undefined,
): string | undefined {
  switch (name) {
    case "kind":
      return String(event.kind);
    case "pubkey":
      return event.pubkey;
    case "relay":
      return relayUrl;
    case "day":
      return String(Math.floor(event.created_at / DAY_SECONDS));
    case "content":
      return event.content;
    case "root":
    case "reply":
      return threadTag(event, name);
    default:
      return tagValue(event, name);
  }
}

/** A group's value as it is shown: days as dates. */
export function shownGroup(name: string | undefined, value: string): string {
  if (name !== "day") return value;
  const date = new Date(Number(value) * DAY_SECONDS * 1000);
  // Beyond what a date can be, the first second of the day is all there is to say.
  if (Number.isNaN(date.getTime())) return String(Number(value) * DAY_SECONDS);
  return date.toISOString().split("T", 1)[0] ?? value;
}

/** NIP-10: the marked `e` tag, or by place where no tag is marked. */
function threadTag(event: NostrEvent, marker: "root" | "reply"): string | undefined {
  const tags = event.tags.filter((tag) => tag[0] === "e" && tag[1] !== undefined);
  if (tags.some((tag) => tag[3] === "root" || tag[3] === "reply")) {
    return tags.find((tag) => tag[3] === marker)?.[1];
  }
  return (marker === "root" ? tags[0] : tags.at(-1))?.[1];
}
