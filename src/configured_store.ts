/**
 * The configured database: embedded or a server, its schema brought up to date, its comings and goings
 * told in the log. In: a checked configuration. Out: an open store, which the caller disposes of.
 * Never: decides who uses it.
 */
import type { Config } from "./config/config.ts";
import { logger } from "./lib/log.ts";
import type { Secret } from "./lib/secret.ts";
import type { Metrics } from "./metrics.ts";
import { openStore, type Store, type StoreHealth, type StoreOptions } from "./store/connect.ts";
import { checkLayout } from "./store/layout.ts";
import { migrate, MIGRATIONS, schemaVersion } from "./store/migrate.ts";

const log = logger("store");

/** Options of {@linkcode openConfiguredStore}. */
export interface StoreOpening {
  metrics?: Metrics | undefined;
  signal?: AbortSignal | undefined;
  /** Bring the schema up to date first; default true. */
  migrate?: boolean;
}

/** The configured database, its schema up to date. The caller disposes of it. */
export async function openConfiguredStore(
  config: Config,
  options: StoreOpening = {},
): Promise<Store> {
  const { metrics, signal } = options;
  const { dataDir, secrets } = config;
  if (secrets.databaseUrl === undefined) await Deno.mkdir(dataDir, { recursive: true });
  const store = await openStore({
    ...storeOptions(config, { metrics, signal }),
    databaseUrl: secrets.databaseUrl,
    onStateChange: (health) => tellState("The database", health),
  });
  try {
    if (options.migrate ?? true) {
      const { applied, version } = await migrateConfigured(store, config, { signal });
      if (applied > 0) log.info("Brought the schema to version {version}", { version, applied });
    }
    return store;
  } catch (error) {
    await store[Symbol.asyncDispose]();
    throw error;
  }
}

/**
 * The configured database for a command that only reads, by the reader's connection where one is
 * configured and `isForReader` says that it may see what is asked. A server's schema is left as it is:
 * a question must not change it under the processes that run there. Throws where it is not ours. The
 * caller disposes of the store.
 */
export async function openStoreToRead(
  config: Config,
  options: Pick<StoreOpening, "signal"> & { isForReader: boolean },
): Promise<Store> {
  const { isForReader, ...rest } = options;
  const { databaseUrl, databaseReaderUrl } = config.secrets;
  // The embedded one is nobody else's while it is open.
  if (databaseUrl === undefined) return await openConfiguredStore(config, rest);
  const store = isForReader && databaseReaderUrl !== undefined
    ? await openReader(config, databaseReaderUrl, rest)
    : await openConfiguredStore(config, { ...rest, migrate: false });
  try {
    const version = await schemaVersion(store);
    if (version === MIGRATIONS.length) return store;
    throw new Error(
      `Cannot read the database as its schema is at version ${version}, and this program's is ` +
        `${MIGRATIONS.length}; ` +
        (version < MIGRATIONS.length ? '"bigbrotr migrate" changes that' : "use a newer program"),
    );
  } catch (error) {
    await store[Symbol.asyncDispose]();
    throw error;
  }
}

/** A connection that only reads; it may belong to a replica, so the schema is as it is. */
export function openReader(
  config: Config,
  databaseUrl: Secret,
  options: Pick<StoreOpening, "metrics" | "signal">,
): Promise<Store> {
  return openStore({
    ...storeOptions(config, options),
    databaseUrl,
    onStateChange: (health) => tellState("The database of questions", health),
  });
}

function storeOptions(
  config: Config,
  { metrics, signal }: Pick<StoreOpening, "metrics" | "signal">,
): StoreOptions {
  const { store: settings, dataDir } = config;
  return {
    dataDir,
    pool: {
      max: settings.poolSize,
      acquireTimeoutMs: settings.acquireTimeoutMs,
      statementTimeoutMs: settings.statementTimeoutMs,
      idleTimeoutMs: settings.idleTimeoutMs,
    },
    openTimeoutMs: settings.openTimeoutMs,
    unavailableTimeoutMs: settings.unavailableTimeoutMs,
    ...(metrics === undefined ? {} : { onQuery: (query) => metrics.store.query(query) }),
    ...(signal === undefined ? {} : { signal }),
  };
}

/**
 * Brings the schema up to date, laid out as configured when it is made now. Throws ProfileMismatch
 * when the database was made with another profile; other differences are told and left.
 */
export async function migrateConfigured(
  store: Store,
  config: Config,
  options: { signal?: AbortSignal | undefined } = {},
): Promise<{ applied: number; version: number }> {
  const signal = options.signal === undefined ? {} : { signal: options.signal };
  const { profile, partitionEvents: wanted } = config.store;
  const own = { profile, ...(store.kind === "postgres" ? { partitionEvents: wanted } : {}) };
  const done = await migrate(store, { layout: own, ...signal });
  const { partitionEvents } = await checkLayout(store, own, signal);
  if (store.kind === "postgres" && partitionEvents !== wanted) {
    log.info(
      "The database was made with store.partition_events: {partitionEvents}, and keeps that; " +
        "{wanted} is configured",
      { partitionEvents, wanted },
    );
  }
  return done;
}

function tellState(what: string, health: StoreHealth): void {
  if (health.state === "up") log.info("{what} is back", { what });
  else {
    const reason = health.lastError ?? "";
    log.warn("{what} is away: {reason}; waiting for it", { what, reason });
  }
}
