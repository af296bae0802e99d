// Which events a relay is known to have: what reconciling with it (NIP-77) starts from. In: a relay
// and a window of created_at. Out: seconds and ids, newest first, read in bounded steps. Never reads
// an event's text.
import type { CoverageWindow } from "../model/coverage.ts";
import type { Filter } from "../model/filter.ts";
import type { Store } from "./connect.ts";
import { filterCondition } from "./filter_sql.ts";

/** An archived event, as far as reconciling needs it. */
export interface SightedId {
  /** Unix seconds. */
  createdAt: number;
  /** Lower-case hex. */
  id: string;
}

/** Archived events looked at in one statement, sighted or not: some 20 ms of index look-ups. */
const SCAN_ROWS = 5_000;

/**
 * Events seen on the relay in the window, newest first (ties by the highest id), a batch per
 * statement; the consumer stops when it has enough. The filter's tags are compared by their 64-bit
 * keys alone: an id too many is possible, one too few is not. Walks the index on created_at and
 * looks each event's sighting up by its primary key; a batch without sightings is yielded empty.
 */
export async function* sightedIds(
  store: Store,
  o: {
    relayId: number;
    filter: Filter;
    window: CoverageWindow;
    /** Sightings up to this number alone. */
    upTo?: number;
    signal?: AbortSignal | undefined;
  },
): AsyncGenerator<SightedId[]> {
  const { relayId, filter, window: { since, until }, upTo, signal } = o;
  let cursor: SightedId | undefined;
  for (;;) {
    const rows = await store.run("sighted_ids", async (sql) => {
      const { where } = filterCondition(sql, { ...filter, since, until });
      return await sql<(SightedId & { sighted: boolean; n: number })[]>`
        with page as materialized (
          select event.seq, event.created_at, event.id from event where ${where} ${
        cursor === undefined ? sql`` : sql`and created_at <= ${cursor.createdAt}::bigint
            and (created_at < ${cursor.createdAt}::bigint or id < decode(${cursor.id}, 'hex'))`
      }
          order by created_at desc, id desc limit ${SCAN_ROWS}
        ), judged as (
          select created_at, id,
            row_number() over (order by created_at desc, id desc)::int as n,
            exists (select from event_relay s
              where s.event_seq = page.seq and s.relay_id = ${relayId}::int ${
        upTo === undefined ? sql`` : sql`and s.seq <= ${upTo}::bigint`
      }) as sighted
          from page
        )
        select created_at as "createdAt", encode(id, 'hex') as id, sighted, n from judged
        where sighted or n = ${SCAN_ROWS} order by n`;
    }, { retry: true, signal });
    yield rows.filter((row) => row.sighted);
    const last = rows.at(-1);
    if (last === undefined || last.n < SCAN_ROWS) return;
    cursor = last;
  }
}

/** How many archived events, seen wherever, lie in the window; counts no further than `atMost`. */
export function countInWindow(
  store: Store,
  o: {
    filter: Filter;
    window: CoverageWindow;
    atMost: number;
    signal?: AbortSignal | undefined;
  },
): Promise<number> {
  const { filter, window: { since, until }, atMost, signal } = o;
  return store.run("count_in_window", async (sql) => {
    const { where } = filterCondition(sql, { ...filter, since, until });
    const [row] = await sql<{ n: number }[]>`
      select count(*)::int as n from (select from event where ${where} limit ${atMost}) found`;
    return row?.n ?? 0;
  }, { retry: true, signal });
}
