/**
 * The WebSocket upgrade over a ready socket (RFC 6455, section 4). In: a connected (and, for wss,
 * encrypted) socket; out: an open, PAUSED WebSocket of npm `ws` and the answer's headers, or why
 * there is none. Redirects are not followed: a relay's URL is its identity, and another URL is
 * another relay.
 */
import type { Buffer } from "node:buffer";
import { createHash, randomBytes } from "node:crypto";
import type { Socket } from "node:net";
// @ts-types="@types/ws"
import { WebSocket } from "ws";
import { fail, ok, type Result } from "../lib/result.ts";
import { type Trouble, trouble } from "./failure.ts";
import { boundedHeaders, type HttpHead, readHead, requestHead } from "./http_head.ts";

const WEBSOCKET_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
/**
 * How long ws waits for the peer's close frame; silent relays hold a connection for its 30 s of
 * default.
 */
const CLOSE_TIMEOUT_MS = 2_000;
/** Pings answered that a peer has not yet read; ws's own default. */
const MAX_PENDING_PONGS = 60;

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
  const { signal, maxPayloadBytes } = options;
  if (signal.aborted) return fail(trouble("upgrade", "timeout", "no time left for the upgrade"));
  if (socket.destroyed) return fail(trouble("upgrade", "reset", "closed before the upgrade"));
  const startedAt = performance.now();
  const { host, pathname, search } = new URL(url);
  const key = randomBytes(16).toString("base64");
  socket.write(
    requestHead(pathname + search, [
      ["Host", host],
      ["User-Agent", options.userAgent],
      ["Upgrade", "websocket"],
      ["Connection", "Upgrade"],
      ["Sec-WebSocket-Version", "13"],
      ["Sec-WebSocket-Key", key],
      // No extension. A deflate context costs some 300 kB per connection, frames of events compress
      // to little more than half, and each one would have to be inflated before its size is known.
    ]),
    "latin1",
  );
  const answer = await readHead(socket, { signal, phase: "upgrade", malformed: "not_websocket" });
  if (!answer.ok) return answer;
  const { head, rest } = answer.value;
  const headers = boundedHeaders(head.headers);
  if (head.status !== 101) {
    const detail = `HTTP ${head.status} ${head.statusText}`.trim();
    const failure = trouble("upgrade", "http_status", detail);
    return fail({ ...failure, httpStatus: head.status, headers });
  }
  const problem = handshakeProblem(head, key);
  if (problem !== undefined) return fail(trouble("upgrade", "not_websocket", problem));
  // Its "close" is over, and a WebSocket that never hears it would never end.
  if (socket.closed) return fail(trouble("upgrade", "reset", "closed behind the upgrade"));
  const ws = new UpgradedWebSocket(socket, rest, maxPayloadBytes);
  return ok({ ws, headers, upgradeMs: performance.now() - startedAt });
}

/** What is wrong with a 101 (RFC 6455, section 4.1); undefined for what a WebSocket server says. */
function handshakeProblem({ headers }: HttpHead, key: string): string | undefined {
  if (headers.get("upgrade")?.toLowerCase() !== "websocket") return "Invalid Upgrade header";
  const accept = createHash("sha1").update(key + WEBSOCKET_GUID).digest("base64");
  if (headers.get("sec-websocket-accept") !== accept) return "Invalid Sec-WebSocket-Accept header";
  if (headers.has("sec-websocket-protocol")) return "Server sent a subprotocol nobody asked for";
  if (headers.has("sec-websocket-extensions")) return "Server sent an extension nobody asked for";
  return undefined;
}

/** What ws does when its own handshake is over; it has no public name for it. */
interface WebSocketInside {
  _isServer: boolean;
  setSocket(socket: Socket, head: Buffer, options: Record<string, unknown>): void;
}

/**
 * The client's end of a socket that is upgraded already. ws makes one only from its own request by
 * node:http, and one without an address for its server; the latter is turned into a client here.
 * What ws is pinned to is what this was written for.
 */
class UpgradedWebSocket extends WebSocket {
  constructor(socket: Socket, head: Buffer, maxPayload: number) {
    const options = {
      autoPong: true,
      closeTimeout: CLOSE_TIMEOUT_MS,
      maxPendingAutoPongs: MAX_PENDING_PONGS,
    };
    super(null as unknown as string, undefined, options as Record<string, unknown>);
    // A listener for life: terminate() may emit one more error.
    this.on("error", () => undefined);
    const inside = this as unknown as WebSocketInside;
    inside._isServer = false;
    inside.setSocket(socket, head, {
      allowSynchronousEvents: true,
      maxPayload,
      // ws's own bounds on frames of one byte each.
      maxBufferedChunks: 256 * 1024,
      maxFragments: 16 * 1024,
      // Whoever reads the text checks it, in the same pass.
      skipUTF8Validation: true,
    });
    this.pause();
  }
}
