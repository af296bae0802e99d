/**
 * The WebSocket upgrade over a ready socket, by npm `ws`. In: a connected (and, for wss, encrypted)
 * socket; out: an open, PAUSED WebSocket and the answer's headers, or why there is none. Redirects
 * are not followed: a relay's URL is its identity, and another URL is another relay.
 */
import type { IncomingHttpHeaders, IncomingMessage } from "node:http";
import type { Socket } from "node:net";
// @ts-types="@types/ws"
import { WebSocket } from "ws";
import { fail, ok, type Result } from "../lib/result.ts";
import { cut } from "../lib/text.ts";
import { codeOf, reasonOf, type Trouble, trouble } from "./failure.ts";

/**
 * How long ws waits for the peer's close frame; silent relays hold a connection for its 30 s of
 * default. A spread, because @types/ws 8.18 does not know the option. For the handshake ws has no
 * timer at all: the signal ends the whole dial.
 */
const CLOSING = { closeTimeout: 2_000 };
const MAX_HEADERS = 50;
const MAX_HEADER_VALUE = 500;
/** Bytes of response head; Node's own default, stated because strangers fill it. */
export const MAX_HEAD_BYTES = 16_384;

/**
 * Upgrades `socket`. The WebSocket owns the socket afterwards. On failure the caller destroys the
 * socket. The WebSocket comes PAUSED: many relays send AUTH right behind the 101, and a frame that
 * arrives before the caller has its listeners would be lost. Attach them, then `ws.resume()`.
 */
export async function upgradeToWebSocket(
  socket: Socket,
  url: string,
  options: { signal: AbortSignal; userAgent: string; maxPayloadBytes: number },
): Promise<Result<{ ws: WebSocket; headers: Record<string, string>; upgradeMs: number }, Trouble>> {
  const { signal } = options;
  if (signal.aborted) return fail(trouble("upgrade", "timeout", "no time left for the upgrade"));
  if (socket.destroyed) return fail(trouble("upgrade", "reset", "closed before the upgrade"));
  const startedAt = performance.now();
  const ws = new WebSocket(url, {
    createConnection: () => socket,
    headers: { "User-Agent": options.userAgent },
    // Off: a deflate context costs some 300 kB per connection, frames of events compress to little
    // more than half, and each one would have to be inflated before its size is known.
    perMessageDeflate: false,
    maxPayload: options.maxPayloadBytes,
    followRedirects: false,
    maxHeaderSize: MAX_HEAD_BYTES,
    ...CLOSING,
  });
  const { promise, resolve } = Promise.withResolvers<Trouble | undefined>();
  let headers: Record<string, string> = {};
  const onAbort = (): void => resolve(trouble("upgrade", "timeout", "no answer to the upgrade"));
  const onClose = (): void => resolve(trouble("upgrade", "reset", "closed during the upgrade"));
  ws.once("upgrade", (response: IncomingMessage) => {
    headers = boundedHeaders(response.headers);
  });
  ws.once("unexpected-response", (_request, response: IncomingMessage) => {
    const status = response.statusCode ?? 0;
    resolve({
      ...trouble("upgrade", "http_status", `HTTP ${status} ${response.statusMessage ?? ""}`.trim()),
      httpStatus: status,
      headers: boundedHeaders(response.headers),
    });
  });
  // Stays for the life of a failed WebSocket: terminate() while connecting emits one more error.
  ws.on("error", (error: Error) => resolve(upgradeTrouble(error)));
  ws.once("open", () => {
    ws.pause();
    resolve(undefined);
  });
  socket.once("close", onClose);
  signal.addEventListener("abort", onAbort, { once: true });
  const failed = await promise;
  signal.removeEventListener("abort", onAbort);
  socket.off("close", onClose);
  if (failed !== undefined) {
    ws.terminate();
    return fail(failed);
  }
  return ok({ ws, headers, upgradeMs: performance.now() - startedAt });
}

/** The first headers of an answer, names in lower case, values cut and joined. */
export function boundedHeaders(headers: IncomingHttpHeaders): Record<string, string> {
  const bounded: Record<string, string> = {};
  for (const [name, value] of Object.entries(headers).slice(0, MAX_HEADERS)) {
    if (value === undefined) continue;
    bounded[cut(name, 100)] = cut(
      Array.isArray(value) ? value.join(", ") : value,
      MAX_HEADER_VALUE,
    );
  }
  return bounded;
}

/** What is no socket error comes from ws or the HTTP parser: the answer was not a WebSocket's. */
function upgradeTrouble(error: Error): Trouble {
  const code = codeOf(error);
  const reason = code === undefined || code.startsWith("HPE_") || code.startsWith("WS_")
    ? "not_websocket"
    : reasonOf(error, "not_websocket");
  return trouble("upgrade", reason, error);
}
