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
  /** A connection that sat unused for longer is closed, not lent. */
  idleTimeoutMs: number;
}

/** What a pool looks like now. */
export interface PoolStats {
  max: number;
  open: number;
  inUse: number;
  waiting: number;
}

/** A piece of work under way: what its caller gets, and when the connection is free again. */
export interface Lease<T> {
  result: Promise<T>;
  settled: Promise<unknown>;
}

/** The pool; dispose of it when nothing uses it any more. */
export class ConnectionPool implements AsyncDisposable {
  readonly #connect: (signal: AbortSignal) => Promise<Connection>;
  readonly #options: PoolOptions;
  readonly #clock: Clock;
  readonly #permits: Semaphore;
  readonly #all = new Set<Connection>();
  readonly #pending = new Set<Promise<void>>();
  #idle: Connection[] = [];
  #closed = false;

  /** Opens nothing yet. */
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
   * Lends a connection to `work` until it is settled. Rejects with AcquireTimeout when none becomes
   * free in time, with what connecting failed with, with `signal.reason`, or as the result does.
   */
  async use<T>(
    work: (connection: Connection) => Lease<T>,
    options: { signal: AbortSignal },
  ): Promise<T> {
    const permit = await this.#acquire(options.signal);
    let connection: Connection;
    try {
      connection = await this.#take(options.signal);
    } catch (error) {
      permit[Symbol.dispose]();
      throw error;
    }
    const { result, settled } = work(connection);
    const giveBack = (): void => {
      this.#giveBack(connection);
      permit[Symbol.dispose]();
    };
    this.#track(settled.then(giveBack, giveBack));
    return await result;
  }

  /** Closes every connection, lent ones too (their work rejects). */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    for (const connection of this.#all) this.#close(connection);
    while (this.#pending.size > 0) await Promise.all(this.#pending);
  }

  async #acquire(signal: AbortSignal): Promise<Disposable> {
    using limit = deadline(this.#options.acquireTimeoutMs, { signal });
    try {
      return await this.#permits.acquire({ signal: limit.signal });
    } catch (error) {
      if (!limit.expired) throw error;
      throw new AcquireTimeout(
        `No database connection became free within ${this.#options.acquireTimeoutMs} ms ` +
          `(${this.#permits.inUse} in use, ${this.#permits.waiting} waiting)`,
        { cause: error },
      );
    }
  }

  async #take(signal: AbortSignal): Promise<Connection> {
    this.#refuseWhenClosed();
    // The one used last is the warmest, and lets the others grow idle.
    for (let idle = this.#idle.pop(); idle !== undefined; idle = this.#idle.pop()) {
      const idleMs = this.#clock.monotonicMs() - idle.idleSinceMs;
      if (!idle.lost && idleMs < this.#options.idleTimeoutMs) return idle;
      this.#close(idle);
    }
    const connecting = this.#connect(signal);
    // What is being opened while the pool closes is waited for too: it may be a whole server.
    this.#track(connecting.then(() => {}, () => {}));
    const connection = await connecting;
    this.#all.add(connection);
    if (this.#closed) this.#close(connection);
    this.#refuseWhenClosed();
    return connection;
  }

  #refuseWhenClosed(): void {
    if (this.#closed) throw new StoreClosed("Cannot query as the store is closed");
  }

  #giveBack(connection: Connection): void {
    if (connection.lost || this.#closed) {
      this.#close(connection);
      return;
    }
    const nowMs = this.#clock.monotonicMs();
    connection.idleSinceMs = nowMs;
    // Swept here and not by a timer: the longest idle is first, and a pool that nobody uses may
    // keep what it has.
    for (let oldest = this.#idle[0]; oldest !== undefined; oldest = this.#idle[0]) {
      if (!oldest.lost && nowMs - oldest.idleSinceMs < this.#options.idleTimeoutMs) break;
      this.#idle.shift();
      this.#close(oldest);
    }
    this.#idle.push(connection);
  }

  #close(connection: Connection): void {
    if (this.#all.delete(connection)) this.#track(connection.close());
  }

  #track(work: Promise<void>): void {
    const tracked = work.finally(() => this.#pending.delete(tracked));
    this.#pending.add(tracked);
  }
}
