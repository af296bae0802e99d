// How much of everything there is, counted in the database for dashboards and alerts: relays by
// state, what is due, the ledger of the archive, sizes. In: a moment. Out: one value of everything.
// Some seconds of work for a large archive, so a timer asks, never a visitor. Never changes anything.
import type { Sql } from "./connection.ts";
import type { Store } from "./store.ts";

/** A number with the labels that it stands under. */
export interface Figure<L extends string> {
  labels: Readonly<Record<L, string>>;
  value: number;
}

/** All figures of one reading. */
export interface Figures {
  /** Relays by network and state. */
  relays: Figure<"network" | "state">[];
  /** Candidates by network and state. */
  candidates: Figure<"network" | "state">[];
  /** What waits for its turn: candidates to try, relays to check and to archive, by network. */
  due: Figure<"network" | "work">[];
  /** Spans of the ledger by network and state (closed, open, gap), and their seconds together. */
  spans: Figure<"network" | "state">[];
  spanSeconds: Figure<"network" | "state">[];
  /** Spans that could not be had whole, by why. */
  gaps: Figure<"reason">[];
  /** Relays that are online, and of which nothing at all is archived yet. */
  uncovered: Figure<"network">[];
  /** Of those of which something is: how old the end of what is archived is, in seconds. */
  behindSeconds: Figure<"network" | "quantile">[];
  /** Jobs of the data vending machine by state. */
  jobs: Figure<"state">[];
  /** Counted by the statistics, and the sequence numbers that they have not come to yet. */
  events: number;
  sightings: number;
  uncountedRows: number;
  /** On the disk, indexes and all, tables by name (partitions together). */
  databaseBytes: number;
  tableBytes: Figure<"table">[];
}

/** No single question may hold the embedded database's one connection for longer. */
const STATEMENT_TIMEOUT_MS = 20_000;

/** Counts everything as of `at` (Unix seconds). Rejects as the store does; nothing is retried. */
export async function readFigures(
  store: Store,
  { at, signal }: { at: number; signal?: AbortSignal },
): Promise<Figures> {
  // One transaction each: between them others get their turn at the embedded database.
  const ask = <T>(name: string, fn: (sql: Sql) => Promise<T>): Promise<T> =>
    store.run(`figures_${name}`, fn, {
      signal,
      statementTimeoutMs: STATEMENT_TIMEOUT_MS,
      unavailableTimeoutMs: 0,
    });
  const relays = await ask(
    "relays",
    (sql) =>
      sql<(Standing & { check_due: number; sync_due: number })[]>`
      select r.network, s.state, count(*)::int as n,
        (count(*) filter (where s.next_check_at <= ${at}))::int as check_due,
        (count(*) filter (where s.state = 'online' and s.next_sync_at <= ${at}))::int as sync_due
      from relay r join relay_status s on s.relay_id = r.id group by 1, 2`,
  );
  const candidates = await ask("candidates", (sql) =>
    sql<(Standing & { due: number })[]>`
      select network, state, count(*)::int as n,
        (count(*) filter (where state = 'pending' and next_attempt_at <= ${at}))::int as due
      from candidate group by 1, 2`);
  const spans = await ask("coverage", (sql) =>
    sql<(Standing & { seconds: number })[]>`
      select r.network, c.state, count(*)::int as n,
        sum(c.until - c.since + 1)::float8 as seconds
      from coverage c join relay r on r.id = c.relay_id group by 1, 2`);
  const gaps = await ask("gaps", (sql) =>
    sql<{ reason: string; n: number }[]>`
      select coalesce(reason, 'unknown') as reason, count(*)::int as n
      from coverage where state = 'gap' group by 1`);
  const behind = await ask("behind", (sql) =>
    sql<Behind[]>`
      select network, (count(*) filter (where newest is null))::int as uncovered,
        percentile_cont(0.5) within group (order by greatest(${at} - newest, 0))
          filter (where newest is not null) as half,
        percentile_cont(0.95) within group (order by greatest(${at} - newest, 0))
          filter (where newest is not null) as most
      from (
        -- What was followed live stands in its own list, oldest first, until it is proven.
        select r.network, greatest((
          select max(c.until) from coverage c where c.relay_id = r.id and c.state <> 'gap'
        ), (t.spans -> -1 ->> 1)::bigint) as newest
        from relay r join relay_status s on s.relay_id = r.id
        left join relay_tail t on t.relay_id = r.id
        where s.state = 'online'
      ) per_relay group by 1`);
  const jobs = await ask("jobs", (sql) =>
    sql<{ state: string; n: number }[]>`
      select state, count(*)::int as n from dvm_job group by 1`);
  const [totals] = await ask(
    "totals",
    (sql) =>
      // The sequences, not the tables: the highest number of a sighting has no btree to be read from.
      sql<{ events: number; sightings: number; uncounted: number }[]>`
      select t.events, t.sightings,
        greatest(0, case when e.is_called then e.last_value else 0 end - t.event_seq)
          + greatest(0, case when s.is_called then s.last_value else 0 end - t.sighting_seq)
          as uncounted
      from stat_total t, event_seq_seq e, event_relay_seq_seq s`,
  );
  const [size] = await ask(
    "size",
    (sql) => sql<{ bytes: number }[]>`select pg_database_size(current_database()) as bytes`,
  );
  const tables = await ask("tables", (sql) =>
    sql<{ name: string; bytes: number }[]>`
      select coalesce(root.relname, c.relname)::text as name,
        sum(pg_total_relation_size(c.oid))::float8 as bytes
      from pg_class c left join pg_class root on root.oid = pg_partition_root(c.oid)
      where c.relkind = 'r' and c.relnamespace = current_schema()::regnamespace group by 1`);
  return {
    relays: relays.map(standing),
    candidates: candidates.map(standing),
    due: [
      ...summed(relays, "check", (row) => row.check_due),
      ...summed(relays, "sync", (row) => row.sync_due),
      ...summed(candidates, "try", (row) => row.due),
    ],
    spans: spans.map(standing),
    spanSeconds: spans.map((row) => ({ ...standing(row), value: row.seconds })),
    gaps: gaps.map(({ reason, n }) => ({ labels: { reason }, value: n })),
    uncovered: behind.map(({ network, uncovered }) => ({ labels: { network }, value: uncovered })),
    behindSeconds: behind.flatMap(({ network, half, most }) =>
      half === null || most === null ? [] : [
        { labels: { network, quantile: "0.5" }, value: half },
        { labels: { network, quantile: "0.95" }, value: most },
      ]
    ),
    jobs: jobs.map(({ state, n }) => ({ labels: { state }, value: n })),
    events: totals?.events ?? 0,
    sightings: totals?.sightings ?? 0,
    uncountedRows: totals?.uncounted ?? 0,
    databaseBytes: size?.bytes ?? 0,
    tableBytes: tables.map(({ name, bytes }) => ({ labels: { table: name }, value: bytes })),
  };
}

interface Standing {
  network: string;
  state: string;
  n: number;
}

/** A network's lag; null where no relay has any coverage. */
interface Behind {
  network: string;
  uncovered: number;
  half: number | null;
  most: number | null;
}

function standing({ network, state, n }: Standing): Figure<"network" | "state"> {
  return { labels: { network, state }, value: n };
}

/** One number a network, over all states of its rows. */
function summed<Row extends Standing>(
  rows: readonly Row[],
  work: string,
  of: (row: Row) => number,
): Figure<"network" | "work">[] {
  const sums = new Map<string, number>();
  for (const row of rows) sums.set(row.network, (sums.get(row.network) ?? 0) + of(row));
  return [...sums].map(([network, value]) => ({ labels: { network, work }, value }));
}
