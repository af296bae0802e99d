// What PostgreSQL's background processes do by themselves and the embedded server has none for:
// fresh planner statistics, dead rows, the write-ahead log. In: a store. Out: what it took. Called
// by the refresher now and then. Never changes a row.
import type { Store } from "./connect.ts";

/** What a maintenance run did. */
export interface MaintenanceResult {
  elapsedMs: number;
  /** Ranges of the sightings' BRIN index that were summarized. */
  ranges: number;
}

const VACUUMED = [
  "relay_status",
  "relay_check",
  "relay_metadata",
  "candidate",
  "service_state",
  "stat_total",
  "stat_kind",
  "stat_pubkey",
  "stat_pubkey_kind",
  "stat_pubkey_relay",
  "stat_pubkey_day",
  "stat_day",
  "stat_relay",
  "stat_kind_relay",
  "mark_checkpoint",
];
/** Large, and hardly ever with dead rows: only when events were deleted. */
const EVENT_TABLES = [
  "event",
  "event_id",
  "event_relay",
  "event_version",
  "event_expiry",
  "event_deletion",
];
const ANALYZED = [
  "event",
  "event_relay",
  "event_version",
  "event_expiry",
  "event_deletion",
  "relay",
  "relay_metadata",
  "metadata",
];

/**
 * Summarizes the sightings' index; on the embedded store also analyzes what has grown, vacuums the
 * small tables that are rewritten all the time (with `vacuumEvents` the large ones too), and makes a checkpoint, which lets the write-ahead
 * log shrink. On a server autovacuum does that.
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
    await store.command("vacuum", `vacuum (analyze) ${VACUUMED.join(", ")}`, o);
    if (o.vacuumEvents) {
      await store.command("vacuum_events", `vacuum ${EVENT_TABLES.join(", ")}`, o);
    }
    await store.command("analyze", `analyze ${ANALYZED.join(", ")}`, o);
    await store.command("checkpoint", "checkpoint", o);
  }
  return { elapsedMs: performance.now() - started, ranges };
}
