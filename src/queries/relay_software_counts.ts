// What relays say they run, counted.
import { z } from "zod";
import { keyInteger, keyText } from "./cursor.ts";
import { latestNip11 } from "./nip11_latest.ts";
import { networkParam } from "./params.ts";
import { defineQuery, type KeyedRow } from "./query.ts";
import { countRow, RELAYS_COST } from "./rows.ts";

/** Relays by software. */
export const relaySoftwareCounts = defineQuery({
  name: "relay_software_counts",
  summary: "How many relays name each software in their NIP-11 document, the most used first.",
  cost: RELAYS_COST,
  params: z.object({ network: networkParam("Only relays of this network").optional() }),
  row: z.object({
    software: z.string().nullable().describe("As the document has it; null where it names none"),
    relays: countRow("Relays that name it"),
    online: countRow("Of these, online at the last check"),
  }),
  example: { network: "clearnet" },
  key: z.tuple([keyInteger, keyText]),
  async page(sql, { network }, { after, limit }): Promise<Keyed[]> {
    const rows = await sql<SoftwareColumns[]>`
      select * from (
        select software, count(*) as relays, count(*) filter (where state = 'online') as online
        from (
          select state, case when jsonb_typeof(data -> 'software') = 'string'
            then left(data ->> 'software', 200) else '' end collate "C" as software
          from ${latestNip11(sql, network)} shown
        ) named group by software
      ) counted
      ${
      after === undefined
        ? sql``
        : sql`where (-relays, software) > (${-after[0]}::bigint, ${after[1]})`
    }
      order by -relays, software limit ${limit}`;
    return rows.map(({ software, ...counts }): Keyed => ({
      row: { software: software === "" ? null : software, ...counts },
      key: [counts.relays, software],
    }));
  },
});

interface SoftwareColumns {
  software: string;
  relays: number;
  online: number;
}

type SoftwareRow = Omit<SoftwareColumns, "software"> & { software: string | null };
type Keyed = KeyedRow<SoftwareRow, [relays: number, software: string]>;
