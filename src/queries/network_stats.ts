// The networks side by side: how many relays each has, how they fare and what they hold.
import { z } from "zod";
import { keyText } from "./cursor.ts";
import { defineQuery, type KeyedRow } from "./query.ts";
import { countRow, networkRow, RELAYS_COST } from "./rows.ts";
import { windowColumn, windowParam } from "./windows.ts";
import type { Network } from "../model/network.ts";

/** Relays, their states and their sightings by network. */
export const networkStats = defineQuery({
  name: "network_stats",
  summary: "Relays by network, by state, and how many sightings of events they account for.",
  cost: RELAYS_COST,
  params: z.object({ window: windowParam.optional() }),
  row: z.object({
    network: networkRow,
    relays: countRow("Relays known"),
    online: countRow("Open at the last check"),
    unreachable: countRow("Failing, asked again soon"),
    dead: countRow("Failing for long, asked seldom"),
    unknown: countRow("Never checked"),
    sightings: countRow("Pairs of an event, dated within the window, and a relay of this network"),
  }),
  example: {},
  key: z.tuple([keyText]),
  async page(sql, { window }, { after, limit }): Promise<Keyed[]> {
    const rows = await sql<NetworkRow[]>`
      select r.network, count(*) as relays,
        count(*) filter (where s.state = 'online') as online,
        count(*) filter (where s.state = 'unreachable') as unreachable,
        count(*) filter (where s.state = 'dead') as dead,
        count(*) filter (where s.state = 'unknown') as unknown,
        coalesce(sum(${sql(`t.${windowColumn("sightings", window)}`)}), 0)::bigint as sightings
      from relay r join relay_status s on s.relay_id = r.id
        left join stat_relay t on t.relay_id = r.id
      ${after === undefined ? sql`` : sql`where r.network > ${after[0]}`}
      group by r.network
      order by r.network
      limit ${limit}`;
    return rows.map((row): Keyed => ({ row: { ...row }, key: [row.network] }));
  },
});

interface NetworkRow {
  network: Network;
  relays: number;
  online: number;
  unreachable: number;
  dead: number;
  unknown: number;
  sightings: number;
}

type Keyed = KeyedRow<NetworkRow, [network: string]>;
