// The archive's ledger, per relay and filter: which seconds of created_at are complete, and why. In
// and out: the intervals of model/coverage.ts, always the whole list. Never computes with them.
import type { CoverageInterval, CoverageProof, CoverageState } from "../model/coverage.ts";
import type { RelayUrl } from "../model/relay_url.ts";
import type { Sql, Store } from "./connect.ts";
import { storableText } from "./pg_text.ts";

/** One interval with its relay and filter. */
export interface CoverageRow {
  relayId: number;
  filterId: number;
  relayUrl: RelayUrl;
  /** The canonical filter. */
  filter: string;
  interval: CoverageInterval;
}

/** Where a page of coverage ended. */
export interface CoverageCursor {
  relayId: number;
  filterId: number;
  since: number;
}

interface IntervalColumns {
  since: number;
  until: number;
  state: CoverageState;
  proof: CoverageProof | null;
  reason: string | null;
  missing: number | null;
  at: number;
}

/** The ledger of one relay and filter, sorted by time. */
export function readCoverage(
  store: Store,
  relayId: number,
  filterKey: string,
  o: { signal?: AbortSignal } = {},
): Promise<CoverageInterval[]> {
  return store.run("read_coverage", (sql) => readRows(sql, relayId, filterKey), {
    retry: true,
    signal: o.signal,
  });
}

/**
 * Puts a new ledger in place of the old one, in one transaction. With `expected`, only if that is what
 * is stored: false when somebody else has written meanwhile.
 */
export function replaceCoverage(
  store: Store,
  relayId: number,
  filterKey: string,
  intervals: readonly CoverageInterval[],
  o: { expected?: readonly CoverageInterval[]; signal?: AbortSignal } = {},
): Promise<boolean> {
  const { expected, signal } = o;
  const rows = intervals.map((interval) => ({
    since: interval.since,
    until: interval.until,
    state: interval.state,
    proof: interval.proof ?? null,
    reason: interval.reason === undefined ? null : storableText(interval.reason),
    missing: interval.missing ?? null,
    updated_at: interval.at,
  }));
  return store.run("coverage_replace", async (sql) => {
    if (expected !== undefined) {
      await sql`select pg_advisory_xact_lock(${LEDGER_LOCK}::int, ${relayId}::int)`;
      const stored = spelled(await readRows(sql, relayId, filterKey));
      // Tried once more, it may find what it has written itself.
      if (stored !== spelled(expected) && stored !== spelled(intervals)) return false;
    }
    await sql`select coverage_replace(
      ${relayId}::int, ${storableText(filterKey)}::text, ${JSON.stringify(rows)}::text::jsonb)`;
    return true;
  }, { retry: true, signal });
}

/** Beside the relay's number, for whoever compares its ledger before writing it. */
const LEDGER_LOCK = 71662531;

async function readRows(
  sql: Sql,
  relayId: number,
  filterKey: string,
): Promise<CoverageInterval[]> {
  const rows = await sql<IntervalColumns[]>`
    select c.since, c.until, c.state, c.proof, c.reason, c.missing, c.updated_at as at
    from coverage c join filter f on f.id = c.filter_id
    where c.relay_id = ${relayId} and f.hash = sha256(convert_to(${filterKey}::text, 'UTF8'))
    order by c.since`;
  return rows.map(toInterval);
}

function spelled(intervals: readonly CoverageInterval[]): string {
  return JSON.stringify(
    intervals.map((
      { since, until, state, proof, reason, missing, at },
    ) => [since, until, state, proof, reason && storableText(reason), missing, at]),
  );
}

/** All intervals, by relay, filter and time; of one relay when `relayId` is given. */
export function pageCoverage(
  store: Store,
  o: { relayId?: number; after?: CoverageCursor; limit: number; signal?: AbortSignal },
): Promise<{ rows: CoverageRow[]; next?: CoverageCursor }> {
  return store.run("page_coverage", async (sql) => {
    const { relayId, after, limit } = o;
    const found = await sql<
      (IntervalColumns & {
        relayId: number;
        filterId: number;
        relayUrl: RelayUrl;
        filter: string;
      })[]
    >`
      select c.relay_id as "relayId", c.filter_id as "filterId", r.url as "relayUrl", f.filter,
        c.since, c.until, c.state, c.proof, c.reason, c.missing, c.updated_at as at
      from coverage c join relay r on r.id = c.relay_id join filter f on f.id = c.filter_id
      where true ${relayId === undefined ? sql`` : sql`and c.relay_id = ${relayId}`}
        ${
      after === undefined ? sql`` : sql`and (c.relay_id, c.filter_id, c.since) >
        (${after.relayId}::int, ${after.filterId}::int, ${after.since}::bigint)`
    }
      order by c.relay_id, c.filter_id, c.since limit ${limit}`;
    const rows = found.map(({ relayId, filterId, relayUrl, filter, ...columns }) => ({
      relayId,
      filterId,
      relayUrl,
      filter,
      interval: toInterval(columns),
    }));
    const last = rows.length < limit ? undefined : rows.at(-1);
    if (last === undefined) return { rows };
    const { filterId, interval: { since } } = last;
    return { rows, next: { relayId: last.relayId, filterId, since } };
  }, { retry: true, signal: o.signal });
}

function toInterval(row: IntervalColumns): CoverageInterval {
  return {
    since: row.since,
    until: row.until,
    state: row.state,
    at: row.at,
    ...(row.proof === null ? {} : { proof: row.proof }),
    ...(row.reason === null ? {} : { reason: row.reason }),
    ...(row.missing === null ? {} : { missing: row.missing }),
  };
}
