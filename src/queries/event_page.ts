// One page of archived events for the questions that give them out: newest first, ties by the lowest
// id, with their marks. In: a condition over the view event_marked, under the name `event`. Out:
// events byte for byte as they were signed (of a light archive what it keeps), and what is said of
// them.
import { z } from "zod";
import { keyInteger } from "./cursor.ts";
import { type EventMark, type MarkColumns, markColumns, marksOf, marksRow } from "./marks.ts";
import type { Found, KeyedRow, PageBounds } from "./query.ts";
import type { Fragment, Read } from "./read.ts";
import { kindRow, pubkeyRow, timeRow } from "./rows.ts";
import type { NostrEvent } from "../model/event.ts";
import { isHex } from "../model/hex.ts";
import { type EventColumns, isWhole, toEvent } from "../store/event_codec.ts";

/** Rounds that colliding tag keys may cost; each reads a page. */
const MAX_ROUNDS = 20;

/** Where a page of events ended. */
export type EventKey = [createdAt: number, id: string];

/** {@linkcode EventKey} as it comes back in a cursor. */
export const eventKey: z.ZodType<EventKey> = z.tuple([
  keyInteger,
  z.string().refine((id) => isHex(id, 32)),
]);

/** An event, as far as the archive keeps it, with what is said of it. */
export type MarkedEvent =
  & Omit<NostrEvent, "content" | "sig">
  & Partial<Pick<NostrEvent, "content" | "sig">>
  & { marks?: EventMark[] };

/** The fields of {@linkcode MarkedEvent}. */
export const eventFields = {
  id: z.string().describe("Event id, hex"),
  pubkey: pubkeyRow,
  created_at: timeRow("As its author says"),
  kind: kindRow,
  tags: z.array(z.array(z.string()))
    .describe("Tags, as signed; in a light archive names and values alone"),
  content: z.string().optional().describe("Content, as signed; absent in a light archive"),
  sig: z.string().optional().describe("Signature, hex; absent in a light archive"),
  marks: marksRow,
};

/**
 * Events after a key, as far as the bounds go; `matches` decides where `needsCheck` is true. The size
 * of a row is known before it is read, so of events that are too many no more is read than is shown.
 */
export async function eventPage(
  sql: Read,
  asked: PageBounds<EventKey> & {
    where: Fragment;
    needsCheck: boolean;
    matches: (event: NostrEvent) => boolean;
  },
): Promise<Found<MarkedEvent, EventKey>> {
  const { where, needsCheck, matches, after, limit, maxBytes } = asked;
  const found: KeyedRow<MarkedEvent, EventKey>[] = [];
  let bytes = 0;
  let position = after;
  for (let round = 0; round < MAX_ROUNDS; round++) {
    const missing = limit - found.length;
    const size = sql`octet_length(page.content) + octet_length(page.tags)`;
    const rows = await sql<SizedColumns[]>`
      select seq, encode(id, 'hex') as id, encode(pubkey, 'hex') as pubkey, created_at, kind, tags,
        content, content_raw, encode(sig, 'hex') as sig, ${markColumns(sql)}, size, before
      from (
        select page.*, ${size} as size, coalesce(sum(${size}) over (
          order by page.created_at desc, page.id rows between unbounded preceding and 1 preceding
        ), 0)::bigint as before
        from (
          select event.seq, event.id, event.pubkey, event.created_at, event.kind, event.tags,
            event.content, event.content_raw, event.sig, ${markColumns(sql)}
          from event_marked event where ${where} ${
      position === undefined ? sql`` : sql`and event.created_at <= ${position[0]}::bigint
            and (event.created_at < ${position[0]}::bigint
              or event.id > decode(${position[1]}, 'hex'))`
    }
          order by event.created_at desc, event.id limit ${missing}
        ) page
      ) event
      where before <= ${maxBytes}::bigint order by event.created_at desc, event.id`;
    for (const columns of rows) {
      const { seq: _seq, ...event } = toEvent(columns);
      position = [event.created_at, event.id];
      if (!needsCheck || matches(event)) {
        const { content, sig, ...kept } = event;
        const row = isWhole(event) ? { ...kept, content, sig } : kept;
        found.push({ row: { ...row, ...marksOf(columns) }, key: position });
        bytes += columns.size;
      }
    }
    const last = rows.at(-1);
    const isCut = last !== undefined && last.before + last.size > maxBytes;
    if (found.length === limit || (rows.length < missing && !isCut)) return found;
    if (bytes > maxBytes) break;
  }
  // Not the end: whoever makes tags whose keys collide could hide what is older.
  return position === undefined ? found : [...found, { key: position }];
}

type SizedColumns = EventColumns & MarkColumns & { size: number; before: number };
