// Opens the socket to a PostgreSQL server (or to PgBouncer before it). In: where it is. Out: a
// connected socket, ours to destroy. Never speaks: TLS and the protocol are postgres.js's.
import net from "node:net";
import { deadline } from "../lib/deadline.ts";
import type { ServerAddress } from "./server_address.ts";

/** Resolves when TCP stands; rejects with the socket's error, the deadline, or `signal.reason`. */
export function connectSocket(
  address: ServerAddress,
  options: { timeoutMs: number; signal?: AbortSignal | undefined },
): Promise<net.Socket> {
  return new Promise((resolve, reject) => {
    const limit = deadline(options.timeoutMs, { signal: options.signal });
    const socket = address.path === undefined
      ? net.connect({ host: address.host, port: address.port, noDelay: true })
      : net.connect({ path: address.path });
    // postgres.js takes the host from the socket for TLS.
    Object.assign(socket, { host: address.host });
    const settle = (error: unknown): void => {
      limit[Symbol.dispose]();
      limit.signal.removeEventListener("abort", onAbort);
      socket.off("error", settle);
      socket.off("connect", onConnect);
      if (error === undefined) {
        resolve(socket);
        return;
      }
      // A late error of a socket that nobody holds any more would otherwise end the process.
      socket.on("error", () => {});
      socket.destroy();
      reject(error);
    };
    const onConnect = (): void => settle(undefined);
    const onAbort = (): void => settle(limit.signal.reason);
    socket.once("error", settle);
    socket.once("connect", onConnect);
    if (limit.signal.aborted) onAbort();
    else limit.signal.addEventListener("abort", onAbort, { once: true });
  });
}
