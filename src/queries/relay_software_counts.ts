// What relays say they run, counted.
import { z } from "zod";
import { keyInteger, keyText } from "./cursor.ts";
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
          select s.state, coalesce(f.software, '') collate "C" as software
          from relay_facts f join relay r on r.id = f.relay_id
            join relay_status s on s.relay_id = f.relay_id
          where (f.software is not null or exists (
              select from relay_metadata m where m.relay_id = f.relay_id and m.type = 'nip11'))
            ${network === undefined ? sql`` : sql`and r.network = ${network}`}
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
