// The one place where a NIP-01 filter becomes SQL. In: a filter. Out: a fragment for a WHERE clause
// over `event`, exact except for what `needsCheck` says. Never adds an order or a limit.
import type { Filter } from "../model/filter.ts";
import type { Sql } from "./connect.ts";
import { numberArray } from "./pg_text.ts";
import { tagKey } from "./tag_key.ts";

/** A WHERE condition and whether its rows must still be compared with the filter. */
export interface FilterCondition {
  where: ReturnType<Sql>;
  /** True when tags are asked for: the index finds them by 64-bit keys, which can collide. */
  needsCheck: boolean;
}

/** The filter as a condition on the table `event`; `limit` and `search` are left out. */
export function filterCondition(sql: Sql, filter: Filter): FilterCondition {
  const parts = [sql`true`];
  if (filter.ids !== undefined) {
    // Looked up once, whole ids compared; an index on id in each partition would be asked each time.
    const ids = filter.ids.join("");
    parts.push(
      sql`and event.seq = any ((select event_found(decode(${ids}::text, 'hex')))::bigint[])`,
    );
  }
  // One value is asked for with `=`, because then the index gives the order by time as well; of a
  // list, PostgreSQL sorts what it found.
  const { authors, kinds } = filter;
  const [author] = authors ?? [];
  if (authors?.length === 1 && author !== undefined) {
    parts.push(sql`and substring(event.pubkey, 1, 8) = decode(${author.slice(0, 16)}, 'hex')`);
    parts.push(sql`and event.pubkey = decode(${author}, 'hex')`);
  } else if (authors !== undefined) {
    // The index holds 8 bytes of each key; the second condition makes it exact.
    const prefixes = authors.map((each) => each.slice(0, 16));
    parts.push(sql`and substring(event.pubkey, 1, 8) = any (${byteaArray(prefixes)}::bytea[])`);
    parts.push(sql`and event.pubkey = any (${byteaArray(authors)}::bytea[])`);
  }
  const [kind] = kinds ?? [];
  if (kinds?.length === 1 && kind !== undefined) parts.push(sql`and event.kind = ${kind}::int`);
  else if (kinds !== undefined) {
    parts.push(sql`and event.kind = any (${numberArray(kinds)}::int[])`);
  }
  if (filter.since !== undefined) {
    parts.push(sql`and event.created_at >= ${filter.since}::bigint`);
  }
  if (filter.until !== undefined) {
    parts.push(sql`and event.created_at <= ${filter.until}::bigint`);
  }
  const tags = Object.entries(filter.tags ?? {});
  for (const [letter, values] of tags) {
    const keys = values.map((value) => tagKey(letter, value));
    parts.push(sql`and event.tag_keys && ${numberArray(keys)}::bigint[]`);
  }
  return { where: sql`${parts}`, needsCheck: tags.length > 0 };
}

/** Hex texts as a `::bytea[]` parameter. */
export function byteaArray(hex: readonly string[]): string {
  return hex.length === 0 ? "{}" : `{"\\\\x${hex.join('","\\\\x')}"}`;
}
