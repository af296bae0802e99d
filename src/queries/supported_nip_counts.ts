// Which NIPs relays claim, counted.
import { z } from "zod";
import { keyInteger } from "./cursor.ts";
import { latestNip11 } from "./nip11_latest.ts";
import { networkParam } from "./params.ts";
import { defineQuery, type KeyedRow } from "./query.ts";
import { countRow, RELAYS_COST } from "./rows.ts";

/** A document that claims more than these says nothing. */
const MAX_CLAIMS = 500;

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
    // Documents hold them as numbers, and some as texts; each counts once for a relay.
    const rows = await sql<NipRow[]>`
      select * from (
        select nip, count(*) as relays, count(*) filter (where state = 'online') as online
        from (
          select distinct shown.url, shown.state, (claim.value #>> '{}')::int as nip
          from ${latestNip11(sql, network)} shown, jsonb_array_elements(
            case when jsonb_typeof(shown.data -> 'supported_nips') = 'array'
              then shown.data -> 'supported_nips' else '[]' end
          ) with ordinality claim (value, place)
          where claim.place <= ${MAX_CLAIMS} and claim.value #>> '{}' ~ '^[0-9]{1,5}$'
        ) claimed group by nip
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
