// What relays say of themselves, and what was measured of them, as the latest document of each type.
import { z } from "zod";
import { keyText } from "./cursor.ts";
import { networkParam, relayParam, textParam } from "./params.ts";
import { defineQuery, type Found } from "./query.ts";
import { relayRow, timeRow } from "./rows.ts";

/** A document beyond this is left out of its row: strangers choose its size. */
const MAX_DOCUMENT_BYTES = 32 * 1024;

/** The latest document of each relay and type. */
export const relayMetadataLatest = defineQuery({
  name: "relay_metadata_latest",
  summary: "The latest document of each relay and type: NIP-11, DNS, TLS, place, network and more.",
  cost: "One pass over the relays, and the documents on the page by key",
  params: z.object({
    relay: relayParam("Only this relay").optional(),
    type: textParam("Only documents of this type, such as nip11", 64).optional(),
    network: networkParam("Only relays of this network").optional(),
  }),
  row: z.object({
    relay_url: relayRow,
    type: z.string().describe("What the document is about"),
    generated_at: timeRow("Since when it is so"),
    confirmed_at: timeRow("When it was last found to be so"),
    hash: z.string().describe("SHA-256 of its RFC 8785 form, hex"),
    data: z.unknown().describe(`The document; null when it has over ${MAX_DOCUMENT_BYTES} bytes`),
  }),
  example: { relay: "wss://relay.damus.io", type: "nip11" },
  key: z.tuple([keyText, keyText]),
  async page(
    sql,
    { relay, type, network },
    { after, limit, maxBytes },
  ): Promise<Found<DocumentRow, Key>> {
    const rows = await sql<(DocumentRow & { bytes: number; before: number })[]>`
      select relay_url, type, generated_at, confirmed_at, hash, bytes, before,
        case when bytes <= ${MAX_DOCUMENT_BYTES} then data end as data
      from (
        select p.relay_url, p.type, p.generated_at, p.confirmed_at, encode(d.hash, 'hex') as hash,
          d.data, s.bytes, coalesce(sum(least(s.bytes, ${MAX_DOCUMENT_BYTES})) over (
            order by p.relay_url, p.type rows between unbounded preceding and 1 preceding
          ), 0)::bigint as before
        from (
          select r.url collate "C" as relay_url, m.type collate "C" as type, m.generated_at,
            m.confirmed_at, m.metadata_id
          from relay r cross join lateral (
            select distinct on (l.type) l.type, l.generated_at, l.confirmed_at, l.metadata_id
            from relay_metadata l
            where l.relay_id = r.id ${type === undefined ? sql`` : sql`and l.type = ${type}`}
            order by l.type, l.generated_at desc
          ) m
          where true
            ${relay === undefined ? sql`` : sql`and r.url = ${relay}`}
            ${network === undefined ? sql`` : sql`and r.network = ${network}`}
            ${
      after === undefined
        ? sql``
        : sql`and (r.url collate "C", m.type collate "C") > (${after[0]}, ${after[1]})`
    }
          order by 1, 2 limit ${limit}
        ) p
        join metadata d on d.id = p.metadata_id
        cross join lateral (select octet_length(d.data::text) as bytes) s
      ) sized
      where before <= ${maxBytes}::bigint order by relay_url, type`;
    const found: Found<DocumentRow, Key> = rows.map((
      { bytes: _bytes, before: _before, ...row },
    ) => ({
      row,
      key: [row.relay_url, row.type],
    }));
    const last = rows.at(-1);
    const isCut = last !== undefined && last.before + last.bytes > maxBytes;
    return isCut ? [...found, { key: [last.relay_url, last.type] }] : found;
  },
});

interface DocumentRow {
  relay_url: string;
  type: string;
  generated_at: number;
  confirmed_at: number;
  hash: string;
  data: unknown;
}

type Key = [relayUrl: string, type: string];
