// Where an event was seen: the relays that gave it to us, and when each did so first.
import { z } from "zod";
import { keyInteger, keyText } from "./cursor.ts";
import { oneText, param } from "./params.ts";
import { defineQuery, type KeyedRow } from "./query.ts";
import { networkRow, relayRow, SMALL_COST, timeRow } from "./rows.ts";
import type { Network } from "../model/network.ts";
import { parseEventId } from "../nostr/nip19.ts";

const eventParam = param({ description: "The event (hex, note or nevent)" }, (value) => {
  const text = oneText(value);
  return text.ok ? parseEventId(text.value) : text;
});

/** Where an event was seen. */
export const eventRelays = defineQuery({
  name: "event_relays",
  summary: "The relays on which one event was seen, the first to give it first.",
  cost: SMALL_COST,
  params: z.object({ event: eventParam }),
  row: z.object({
    relay: relayRow,
    network: networkRow,
    seen_at: timeRow("First seen there by us"),
  }),
  example: { event: "0".repeat(64) },
  key: z.tuple([keyInteger, keyText]),
  async page(sql, { event }, { after, limit }): Promise<Keyed[]> {
    // By the event's own key; the view would be asked for every event there is.
    const rows = await sql<SightingRow[]>`
      select * from (
        select r.url as relay, r.network, s.seen_at + 1577836800::bigint as seen_at
        from event_relay s join relay r on r.id = s.relay_id
        where s.event_seq = (select (event_found(decode(${event}, 'hex')))[1])
      ) seen
      ${
      after === undefined
        ? sql``
        : sql`where (seen_at, relay collate "C") > (${after[0]}::bigint, ${after[1]})`
    }
      order by seen_at, relay collate "C" limit ${limit}`;
    return rows.map((row): Keyed => ({ row: { ...row }, key: [row.seen_at, row.relay] }));
  },
});

interface SightingRow {
  relay: string;
  network: Network;
  seen_at: number;
}

type Keyed = KeyedRow<SightingRow, [seenAt: number, relay: string]>;
