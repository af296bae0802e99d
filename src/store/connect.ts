// The one door to PostgreSQL, embedded (PGlite in a worker) or a server, by one driver. In: where
// the data is. Out: a Store that runs work in transactions under deadlines, waits for a database
// that went away, and says how it is. Nothing in it needs session state, LISTEN or a second
// connection, so that the same code runs on PGlite and behind PgBouncer in transaction mode.
// Never knows a table.
import postgres from "postgres";
import { type Clock, systemClock } from "../lib/clock.ts";
import { deadline, withSignal } from "../lib/deadline.ts";
import { backoffMs } from "../lib/retry.ts";
import type { Secret } from "../lib/secret.ts";
import { errorText } from "../lib/text.ts";
import { Connection, type ConnectionOptions, type Sql } from "./connection.ts";
import { ConnectionPool, type PoolOptions, type PoolStats } from "./connection_pool.ts";
import { DataLock } from "./data_lock.ts";
import {
  CommitUnknown,
  isConflict,
  isPreparedLost,
  isServerAway,
  StatementTimeout,
  StoreClosed,
  StoreUnavailable,
} from "./errors.ts";
import { PgliteServer } from "./pglite_socket.ts";
import { parseDatabaseUrl } from "./server_address.ts";
import { connectSocket } from "./server_socket.ts";

export type { Sql } from "./connection.ts";
export type { PoolOptions, PoolStats } from "./connection_pool.ts";

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
  /** Time to open the first connection, retries included. */
  openTimeoutMs?: number;
  /** How long a call waits for a database that went away before it rejects. */
  unavailableTimeoutMs?: number;
  /** Named prepared statements; "auto" turns them off behind a pooler. */
  prepare?: boolean | "auto";
  /** Embedded: flush to the disk on commit. Without it a power cut may corrupt the folder. */
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
  /** Ends the wait; work under way is dropped with its connection. */
  signal?: AbortSignal | undefined;
  /**
   * True when doing it twice does no harm (reads, ON CONFLICT): then it is also repeated when the
   * connection was lost during COMMIT. Work whose loss is certain is repeated either way.
   */
  retry?: boolean;
  /** Instead of the pool's; 0 means none (migrations). */
  statementTimeoutMs?: number;
  /** Instead of the store's; 0 means: one try. */
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
  /** For composing fragments; a query awaited on it directly fails. */
  readonly sql: Sql;
  /** Runs `fn` in a transaction of its own, and repeats it when the database goes away. */
  run<T>(name: string, fn: (sql: Sql) => Promise<T>, options?: RunOptions): Promise<T>;
  /** The same, named for work of several statements. */
  transaction<T>(name: string, fn: (sql: Sql) => Promise<T>, options?: RunOptions): Promise<T>;
  /** Runs one statement that PostgreSQL refuses in a transaction (VACUUM). No deadline, no retry. */
  command(name: string, statement: string, options?: { signal?: AbortSignal }): Promise<void>;
  /** One round trip, no retries: true when the database answered within `timeoutMs`. */
  ping(options?: { timeoutMs?: number; signal?: AbortSignal }): Promise<boolean>;
  health(): StoreHealth;
  stats(): StoreStats;
  /** Embedded: the data folder as a tar; undefined for a server. */
  dump(): Promise<Blob | undefined>;
}

/**
 * Opens the database and waits for it up to `openTimeoutMs`. Throws DataDirLocked when another
 * process has the data folder, StoreUnavailable when the server can't be reached, TypeError for a
 * URL that is none. The caller disposes of the store.
 */
export async function openStore(options: StoreOptions): Promise<Store> {
  const store = options.databaseUrl === undefined
    ? await openEmbedded(options)
    : openServer(options, options.databaseUrl);
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

async function openEmbedded(options: StoreOptions): Promise<PgStore> {
  await using stack = new AsyncDisposableStack();
  stack.use(await DataLock.acquire(options.dataDir));
  const folder = {
    dataDir: `${options.dataDir}/pglite`,
    fsync: options.fsync ?? true,
    ...(options.template === undefined ? {} : { template: options.template }),
  };
  let server = await PgliteServer.start(folder);
  const connect = async (): Promise<Connection> => {
    if (server.failed) server = await PgliteServer.start(folder);
    return new Connection(server.connect(), {
      user: "postgres",
      database: "postgres",
      password: "",
      ssl: false,
      applicationName: options.applicationName ?? "bigbrotr",
      connectTimeoutMs: 30_000,
      prepare: options.prepare !== false,
    });
  };
  stack.defer(() => server[Symbol.asyncDispose]());
  // One backend means one connection; the rest of the pool's bounds hold.
  const pool = { ...DEFAULT_POOL, ...options.pool, max: 1, idleTimeoutMs: 2 ** 31 - 1 };
  return new PgStore("pglite", connect, pool, options, stack.move(), () => server.dump());
}

function openServer(options: StoreOptions, databaseUrl: Secret | string): PgStore {
  const address = parseDatabaseUrl(databaseUrl, options.password);
  const pool = { ...DEFAULT_POOL, ...options.pool };
  const connectTimeoutMs = 10_000;
  let prepare = options.prepare ?? "auto";
  const connect = async (signal: AbortSignal): Promise<Connection> => {
    const connectOptions = (prepared: boolean): ConnectionOptions => ({
      ...address,
      applicationName: options.applicationName ?? "bigbrotr",
      connectTimeoutMs,
      prepare: prepared,
    });
    const dial = (): ReturnType<typeof connectSocket> =>
      connectSocket(address, { timeoutMs: connectTimeoutMs, signal });
    try {
      if (prepare === "auto") {
        const probe = new Connection(await dial(), connectOptions(false));
        // A pooler gives out a backend id of its own; the server's is another.
        const rows = await probe.sql`select pg_backend_pid() as pid`.simple();
        prepare = rows.state.pid === Number(rows[0]?.pid);
        if (!prepare) return probe;
        await probe.close();
      }
      return new Connection(await dial(), connectOptions(prepare));
    } catch (error) {
      signal.throwIfAborted();
      throw error;
    }
  };
  return new PgStore("postgres", connect, pool, options, new AsyncDisposableStack(), () => {
    return Promise.resolve(undefined);
  });
}

class PgStore implements Store {
  readonly kind: "pglite" | "postgres";
  readonly sql: Sql;
  readonly dump: () => Promise<Blob | undefined>;
  readonly #pool: ConnectionPool;
  readonly #bounds: PoolOptions;
  readonly #options: StoreOptions;
  readonly #clock: Clock;
  readonly #resources: AsyncDisposableStack;
  readonly #closing = new AbortController();
  #health: StoreHealth;
  #queries = 0;
  #failures = 0;
  #retries = 0;

  constructor(
    kind: "pglite" | "postgres",
    connect: (signal: AbortSignal) => Promise<Connection>,
    bounds: PoolOptions,
    options: StoreOptions,
    resources: AsyncDisposableStack,
    dump: () => Promise<Blob | undefined>,
  ) {
    this.kind = kind;
    this.#bounds = bounds;
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#pool = new ConnectionPool(connect, bounds, this.#clock);
    this.#resources = resources;
    this.dump = dump;
    this.#health = { state: "up", since: this.#clock.nowMs() };
    this.sql = fragmentsOnly();
  }

  health(): StoreHealth {
    return this.#health;
  }

  stats(): StoreStats {
    return {
      ...this.#pool.stats(),
      queries: this.#queries,
      failures: this.#failures,
      retries: this.#retries,
    };
  }

  async ping(options: { timeoutMs?: number; signal?: AbortSignal } = {}): Promise<boolean> {
    using limit = deadline(options.timeoutMs ?? 5000, { signal: options.signal });
    try {
      await this.run("ping", async (sql) => void await sql`select 1`, {
        signal: limit.signal,
        unavailableTimeoutMs: 0,
      });
      return true;
    } catch (error) {
      options.signal?.throwIfAborted();
      this.#say("down", error);
      return false;
    }
  }

  transaction<T>(name: string, fn: (sql: Sql) => Promise<T>, options?: RunOptions): Promise<T> {
    return this.run(name, fn, options);
  }

  async run<T>(
    name: string,
    fn: (sql: Sql) => Promise<T>,
    options: RunOptions = {},
  ): Promise<T> {
    const startedMs = this.#clock.monotonicMs();
    let attempts = 0;
    let ok = false;
    try {
      const value = await this.#repeat(name, fn, options, () => ++attempts);
      ok = true;
      return value;
    } finally {
      this.#queries += 1;
      if (!ok) this.#failures += 1;
      const elapsedMs = this.#clock.monotonicMs() - startedMs;
      this.#options.onQuery?.({ name, ok, elapsedMs, attempts });
    }
  }

  command(
    name: string,
    statement: string,
    options: { signal?: AbortSignal } = {},
  ): Promise<void> {
    const startedMs = this.#clock.monotonicMs();
    return this.#pool.use(async (connection) => {
      await connection.sql.unsafe(statement);
      this.#queries += 1;
      const elapsedMs = this.#clock.monotonicMs() - startedMs;
      this.#options.onQuery?.({ name, ok: true, elapsedMs, attempts: 1 });
    }, options);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort(new StoreClosed("Cannot query as the store is closed"));
    await this.#pool[Symbol.asyncDispose]();
    await this.#resources.disposeAsync();
  }

  async #repeat<T>(
    name: string,
    fn: (sql: Sql) => Promise<T>,
    options: RunOptions,
    count: () => number,
  ): Promise<T> {
    const patienceMs = options.unavailableTimeoutMs ??
      this.#options.unavailableTimeoutMs ?? 600_000;
    const signal = options.signal === undefined
      ? this.#closing.signal
      : AbortSignal.any([options.signal, this.#closing.signal]);
    let conflicts = 0;
    let downSinceMs: number | undefined;
    for (let away = 0;;) {
      signal.throwIfAborted();
      const attempt = count();
      try {
        const value = await this.#pool.use(
          (connection) => this.#once(connection, fn, options, signal),
          { signal },
        );
        this.#say("up");
        return value;
      } catch (error) {
        signal.throwIfAborted();
        const conflict = isConflict(error);
        const gone = !conflict && isAway(error);
        if (gone) this.#say("down", error);
        const unsure = error instanceof CommitUnknown && options.retry !== true;
        if (unsure || (!gone && !conflict)) throw error;
        downSinceMs ??= this.#clock.monotonicMs();
        const spentMs = this.#clock.monotonicMs() - downSinceMs;
        if (conflict ? ++conflicts > 10 : spentMs >= patienceMs) {
          if (conflict) throw error;
          throw error instanceof StoreUnavailable || error instanceof CommitUnknown
            ? error
            : new StoreUnavailable(`Cannot ${name} as the database is away`, { cause: error });
        }
        this.#retries += 1;
        const bounds = conflict ? { baseMs: 20, maxMs: 500 } : { baseMs: 100, maxMs: 5000 };
        const delayMs = backoffMs(conflict ? attempt - 1 : away++, {
          ...bounds,
          random: this.#options.random,
        });
        await this.#clock.sleep(delayMs, { signal });
      }
    }
  }

  // One try: BEGIN and its settings travel with the first statement, so a call costs two round
  // trips. SET LOCAL is the one way to a statement deadline that a pooler leaves alone.
  async #once<T>(
    connection: Connection,
    fn: (sql: Sql) => Promise<T>,
    options: RunOptions,
    signal: AbortSignal,
  ): Promise<T> {
    const timeoutMs = options.statementTimeoutMs ?? this.#bounds.statementTimeoutMs;
    // The server's deadline comes first; ours is for a server that says nothing at all.
    using limit = deadline(timeoutMs > 0 ? timeoutMs + 2000 : Infinity, { signal });
    const onAbort = (): void => {
      // The embedded backend can't be interrupted: its answer is awaited, the caller's wait is not.
      if (this.kind === "postgres") connection.destroy(new Error("Gave up waiting"));
    };
    limit.signal.addEventListener("abort", onAbort, { once: true });
    const { sql } = connection;
    let committing = false;
    const work = async (): Promise<T> => {
      const begun = sql.unsafe(
        `begin; set local statement_timeout = ${Math.ceil(timeoutMs)}; ` +
          "set local plan_cache_mode = force_custom_plan",
      ).execute();
      begun.catch(ignoreHere);
      let value: T;
      try {
        value = await fn(sql);
        await begun;
      } catch (error) {
        if (!connection.lost) {
          await sql.unsafe("rollback").catch((e: Error) => connection.destroy(e));
        }
        throw error;
      }
      committing = true;
      const done = await sql.unsafe("commit");
      // COMMIT of a transaction in which a statement failed is answered by ROLLBACK, not an error.
      if (done.command !== "COMMIT") throw new Error("Cannot commit as a statement failed before");
      return value;
    };
    const working = work();
    try {
      return await (this.kind === "postgres" ? working : this.#embedded(working, limit.signal));
    } catch (error) {
      if (limit.expired || isStatementTimeout(error)) {
        throw new StatementTimeout(`The work took longer than ${timeoutMs} ms`, { cause: error });
      }
      if (!connection.lost) throw error;
      const cause = isServerAway(error) ? error : connection.lostError();
      if (committing) throw new CommitUnknown("Lost the database while committing", { cause });
      throw new StoreUnavailable("Lost the connection to the database", { cause });
    } finally {
      limit.signal.removeEventListener("abort", onAbort);
    }
  }

  async #embedded<T>(working: Promise<T>, signal: AbortSignal): Promise<T> {
    try {
      return await withSignal(working, signal);
    } catch (error) {
      // The connection is not free before its work is done.
      await working.then(ignoreHere, ignoreHere);
      throw error;
    }
  }

  #say(state: "up" | "down", error?: unknown): void {
    if (state === this.#health.state) {
      if (state === "down") this.#health = { ...this.#health, lastError: errorText(error) };
      return;
    }
    this.#health = { state, since: this.#clock.nowMs() };
    if (state === "down") this.#health.lastError = errorText(error);
    this.#options.onStateChange?.(this.#health);
  }
}

function isStatementTimeout(error: unknown): boolean {
  return error instanceof postgres.PostgresError && error.code === "57014";
}

function isAway(error: unknown): boolean {
  if (error instanceof StoreUnavailable || error instanceof CommitUnknown) return true;
  if (isServerAway(error) || isPreparedLost(error)) return true;
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === "string" && SOCKET_CODES.has(code) ||
    error instanceof Error && error.name === "DeadlineExceeded";
}

const SOCKET_CODES = new Set([
  "ECONNREFUSED",
  "ECONNRESET",
  "EPIPE",
  "ETIMEDOUT",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "ENOTFOUND",
  "EAI_AGAIN",
  "ENOENT",
  "CONNECTION_CLOSED",
  "CONNECTION_ENDED",
  "CONNECTION_DESTROYED",
  "CONNECT_TIMEOUT",
]);

// The error reaches the caller by another promise of the same call.
function ignoreHere(): void {}

function fragmentsOnly(): Sql {
  const config = {
    host: "fragments",
    port: 5432,
    path: "",
    user: "-",
    database: "-",
    pass: (): string => "",
    max: 1,
    target_session_attrs: null,
    fetch_types: false,
    socket: (): never => {
      throw new Error("Cannot query on store.sql; use store.run");
    },
  };
  return postgres(config as unknown as postgres.Options<Record<string, never>>) as Sql;
}
