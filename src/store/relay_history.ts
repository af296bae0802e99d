// What is kept of checks when they are over: days that outlive them. In: a day, or times from when on
// things are old. Out: rows written and deleted, some relays at a time, so that no statement is long.
// Never decides how long is long enough.
import type { Sql, Store } from "./connect.ts";

/** How a sweep over all relays goes. */
export interface SweepOptions {
  /** Relays at a time; 500 unless told. */
  batch?: number;
  signal?: AbortSignal;
}

const DEFAULT_BATCH = 500;

/** The time of the first check there is, Unix seconds. */
export function firstCheckAt(
  store: Store,
  o: { signal?: AbortSignal } = {},
): Promise<number | undefined> {
  return store.run("first_check_at", async (sql) => {
    const [row] = await sql<{ at: number | null }[]>`select min(checked_at) as at from relay_check`;
    return row?.at ?? undefined;
  }, { retry: true, signal: o.signal });
}

/**
 * Writes the rows of a finished UTC day (days since 1970-01-01) for all relays. May be called again
 * for the same day, as long as its checks are there.
 */
export async function rollUpDay(store: Store, day: number, o: SweepOptions = {}): Promise<void> {
  await sweep(
    "relay_check_roll_up",
    store,
    o,
    (sql, afterId, batch) =>
      sql<LastId[]>`select relay_check_roll_up(${day}::int, ${afterId}::int, ${batch}::int) as id`,
  );
}

/** From when on things are old: times in Unix seconds, and a day. */
export interface HistoryLimits {
  checksBefore: number;
  transitionsBefore: number;
  daysBefore: number;
}

/** Deletes what is older, of all relays; never a relay's latest check. */
export async function deleteExpiredHistory(
  store: Store,
  limits: HistoryLimits,
  o: SweepOptions = {},
): Promise<void> {
  const { checksBefore, transitionsBefore, daysBefore } = limits;
  await sweep(
    "relay_history_delete_expired",
    store,
    o,
    (sql, afterId, batch) =>
      sql<LastId[]>`select relay_history_delete_expired(${checksBefore}::bigint,
      ${transitionsBefore}::bigint, ${daysBefore}::int, ${afterId}::int, ${batch}::int) as id`,
  );
}

/** Of the last relay of a batch; null behind the last one. */
interface LastId {
  id: number | null;
}

async function sweep(
  name: string,
  store: Store,
  { batch = DEFAULT_BATCH, signal }: SweepOptions,
  statement: (sql: Sql, afterId: number, batch: number) => PromiseLike<readonly LastId[]>,
): Promise<void> {
  let afterId: number | null = 0;
  while (afterId !== null) {
    const from: number = afterId;
    afterId = await store.run(name, async (sql) => {
      const [row] = await statement(sql, from, batch);
      return row?.id ?? null;
    }, { retry: true, signal });
  }
}
