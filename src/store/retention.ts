// Events that the archive no longer keeps: deleted a batch at a time, so that no statement is long
// and writers wait only briefly. In: a sweep. Out: how many, and where the next batch begins. Never
// decides what is old (model/retention.ts).
import type { RetentionSweep } from "../model/retention.ts";
import type { Store } from "./connect.ts";
import { numberArray } from "./pg_text.ts";

/** What a batch did. */
export interface RetentionBatch {
  deleted: number;
  /** The newest created_at that it came to; nothing older is left of the sweep. */
  reached: number | null;
  /** Whether the sweep goes on. */
  more: boolean;
}

/**
 * Deletes up to `limit` of the sweep's oldest events, from created_at `from` on, with their sightings
 * and marks, and takes them off the statistics.
 */
export function deletePastRetention(
  store: Store,
  o: RetentionSweep & { from: number; limit: number; signal?: AbortSignal },
): Promise<RetentionBatch> {
  return store.transaction("event_retention_delete", async (sql) => {
    const [row] = await sql<RetentionBatch[]>`select deleted, reached, more
      from event_retention_delete(${o.kind ?? null}::int, ${numberArray(o.exceptKinds)}::int[],
        ${o.before}::bigint, ${o.from}::bigint, ${o.limit}::int)`;
    return row === undefined ? { deleted: 0, reached: null, more: false } : { ...row };
  }, { retry: true, signal: o.signal });
}
