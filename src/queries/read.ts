// One read of the store under a deadline, its bad luck as a value: too slow, or the database away.
// In: work on the store's SQL. Out: its value. Never waits long for a database that is gone, because
// somebody waits for the answer.
import type postgres from "postgres";
import { deadline, withSignal } from "../lib/deadline.ts";
import { fail, ok, type Result } from "../lib/result.ts";
import type { Sql, Store } from "../store/connect.ts";
import {
  AcquireTimeout,
  isServerAway,
  StatementTimeout,
  StoreClosed,
  StoreUnavailable,
} from "../store/errors.ts";

/** What a question reads by: tagged templates in a transaction of its own. */
export type Read = Sql;

/** A piece of a statement. */
export type Fragment = postgres.PendingQuery<postgres.Row[]>;

/** Why a read gave nothing. */
export type ReadFailure = { reason: "too_slow" } | { reason: "unavailable" };

/** A connection that the server closed while it was idle is replaced; a longer absence is told. */
const PATIENCE_MS = 2_000;

/** Runs `work` for at most `timeoutMs`, the wait for a connection included. */
export async function read<T>(
  store: Store,
  name: string,
  options: { timeoutMs: number; signal?: AbortSignal | undefined },
  work: (sql: Read) => Promise<T>,
): Promise<Result<T, ReadFailure>> {
  const { timeoutMs, signal } = options;
  using limit = deadline(timeoutMs, { signal });
  try {
    // The embedded database can't be interrupted; whoever asked is told in time nevertheless.
    return ok(
      await withSignal(
        store.run(`query_${name}`, work, {
          retry: true,
          statementTimeoutMs: timeoutMs,
          unavailableTimeoutMs: Math.min(PATIENCE_MS, timeoutMs),
          signal: limit.signal,
        }),
        limit.signal,
      ),
    );
  } catch (error) {
    signal?.throwIfAborted();
    if (limit.expired || error instanceof StatementTimeout) return fail({ reason: "too_slow" });
    const away = error instanceof StoreUnavailable || error instanceof AcquireTimeout ||
      error instanceof StoreClosed || isServerAway(error);
    if (away) return fail({ reason: "unavailable" });
    throw error;
  }
}
