/**
 * The client side of SOCKS5 over a socket that already reaches the proxy, by npm `socks`: asks it to
 * connect to a host BY NAME, so that a name of an overlay network never reaches a resolver of ours.
 * In: a connected socket; out: the same socket, now a pipe to the target.
 *
 * The library takes no signal, so an abort destroys the socket under it. It never clears its timer,
 * whose time is therefore no longer than the dial's own: until then it keeps a small object (and no
 * process) alive. What else is done around it stands at `replyCode` and `takeBack`.
 */
import type { Socket } from "node:net";
import { isIP } from "node:net";
import { SocksClient } from "socks";
import { fail, ok, type Result } from "../lib/result.ts";
import { errorText } from "../lib/text.ts";
import { type DialReason, type Trouble, trouble } from "./failure.ts";
import { systemResolver } from "./resolver.ts";
import { connectTcp } from "./tcp.ts";

/** A `socks5h://[user:password@]host:port` setting, taken apart. */
export interface SocksProxy {
  host: string;
  port: number;
  username?: string;
  password?: string;
}

/** What fits SOCKS5's length byte; the library would throw, or write a wrong length, past it. */
const HOST = /^[\x21-\x7e]{1,255}$/;
const MAX_LOGIN_BYTES = 255;

/** Longer timers fire at once. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** The library's errors are told apart by their text alone. */
const REJECTED = "Socks5 proxy rejected connection";
const TIMED_OUT = "Proxy connection timed out";

/**
 * What the reply codes say about the target. 1 to 8 are RFC 1928's, 0xF0 to 0xF7 are Tor's
 * (proposal 304): descriptor not found, invalid, introduction failed, and so on.
 */
const REPLIES: Readonly<Record<number, [DialReason, string]>> = {
  0: ["proxy_failed", "yes, in a version that is not 5"],
  1: ["unreachable", "general failure"],
  2: ["proxy_failed", "not allowed by the proxy's rules"],
  3: ["unreachable", "network unreachable"],
  4: ["unreachable", "host unreachable"],
  5: ["refused", "connection refused"],
  6: ["timeout", "TTL expired"],
  7: ["proxy_failed", "command not supported"],
  8: ["proxy_failed", "address type not supported"],
  0xf0: ["name_not_found", "onion service descriptor not found"],
  0xf1: ["name_not_found", "onion service descriptor invalid"],
  0xf2: ["unreachable", "onion service introduction failed"],
  0xf3: ["unreachable", "onion service rendezvous failed"],
  0xf4: ["unreachable", "onion service needs client authorization"],
  0xf5: ["unreachable", "onion service client authorization is wrong"],
  0xf6: ["name_not_found", "onion address invalid"],
  0xf7: ["timeout", "onion service introduction timed out"],
};

/** Reads a proxy setting; undefined when it is no SOCKS5 URL with a host. Port 1080 by default. */
export function parseSocksProxy(proxyUrl: string): SocksProxy | undefined {
  const url = URL.parse(proxyUrl);
  if (url === null || !/^socks5h?:$/.test(url.protocol) || url.hostname === "") return undefined;
  const proxy = { host: url.hostname.replace(/^\[|\]$/g, ""), port: Number(url.port || 1080) };
  if (url.username === "") return proxy;
  try {
    const [username, password] = [url.username, url.password].map(decodeURIComponent);
    return { ...proxy, username: username ?? "", password: password ?? "" };
  } catch {
    // A "%" that is followed by no two hex digits.
    return undefined;
  }
}

/**
 * A TCP connection to the proxy. Its address is the operator's own word: resolved by the system and
 * not judged.
 */
export async function connectToProxy(
  proxy: SocksProxy,
  options: { signal: AbortSignal },
): Promise<Result<Socket, Trouble>> {
  const { signal } = options;
  let addresses: readonly string[] = [proxy.host];
  if (isIP(proxy.host) === 0) {
    try {
      addresses = await systemResolver(proxy.host, { signal });
    } catch (error) {
      if (signal.aborted) return fail(trouble("proxy", "timeout", "the proxy's name: no answer"));
      return fail(trouble("proxy", "proxy_failed", error));
    }
  }
  const connected = await connectTcp(addresses, proxy.port, { signal });
  if (connected.ok) return ok(connected.value.socket);
  const { reason, detail } = connected.failure;
  // A refusing or dead proxy must not look like a refusing or dead relay.
  return fail(trouble("proxy", signal.aborted ? reason : "proxy_failed", `the proxy: ${detail}`));
}

/**
 * Has the proxy at the other end of `socket` connect to `host:port`. On success the socket
 * holds the target's bytes, from the first on, for whoever listens next. On failure or abort the
 * caller destroys it. `timeoutMs` is what is left of the dial's time.
 */
export async function connectThroughSocks5(
  socket: Socket,
  proxy: SocksProxy,
  target: { host: string; port: number },
  options: { timeoutMs: number; signal: AbortSignal },
): Promise<Result<void, Trouble>> {
  const { signal } = options;
  const { host, port } = target;
  const { username = "", password = "" } = proxy;
  if (!HOST.test(host)) return broken("bad_url", "not a host name for SOCKS5");
  if (tooLong(username) || tooLong(password)) {
    return broken("proxy_failed", "user name or password too long for SOCKS5");
  }
  if (signal.aborted) return broken("timeout", "no time left for the proxy");
  // The library would wait in vain for the "close" that has been.
  if (socket.destroyed) return broken("proxy_failed", "the proxy closed the connection");
  const head: number[] = [];
  const watch = (chunk: Uint8Array): void => {
    head.push(...chunk.subarray(0, Math.max(0, HEAD_BYTES - head.length)));
  };
  const onAbort = (): void => {
    socket.destroy();
  };
  signal.addEventListener("abort", onAbort, { once: true });
  socket.on("data", watch);
  try {
    const { remoteHost } = await SocksClient.createConnection({
      command: "connect",
      proxy: {
        host: proxy.host,
        port: proxy.port,
        type: 5,
        ...(username === "" ? {} : { userId: username, password }),
      },
      destination: { host, port },
      existing_socket: socket,
      timeout: Math.min(Math.max(1, Math.ceil(options.timeoutMs)), MAX_TIMER_MS),
    });
    socket.off("data", watch);
    // Of such a reply the library reads nothing: it would come to the target's bytes.
    if (remoteHost === undefined) return broken("proxy_failed", "an address of unknown type");
    await takeBack(socket);
    return signal.aborted ? broken("timeout", "no answer from the proxy") : ok(undefined);
  } catch (error) {
    if (signal.aborted) return broken("timeout", "no answer from the proxy");
    // The text alone: the library's errors carry its options, the password among them.
    const text = errorText(error);
    if (text === TIMED_OUT) return broken("timeout", "no answer from the proxy");
    if (!text.startsWith(REJECTED)) return broken("proxy_failed", text);
    const code = replyCode(head);
    const [reason, meaning] = REPLIES[code] ?? ["unreachable", `reply code ${code}`];
    return broken(reason, `the proxy says: ${meaning}`);
  } finally {
    socket.off("data", watch);
    signal.removeEventListener("abort", onAbort);
  }
}

function broken(reason: DialReason, detail: string): Result<never, Trouble> {
  return fail(trouble("proxy", reason, detail));
}

function tooLong(text: string): boolean {
  return new TextEncoder().encode(text).length > MAX_LOGIN_BYTES;
}

/** Of what the proxy sends: as much as `replyCode` needs. */
const HEAD_BYTES = 6;

/**
 * The reply code in the first bytes that the proxy sent: version and method, with the login method
 * version and status, then version and reply code. The library names the eight of the RFC in its
 * error's text and calls all others "undefined", Tor's among them.
 */
function replyCode(head: readonly number[]): number {
  const login = head[1] === 2;
  return head[login ? 5 : 3] ?? 0;
}

/**
 * Takes the socket back from the library, which resolves first and lets the bytes go later: in a
 * turn of its own it emits, as "data", what came in one piece with the reply, and resumes the
 * socket. They are caught and put back in front.
 */
function takeBack(socket: Socket): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const early: Uint8Array[] = [];
  const keep = (chunk: Uint8Array): void => {
    early.push(chunk);
  };
  const onResume = (): void => {
    // Within the event: before more is read, and before an end that has come is emitted. Not by
    // pause(), which a "data" listener would not undo: with a "readable" listener that comes and
    // goes the socket is as it was before anybody listened.
    socket.on("readable", onReadable);
    for (const chunk of early.reverse()) socket.unshift(chunk);
    release();
  };
  const onReadable = (): void => {};
  function release(): void {
    socket.off("data", keep);
    socket.off("resume", onResume);
    socket.off("close", release);
    socket.off("readable", onReadable);
    resolve();
  }
  socket.on("data", keep);
  socket.on("resume", onResume);
  socket.on("close", release);
  return promise;
}
