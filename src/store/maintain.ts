// What PostgreSQL's background processes do by themselves and the embedded server has none for:
// fresh planner statistics, dead rows, the write-ahead log. In: a store. Out: what it took. Called
// by the refresher now and then. Never changes a row.
import type { Store } from "./connect.ts";
import { textArray } from "./pg_text.ts";

/** What a maintenance run did. */
export interface MaintenanceResult {
  elapsedMs: number;
  /** Ranges of the sightings' BRIN index that were summarized. */
  ranges: number;
}

/** Large, and hardly ever with dead rows: only when events were deleted. */
const EVENT_TABLES = [
  "event",
  "event_id",
  "event_relay",
  "event_version",
  "event_expiry",
  "event_deletion",
];

/**
 * Summarizes the sightings' index; on the embedded store also analyzes what has grown, vacuums every
 * table but the large ones (with `vacuumEvents` these too), and makes a checkpoint, which lets the
 * write-ahead log shrink. On a server autovacuum does that.
 */
export async function maintain(
  store: Store,
  o: { vacuumEvents?: boolean; signal?: AbortSignal } = {},
): Promise<MaintenanceResult> {
  const started = performance.now();
  const ranges = await store.run("brin_summarize", async (sql) => {
    const [row] = await sql<{ n: number }[]>`select sightings_summarize() as n`;
    return row?.n ?? 0;
  }, { retry: true, signal: o.signal, statementTimeoutMs: 0 });
  if (store.kind === "pglite") {
    const { small, large } = await tables(store, o);
    // ANALYZE leaves dead rows in the catalogue: it is what it writes to.
    await store.command("vacuum", `vacuum (analyze) ${small}, pg_catalog.pg_statistic`, o);
    if (o.vacuumEvents) await store.command("vacuum_events", `vacuum ${large}`, o);
    await store.command("analyze", `analyze ${large}`, o);
    await store.command("checkpoint", "checkpoint", o);
  }
  return { elapsedMs: performance.now() - started, ranges };
}

/** The tables there are (a storage profile may have fewer), as lists of names. */
function tables(
  store: Store,
  o: { signal?: AbortSignal },
): Promise<{ small: string; large: string }> {
  return store.run("tables", async (sql) => {
    const [row] = await sql<{ small: string; large: string }[]>`
      select string_agg(quote_ident(c.relname), ', ') filter (where not c.large) as small,
        string_agg(quote_ident(c.relname), ', ') filter (where c.large) as large
      from (
        select c.relname, c.relname = any (${textArray(EVENT_TABLES)}::text[]) as large
        from pg_class c
        where c.relkind in ('r', 'p') and not c.relispartition
          and c.relnamespace = current_schema()::regnamespace
      ) c`;
    if (row === undefined) throw new Error("Cannot maintain a database without tables");
    return { ...row };
  }, { retry: true, signal: o.signal });
}
