/**
 * What stages and commands work with, opened from the configuration: the store with its schema, the
 * dialer, the verifier, the key. In: a checked configuration. Out: open things, each closed by
 * whoever asked for it. Never: decides what runs.
 */
import type { Config } from "./config/config.ts";
import { logger } from "./lib/log.ts";
import { NAME, VERSION } from "./lib/version.ts";
import type { Metrics } from "./metrics.ts";
import type { EventLimits } from "./model/event.ts";
import { createDialer, type Dialer } from "./net/dialer.ts";
import { openStore, type Store, type StoreHealth } from "./store/connect.ts";
import { migrate } from "./store/migrate.ts";
import { openVerifier, type Verifier } from "./verify/verifier.ts";

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
  const { store: settings, dataDir, secrets } = config;
  if (secrets.databaseUrl === undefined) await Deno.mkdir(dataDir, { recursive: true });
  const store = await openStore({
    databaseUrl: secrets.databaseUrl,
    dataDir,
    pool: {
      max: settings.poolSize,
      acquireTimeoutMs: settings.acquireTimeoutMs,
      statementTimeoutMs: settings.statementTimeoutMs,
      idleTimeoutMs: settings.idleTimeoutMs,
    },
    openTimeoutMs: settings.openTimeoutMs,
    unavailableTimeoutMs: settings.unavailableTimeoutMs,
    onStateChange: tellState,
    ...(metrics === undefined ? {} : { onQuery: (query) => metrics.query(query) }),
    ...(signal === undefined ? {} : { signal }),
  });
  try {
    if (options.migrate ?? true) {
      const { applied, version } = await migrate(store, signal === undefined ? {} : { signal });
      if (applied > 0) log.info("Brought the schema to version {version}", { version, applied });
    }
    return store;
  } catch (error) {
    await store[Symbol.asyncDispose]();
    throw error;
  }
}

/** The dialer for the configured networks. Needs no closing. */
export function configuredDialer(config: Config): Dialer {
  const { contact } = config.identity;
  const about = contact === undefined ? "" : ` (+${contact})`;
  return createDialer({
    networks: config.networks,
    userAgent: `${NAME}/${VERSION}${about}`,
  });
}

/** The configured signature checker. The caller disposes of it. */
export function openConfiguredVerifier(config: Config): Promise<Verifier> {
  const { backend, workers } = config.verify;
  return openVerifier({ backend, workers: workers === 0 ? undefined : workers });
}

/** What one event may cost, as the configuration says. */
export function eventLimits(config: Config): EventLimits {
  const { maxEventBytes, maxTags, maxTagItems } = config.limits;
  return { maxEventBytes, maxTags, maxTagItems };
}

function tellState(health: StoreHealth): void {
  if (health.state === "up") log.info("The database is back");
  else {
    log.warn("The database is away: {reason}; waiting for it", { reason: health.lastError ?? "" });
  }
}
