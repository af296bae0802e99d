// What is known of many relays at once, by subject: their latest documents, read by id for whoever
// already holds ids (metadata.ts writes them, and reads those of one relay). Never interprets them.
import { textArray } from "./pg_text.ts";
import type { Store } from "./connect.ts";

/** A relay's latest document of a type. */
export interface LatestDocument {
  type: string;
  data: unknown;
  /** Unix seconds, when it was last seen to hold. */
  confirmedAt: number;
}

/** The latest documents of these types, by relay; a relay without any has no entry. */
export function readLatestDocuments(
  store: Store,
  relayIds: readonly number[],
  types: readonly string[],
  o: { signal?: AbortSignal } = {},
): Promise<Map<number, LatestDocument[]>> {
  if (relayIds.length === 0) return Promise.resolve(new Map());
  return store.run("read_latest_documents", async (sql) => {
    const rows = await sql<(LatestDocument & { relayId: number })[]>`
      select l.relay_id as "relayId", l.type, l.confirmed_at as "confirmedAt", d.data
      from (
        select distinct on (m.relay_id, m.type) m.relay_id, m.type, m.confirmed_at, m.metadata_id
        from relay_metadata m
        where m.relay_id = any (${`{${relayIds.join(",")}}`}::int[])
          and m.type = any (${textArray(types)}::text[])
        order by m.relay_id, m.type, m.generated_at desc
      ) l join metadata d on d.id = l.metadata_id`;
    return Map.groupBy(rows, ({ relayId }) => relayId);
  }, { retry: true, signal: o.signal });
}
