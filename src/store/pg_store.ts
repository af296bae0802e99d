// A store over connections from anywhere: transactions, deadlines, retries, health. In: work as
// functions of a connection's `sql`. Out: their results, once and committed, or an error that says
// which it is. Never repeats what may have been committed, unless its caller says that it may.
import postgres from "postgres";
import { type Clock, systemClock } from "../lib/clock.ts";
import { deadline } from "../lib/deadline.ts";
import { backoffMs } from "../lib/retry.ts";
import { errorText } from "../lib/text.ts";
import { type Connection, fragmentSql, type Sql } from "./connection.ts";
import { ConnectionPool, type PoolOptions } from "./connection_pool.ts";
import {
  CommitUnknown,
  DiskFull,
  isAway,
  isConflict,
  isDiskFull,
  isPreparedLost,
  sqlState,
  StatementTimeout,
  StoreClosed,
  StoreUnavailable,
} from "./errors.ts";
import type { RunOptions, Store, StoreHealth, StoreOptions, StoreStats } from "./store.ts";

/** Where connections come from. */
export interface Backend extends AsyncDisposable {
  readonly kind: Store["kind"];
  connect(signal: AbortSignal): Promise<Connection>;
  /** Told when a prepared statement was not where it had been prepared. */
  forgetPrepared?(): void;
  dump(): Promise<Blob | undefined>;
}

/**
 * A server's own deadline comes first; ours is for one that says nothing at all. The embedded server
 * knows no deadline.
 */
const GRACE_MS = 2000;
const MAX_CONFLICTS = 10;
const CONFLICT_BACKOFF = { baseMs: 20, maxMs: 500 };
const AWAY_BACKOFF = { baseMs: 100, maxMs: 5000 };
const DEFAULT_PATIENCE_MS = 600_000;
/**
 * A full disk refuses writes while reads go on: for so long only what was refused shows, when it
 * succeeds, that there is room again.
 */
const FULL_STAYS_MS = 5000;
const QUERY_CANCELED = "57014";

/** The store; see the interface for what each method promises. */
export class PgStore implements Store {
  readonly kind: Store["kind"];
  readonly sql: Sql = fragmentSql();
  readonly #backend: Backend;
  readonly #pool: ConnectionPool;
  readonly #statementTimeoutMs: number;
  readonly #options: StoreOptions;
  readonly #clock: Clock;
  readonly #closing = new AbortController();
  #closed: Promise<void> | undefined;
  #health: StoreHealth;
  #full: { name: string; untilMs: number } | undefined;
  #queries = 0;
  #failures = 0;
  #retries = 0;

  /** Takes the backend over. */
  constructor(backend: Backend, bounds: PoolOptions, options: StoreOptions) {
    this.kind = backend.kind;
    this.#backend = backend;
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#statementTimeoutMs = bounds.statementTimeoutMs;
    const connect = (signal: AbortSignal): Promise<Connection> => backend.connect(signal);
    // An embedded backend has one connection, and none to save by closing it.
    const own = backend.kind === "pglite" ? { max: 1, idleTimeoutMs: Infinity } : {};
    this.#pool = new ConnectionPool(connect, { ...bounds, ...own }, this.#clock);
    this.#health = { state: "up", since: this.#clock.nowMs() };
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

  dump(): Promise<Blob | undefined> {
    return this.#backend.dump();
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
      if (error instanceof StoreClosed) throw error;
      this.#say("down", error);
      return false;
    }
  }

  transaction<T>(name: string, fn: (sql: Sql) => Promise<T>, options?: RunOptions): Promise<T> {
    return this.run(name, fn, options);
  }

  run<T>(name: string, fn: (sql: Sql) => Promise<T>, options: RunOptions = {}): Promise<T> {
    return this.#report(name, (count) => this.#repeat(name, fn, options, count));
  }

  command(
    name: string,
    statement: string,
    options: { signal?: AbortSignal } = {},
  ): Promise<void> {
    return this.#report(name, async (count) => {
      count();
      const signal = this.#signal(options.signal);
      await this.#pool.use((connection) => {
        const result = connection.sql.unsafe(statement).then(() => {});
        return { result, settled: result };
      }, { signal });
    });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#closed ??= this.#close();
  }

  async #close(): Promise<void> {
    this.#closing.abort(new StoreClosed("Cannot query as the store is closed"));
    try {
      await this.#pool[Symbol.asyncDispose]();
    } finally {
      await this.#backend[Symbol.asyncDispose]();
    }
  }

  async #report<T>(name: string, work: (count: () => number) => Promise<T>): Promise<T> {
    const startedMs = this.#clock.monotonicMs();
    let attempts = 0;
    let ok = false;
    try {
      const value = await work(() => ++attempts);
      ok = true;
      return value;
    } finally {
      this.#queries += 1;
      if (!ok) this.#failures += 1;
      const elapsedMs = this.#clock.monotonicMs() - startedMs;
      this.#options.onQuery?.({ name, ok, elapsedMs, attempts });
    }
  }

  async #repeat<T>(
    name: string,
    fn: (sql: Sql) => Promise<T>,
    options: RunOptions,
    count: () => number,
  ): Promise<T> {
    const patienceMs = options.unavailableTimeoutMs ?? this.#options.unavailableTimeoutMs ??
      DEFAULT_PATIENCE_MS;
    const timeoutMs = options.statementTimeoutMs ?? this.#statementTimeoutMs;
    const signal = this.#signal(options.signal);
    let conflicts = 0;
    let losses = 0;
    let awaySinceMs: number | undefined;
    for (;;) {
      signal.throwIfAborted();
      count();
      try {
        const value = await this.#pool.use(
          (connection) => this.#once(connection, fn, timeoutMs, signal),
          { signal },
        );
        if (this.#hasRoom(name)) this.#say("up");
        return value;
      } catch (error) {
        signal.throwIfAborted();
        if (isConflict(error)) {
          if (++conflicts > MAX_CONFLICTS) throw error;
          await this.#pause(conflicts - 1, CONFLICT_BACKOFF, signal);
          continue;
        }
        if (error instanceof DiskFull || isDiskFull(error)) throw this.#diskFull(name, error);
        if (isPreparedLost(error)) this.#backend.forgetPrepared?.();
        else if (!isAway(error)) throw error;
        else this.#say("down", error);
        if (error instanceof CommitUnknown && options.retry !== true) throw error;
        awaySinceMs ??= this.#clock.monotonicMs();
        if (this.#clock.monotonicMs() - awaySinceMs >= patienceMs) throw gaveUp(name, error);
        await this.#pause(losses++, AWAY_BACKOFF, signal);
      }
    }
  }

  #diskFull(name: string, error: unknown): DiskFull {
    this.#full = { name, untilMs: this.#clock.monotonicMs() + FULL_STAYS_MS };
    this.#say("down", error);
    if (error instanceof DiskFull) return error;
    return new DiskFull(`Cannot ${name} as the database's disk is full`, { cause: error });
  }

  /** What the success of this work says of a disk that was full. */
  #hasRoom(name: string): boolean {
    const full = this.#full;
    if (full === undefined) return true;
    if (name !== full.name && this.#clock.monotonicMs() < full.untilMs) return false;
    this.#full = undefined;
    return true;
  }

  async #pause(
    attempt: number,
    bounds: { baseMs: number; maxMs: number },
    signal: AbortSignal,
  ): Promise<void> {
    this.#retries += 1;
    const delayMs = backoffMs(attempt, { ...bounds, random: this.#options.random });
    await this.#clock.sleep(delayMs, { signal });
  }

  // One try, and when the connection is free again: an embedded backend can't be interrupted, so
  // there the caller's wait may end before the work does.
  #once<T>(
    connection: Connection,
    fn: (sql: Sql) => Promise<T>,
    timeoutMs: number,
    signal: AbortSignal,
  ): { result: Promise<T>; settled: Promise<unknown> } {
    const graceMs = this.kind === "pglite" ? 0 : GRACE_MS;
    const limit = deadline(timeoutMs > 0 ? timeoutMs + graceMs : Infinity, { signal });
    const phase = { committing: false };
    const settled = this.#transaction(connection, fn, timeoutMs, limit.signal, phase);
    const result = new Promise<T>((resolve, reject) => {
      const onAbort = (): void => {
        if (this.kind === "postgres") connection.destroy(new Error("Gave up waiting"));
        reject(limit.expired ? tooSlow(timeoutMs, limit.signal.reason) : limit.signal.reason);
      };
      if (limit.signal.aborted) onAbort();
      else limit.signal.addEventListener("abort", onAbort, { once: true });
      settled.then(resolve, (error) => {
        // Another connection will do without; this one would fail again.
        if (isPreparedLost(error)) connection.destroy(new Error("Prepared statements are lost"));
        if (sqlState(error) === QUERY_CANCELED) reject(tooSlow(timeoutMs, error));
        else if (!connection.lost) reject(error);
        else reject(lost(connection, error, phase.committing));
      }).finally(() => limit[Symbol.dispose]());
    });
    return { result, settled };
  }

  // BEGIN and its settings travel with the first statement, so a call costs two round trips. SET
  // LOCAL is the one way to a statement deadline that a pooler leaves alone, and a generic plan made
  // while a table was empty would stay for ever (design: 17,300 new events/s fell to 2,800). Where
  // PostgreSQL compiles queries, it took 50 to 160 ms to compile a look-up of 1,000 ids, each time.
  async #transaction<T>(
    connection: Connection,
    fn: (sql: Sql) => Promise<T>,
    timeoutMs: number,
    signal: AbortSignal,
    phase: { committing: boolean },
  ): Promise<T> {
    const { sql } = connection;
    const begun = sql.unsafe(
      `begin; set local statement_timeout = ${Math.ceil(timeoutMs)}; ` +
        "set local plan_cache_mode = force_custom_plan; set local jit = off",
    ).then(() => undefined, (error: unknown) => error);
    let value: T;
    try {
      value = await fn(sql);
      const refused = await begun;
      if (refused !== undefined) throw refused;
      signal.throwIfAborted();
    } catch (error) {
      if (!connection.lost) {
        await sql.unsafe("rollback").catch((e: Error) => connection.destroy(e));
      }
      // When the connection could not even be opened, that is the reason, not what followed from it.
      throw await begun ?? error;
    }
    phase.committing = true;
    const done = await sql.unsafe("commit");
    // COMMIT of a transaction in which a statement failed is answered by ROLLBACK, not by an error.
    if (done.command !== "COMMIT") {
      throw new Error("Cannot commit as a statement failed and its error was swallowed");
    }
    return value;
  }

  #signal(signal: AbortSignal | undefined): AbortSignal {
    return signal === undefined
      ? this.#closing.signal
      : AbortSignal.any([signal, this.#closing.signal]);
  }

  #say(state: StoreHealth["state"], error?: unknown): void {
    const changed = state !== this.#health.state;
    if (!changed && state === "up") return;
    const since = changed ? this.#clock.nowMs() : this.#health.since;
    this.#health = { state, since };
    if (state === "down") this.#health.lastError = errorText(error);
    if (changed) this.#options.onStateChange?.(this.#health);
  }
}

function tooSlow(timeoutMs: number, cause: unknown): StatementTimeout {
  return new StatementTimeout(`The work took longer than ${timeoutMs} ms`, { cause });
}

function lost(connection: Connection, error: unknown, committing: boolean): Error {
  // A refusal (wrong password, no such database) closes the connection too, and won't pass.
  if (error instanceof postgres.PostgresError && !isAway(error)) return error;
  const cause = error instanceof postgres.PostgresError ? error : connection.lostReason;
  return committing
    ? new CommitUnknown("Lost the database while committing", { cause })
    : new StoreUnavailable("Lost the connection to the database", { cause });
}

function gaveUp(name: string, error: unknown): Error {
  if (error instanceof CommitUnknown) return error;
  return new StoreUnavailable(`Cannot ${name} as the database is away`, { cause: error });
}
