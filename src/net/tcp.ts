/**
 * The TCP part of the dial: a list of addresses that the guard has passed goes in, one connected
 * socket comes out, at the address it says. Follows RFC 8305 (happy eyeballs) in short: families in
 * turn, the next address after a failure or a short wait, first to answer wins. Never resolves.
 */
import { connect, isIPv6, type Socket } from "node:net";
import { deadline } from "../lib/deadline.ts";
import { fail, ok, type Result } from "../lib/result.ts";
import { reasonOf, type Trouble, trouble } from "./failure.ts";

/** How long an unanswered attempt runs alone before the next address is tried beside it. */
const ATTEMPT_DELAY_MS = 250;
/** A name may list hundreds of addresses; this many are tried. */
const MAX_ADDRESSES = 6;

/** A connected socket, and the time of the attempt that won. */
export interface TcpConnection {
  socket: Socket;
  ip: string;
  tcpMs: number;
}

/**
 * Connects to the first of `addresses` that answers, each tried at `port`. The caller owns the
 * socket; every other attempt is destroyed before this resolves. An abort fails it as `timeout`
 * (the caller knows better whether it was its deadline), and so does the end of `timeoutMs`, which is
 * for all attempts together.
 */
export async function connectTcp(
  addresses: readonly string[],
  port: number,
  options: { signal: AbortSignal; timeoutMs?: number | undefined },
): Promise<Result<TcpConnection, Trouble>> {
  const queue = interleaveFamilies(addresses).slice(0, MAX_ADDRESSES);
  const { signal, timeoutMs = Infinity } = options;
  const { promise, resolve } = Promise.withResolvers<Result<TcpConnection, Trouble>>();
  const open = new Set<Socket>();
  let timer: ReturnType<typeof setTimeout> | undefined;
  let last: Trouble = trouble("tcp", "unreachable", "no address to connect to");

  function settle(result: Result<TcpConnection, Trouble>): void {
    clearTimeout(timer);
    limit[Symbol.dispose]();
    for (const socket of open) {
      if (result.ok && socket === result.value.socket) continue;
      socket.destroy();
    }
    open.clear();
    resolve(result);
  }
  function onAbort(): void {
    settle(fail({ ...last, ...trouble("tcp", "timeout", "no answer to connect") }));
  }
  function next(): void {
    clearTimeout(timer);
    const ip = queue.shift();
    if (ip !== undefined) attempt(ip);
    else if (open.size === 0) settle(fail(last));
  }
  function attempt(ip: string): void {
    last = { ...last, ip };
    const startedAt = performance.now();
    const socket = connect({ host: ip, port, noDelay: true, autoSelectFamily: false });
    open.add(socket);
    // Stays for the socket's whole life: an error between two phases, or after a destroy, would
    // else be thrown at the process. Whoever uses the socket learns of it by "close".
    socket.on("error", ignore);
    socket.once("connect", () => {
      socket.off("error", onError);
      settle(ok({ socket, ip, tcpMs: performance.now() - startedAt }));
    });
    socket.once("error", onError);
    function onError(error: Error): void {
      if (!open.delete(socket)) return;
      socket.destroy();
      last = { ...trouble("tcp", reasonOf(error, "unreachable"), error), ip };
      next();
    }
    timer = queue.length > 0 ? setTimeout(next, ATTEMPT_DELAY_MS) : undefined;
  }

  if (signal.aborted) return fail(trouble("tcp", "timeout", "no time left to connect"));
  const limit = deadline(timeoutMs, { signal });
  limit.signal.addEventListener("abort", onAbort, { once: true });
  next();
  return await promise;
}

/** IPv6 and IPv4 in turn, the resolver's first choice first. */
function interleaveFamilies(addresses: readonly string[]): string[] {
  if (addresses.length < 2) return [...addresses];
  const first = addresses.filter((ip) => isIPv6(ip) === isIPv6(addresses[0] ?? ""));
  const second = addresses.filter((ip) => !first.includes(ip));
  return [...new Set(first.flatMap((ip, index) => [ip, second[index]]).concat(second))]
    .filter((ip) => ip !== undefined);
}

function ignore(): void {}
