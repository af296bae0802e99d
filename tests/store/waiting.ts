// Who waits for whose lock, for tests of what happens meanwhile. In: a store on a server. Out: when so
// many wait.
import type { Store } from "../../src/store/connect.ts";

/** Resolves when so many of this database's connections wait for others, or `over` says so. */
export async function waiting(
  store: Store,
  count: number,
  over = (): boolean => false,
): Promise<void> {
  while (!over()) {
    const [row] = await store.run(
      "waiting",
      (sql) =>
        sql<{ n: number }[]>`select count(*) as n from pg_stat_activity
        where datname = current_database() and wait_event_type = 'Lock'`,
    );
    if ((row?.n ?? 0) >= count) return;
    await new Promise((go) => setTimeout(go, 10));
  }
}
