// Where an embedded store's connections come from: the lock on its folder, the server's thread, and
// a new thread when the last one died. In: the data folder. Out: connections, one at a time.
import { statfs } from "node:fs/promises";
import { formatBytes } from "../lib/bytes.ts";
import { Connection } from "./connection.ts";
import { DataLock } from "./data_lock.ts";
import { DiskFull } from "./errors.ts";
import type { Backend } from "./pg_store.ts";
import { PgliteServer } from "./pglite_server.ts";
import type { StoreOptions } from "./store.ts";

/** The embedded server of one data folder. */
export class EmbeddedBackend implements Backend {
  readonly kind = "pglite";
  readonly #options: StoreOptions;
  readonly #lock: DataLock;
  #server: PgliteServer;

  private constructor(options: StoreOptions, lock: DataLock, server: PgliteServer) {
    this.#options = options;
    this.#lock = lock;
    this.#server = server;
  }

  /** Takes the folder's lock and opens or creates the database. */
  static async open(options: StoreOptions): Promise<EmbeddedBackend> {
    const lock = await DataLock.acquire(options.dataDir);
    try {
      return new EmbeddedBackend(options, lock, await startServer(options));
    } catch (error) {
      lock[Symbol.dispose]();
      throw error;
    }
  }

  async connect(): Promise<Connection> {
    if (this.#server.failed) this.#server = await startServer(this.#options);
    return new Connection(this.#server.connect(), {
      user: "postgres",
      database: "postgres",
      password: "",
      applicationName: this.#options.applicationName ?? "bigbrotr",
      connectTimeoutMs: this.#options.connectTimeoutMs ?? 60_000,
      prepare: this.#options.prepare !== false,
    });
  }

  dump(): Promise<Blob> {
    return this.#server.dump();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      await this.#server[Symbol.asyncDispose]();
    } finally {
      this.#lock[Symbol.dispose]();
    }
  }
}

/** One segment of the write-ahead log, and a little: with less the server can't even start. */
const LEAST_FREE_BYTES = 20 * 2 ** 20;

async function startServer(options: StoreOptions): Promise<PgliteServer> {
  const { dataDir, fsync = true, template } = options;
  try {
    return await PgliteServer.start({ dataDir: `${dataDir}/pglite`, fsync, template });
  } catch (error) {
    const { bavail, bsize } = await statfs(dataDir);
    const free = bavail * bsize;
    if (free >= LEAST_FREE_BYTES) throw error;
    throw new DiskFull(
      `Cannot open the embedded database as the disk of ${dataDir} is full: ` +
        `${formatBytes(free)} are free, it needs at least ${formatBytes(LEAST_FREE_BYTES)}`,
      { cause: error },
    );
  }
}
