// Where a server's connections come from: PostgreSQL itself, or PgBouncer in transaction mode before
// it, which is found out from the first connection. In: DATABASE_URL. Out: connections.
import { deadline, withSignal } from "../lib/deadline.ts";
import type { Secret } from "../lib/secret.ts";
import { Connection } from "./connection.ts";
import type { Backend } from "./pg_store.ts";
import { parseDatabaseUrl, type ServerAddress } from "./server_address.ts";
import { connectSocket } from "./server_socket.ts";
import type { StoreOptions } from "./store.ts";

/** A server, near or far. */
export class ServerBackend implements Backend {
  readonly kind = "postgres";
  readonly #address: ServerAddress;
  readonly #applicationName: string;
  readonly #connectTimeoutMs: number;
  #prepare: boolean | "auto";

  /** Throws TypeError when the URL is none. Connects to nothing yet. */
  constructor(options: StoreOptions, databaseUrl: Secret | string) {
    this.#address = parseDatabaseUrl(databaseUrl, options.password);
    this.#applicationName = options.applicationName ?? "bigbrotr";
    this.#connectTimeoutMs = options.connectTimeoutMs ?? 10_000;
    this.#prepare = options.prepare ?? "auto";
  }

  async connect(signal: AbortSignal): Promise<Connection> {
    if (this.#prepare !== "auto") return await this.#dial(this.#prepare, signal);
    const probe = await this.#dial(false, signal);
    using limit = deadline(this.#connectTimeoutMs, { signal });
    try {
      // A pooler tells its clients a process id of its own; a server tells the real one. Prepared
      // statements belong to a server's session; behind a pooler the next transaction has another.
      const asked = probe.sql`select pg_backend_pid() as pid`.simple();
      // A pooler that has no connection to spare lets its clients wait.
      const rows = await withSignal(asked, limit.signal);
      this.#prepare = rows.state.pid === Number(rows[0]?.pid);
      if (!this.#prepare) return probe;
    } catch (error) {
      probe.destroy(new Error("Gave up waiting"));
      await probe.close();
      throw error;
    }
    await probe.close();
    return await this.#dial(true, signal);
  }

  forgetPrepared(): void {
    this.#prepare = false;
  }

  dump(): Promise<undefined> {
    return Promise.resolve(undefined);
  }

  async [Symbol.asyncDispose](): Promise<void> {}

  async #dial(prepare: boolean, signal: AbortSignal): Promise<Connection> {
    const connectTimeoutMs = this.#connectTimeoutMs;
    const socket = await connectSocket(this.#address, { timeoutMs: connectTimeoutMs, signal });
    const applicationName = this.#applicationName;
    return new Connection(socket, { ...this.#address, applicationName, connectTimeoutMs, prepare });
  }
}
