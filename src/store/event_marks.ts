// What is said of archived events: deleted (NIP-09), expired (NIP-40), replaced (NIP-01). In: nothing
// but the tables. Out: rows from which the view event_marked tells the marks. A refresh costs what is
// new since the last one; a rebuild gives the same rows. Never changes an event, never removes one.
import type { Store } from "./connect.ts";
import { settledEventSeq } from "./events.ts";

/** What one refresh did. */
export interface MarksRefresh {
  /** Rows made: versions, deletions' targets, times of expiry. */
  made: number;
  /** Sequence numbers that are left for the next refresh. */
  behind: number;
}

/** Reads up to `maxRows` new sequence numbers, and notes how far it came in the same transaction. */
export async function refreshEventMarks(
  store: Store,
  o: { maxRows: number; signal?: AbortSignal },
): Promise<MarksRefresh> {
  const horizon = await settledEventSeq(store, o);
  return await store.transaction("event_marks_refresh", async (sql) => {
    const [row] = await sql<MarksRefresh[]>`select made, behind
      from event_marks_refresh(${horizon}::bigint, ${o.maxRows}::bigint)`;
    return row === undefined ? { made: 0, behind: 0 } : { ...row };
  }, { retry: true, signal: o.signal });
}

/** Reads everything from nothing, in one transaction without a deadline. */
export async function rebuildEventMarks(
  store: Store,
  o: { signal?: AbortSignal } = {},
): Promise<void> {
  const horizon = await settledEventSeq(store, o);
  await store.transaction("all_event_marks_refresh", async (sql) => {
    await sql`select all_event_marks_refresh(${horizon}::bigint)`;
  }, { retry: true, signal: o.signal, statementTimeoutMs: 0 });
}
