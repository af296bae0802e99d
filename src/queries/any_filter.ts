// Several filters joined by "or", as SQL over `event` and as a function over events. The store's
// condition finds candidates by 64-bit tag keys; where tags are asked for, each is compared again.
import { filterCondition } from "../store/filter_sql.ts";
import type { NostrEvent } from "../model/event.ts";
import { type Filter, filterMatcher } from "../model/filter.ts";
import type { RelayUrl } from "../model/relay_url.ts";
import { textArray } from "../store/pg_text.ts";
import type { ParamProblem } from "./query.ts";
import type { Fragment, Read } from "./read.ts";

/** A condition over the table `event`. */
export interface AnyCondition {
  where: Fragment;
  /** True when rows must be compared with `matches` before they count. */
  needsCheck: boolean;
  matches(event: NostrEvent): boolean;
}

/** Matches what one of the filters matches; `relayIds` asks for a sighting on one of them too. */
export function anyOf(
  sql: Read,
  filters: readonly Filter[],
  relayIds: readonly number[] | undefined,
): AnyCondition {
  const conditions = filters.map((filter) => filterCondition(sql, filter));
  const matchers = filters.map(filterMatcher);
  const either = conditions.map(({ where }) => sql`or (${where})`);
  const seen = relayIds === undefined ? sql`` : sql`and exists (
    select from event_relay seen
    where seen.event_seq = event.seq and seen.relay_id = any (${`{${relayIds}}`}::int[]))`;
  return {
    where: sql`(false ${either}) ${seen}`,
    needsCheck: conditions.some((condition) => condition.needsCheck),
    matches: (event) => matchers.some((matches) => matches(event)),
  };
}

/** The ids of relays; an unknown one is a problem, because "none" would be a wrong answer. */
export async function relayIdsOf(
  sql: Read,
  urls: readonly RelayUrl[],
): Promise<{ ids: number[]; problems: ParamProblem[] }> {
  if (urls.length === 0) return { ids: [], problems: [] };
  const rows = await sql<{ id: number; url: RelayUrl }[]>`
    select id, url from relay where url = any (${textArray(urls)}::text[])`;
  const known = new Set(rows.map(({ url }) => url));
  return {
    ids: rows.map(({ id }) => id),
    problems: urls.filter((url) => !known.has(url))
      .map((url) => ({ field: "relay", problem: `is not a relay that we know: ${url}` })),
  };
}
