/**
 * The client side of SOCKS5 (RFC 1928, RFC 1929) over a socket that already reaches the proxy: asks
 * it to connect to a host BY NAME, so that a name of an overlay network never reaches a resolver of
 * ours. In: a connected socket; out: the same socket, now a pipe to the target.
 *
 * Not npm `socks`: it never clears its 30 s timer after success, takes no signal, and gives the
 * proxy's reply code only inside an error text, where a refusing relay looks like a broken proxy.
 */
import type { Socket } from "node:net";
import { isIP } from "node:net";
import ipaddr from "ipaddr.js";
import { fail, ok, type Result } from "../lib/result.ts";
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

/** The longest name that fits SOCKS5's length byte. */
const MAX_NAME_BYTES = 255;

/**
 * What the reply codes say about the target. 1 to 8 are RFC 1928's, 0xF0 to 0xF7 are Tor's
 * (proposal 304): descriptor not found, invalid, introduction failed, and so on.
 */
const REPLIES: Readonly<Record<number, [DialReason, string]>> = {
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

/** Reads a proxy setting; undefined when it is not a SOCKS5 URL with a host. Port 1080 by default. */
export function parseSocksProxy(proxyUrl: string): SocksProxy | undefined {
  const url = URL.parse(proxyUrl);
  if (url === null || !/^socks5h?:$/.test(url.protocol) || url.hostname === "") return undefined;
  return {
    host: url.hostname.replace(/^\[|\]$/g, ""),
    port: Number(url.port || 1080),
    ...(url.username === "" ? {} : {
      username: decodeURIComponent(url.username),
      password: decodeURIComponent(url.password),
    }),
  };
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
 * Has the proxy at the other end of `socket` connect to `host:port`. On success the socket is
 * paused and carries the target's bytes. On failure or abort the caller destroys it.
 */
export async function connectThroughSocks5(
  socket: Socket,
  proxy: SocksProxy,
  target: { host: string; port: number },
  options: { signal: AbortSignal },
): Promise<Result<void, Trouble>> {
  const address = encodeAddress(target.host);
  if (address === undefined) return fail(trouble("proxy", "bad_url", "host name too long"));
  const reader = new ExactReader(socket, options.signal);
  try {
    const method = proxy.username === undefined ? 0 : 2;
    socket.write(Uint8Array.of(5, 1, method));
    const [version, chosen] = await reader.read(2);
    if (version !== 5) return broken("not a SOCKS5 proxy");
    if (chosen !== method) return broken("the proxy refuses our way to log in");
    if (method === 2) {
      const user = lengthPrefixed(proxy.username ?? "");
      const password = lengthPrefixed(proxy.password ?? "");
      socket.write(Uint8Array.of(1, ...user, ...password));
      const [, status] = await reader.read(2);
      if (status !== 0) return broken("the proxy refuses our password");
    }
    const { port } = target;
    socket.write(Uint8Array.of(5, 1, 0, ...address, port >> 8, port & 0xff));
    const [, reply = 1, , kind] = await reader.read(4);
    if (reply !== 0) {
      const [reason, text] = REPLIES[reply] ?? ["unreachable", `reply code ${reply}`];
      return fail(trouble("proxy", reason, `the proxy says: ${text}`));
    }
    // The bound address that follows is of no use, but has to be read off the stream.
    const length = kind === 1 ? 4 : kind === 4 ? 16 : ((await reader.read(1))[0] ?? 0);
    await reader.read(length + 2);
    return ok(undefined);
  } catch (error) {
    if (options.signal.aborted) {
      return fail(trouble("proxy", "timeout", "no answer from the proxy"));
    }
    return fail(trouble("proxy", "proxy_failed", error));
  } finally {
    reader.release();
  }
}

function broken(detail: string): Result<never, Trouble> {
  return fail(trouble("proxy", "proxy_failed", detail));
}

function encodeAddress(host: string): number[] | undefined {
  switch (isIP(host)) {
    case 4:
      return [1, ...ipaddr.parse(host).toByteArray()];
    case 6:
      return [4, ...ipaddr.parse(host).toByteArray()];
    default: {
      const name = new TextEncoder().encode(host);
      return name.length > MAX_NAME_BYTES ? undefined : [3, name.length, ...name];
    }
  }
}

function lengthPrefixed(text: string): number[] {
  const bytes = new TextEncoder().encode(text).subarray(0, MAX_NAME_BYTES);
  return [bytes.length, ...bytes];
}

/**
 * Reads an exact number of bytes from a socket and leaves the rest in it: what follows the
 * handshake belongs to TLS or HTTP.
 */
class ExactReader {
  readonly #socket: Socket;
  readonly #signal: AbortSignal;
  #wake: (() => void) | undefined;
  #error: Error | undefined;
  readonly #onChange = (): void => this.#wake?.();
  readonly #onError = (error: Error): void => {
    this.#error = error;
    this.#wake?.();
  };
  readonly #onEnd = (): void => this.#onError(new Error("the proxy closed the connection"));

  constructor(socket: Socket, signal: AbortSignal) {
    this.#socket = socket;
    this.#signal = signal;
    socket.on("readable", this.#onChange);
    socket.on("error", this.#onError);
    socket.on("end", this.#onEnd);
    socket.on("close", this.#onEnd);
    signal.addEventListener("abort", this.#onChange, { once: true });
  }

  async read(bytes: number): Promise<Uint8Array> {
    while (true) {
      this.#signal.throwIfAborted();
      const chunk: Uint8Array | null = bytes === 0 ? new Uint8Array() : this.#socket.read(bytes);
      if (chunk !== null && chunk.length === bytes) return chunk;
      if (this.#error !== undefined) throw this.#error;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  release(): void {
    this.#socket.off("readable", this.#onChange);
    this.#socket.off("error", this.#onError);
    this.#socket.off("end", this.#onEnd);
    this.#socket.off("close", this.#onEnd);
    this.#signal.removeEventListener("abort", this.#onChange);
  }
}
