// Whether a SOCKS5 proxy answers at all. In: its URL. Out: yes, or why not. It is greeted and nothing
// is asked of it, so whether its network has a way through stays its own affair.
import net from "node:net";
import { deadline } from "../lib/deadline.ts";
import { fail, ok, type Result } from "../lib/result.ts";
import { errorText } from "../lib/text.ts";
import { parseSocksProxy } from "./socks5.ts";

/** RFC 1928: version 5, two methods (none, user and password). */
const GREETING = new Uint8Array([5, 2, 0, 2]);

/** Greets the proxy; fails with a short reason, rejects with `signal.reason` alone. */
export async function probeProxy(
  proxyUrl: string,
  options: { timeoutMs: number; signal: AbortSignal },
): Promise<Result<undefined, string>> {
  const proxy = parseSocksProxy(proxyUrl);
  if (proxy === undefined) return fail("is not the URL of a SOCKS proxy");
  options.signal.throwIfAborted();
  using limit = deadline(options.timeoutMs, { signal: options.signal });
  const socket = net.connect({ host: proxy.host, port: proxy.port });
  try {
    const version = await new Promise<number | undefined>((resolve, reject) => {
      limit.signal.addEventListener("abort", () => reject(limit.signal.reason), { once: true });
      socket.once("error", reject);
      socket.once("close", () => reject(new Error("it hung up")));
      socket.once("connect", () => socket.write(GREETING));
      socket.once("data", (bytes: Uint8Array) => resolve(bytes[0]));
    });
    return version === 5 ? ok(undefined) : fail("does not speak SOCKS5");
  } catch (error) {
    options.signal.throwIfAborted();
    return fail(limit.expired ? "no answer" : errorText(error));
  } finally {
    socket.destroy();
  }
}
