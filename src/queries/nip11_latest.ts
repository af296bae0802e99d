// Relays with the NIP-11 document that each shows now, for questions that count what they claim.
// In: what to narrow by. Out: a piece of SQL with url, state and data. Never reads older documents.
import type { Fragment, Read } from "./read.ts";
import type { Network } from "../model/network.ts";

/** A subquery: one row per relay that has a document. */
export function latestNip11(sql: Read, network: Network | undefined): Fragment {
  return sql`(
    select r.url, s.state, d.data
    from relay r join relay_status s on s.relay_id = r.id
      join lateral (
        select m.metadata_id from relay_metadata m
        where m.relay_id = r.id and m.type = 'nip11' order by m.generated_at desc limit 1
      ) l on true
      join metadata d on d.id = l.metadata_id
    ${network === undefined ? sql`` : sql`where r.network = ${network}`}
  )`;
}
