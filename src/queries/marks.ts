// What is said of an event beside what it says itself, for the questions that give events out: which
// marks it has, and whether marked ones are asked for. An archive keeps what its author has deleted
// or replaced; whoever wants what a relay would still serve leaves it out.
import { z } from "zod";
import { choiceParam, type Param } from "./params.ts";
import type { Fragment, Read } from "./read.ts";

/** All marks: NIP-09, NIP-40, NIP-01. */
export const EVENT_MARKS = ["deleted", "expired", "replaced"] as const;

/** One of {@linkcode EVENT_MARKS}. */
export type EventMark = (typeof EVENT_MARKS)[number];

/** Whether marked events are part of the answer. */
export type Marked = "include" | "exclude" | "only";

/** The parameter; `include` unless given. */
export const markedParam: Param<Marked> = choiceParam(
  `Events marked ${EVENT_MARKS.join(", ")}: include (unless told), exclude, or only those`,
  ["include", "exclude", "only"],
);

/** A row's marks; an event without any has no such field, and is as its author signed it. */
export const marksRow = z.array(z.enum(EVENT_MARKS)).optional()
  .describe(
    "What is said of it: deleted by its author (NIP-09), expired (NIP-40), replaced (NIP-01)",
  );

/** The columns of the view event_marked that carry marks. */
export type MarkColumns = Record<EventMark, boolean>;

/** Those columns, of a row of event_marked under the name `event`. */
export function markColumns(sql: Read): Fragment {
  return sql`event.deleted, event.expired, event.replaced`;
}

/** The condition on a row of event_marked under the name `event`. */
export function markedCondition(sql: Read, marked: Marked = "include"): Fragment {
  if (marked === "include") return sql`true`;
  const any = sql`(event.deleted or event.expired or event.replaced)`;
  return marked === "only" ? any : sql`not ${any}`;
}

/** The field `marks` for a row; nothing when there are none. */
export function marksOf(columns: MarkColumns): { marks?: EventMark[] } {
  const marks = EVENT_MARKS.filter((mark) => columns[mark]);
  return marks.length === 0 ? {} : { marks };
}
