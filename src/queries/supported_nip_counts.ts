// Which NIPs relays claim, counted.
import { z } from "zod";
import { keyInteger } from "./cursor.ts";
import { networkParam } from "./params.ts";
import { defineQuery, type KeyedRow } from "./query.ts";
import { countRow, RELAYS_COST } from "./rows.ts";

/** Relays by NIP. */
export const supportedNipCounts = defineQuery({
  name: "supported_nip_counts",
  summary: "How many relays claim each NIP in their NIP-11 document, the most claimed first.",
  cost: RELAYS_COST,
  params: z.object({ network: networkParam("Only relays of this network").optional() }),
  row: z.object({
    nip: z.int().nonnegative().describe("The NIP"),
    relays: countRow("Relays that claim it"),
    online: countRow("Of these, online at the last check"),
  }),
  example: { network: "clearnet" },
  key: z.tuple([keyInteger, keyInteger]),
  async page(sql, { network }, { after, limit }): Promise<Keyed[]> {
    const rows = await sql<NipRow[]>`
      select * from (
        select claimed.nip, count(*) as relays,
          count(*) filter (where s.state = 'online') as online
        from relay_facts f join relay r on r.id = f.relay_id
          join relay_status s on s.relay_id = f.relay_id
          cross join lateral unnest(f.nips) as claimed (nip)
        where true ${network === undefined ? sql`` : sql`and r.network = ${network}`}
        group by claimed.nip
      ) counted
      ${
      after === undefined
        ? sql``
        : sql`where (-relays, nip) > (${-after[0]}::bigint, ${after[1]}::bigint)`
    }
      order by -relays, nip limit ${limit}`;
    return rows.map((row): Keyed => ({ row: { ...row }, key: [row.relays, row.nip] }));
  },
});

interface NipRow {
  nip: number;
  relays: number;
  online: number;
}

type Keyed = KeyedRow<NipRow, [relays: number, nip: number]>;
