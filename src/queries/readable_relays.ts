// Relays that anybody can read, as proven by reading from them.
import { z } from "zod";
import { keyInteger, keyText } from "./cursor.ts";
import { networkParam } from "./params.ts";
import { defineQuery, type KeyedRow } from "./query.ts";
import { countRow, networkRow, relayRow, RELAYS_COST, timeRow } from "./rows.ts";
import type { Network } from "../model/network.ts";

/** Relays that answered a question. */
export const readableRelays = defineQuery({
  name: "readable_relays",
  summary: "Relays that answered a question of ours at their last check, the quickest first.",
  cost: RELAYS_COST,
  params: z.object({ network: networkParam("Only relays of this network").optional() }),
  row: z.object({
    relay: relayRow,
    network: networkRow,
    rtt_open_ms: z.int().nullable().describe("Milliseconds from dialling to open"),
    rtt_read_ms: z.int().describe("Milliseconds from the question to its first answer"),
    checked_at: timeRow("When that was"),
    events: countRow("Events seen on it"),
  }),
  example: { network: "clearnet" },
  key: z.tuple([keyInteger, keyText]),
  async page(sql, { network }, { after, limit }): Promise<Keyed[]> {
    const rows = await sql<ReadableRow[]>`
      select r.url as relay, r.network, c.rtt_open_ms, c.rtt_read_ms, c.checked_at,
        coalesce(t.sightings, 0) as events
      from relay r join relay_status s on s.relay_id = r.id and s.state = 'online'
        join lateral (
          select rtt_open_ms, rtt_read_ms, checked_at from relay_check
          where relay_id = r.id order by checked_at desc limit 1
        ) c on c.rtt_read_ms is not null
        left join stat_relay t on t.relay_id = r.id
      where true
        ${network === undefined ? sql`` : sql`and r.network = ${network}`}
        ${
      after === undefined
        ? sql``
        : sql`and (c.rtt_read_ms, r.url collate "C") > (${after[0]}::bigint, ${after[1]})`
    }
      order by c.rtt_read_ms, r.url collate "C" limit ${limit}`;
    return rows.map((row): Keyed => ({ row: { ...row }, key: [row.rtt_read_ms, row.relay] }));
  },
});

interface ReadableRow {
  relay: string;
  network: Network;
  rtt_open_ms: number | null;
  rtt_read_ms: number;
  checked_at: number;
  events: number;
}

type Keyed = KeyedRow<ReadableRow, [rttReadMs: number, relay: string]>;
