// A pooler in transaction mode, as PgBouncer is one: each client believes that it has a server, but
// every transaction runs on the next free one of a few. In: the port of a server. Out: a port before
// it. It refuses startup parameters that it doesn't know, and hands nothing of a session on.
import { Buffer } from "node:buffer";
import net from "node:net";

const KNOWN_PARAMETERS = new Set(["user", "database", "client_encoding", "application_name"]);
const READY = 0x5a;

/** A pooler that listens; dispose of it after its clients are gone. */
export class TransactionPooler implements AsyncDisposable {
  readonly port: number;
  readonly #listener: net.Server;
  readonly #clients = new Set<net.Socket>();
  readonly #servers: Promise<Backend>[];
  // First in, first out: the next transaction of a client lands on another server.
  readonly #free: Backend[] = [];
  readonly #waiting: ((server: Backend) => void)[] = [];

  private constructor(listener: net.Server, port: number, servers: Promise<Backend>[]) {
    this.#listener = listener;
    this.port = port;
    this.#servers = servers;
    listener.on("connection", (socket) => this.#serve(socket));
  }

  /** Opens `size` server connections to one database and listens. */
  static async listen(o: {
    serverPort: number;
    database: string;
    size: number;
  }): Promise<TransactionPooler> {
    const listener = net.createServer();
    await new Promise<void>((resolve) => listener.listen(0, "127.0.0.1", () => resolve()));
    const address = listener.address();
    if (address === null || typeof address === "string") throw new Error("No port");
    const servers = Array.from({ length: o.size }, () => Backend.open(o.serverPort, o.database));
    const pooler = new TransactionPooler(listener, address.port, servers);
    for (const server of await Promise.all(servers)) pooler.#release(server);
    return pooler;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const client of this.#clients) client.destroy();
    for (const server of await Promise.all(this.#servers)) await server.close();
    await new Promise<void>((resolve) => this.#listener.close(() => resolve()));
  }

  #release(server: Backend): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#free.push(server);
    else next(server);
  }

  #acquire(): Promise<Backend> {
    const server = this.#free.shift();
    if (server !== undefined) return Promise.resolve(server);
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  #serve(client: net.Socket): void {
    this.#clients.add(client);
    let pending = Buffer.alloc(0);
    let started = false;
    let server: Backend | undefined;
    let linking = false;
    client.on("error", () => client.destroy());
    client.on("close", () => {
      this.#clients.delete(client);
      // What it left half done must not reach the next one.
      if (server !== undefined) void server.reset().then((clean) => this.#release(clean));
      server = undefined;
    });
    const forward = async (): Promise<void> => {
      if (linking || pending.length === 0) return;
      if (pending[0] === 0x58) {
        client.end();
        return;
      }
      linking = true;
      server ??= await this.#acquire();
      const linked = server;
      linked.link((bytes, idle) => {
        client.write(bytes);
        if (!idle) return;
        server = undefined;
        linked.unlink();
        this.#release(linked);
        void forward();
      });
      linked.write(pending);
      pending = Buffer.alloc(0);
      linking = false;
    };
    client.on("data", (chunk: Buffer) => {
      pending = Buffer.concat([pending, chunk]);
      if (!started) {
        if (pending.length < 4 || pending.length < pending.readUInt32BE(0)) return;
        const size = pending.readUInt32BE(0);
        const words = pending.toString("utf8", 8, size).split("\0");
        const unknown = words.find((word, i) => i % 2 === 0 && word && !KNOWN_PARAMETERS.has(word));
        pending = pending.subarray(size);
        started = true;
        if (unknown !== undefined) {
          client.end(failure(`unsupported startup parameter: ${unknown}`));
          return;
        }
        client.write(Buffer.concat([
          message("R", Buffer.from([0, 0, 0, 0])),
          message("K", Buffer.from([0x7f, 1, 2, 3, 4, 5, 6, 7])),
          message("Z", Buffer.from("I")),
        ]));
      }
      void forward();
    });
  }
}

type Receiver = (bytes: Buffer, idle: boolean) => void;

/** One server connection. */
class Backend {
  readonly #port: number;
  readonly #database: string;
  readonly #socket: net.Socket;
  #receive: Receiver | undefined;
  #pending = Buffer.alloc(0);

  private constructor(port: number, database: string, socket: net.Socket) {
    this.#port = port;
    this.#database = database;
    this.#socket = socket;
    socket.on("error", () => socket.destroy());
    socket.on("data", (chunk: Buffer) => this.#onData(chunk));
  }

  static open(port: number, database: string): Promise<Backend> {
    return new Promise((resolve, reject) => {
      const socket = net.connect(port, "127.0.0.1");
      const server = new Backend(port, database, socket);
      socket.once("error", reject);
      server.link((_bytes, idle) => {
        if (!idle) return;
        server.unlink();
        resolve(server);
      });
      const words = Buffer.from(`user\0postgres\0database\0${database}\0\0`);
      const head = Buffer.alloc(8);
      head.writeUInt32BE(8 + words.length, 0);
      head.writeUInt32BE(196608, 4);
      socket.write(Buffer.concat([head, words]));
    });
  }

  link(receive: Receiver): void {
    this.#receive = receive;
  }

  unlink(): void {
    this.#receive = undefined;
  }

  write(bytes: Buffer): void {
    this.#socket.write(bytes);
  }

  async reset(): Promise<Backend> {
    await this.close();
    return await Backend.open(this.#port, this.#database);
  }

  close(): Promise<void> {
    return new Promise((resolve) => {
      if (this.#socket.destroyed) return resolve();
      this.#socket.once("close", () => resolve());
      this.#socket.destroy();
    });
  }

  // Whole messages only, so that the end of a transaction is seen.
  #onData(chunk: Buffer): void {
    this.#pending = Buffer.concat([this.#pending, chunk]);
    let at = 0;
    let idle = false;
    while (at + 5 <= this.#pending.length) {
      const end = at + 1 + this.#pending.readUInt32BE(at + 1);
      if (end > this.#pending.length) break;
      if (this.#pending[at] === READY) idle = this.#pending[at + 5] === 0x49;
      at = end;
    }
    const whole = this.#pending.subarray(0, at);
    this.#pending = this.#pending.subarray(at);
    if (whole.length > 0) this.#receive?.(whole, idle);
  }
}

function message(type: string, body: Buffer): Buffer {
  const head = Buffer.alloc(5);
  head.write(type, 0, "latin1");
  head.writeUInt32BE(4 + body.length, 1);
  return Buffer.concat([head, body]);
}

function failure(text: string): Buffer {
  return message("E", Buffer.from(`SFATAL\0VFATAL\0C08P01\0M${text}\0\0`));
}
