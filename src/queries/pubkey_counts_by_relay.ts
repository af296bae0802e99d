// Events by author and relay: whom a relay holds, or where an author's events are.
import { z } from "zod";
import { keyInteger, keyText } from "./cursor.ts";
import { pubkeyParam, relayParam } from "./params.ts";
import { type AskFailure, defineQuery, type KeyedRow } from "./query.ts";
import { countRow, pubkeyRow, relayRow } from "./rows.ts";
import { windowColumn, windowParam } from "./windows.ts";
import { isHex } from "../model/hex.ts";

/** Events by author and relay, as far as the relays were archived. */
export const pubkeyCountsByRelay = defineQuery({
  name: "pubkey_counts_by_relay",
  summary: "Events by author and relay: whom one relay holds, or which relays hold one author.",
  cost: "The authors of one relay, or the relays of one author",
  params: z.object({
    relay: relayParam("The relay; give this or pubkey").optional(),
    pubkey: pubkeyParam("The author; give this or relay").optional(),
    window: windowParam.optional(),
  }),
  row: z.object({
    relay_url: relayRow,
    pubkey: pubkeyRow,
    events: countRow("Events of this author seen on this relay"),
  }),
  example: { relay: "wss://relay.damus.io", window: "30d" },
  key: z.tuple([keyInteger, keyText, z.string().refine((key) => isHex(key, 32))]),
  async page(sql, { relay, pubkey, window }, { after, limit }): Promise<Keyed[] | AskFailure> {
    if (relay === undefined && pubkey === undefined) return NEITHER;
    const rows = await sql<CountRow[]>`
      select relay_url, encode(pubkey, 'hex') as pubkey, events from (
        select r.url collate "C" as relay_url, a.pubkey,
          ${sql(`s.${windowColumn("sightings", window)}`)} as events
        from stat_pubkey_relay s join relay r on r.id = s.relay_id
          join stat_pubkey a on a.id = s.pubkey_id
        where true
          ${relay === undefined ? sql`` : sql`and r.url = ${relay}`}
          ${pubkey === undefined ? sql`` : sql`and a.pubkey = decode(${pubkey}, 'hex')`}
      ) counted
      where events > 0 ${
      after === undefined
        ? sql``
        : sql`and (-events, relay_url, pubkey) > (${-after[0]}::bigint, ${after[1]},
          decode(${after[2]}, 'hex'))`
    }
      order by -events, relay_url, pubkey
      limit ${limit}`;
    return rows.map((row): Keyed => ({
      row: { ...row },
      key: [row.events, row.relay_url, row.pubkey],
    }));
  },
});

const NEITHER: AskFailure = {
  reason: "bad_params",
  problems: [{ field: "relay", problem: "is required where pubkey is not given" }],
};

interface CountRow {
  relay_url: string;
  pubkey: string;
  events: number;
}

type Keyed = KeyedRow<CountRow, [events: number, relayUrl: string, pubkey: string]>;
