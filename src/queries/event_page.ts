// One page of archived events for the questions that give them out: newest first, ties by the lowest
// id, with their marks. In: a condition over the view event_marked, under the name `event`. Out:
// events byte for byte as they were signed (of a light archive what it keeps), and what is said of
// them.
import { z } from "zod";
import { keyInteger } from "./cursor.ts";
import { type EventMark, type MarkColumns, markColumns, marksOf, marksRow } from "./marks.ts";
import type { KeyedRow } from "./query.ts";
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

/** At most `limit` events after the key `after`; `matches` decides where `needsCheck` is true. */
export async function eventPage(
  sql: Read,
  asked: {
    where: Fragment;
    needsCheck: boolean;
    matches: (event: NostrEvent) => boolean;
    after: EventKey | undefined;
    limit: number;
  },
): Promise<KeyedRow<MarkedEvent, EventKey>[]> {
  const { where, needsCheck, matches, after, limit } = asked;
  const found: KeyedRow<MarkedEvent, EventKey>[] = [];
  let position = after;
  for (let round = 0; round < MAX_ROUNDS && found.length < limit; round++) {
    const missing = limit - found.length;
    const rows = await sql<(EventColumns & MarkColumns)[]>`
      select event.seq, encode(event.id, 'hex') as id, encode(event.pubkey, 'hex') as pubkey,
        event.created_at, event.kind, event.tags, event.content, event.content_raw,
        encode(event.sig, 'hex') as sig, ${markColumns(sql)}
      from event_marked event where ${where} ${
      position === undefined ? sql`` : sql`and event.created_at <= ${position[0]}::bigint
        and (event.created_at < ${position[0]}::bigint
          or event.id > decode(${position[1]}, 'hex'))`
    }
      order by event.created_at desc, event.id limit ${missing}`;
    for (const columns of rows) {
      const { seq: _seq, ...event } = toEvent(columns);
      position = [event.created_at, event.id];
      if (!needsCheck || matches(event)) {
        const { content, sig, ...kept } = event;
        const row = isWhole(event) ? { ...kept, content, sig } : kept;
        found.push({ row: { ...row, ...marksOf(columns) }, key: position });
      }
    }
    if (rows.length < missing) break;
  }
  return found;
}
