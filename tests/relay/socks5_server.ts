// A small real SOCKS5 server (RFC 1928, CONNECT only; RFC 1929 where a password is set) on loopback.
// Names lead to local ports by a table and are resolved by nothing; what was asked for is logged.
import { connect, createServer, type Server, type Socket } from "node:net";

/** How a SOCKS server starts. */
export interface Socks5Options {
  /** `host` or `host:port` as asked for -> port on 127.0.0.1. Others get `unknownReply`. */
  hosts?: Readonly<Record<string, number>>;
  /** Wanted from every client. */
  login?: { username: string; password: string };
  /** The reply to a CONNECT for a host that is not in the table; default 4, host unreachable. */
  unknownReply?: number;
  /** Accepts and answers nothing: from the start, or once the CONNECT has come. */
  stalls?: "greeting" | "connect";
  /** How the asked-for host is spelled in the bound address of a good reply. */
  boundAddress?: "ipv4" | "ipv6" | "domain";
}

/** One CONNECT as it was asked for. */
export interface SocksRequest {
  host: string;
  port: number;
  /** Whether the client sent a name (so that it resolved nothing) or an address. */
  type: "domain" | "ipv4" | "ipv6";
}

/** A running SOCKS server; disposing of it ends every connection. */
export interface Socks5Server extends AsyncDisposable {
  readonly port: number;
  /** `socks5h://127.0.0.1:port`, with the login where there is one. */
  readonly url: string;
  readonly requests: readonly SocksRequest[];
  /** Logins that were tried, as `username:password`. */
  readonly logins: readonly string[];
  readonly openConnections: number;
  /** Resolves when every connection is gone; waits in vain for a client that leaks one. */
  untilNoSockets(): Promise<void>;
}

/** Starts a SOCKS server on 127.0.0.1. */
export async function startSocks5Server(options: Socks5Options = {}): Promise<Socks5Server> {
  const requests: SocksRequest[] = [];
  const logins: string[] = [];
  const sockets = new Set<Socket>();
  const server: Server = createServer((socket) => {
    follow(socket, sockets);
    serve(socket, options, requests, logins, sockets).catch(() => socket.destroy());
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, "127.0.0.1", resolve);
  });
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("No port to listen at");
  const { login } = options;
  const user = login === undefined
    ? ""
    : `${encodeURIComponent(login.username)}:${encodeURIComponent(login.password)}@`;
  return {
    port: address.port,
    url: `socks5h://${user}127.0.0.1:${address.port}`,
    requests,
    logins,
    get openConnections(): number {
      return sockets.size;
    },
    async untilNoSockets(): Promise<void> {
      while (sockets.size > 0) {
        await Promise.all([...sockets].map(ended));
      }
    },
    async [Symbol.asyncDispose](): Promise<void> {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      const gone = [...sockets].map(ended);
      for (const socket of sockets) socket.destroy();
      await Promise.all([closed, ...gone]);
    },
  };
}

async function serve(
  socket: Socket,
  options: Socks5Options,
  requests: SocksRequest[],
  logins: string[],
  sockets: Set<Socket>,
): Promise<void> {
  const read = reader(socket);
  if (options.stalls === "greeting") return drain(socket);
  const [version, methodCount = 0] = await read(2);
  const methods = await read(methodCount);
  const method = options.login === undefined ? 0 : 2;
  if (version !== 5 || !methods.includes(method)) {
    socket.end(Uint8Array.of(5, 0xff));
    return;
  }
  socket.write(Uint8Array.of(5, method));
  if (options.login !== undefined) {
    const [, userLength = 0] = await read(2);
    const username = text(await read(userLength));
    const [passwordLength = 0] = await read(1);
    const password = text(await read(passwordLength));
    logins.push(`${username}:${password}`);
    const good = username === options.login.username && password === options.login.password;
    socket.write(Uint8Array.of(1, good ? 0 : 1));
    if (!good) {
      socket.end();
      return;
    }
  }
  const [, command, , kind] = await read(4);
  const request = await readAddress(read, kind);
  requests.push(request);
  if (options.stalls === "connect") return drain(socket);
  const port = options.hosts?.[`${request.host}:${request.port}`] ?? options.hosts?.[request.host];
  if (command !== 1 || port === undefined) {
    socket.end(reply(command === 1 ? options.unknownReply ?? 4 : 7));
    return;
  }
  const target = connect(port, "127.0.0.1");
  follow(target, sockets);
  target.once("error", () => socket.end(reply(5)));
  target.once("connect", () => {
    socket.write(reply(0, options.boundAddress));
    socket.removeAllListeners("readable");
    socket.pipe(target);
    target.pipe(socket);
  });
  target.once("close", () => socket.destroy());
  socket.once("close", () => target.destroy());
}

async function readAddress(
  read: (bytes: number) => Promise<Uint8Array>,
  kind: number | undefined,
): Promise<SocksRequest> {
  const type = kind === 1 ? "ipv4" : kind === 4 ? "ipv6" : "domain";
  const length = type === "ipv4" ? 4 : type === "ipv6" ? 16 : (await read(1))[0] ?? 0;
  const bytes = await read(length);
  const [high = 0, low = 0] = await read(2);
  const host = type === "domain" ? text(bytes) : type === "ipv4" ? bytes.join(".") : groups(bytes);
  return { host, port: high * 256 + low, type };
}

function reply(code: number, bound: Socks5Options["boundAddress"] = "ipv4"): Uint8Array {
  const address = bound === "ipv4"
    ? [1, 127, 0, 0, 1]
    : bound === "ipv6"
    ? [4, ...new Array(15).fill(0), 1]
    : [3, 5, ...new TextEncoder().encode("proxy")];
  return Uint8Array.from([5, code, 0, ...address, 0, 80]);
}

/** Reads exactly so many bytes, and leaves the rest in the socket. */
function reader(socket: Socket): (bytes: number) => Promise<Uint8Array> {
  let wake: (() => void) | undefined;
  socket.on("readable", () => wake?.());
  socket.on("close", () => wake?.());
  return async (bytes) => {
    while (true) {
      const chunk: Uint8Array | null = bytes === 0 ? new Uint8Array() : socket.read(bytes);
      if (chunk !== null && chunk.length === bytes) return chunk;
      if (socket.destroyed || socket.readableEnded) throw new Error("closed in the handshake");
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
  };
}

function follow(socket: Socket, sockets: Set<Socket>): void {
  sockets.add(socket);
  socket.on("error", () => socket.destroy());
  socket.on("close", () => sockets.delete(socket));
}

function ended(socket: Socket): Promise<void> {
  return new Promise((resolve) => socket.once("close", () => resolve()));
}

function text(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}

function groups(bytes: Uint8Array): string {
  return Array.from({ length: 8 }, (_, i) => {
    return ((bytes[2 * i] ?? 0) * 256 + (bytes[2 * i + 1] ?? 0)).toString(16);
  }).join(":");
}

/** Reads and forgets, so that the end of the connection is noticed. */
function drain(socket: Socket): void {
  socket.removeAllListeners("readable");
  socket.resume();
}
