// The one door to PostgreSQL, embedded (PGlite in a worker) or a server, by one driver. In: where
// the data is. Out: an open store. Nothing behind it needs session state, LISTEN or a second
// connection, so that the same code runs on PGlite and behind PgBouncer in transaction mode.
// Never knows a table.
import { EmbeddedBackend } from "./embedded_backend.ts";
import { PgStore } from "./pg_store.ts";
import { ServerBackend } from "./server_backend.ts";
import { DEFAULT_POOL, type Store, type StoreOptions } from "./store.ts";

export type { Sql } from "./connection.ts";
export type { PoolOptions, PoolStats } from "./connection_pool.ts";
export * from "./store.ts";

/**
 * Opens the database and waits for it up to `openTimeoutMs`. Throws DataDirLocked when another
 * process has the data folder, StoreUnavailable when the server can't be reached, the server's own
 * error when it refuses us, TypeError for a URL that is none. The caller disposes of the store.
 */
export async function openStore(options: StoreOptions): Promise<Store> {
  const backend = options.databaseUrl === undefined
    ? await EmbeddedBackend.open(options)
    : new ServerBackend(options, options.databaseUrl);
  const store = new PgStore(backend, { ...DEFAULT_POOL, ...options.pool }, options);
  try {
    await store.run("open", async (sql) => void await sql`select 1`, {
      retry: true,
      signal: options.signal,
      unavailableTimeoutMs: options.openTimeoutMs ?? 60_000,
    });
    return store;
  } catch (error) {
    await store[Symbol.asyncDispose]();
    throw error;
  }
}
