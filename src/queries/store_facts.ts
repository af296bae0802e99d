// What the database holds in short, for `bigbrotr status`: sizes and counts that are cheap to read.
// In: a store. Out: one object of numbers. Never counts a large table.
import type { Store } from "../store/connect.ts";

/** The database in short. */
export interface StoreFacts {
  kind: Store["kind"];
  /** Bytes on disk, indexes included, the write-ahead log not. */
  bytes: number;
  /** As of the last refresh of the statistics. */
  events: number;
  sightings: number;
  /** Rows that the statistics have not counted yet. */
  behind: number;
  /** By state. */
  relays: Record<string, number>;
  /** By state. */
  candidates: Record<string, number>;
  /** Jobs of the data vending machine, by state. */
  jobs: Record<string, number>;
}

/** Reads the facts. Rejects when the database is away. */
export function readStoreFacts(
  store: Store,
  options: { signal?: AbortSignal } = {},
): Promise<StoreFacts> {
  return store.run("store_facts", async (sql) => {
    const [totals] = await sql<
      { bytes: number; events: number; sightings: number; behind: number }[]
    >`
      select pg_database_size(current_database()) as bytes, t.events, t.sightings,
        greatest(0, case when e.is_called then e.last_value else 0 end - t.event_seq)
        + greatest(0, case when s.is_called then s.last_value else 0 end - t.sighting_seq) as behind
      from stat_total t, event_seq_seq e, event_relay_seq_seq s`;
    const relays = await sql<StateCount[]>`
      select state, count(*) as n from relay_status group by state order by state`;
    const candidates = await sql<StateCount[]>`
      select state, count(*) as n from candidate group by state order by state`;
    const jobs = await sql<StateCount[]>`
      select state, count(*) as n from dvm_job group by state order by state`;
    const { bytes = 0, events = 0, sightings = 0, behind = 0 } = totals ?? {};
    return {
      kind: store.kind,
      bytes,
      events,
      sightings,
      behind,
      relays: byState(relays),
      candidates: byState(candidates),
      jobs: byState(jobs),
    };
  }, { retry: true, ...options });
}

interface StateCount {
  state: string;
  n: number;
}

function byState(rows: readonly StateCount[]): Record<string, number> {
  return Object.fromEntries(rows.map(({ state, n }) => [state, n]));
}
