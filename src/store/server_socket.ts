// Opens the socket to a PostgreSQL server (or to PgBouncer before it), with TLS where it is asked
// for. In: where it is. Out: a connected socket, ours to destroy. TLS is begun here because
// postgres.js, told to, takes every listener off the socket: a lost connection would go unnoticed.
// Never speaks further: all after TLS is postgres.js's.
import net from "node:net";
import tls from "node:tls";
import { deadline, withSignal } from "../lib/deadline.ts";
import { StoreUnavailable } from "./errors.ts";
import type { ServerAddress } from "./server_address.ts";

// https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-SSL
const SSL_REQUEST = new Uint8Array([0, 0, 0, 8, 4, 210, 22, 47]);
/** A server that is gone without a word is noticed though a piece of work has no deadline. */
const KEEP_ALIVE_MS = 60_000;
const YES = 0x53;
const NO = 0x4e;

/**
 * Resolves when TCP (and TLS) stands; rejects with the socket's error, StoreUnavailable when it is
 * closed before, the deadline, or `signal.reason`.
 */
export async function connectSocket(
  address: ServerAddress,
  options: { timeoutMs: number; signal?: AbortSignal | undefined },
): Promise<net.Socket> {
  using limit = deadline(options.timeoutMs, { signal: options.signal });
  const socket = address.path === undefined
    ? net.connect({ host: address.host, port: address.port, noDelay: true })
    : net.connect({ path: address.path });
  // A late error of a socket that nobody holds any more would otherwise end the process.
  socket.on("error", () => {});
  try {
    await once(socket, "connect", limit.signal);
    socket.setKeepAlive(true, KEEP_ALIVE_MS);
    // As libpq has it: what stays within the machine needs no TLS.
    if (address.ssl === false || address.path !== undefined) return socket;
    return await secure(socket, address, limit.signal);
  } catch (error) {
    socket.destroy();
    throw error;
  }
}

async function secure(
  socket: net.Socket,
  { host, ssl }: ServerAddress,
  signal: AbortSignal,
): Promise<net.Socket> {
  socket.write(SSL_REQUEST);
  const answer = await once<Uint8Array>(socket, "data", signal);
  // More than one byte would be somebody's who stands between and is in a hurry (CVE-2021-23222).
  if (answer.length !== 1 || (answer[0] !== YES && answer[0] !== NO)) {
    throw new StoreUnavailable("The database answered the request for TLS with something else");
  }
  if (answer[0] === NO) {
    if (ssl === "prefer") return socket;
    throw new Error("The database does not speak TLS, and DATABASE_URL asks for it (sslmode)");
  }
  const name = net.isIP(host) === 0 ? { servername: host } : { host };
  const session = tls.connect({ socket, ...name, rejectUnauthorized: ssl === "verify" });
  session.on("error", () => {});
  try {
    await once(session, "secureConnect", signal);
    return session;
  } catch (error) {
    session.destroy();
    throw error;
  }
}

/** The event's argument; rejects with the socket's error or when it ends without one. */
function once<T>(socket: net.Socket, event: string, signal: AbortSignal): Promise<T> {
  const { promise, resolve, reject } = Promise.withResolvers<T>();
  const onClose = (): void => reject(new StoreUnavailable("The server closed the connection"));
  socket.once(event, resolve);
  socket.once("error", reject);
  socket.once("close", onClose);
  return withSignal(promise, signal).finally(() => {
    socket.off(event, resolve);
    socket.off("error", reject);
    socket.off("close", onClose);
  });
}
