// What was archived from each relay, of all time or a window.
import { z } from "zod";
import { keyInteger, keyText } from "./cursor.ts";
import { choiceParam, networkParam, relayParam } from "./params.ts";
import { defineQuery, type KeyedRow } from "./query.ts";
import type { Fragment } from "./read.ts";
import { countRow, networkRow, relayRow, RELAYS_COST } from "./rows.ts";
import { windowColumn, windowParam } from "./windows.ts";
import type { Network } from "../model/network.ts";

const SORTS = ["events", "pubkeys", "kinds", "relay_url"] as const;

/** Events, authors and kinds by relay. */
export const relayStats = defineQuery({
  name: "relay_stats",
  summary: "How many events, authors and kinds were seen on each relay.",
  cost: RELAYS_COST,
  params: z.object({
    relay: relayParam("Only this relay").optional(),
    network: networkParam("Only relays of this network").optional(),
    window: windowParam.optional(),
    sort: choiceParam("By what to sort, largest first; events unless told", SORTS).optional(),
  }),
  row: z.object({
    relay_url: relayRow,
    network: networkRow,
    events: countRow("Events seen on it"),
    pubkeys: countRow("Different authors of these events, exact"),
    kinds: countRow("Different kinds of these events, exact"),
  }),
  example: { network: "clearnet", sort: "events" },
  key: z.tuple([keyInteger, keyText]),
  order: ({ sort = "events" }) => sort,
  async page(sql, params, { after, limit }): Promise<Keyed[]> {
    const { relay, network, window, sort = "events" } = params;
    const count = (name: string): Fragment =>
      sql`coalesce(${sql(`s.${windowColumn(name, window)}`)}, 0)`;
    // 0 for every row makes the URL alone the order.
    const value = sort === "relay_url" ? sql`0::bigint` : sql`-${sql(sort)}`;
    const rows = await sql<StatsRow[]>`
      select relay_url, network, events, pubkeys, kinds, ${value} as position from (
        select r.url as relay_url, r.network, ${count("sightings")} as events,
          ${count("pubkeys")} as pubkeys, ${count("kinds")} as kinds
        from relay r left join stat_relay s on s.relay_id = r.id
      ) counted
      where true
        ${relay === undefined ? sql`` : sql`and relay_url = ${relay}`}
        ${network === undefined ? sql`` : sql`and network = ${network}`}
        ${
      after === undefined
        ? sql``
        : sql`and (${value}, relay_url) > (${after[0]}::bigint, ${after[1]})`
    }
      order by ${value}, relay_url
      limit ${limit}`;
    return rows.map(({ position, ...row }): Keyed => ({ row, key: [position, row.relay_url] }));
  },
});

interface StatsRow {
  relay_url: string;
  network: Network;
  events: number;
  pubkeys: number;
  kinds: number;
  position: number;
}

type Keyed = KeyedRow<Omit<StatsRow, "position">, [position: number, relayUrl: string]>;
