// A TCP pipe between a client and a server on loopback that fails on command: passes, holds bytes
// back, swallows them, resets or refuses. In: a target port; out: a port to use instead of it.
import { connect, createServer, type Server, type Socket } from "node:net";

/**
 * - `pass`: bytes go both ways
 * - `stall`: connections stay open (new ones too), and bytes wait until it passes again
 * - `drop`: bytes are read and thrown away, as with a peer that is gone without a word
 */
export type ProxyMode = "pass" | "stall" | "drop";

/** A running proxy; disposing of it ends every connection. */
export interface TcpProxy extends AsyncDisposable {
  readonly port: number;
  readonly mode: ProxyMode;
  /** Connections open now, and ever. */
  readonly connections: { now: number; total: number };
  /** Bytes passed on so far. */
  readonly bytes: { toTarget: number; toClient: number };
  setMode(mode: ProxyMode): void;
  /** Ends the open connections: by RST, or properly by FIN. */
  disconnect(how: "reset" | "end"): void;
  /** Stops listening, so that new connections are refused; open ones stay. */
  refuse(): void;
  /** Listens again at the same port. */
  accept(): Promise<void>;
}

/** Starts a proxy on 127.0.0.1 in front of `targetPort` there. */
export async function startTcpProxy(
  targetPort: number,
  options: { mode?: ProxyMode } = {},
): Promise<TcpProxy> {
  const proxy = new LoopbackProxy(targetPort, options.mode ?? "pass");
  await proxy.accept();
  return proxy;
}

interface Pair {
  client: Socket;
  target: Socket;
}

class LoopbackProxy implements TcpProxy {
  port = 0;
  mode: ProxyMode;
  readonly connections = { now: 0, total: 0 };
  readonly bytes = { toTarget: 0, toClient: 0 };
  readonly #targetPort: number;
  readonly #pairs = new Set<Pair>();
  readonly #closing: Promise<void>[] = [];
  #server: Server | undefined;

  constructor(targetPort: number, mode: ProxyMode) {
    this.#targetPort = targetPort;
    this.mode = mode;
  }

  setMode(mode: ProxyMode): void {
    this.mode = mode;
    for (const pair of this.#pairs) this.#apply(pair);
  }

  disconnect(how: "reset" | "end"): void {
    for (const { client, target } of this.#pairs) {
      if (how === "reset") client.resetAndDestroy();
      else client.end();
      target.destroy();
    }
  }

  refuse(): void {
    const server = this.#server;
    this.#server = undefined;
    // Awaited at the end alone: close() waits for the open connections, which are to stay.
    if (server !== undefined) this.#closing.push(new Promise((done) => server.close(() => done())));
  }

  async accept(): Promise<void> {
    if (this.#server !== undefined) return;
    const server = createServer((client) => this.#connect(client));
    this.#server = server;
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(this.port, "127.0.0.1", resolve);
    });
    const address = server.address();
    if (address === null || typeof address === "string") throw new Error("No port to listen at");
    this.port = address.port;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.refuse();
    const gone = [...this.#pairs].flatMap(({ client, target }) =>
      [client, target].filter((socket) => !socket.closed)
        .map((socket) => new Promise<void>((resolve) => socket.once("close", () => resolve())))
    );
    for (const { client, target } of this.#pairs) {
      client.destroy();
      target.destroy();
    }
    await Promise.all([...this.#closing, ...gone]);
  }

  #connect(client: Socket): void {
    const target = connect(this.#targetPort, "127.0.0.1");
    const pair = { client, target };
    this.#pairs.add(pair);
    this.connections.total++;
    this.connections.now++;
    this.#pipe(client, target, "toTarget");
    this.#pipe(target, client, "toClient");
    client.once("close", () => {
      this.#pairs.delete(pair);
      this.connections.now--;
    });
    this.#apply(pair);
  }

  #pipe(from: Socket, to: Socket, direction: keyof TcpProxy["bytes"]): void {
    from.on("data", (chunk: Uint8Array) => {
      if (this.mode === "drop") return;
      this.bytes[direction] += chunk.length;
      if (!to.write(chunk)) from.pause();
    });
    to.on("drain", () => {
      if (this.mode !== "stall") from.resume();
    });
    from.on("end", () => to.end());
    from.on("error", () => to.destroy());
    from.on("close", () => to.destroy());
  }

  #apply({ client, target }: Pair): void {
    for (const socket of [client, target]) {
      if (this.mode === "stall") socket.pause();
      else socket.resume();
    }
  }
}
