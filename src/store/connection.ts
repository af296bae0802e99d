// One connection to a PostgreSQL server, embedded or not: a socket that is ours, and a postgres.js
// instance that may use this socket and no other. postgres.js would reconnect by itself in the
// middle of a transaction and run its second half alone; here a lost connection stays lost, and
// whoever held it starts again with another. Never pools, never retries.
import type { Duplex } from "node:stream";
import postgres from "postgres";
import { StoreUnavailable } from "./errors.ts";

/** Tagged templates that run on one connection. int8 is read as a number: no key passes 2^53. */
// deno-lint-ignore ban-types
export type Sql = postgres.Sql<{}>;

/** How to speak to the server on the other end of a socket. */
export interface ConnectionOptions {
  user: string;
  database: string;
  password: string;
  applicationName: string;
  /** Time for authentication and the first ReadyForQuery. */
  connectTimeoutMs: number;
  /** Named prepared statements; false behind a pooler in transaction mode. */
  prepare: boolean;
}

const INT8 = { to: 20, from: [20], serialize: String, parse: Number };

/** A connection and whether it still lives. */
export class Connection {
  readonly sql: Sql;
  readonly #socket: Duplex;
  #lost: Error | undefined;
  #ended: Promise<void> | undefined;
  /** When it was last given back, in monotonic milliseconds. */
  idleSinceMs = 0;

  constructor(socket: Duplex, options: ConnectionOptions) {
    this.#socket = socket;
    socket.on("error", (error: Error) => this.#lose(error));
    socket.on("close", () => this.#lose(new Error("The server closed the connection")));
    let given = false;
    const config = driverOptions({
      user: options.user,
      database: options.database,
      pass: (): string => options.password,
      connect_timeout: Math.ceil(options.connectTimeoutMs / 1000),
      prepare: options.prepare,
      connection: { application_name: options.applicationName },
      socket: (): Duplex => {
        // One that is closed already would leave postgres.js' connect timer running: it is stopped by
        // the "close" that nobody hears any more.
        if (given || this.#lost !== undefined) {
          throw new StoreUnavailable("Lost the connection", { cause: this.#lost });
        }
        given = true;
        return socket;
      },
    });
    this.sql = postgres(config) as Sql;
  }

  /** True once the connection can't be used any more. */
  get lost(): boolean {
    return this.#lost !== undefined;
  }

  /** What it was lost by. */
  get lostReason(): Error | undefined {
    return this.#lost;
  }

  /** Drops the connection at once; everything under way on it rejects. */
  destroy(reason: Error): void {
    this.#lose(reason);
    this.#socket.destroy();
  }

  /** Says goodbye and waits until the socket is closed; drops it after `timeoutMs`. */
  async close(timeoutMs = 1000): Promise<void> {
    const socket = this.#socket;
    if (this.#lost === undefined) this.#end(timeoutMs);
    else socket.destroy();
    if (!socket.closed) {
      const closed = new Promise<void>((resolve) => socket.once("close", () => resolve()));
      const timer = setTimeout(() => socket.destroy(), timeoutMs);
      await closed;
      clearTimeout(timer);
    }
    await this.#ended;
  }

  #lose(error: Error): void {
    if (this.#lost !== undefined) return;
    this.#lost = error;
    this.#end(0);
  }

  // After end() postgres.js refuses new queries; without it they would wait for a socket for ever.
  #end(timeoutMs: number): void {
    this.#ended ??= this.sql.end({ timeout: timeoutMs / 1000 });
  }
}

/** An `sql` that composes fragments and refuses to run any. */
export function fragmentSql(): Sql {
  const socket = (): never => {
    throw new Error("Cannot query on store.sql; use store.run");
  };
  return postgres(driverOptions({ user: "-", database: "-", pass: () => "", socket })) as Sql;
}

// Everything that postgres.js would otherwise look up in the environment is given here.
function driverOptions(own: Record<string, unknown>): postgres.Options<Record<string, never>> {
  const options = {
    host: "socket",
    port: 5432,
    path: "",
    ssl: false,
    sslnegotiation: null,
    max: 1,
    idle_timeout: null,
    max_lifetime: null,
    connect_timeout: 30,
    max_pipeline: 100,
    backoff: 0,
    keep_alive: null,
    prepare: true,
    debug: false,
    fetch_types: false,
    publications: "",
    target_session_attrs: null,
    types: { bigint: INT8 },
    onnotice: (): void => {},
    ...own,
  };
  return options as unknown as postgres.Options<Record<string, never>>;
}
