// A store for a benchmark, new and migrated, removed with all that it lives on. In: which kind. Out:
// the store, its folder and its URL. A server is that of DATABASE_URL, else one of our own.
import { openStore, type Store } from "../../src/store/connect.ts";
import type { Layout } from "../../src/store/layout.ts";
import { migrate } from "../../src/store/migrate.ts";
import { createDatabase, PostgresServer } from "../support/postgres_server.ts";
import type { BenchStore } from "./bench.ts";

/** The settings of a small dedicated server. */
const SETTINGS = { shared_buffers: "512MB", max_wal_size: "2GB", checkpoint_timeout: "15min" };

/** A store, and where it is. */
export interface OpenBenchStore {
  store: Store;
  dataDir: string;
  /** Undefined where it is embedded. */
  databaseUrl: string | undefined;
}

/** A server on which durability is on, as on an operator's; `stack` ends it. */
export async function benchServer(
  stack: AsyncDisposableStack,
  settings: Readonly<Record<string, string>> = {},
): Promise<string> {
  const given = Deno.env.get("DATABASE_URL");
  if (given !== undefined) return given;
  const options = { fsync: true, settings: { ...SETTINGS, ...settings } };
  return stack.use(await PostgresServer.create(options)).url();
}

/** An empty, migrated store; `stack` closes and removes it. Several share a `server`. */
export async function openBenchStore(
  stack: AsyncDisposableStack,
  kind: BenchStore,
  options: { server?: string | undefined; layout?: Partial<Layout> } = {},
): Promise<OpenBenchStore> {
  const dataDir = await Deno.makeTempDir({ prefix: "bigbrotr-bench-" });
  stack.defer(() => Deno.remove(dataDir, { recursive: true }));
  const databaseUrl = kind === "postgres"
    ? stack.use(await createDatabase(options.server ?? await benchServer(stack))).url
    : undefined;
  const store = stack.use(await openStore({ dataDir, databaseUrl }));
  await migrate(store, options.layout === undefined ? {} : { layout: options.layout });
  return { store, dataDir, databaseUrl };
}
