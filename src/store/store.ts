// What a store is, for whoever uses one: work runs in transactions under deadlines, waits for a
// database that went away, and the store says how it is. connect.ts opens one, pg_store.ts is one.
import type { Clock } from "../lib/clock.ts";
import type { Secret } from "../lib/secret.ts";
import type { Sql } from "./connection.ts";
import type { PoolOptions, PoolStats } from "./connection_pool.ts";

/** Bounds that fit a small server and the embedded database alike. */
export const DEFAULT_POOL: Readonly<PoolOptions> = {
  max: 8,
  acquireTimeoutMs: 30_000,
  statementTimeoutMs: 60_000,
  idleTimeoutMs: 60_000,
};

/** Where the data is and how patient to be. */
export interface StoreOptions {
  /** A server; the embedded database when absent. */
  databaseUrl?: Secret | string | undefined;
  /** Wins over the URL's. */
  password?: Secret | string | undefined;
  /** The embedded database lives in `<dataDir>/pglite`; not used with a server. */
  dataDir: string;
  pool?: Partial<PoolOptions> | undefined;
  /** Time to open the first connection, retries included; 60 s. */
  openTimeoutMs?: number;
  /** Time for one connection to stand, authentication included; 10 s, embedded 60 s. */
  connectTimeoutMs?: number;
  /** How long a call waits for a database that went away before it rejects; 10 minutes. */
  unavailableTimeoutMs?: number;
  /** Named prepared statements; "auto" (the default) turns them off behind a pooler. */
  prepare?: boolean | "auto";
  /** Embedded: flush to the disk on commit (the default). Without it a power cut may corrupt all. */
  fsync?: boolean;
  /** Embedded: a data folder as a tar to start a new one from. */
  template?: Blob;
  clock?: Clock;
  random?: () => number;
  /** Told when the database goes away or comes back. */
  onStateChange?: (health: StoreHealth) => void;
  /** Told after each piece of work, for metrics. */
  onQuery?: (query: QueryReport) => void;
  applicationName?: string;
  /** Ends the opening. */
  signal?: AbortSignal;
}

/** How the database was when we last spoke to it. */
export interface StoreHealth {
  state: "up" | "down";
  /** Unix milliseconds. */
  since: number;
  lastError?: string;
}

/** One piece of work, done or failed. */
export interface QueryReport {
  name: string;
  ok: boolean;
  /** Waiting for a connection and for the database included. */
  elapsedMs: number;
  attempts: number;
}

/** How one piece of work is run. */
export interface RunOptions {
  /** Ends the wait; the work is rolled back. */
  signal?: AbortSignal | undefined;
  /**
   * True when doing it twice does no harm (reads, ON CONFLICT): then it is also repeated when the
   * connection was lost during COMMIT. Work whose loss is certain is repeated either way, so `fn`
   * must not do anything but query.
   */
  retry?: boolean;
  /** Instead of the pool's; 0 means none (migrations). */
  statementTimeoutMs?: number;
  /** Instead of the store's; 0 means one try. */
  unavailableTimeoutMs?: number;
}

/** Counts for metrics. */
export interface StoreStats extends PoolStats {
  queries: number;
  failures: number;
  retries: number;
}

/** An open database; close it by disposing of it. */
export interface Store extends AsyncDisposable {
  readonly kind: "pglite" | "postgres";
  /** For composing fragments outside of `run`; a query awaited on it fails. */
  readonly sql: Sql;
  /**
   * Runs `fn` in a transaction of its own. Repeats it while the database is away (StoreUnavailable
   * after `unavailableTimeoutMs`) and after deadlocks; rejects with AcquireTimeout,
   * StatementTimeout, CommitUnknown, StoreClosed, `signal.reason`, or what `fn` threw.
   */
  run<T>(name: string, fn: (sql: Sql) => Promise<T>, options?: RunOptions): Promise<T>;
  /** The same, so named where several statements belong together. */
  transaction<T>(name: string, fn: (sql: Sql) => Promise<T>, options?: RunOptions): Promise<T>;
  /** Runs one statement that PostgreSQL refuses in a transaction (VACUUM). No deadline, no retry. */
  command(name: string, statement: string, options?: { signal?: AbortSignal }): Promise<void>;
  /** One round trip, no retries: true when the database answered within `timeoutMs` (5 s). */
  ping(options?: { timeoutMs?: number; signal?: AbortSignal }): Promise<boolean>;
  health(): StoreHealth;
  stats(): StoreStats;
  /** Embedded: the data folder as a tar; undefined for a server. */
  dump(): Promise<Blob | undefined>;
}
