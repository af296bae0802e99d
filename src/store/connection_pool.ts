// A few connections, lent to one piece of work at a time. In: a way to connect. Out: leases; a
// connection that was lost while lent is dropped, one that sat idle too long is closed.
// Never hands out one connection twice, never queues without a deadline.
import type { Clock } from "../lib/clock.ts";
import { deadline } from "../lib/deadline.ts";
import { Semaphore } from "../lib/semaphore.ts";
import type { Connection } from "./connection.ts";
import { AcquireTimeout, StoreClosed } from "./errors.ts";

/** Bounds of a pool. */
export interface PoolOptions {
  /** Connections at most. */
  max: number;
  /** How long a caller waits for a free one. */
  acquireTimeoutMs: number;
  /** One piece of work, from its first statement to its commit. */
  statementTimeoutMs: number;
  /** Unused connections are closed after this. */
  idleTimeoutMs: number;
}

/** What a pool looks like now. */
export interface PoolStats {
  max: number;
  open: number;
  inUse: number;
  waiting: number;
}

/** The pool; dispose of it when nothing uses it any more. */
export class ConnectionPool implements AsyncDisposable {
  readonly #connect: (signal: AbortSignal) => Promise<Connection>;
  readonly #options: PoolOptions;
  readonly #clock: Clock;
  readonly #permits: Semaphore;
  readonly #all = new Set<Connection>();
  #idle: Connection[] = [];
  #closing: Set<Promise<void>> = new Set();
  #reaper: ReturnType<typeof setTimeout> | undefined;
  #closed = false;

  constructor(
    connect: (signal: AbortSignal) => Promise<Connection>,
    options: PoolOptions,
    clock: Clock,
  ) {
    this.#connect = connect;
    this.#options = options;
    this.#clock = clock;
    this.#permits = new Semaphore(options.max);
  }

  /** Counts for metrics. */
  stats(): PoolStats {
    return {
      max: this.#options.max,
      open: this.#all.size,
      inUse: this.#permits.inUse,
      waiting: this.#permits.waiting,
    };
  }

  /**
   * Lends a connection to `work`. Rejects with AcquireTimeout when none becomes free in time, with
   * what connecting failed with, with `signal.reason`, or as `work` does.
   */
  async use<T>(
    work: (connection: Connection) => Promise<T>,
    options: { signal?: AbortSignal | undefined } = {},
  ): Promise<T> {
    using _permit = await this.#acquire(options.signal);
    if (this.#closed) throw new StoreClosed("Cannot query as the store is closed");
    const connection = await this.#take(options.signal);
    try {
      return await work(connection);
    } finally {
      this.#giveBack(connection);
    }
  }

  /** Closes every connection, lent ones too (their work rejects). */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#reaper);
    for (const connection of this.#all) this.#close(connection);
    while (this.#closing.size > 0) await Promise.all(this.#closing);
  }

  async #acquire(signal: AbortSignal | undefined): Promise<Disposable> {
    using limit = deadline(this.#options.acquireTimeoutMs, { signal });
    try {
      return await this.#permits.acquire({ signal: limit.signal });
    } catch (error) {
      if (!limit.expired) throw error;
      throw new AcquireTimeout(
        `No database connection became free within ${this.#options.acquireTimeoutMs} ms ` +
          `(${this.#options.max} in use, ${this.#permits.waiting} waiting)`,
        { cause: error },
      );
    }
  }

  async #take(signal: AbortSignal | undefined): Promise<Connection> {
    // The one used last is the warmest, and lets the others grow idle.
    for (let idle = this.#idle.pop(); idle !== undefined; idle = this.#idle.pop()) {
      if (!idle.lost) return idle;
      this.#close(idle);
    }
    const connection = await this.#connect(signal ?? new AbortController().signal);
    this.#all.add(connection);
    if (this.#closed) {
      this.#close(connection);
      throw new StoreClosed("Cannot query as the store is closed");
    }
    return connection;
  }

  #giveBack(connection: Connection): void {
    if (connection.lost || this.#closed) {
      this.#close(connection);
      return;
    }
    connection.idleSinceMs = this.#clock.monotonicMs();
    this.#idle.push(connection);
    this.#reaper ??= setTimeout(() => this.#reap(), this.#options.idleTimeoutMs);
    Deno.unrefTimer(this.#reaper as unknown as number);
  }

  #reap(): void {
    this.#reaper = undefined;
    const oldest = this.#clock.monotonicMs() - this.#options.idleTimeoutMs;
    const [stale, fresh] = [
      this.#idle.filter((connection) => connection.idleSinceMs <= oldest || connection.lost),
      this.#idle.filter((connection) => connection.idleSinceMs > oldest && !connection.lost),
    ];
    this.#idle = fresh;
    for (const connection of stale) this.#close(connection);
    if (fresh.length > 0) {
      this.#reaper = setTimeout(() => this.#reap(), this.#options.idleTimeoutMs);
      Deno.unrefTimer(this.#reaper as unknown as number);
    }
  }

  #close(connection: Connection): void {
    if (!this.#all.delete(connection)) return;
    const closing = connection.close().finally(() => this.#closing.delete(closing));
    this.#closing.add(closing);
  }
}
