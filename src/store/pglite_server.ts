// The embedded PostgreSQL as if it were a server: a Duplex that carries wire-protocol bytes to the
// worker and back, to be handed to postgres.js as its socket. In: bytes as postgres.js writes them.
// Out: the backend's bytes. It cuts the stream into requests of whole messages, because the
// embedded server can't wait for the rest of one. Never interprets them otherwise.
import { Buffer } from "node:buffer";
import { Duplex } from "node:stream";
import type { PgliteReply, PgliteRequest } from "./pglite_worker.ts";

const SYNC = 0x53;
const QUERY = 0x51;
const FLUSH = 0x48;
const TERMINATE = 0x58;

/** Settings of the embedded server; the reasons stand in sql/README.md. */
export const PGLITE_SETTINGS: Readonly<Record<string, string>> = {
  plan_cache_mode: "force_custom_plan",
  wal_level: "minimal",
  max_wal_senders: "0",
  max_wal_size: "128MB",
  min_wal_size: "32MB",
  shared_buffers: "32MB",
  jit: "off",
};

/** The embedded server's thread, one per data folder. */
export class PgliteServer implements AsyncDisposable {
  readonly #worker: Worker;
  readonly #waiting: ((reply: PgliteReply | Error) => void)[] = [];
  #failure: Error | undefined;
  #onFailure: ((error: Error) => void)[] = [];

  private constructor() {
    this.#worker = new Worker(new URL("./pglite_worker.ts", import.meta.url), { type: "module" });
    this.#worker.onmessage = (event: MessageEvent<PgliteReply>): void => {
      const reply = event.data;
      if (reply.type === "died") {
        this.#fail(new Error(`The embedded database stopped: ${reply.message}`));
        return;
      }
      const settle = this.#waiting.shift();
      settle?.(reply.type === "failed" ? new Error(reply.message) : reply);
    };
    this.#worker.onerror = (event): void => {
      event.preventDefault();
      this.#fail(new Error(`The embedded database's thread failed: ${event.message}`));
    };
  }

  /** Starts the thread and opens (or creates) the data folder; the caller holds its lock. */
  static async start(o: {
    dataDir: string;
    fsync: boolean;
    settings?: Readonly<Record<string, string>>;
    template?: Blob | undefined;
  }): Promise<PgliteServer> {
    const { dataDir, fsync, settings = PGLITE_SETTINGS, template } = o;
    const fresh = !await exists(`${dataDir}/PG_VERSION`);
    if (fresh && template === undefined) await PgliteServer.#create(dataDir, fsync, settings);
    return await PgliteServer.#open(dataDir, fsync, settings, fresh ? template : undefined);
  }

  // initdb leaves 400 MB behind in its thread: it gets one of its own. And the folder gets its name
  // when it is whole, so that being killed here leaves nothing that looks like a database.
  static async #create(
    dataDir: string,
    fsync: boolean,
    settings: Readonly<Record<string, string>>,
  ): Promise<void> {
    const unfinished = `${dataDir}.unfinished`;
    if (await exists(unfinished)) await Deno.remove(unfinished, { recursive: true });
    const creator = await PgliteServer.#open(unfinished, fsync, settings, undefined);
    await creator[Symbol.asyncDispose]();
    await Deno.rename(unfinished, dataDir);
  }

  static async #open(
    dataDir: string,
    fsync: boolean,
    settings: Readonly<Record<string, string>>,
    template: Blob | undefined,
  ): Promise<PgliteServer> {
    const server = new PgliteServer();
    try {
      const open: PgliteRequest = { type: "open", dataDir, fsync, settings: { ...settings } };
      if (template !== undefined) open.template = template;
      await server.#ask(open);
      return server;
    } catch (error) {
      server.#worker.terminate();
      throw new Error(`Cannot open the embedded database in ${dataDir}`, { cause: error });
    }
  }

  /** Executes whole frontend messages; takes the buffer over. */
  async exec(bytes: ArrayBuffer): Promise<ArrayBuffer> {
    const reply = await this.#ask({ type: "exec", bytes }, [bytes]);
    if (reply.type !== "data") throw new Error(`Unexpected reply: ${reply.type}`);
    return reply.bytes;
  }

  /** The data folder as a tar, to start others from. */
  async dump(): Promise<Blob> {
    const reply = await this.#ask({ type: "dump" });
    if (reply.type !== "dumped") throw new Error(`Unexpected reply: ${reply.type}`);
    return reply.tar;
  }

  /** A new connection to it; there is one backend, so use one at a time. */
  connect(): Duplex {
    const socket = new PgliteSocket(this);
    if (this.#failure !== undefined) socket.destroy(this.#failure);
    this.#onFailure.push((error) => socket.destroy(error));
    return socket;
  }

  /** True once the thread has failed; start another then. */
  get failed(): boolean {
    return this.#failure !== undefined;
  }

  /** Shuts the database down (a checkpoint) and ends the thread. */
  async [Symbol.asyncDispose](): Promise<void> {
    try {
      if (this.#failure === undefined) await this.#ask({ type: "close" });
    } finally {
      this.#fail(new Error("The embedded database was closed"));
    }
  }

  #ask(request: PgliteRequest, transfer: Transferable[] = []): Promise<PgliteReply> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    return new Promise((resolve, reject) => {
      this.#waiting.push((reply) => reply instanceof Error ? reject(reply) : resolve(reply));
      this.#worker.postMessage(request, transfer);
    });
  }

  #fail(error: Error): void {
    if (this.#failure !== undefined) return;
    this.#failure = error;
    this.#worker.terminate();
    for (const settle of this.#waiting.splice(0)) settle(error);
    for (const notify of this.#onFailure.splice(0)) notify(error);
  }
}

async function exists(path: string): Promise<boolean> {
  try {
    await Deno.stat(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

class PgliteSocket extends Duplex {
  readonly #server: PgliteServer;
  // Bytes since the last request, and how far into them whole messages have been seen.
  #pending: Buffer = Buffer.alloc(0);
  #scanned = 0;
  #started = false;

  // postgres.js looks at this before it says goodbye.
  readonly readyState = "open";

  constructor(server: PgliteServer) {
    super();
    this.#server = server;
  }

  override _read(): void {}

  override _write(
    chunk: Buffer,
    _encoding: string,
    callback: (error?: Error | null) => void,
  ): void {
    this.#pending = this.#pending.length === 0 ? chunk : Buffer.concat([this.#pending, chunk]);
    const end = this.#wholeRequests();
    if (end === 0) {
      callback();
      return;
    }
    const bytes = new ArrayBuffer(end);
    new Uint8Array(bytes).set(this.#pending.subarray(0, end));
    this.#pending = this.#pending.subarray(end);
    this.#scanned = 0;
    this.#server.exec(bytes).then(
      (reply) => {
        if (reply.byteLength > 0) this.push(Buffer.from(reply));
        callback();
      },
      (error: Error) => callback(error),
    );
  }

  override _final(callback: (error?: Error | null) => void): void {
    this.push(null);
    callback();
  }

  // The end of the last message after which the backend answers; 0 when there is none yet.
  #wholeRequests(): number {
    const bytes = this.#pending;
    let end = 0;
    let at = this.#scanned;
    while (at + 5 <= bytes.length) {
      // The startup packet alone has no type byte.
      const size = this.#started ? 1 + bytes.readUInt32BE(at + 1) : bytes.readUInt32BE(at);
      if (at + size > bytes.length) break;
      const type = this.#started ? bytes[at] : SYNC;
      at += size;
      this.#started = true;
      if (type === SYNC || type === QUERY || type === FLUSH || type === TERMINATE) end = at;
    }
    this.#scanned = at;
    return end;
  }
}
