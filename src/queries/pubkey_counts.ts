// Events by author, over the archive or on one relay, of all time or a window.
import { z } from "zod";
import { keyInteger } from "./cursor.ts";
import { pubkeyParam, relayParam } from "./params.ts";
import { defineQuery, type KeyedRow } from "./query.ts";
import { countRow, pubkeyRow } from "./rows.ts";
import { windowColumn, windowParam } from "./windows.ts";
import { isHex } from "../model/hex.ts";

/** Events by author. */
export const pubkeyCounts = defineQuery({
  name: "pubkey_counts",
  summary: "How many events of each author are stored, or were seen on one relay; most first.",
  cost: "One author by key, or one pass over all authors",
  params: z.object({
    pubkey: pubkeyParam("Only this author").optional(),
    relay: relayParam("Count what was seen on this relay").optional(),
    window: windowParam.optional(),
  }),
  row: z.object({ pubkey: pubkeyRow, events: countRow("Events of this author") }),
  example: { window: "24h" },
  key: z.tuple([keyInteger, z.string().refine((key) => isHex(key, 32))]),
  order: ({ relay }) => relay === undefined ? "" : "relay",
  async page(sql, { pubkey, relay, window }, { after, limit }): Promise<Keyed[]> {
    const counts = relay === undefined
      ? sql`select s.pubkey, ${sql(`s.${windowColumn("events", window)}`)} as events
          from stat_pubkey s`
      : sql`select a.pubkey, ${sql(`s.${windowColumn("sightings", window)}`)} as events
          from stat_pubkey_relay s join relay r on r.id = s.relay_id
          join stat_pubkey a on a.id = s.pubkey_id where r.url = ${relay}`;
    const rows = await sql<CountRow[]>`
      select encode(c.pubkey, 'hex') as pubkey, c.events from (${counts}) c
      where c.events > 0
        ${pubkey === undefined ? sql`` : sql`and c.pubkey = decode(${pubkey}, 'hex')`}
        ${
      after === undefined
        ? sql``
        : sql`and (-c.events, c.pubkey) > (${-after[0]}::bigint, decode(${after[1]}, 'hex'))`
    }
      order by -c.events, c.pubkey
      limit ${limit}`;
    return rows.map((row): Keyed => ({ row: { ...row }, key: [row.events, row.pubkey] }));
  },
});

interface CountRow {
  pubkey: string;
  events: number;
}

type Keyed = KeyedRow<CountRow, [events: number, pubkey: string]>;
