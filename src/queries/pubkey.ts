// Everything that is known of one author, in one row: how much there is, of which kinds, and the
// relays where the events really are, beside those that the author's own list (kind 10002) names.
import { z } from "zod";
import { keyText } from "./cursor.ts";
import { pubkeyParam } from "./params.ts";
import { defineQuery, type KeyedRow } from "./query.ts";
import type { Fragment, Read } from "./read.ts";
import { countRow, kindRow, pubkeyRow, relayRow, timeRow } from "./rows.ts";
import { parseRelayList, RELAY_LIST_KIND } from "../nostr/nip65.ts";
import { type EventColumns, toEvent } from "../store/event_codec.ts";

const TOP = 20;
const MAX_LISTED = 50;

const relaySchema = z.object({
  url: relayRow,
  events: countRow("Of the author's events, those seen there"),
  listed: z.boolean().describe("Whether the author's list names it"),
});

const listedSchema = z.object({
  url: relayRow,
  read: z.boolean().describe("Named for reading"),
  write: z.boolean().describe("Named for writing"),
  events: countRow("Of the author's events, those seen there"),
});

/** One author in full. */
export const pubkey = defineQuery({
  name: "pubkey",
  summary:
    "One author: events, first and last, kinds, and the relays that have them beside those listed.",
  cost: "The author's kinds and relays in the statistics, by key",
  params: z.object({ pubkey: pubkeyParam("The author") }),
  row: z.object({
    pubkey: pubkeyRow,
    events: countRow("Events stored, as of the last refresh of the statistics, as all counts here"),
    events_1h: countRow("Of these, dated in the hour before that refresh"),
    events_24h: countRow("In the 24 hours before it"),
    events_7d: countRow("In the 7 days before it"),
    events_30d: countRow("In the 30 days before it"),
    first_at: timeRow("The earliest event, as the author says"),
    last_at: timeRow("The latest event, as the author says"),
    kinds: z.array(z.object({ kind: kindRow, events: countRow("Events of this kind") }))
      .describe(`The ${TOP} most frequent kinds`),
    relays: z.array(relaySchema).describe(`The ${TOP} relays that have most of them`),
    list_at: timeRow("When the author's relay list was made").nullable(),
    list: z.array(listedSchema).describe(`The relays it names, at most ${MAX_LISTED}`),
  }),
  example: { pubkey: "82341f882b6eabcd2ba7f1ef90aad961cf074af15b9ef44a09f9d2a8fbfbe6a2" },
  key: z.tuple([keyText]),
  async page(sql, { pubkey }, { after }): Promise<Keyed[]> {
    if (after !== undefined) return [];
    // The index holds the first 8 bytes, which nearly always tell.
    const author = sql`substring(pubkey, 1, 8) = substring(decode(${pubkey}, 'hex'), 1, 8)
      and pubkey = decode(${pubkey}, 'hex')`;
    const [span] = await sql<{ first_at: number | null; last_at: number | null }[]>`
      select min(created_at) as first_at, max(created_at) as last_at from event where ${author}`;
    if (span === undefined || span.first_at === null || span.last_at === null) return [];
    const [counted] = await sql<(Counts & { id: number })[]>`
      select id, events, events_1h, events_24h, events_7d, events_30d from stat_pubkey
      where pubkey = decode(${pubkey}, 'hex')`;
    const { id, ...counts } = counted ?? { id: 0, ...NO_COUNTS };
    const kinds = await sql<{ kind: number; events: number }[]>`
      select kind, events from stat_pubkey_kind where pubkey_id = ${id}
      order by events desc, kind limit ${TOP}`;
    const seen = await eventsByRelay(sql, id);
    const { listAt, list } = await relayList(sql, author);
    const listed = new Set<string>(list.map(({ url }) => url));
    const row: PubkeyRow = {
      pubkey,
      ...counts,
      first_at: span.first_at,
      last_at: span.last_at,
      kinds: [...kinds],
      relays: seen.slice(0, TOP).map((one) => ({ ...one, listed: listed.has(one.url) })),
      list_at: listAt,
      list: list.map((entry) => ({
        ...entry,
        events: seen.find(({ url }) => url === entry.url)?.events ?? 0,
      })),
    };
    return [{ row, key: [pubkey] }];
  },
});

async function eventsByRelay(sql: Read, id: number): Promise<{ url: string; events: number }[]> {
  return [
    ...await sql<{ url: string; events: number }[]>`
      select r.url, s.sightings as events
      from stat_pubkey_relay s join relay r on r.id = s.relay_id
      where s.pubkey_id = ${id}
      order by s.sightings desc, r.url collate "C"`,
  ];
}

/** The newest list that is stored; of two of one second the lower id, as NIP-01 says. */
async function relayList(
  sql: Read,
  author: Fragment,
): Promise<{ listAt: number | null; list: ReturnType<typeof parseRelayList> }> {
  const [columns] = await sql<EventColumns[]>`
    select seq, encode(id, 'hex') as id, encode(pubkey, 'hex') as pubkey, created_at, kind,
      event_tags(event) as tags, '' as content, '' as content_raw, '' as sig
    from event where ${author} and kind = ${RELAY_LIST_KIND}
    order by created_at desc, id limit 1`;
  if (columns === undefined) return { listAt: null, list: [] };
  return { listAt: columns.created_at, list: parseRelayList(toEvent(columns), MAX_LISTED) };
}

interface Counts {
  events: number;
  events_1h: number;
  events_24h: number;
  events_7d: number;
  events_30d: number;
}

/** Of an author whom the statistics have not met yet. */
const NO_COUNTS: Counts = { events: 0, events_1h: 0, events_24h: 0, events_7d: 0, events_30d: 0 };

interface PubkeyRow extends Counts {
  pubkey: string;
  first_at: number;
  last_at: number;
  kinds: { kind: number; events: number }[];
  relays: z.output<typeof relaySchema>[];
  list_at: number | null;
  list: z.output<typeof listedSchema>[];
}

type Keyed = KeyedRow<PubkeyRow, [pubkey: string]>;
