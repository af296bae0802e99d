// Many small relays on loopback in one process of their own, for benchmarks of the check: as little
// work per connection as a relay can do, so that the checker is what is measured. Run by
// `startRelayFarm`; prints where its relays are as one line of JSON, and ends with its parent.
import { createHash } from "node:crypto";

/** How a relay of the farm behaves. */
export type FarmKind =
  /** Answers everything. */
  | "good"
  /** Nobody listens. */
  | "refuses"
  /** Its network drops what is sent to it: not even TCP is answered. */
  | "drops"
  /** Accepts TCP and never says a word. */
  | "hangs"
  /** Opens, and never answers a REQ. */
  | "silent"
  /** Challenges (NIP-42) and refuses every REQ with CLOSED. */
  | "walled";

/** What the farm holds. */
export interface FarmOptions {
  /** How many relays of each kind; they stand in mixed order. */
  counts: Partial<Record<FarmKind, number>>;
  /** Before each answer over WebSocket, the upgrade's and the REQ's. */
  delayMs?: number;
}

/** One relay of the farm. */
export interface FarmRelay {
  kind: FarmKind;
  hostname: string;
  port: number;
}

/** A running farm; disposing of it ends its process. */
export interface RelayFarm extends AsyncDisposable {
  readonly relays: readonly FarmRelay[];
}

/** Starts a farm and resolves when all its relays listen. */
export async function startRelayFarm(options: FarmOptions): Promise<RelayFarm> {
  const process = new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "--no-prompt",
      "--allow-net",
      import.meta.filename ?? "",
      JSON.stringify(options),
    ],
    // Its end of file is how the farm learns that its parent is gone.
    stdin: "piped",
    stdout: "piped",
  }).spawn();
  const lines = process.stdout.pipeThrough(new TextDecoderStream()).getReader();
  let said = "";
  while (!said.includes("\n")) {
    const { value, done } = await lines.read();
    if (done) throw new Error(`Cannot start the relay farm: it ended with ${said}`);
    said += value;
  }
  return {
    relays: JSON.parse(said),
    async [Symbol.asyncDispose](): Promise<void> {
      await process.stdin.close();
      await lines.cancel();
      await process.status;
    },
  };
}

const DOCUMENT = JSON.stringify({
  name: "farm",
  description: "One of many small relays on loopback",
  supported_nips: [1, 11],
  software: "https://example.com/relay-farm",
  version: "1.0.0",
});
const WEBSOCKET_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
const CHALLENGE = textFrame(JSON.stringify(["AUTH", "0123456789abcdef"]));
const encoder = new TextEncoder();
const latin1 = new TextDecoder("latin1");

const HOSTNAME = "127.0.0.1";
/** Loopback as well (on Linux), and nobody's: what refuses is not a port that others may open. */
const NOBODYS_HOSTNAME = "127.0.0.2";

function openFarm({ counts, delayMs = 0 }: FarmOptions): Promise<FarmRelay[]> {
  return Promise.all(
    mixed(counts).map(async (kind) => {
      // Of a full queue the kernel drops all that knocks; two connections fill one of 1.
      const full = kind === "drops" ? { tcpBacklog: 1 } : {};
      const listener = Deno.listen({ hostname: HOSTNAME, port: 0, ...full });
      if (kind === "drops") {
        for (let i = 0; i < 2; i++) {
          await Deno.connect({ hostname: HOSTNAME, port: listener.addr.port });
        }
      } else void acceptAll(listener, kind, delayMs);
      const hostname = kind === "refuses" ? NOBODYS_HOSTNAME : HOSTNAME;
      return { kind, hostname, port: listener.addr.port };
    }),
  );
}

/** Every kind spread evenly over the whole. */
function mixed(counts: FarmOptions["counts"]): FarmKind[] {
  const placed = Object.entries(counts).flatMap(([kind, count]) =>
    Array.from({ length: count }, (_, i) => ({ kind: kind as FarmKind, at: (i + 0.5) / count }))
  );
  return placed.sort((a, b) => a.at - b.at).map(({ kind }) => kind);
}

async function acceptAll(
  listener: Deno.TcpListener,
  kind: FarmKind,
  delayMs: number,
): Promise<void> {
  for await (const connection of listener) void attend(connection, kind, delayMs);
}

async function attend(connection: Deno.TcpConn, kind: FarmKind, delayMs: number): Promise<void> {
  try {
    await serve(connection, kind, delayMs);
  } catch {
    // A client that left in the middle is all that can go wrong here, and no matter.
  } finally {
    connection.close();
  }
}

async function serve(connection: Deno.TcpConn, kind: FarmKind, delayMs: number): Promise<void> {
  const chunk = new Uint8Array(4096);
  connection.setNoDelay(true);
  let upgraded = false;
  for (;;) {
    const size = await connection.read(chunk);
    if (size === null) return;
    if (kind === "hangs") continue;
    if (upgraded) {
      if (!await answerFrames(connection, chunk.subarray(0, size), kind, delayMs)) return;
      continue;
    }
    // A benchmark's request comes in one piece: it is short, and sent by one write.
    const head = latin1.decode(chunk.subarray(0, size));
    const key = /^sec-websocket-key: *(\S+)/im.exec(head)?.[1];
    if (key === undefined) {
      const keep = !/^connection: *close/im.test(head);
      await connection.write(document(keep));
      if (!keep) return;
      continue;
    }
    if (delayMs > 0) await pause(delayMs);
    upgraded = true;
    const answer = encoder.encode(switching(key));
    await connection.write(kind === "walled" ? joined(answer, CHALLENGE) : answer);
  }
}

/** Answers the frames in `bytes`; false when the client said goodbye. */
async function answerFrames(
  connection: Deno.TcpConn,
  bytes: Uint8Array,
  kind: FarmKind,
  delayMs: number,
): Promise<boolean> {
  for (let at = 0; at < bytes.length;) {
    const { opcode, payload, end } = readFrame(bytes, at);
    at = end;
    if (opcode === 0x8) {
      await connection.write(new Uint8Array([0x88, payload.length, ...payload]));
      return false;
    }
    if (opcode !== 0x1 || kind === "silent") continue;
    const [verb, id] = JSON.parse(latin1.decode(payload));
    if (verb !== "REQ") continue;
    if (delayMs > 0) await pause(delayMs);
    const answer = kind === "walled" ? ["CLOSED", id, "auth-required: members only"] : ["EOSE", id];
    await connection.write(textFrame(JSON.stringify(answer)));
  }
  return true;
}

/** One masked frame of a client, shorter than 64 KiB, unmasked in place. */
function readFrame(
  bytes: Uint8Array,
  at: number,
): { opcode: number; payload: Uint8Array; end: number } {
  const short = (bytes[at + 1] ?? 0) & 0x7f;
  const extended = short === 126 ? 2 : 0;
  const length = extended === 0 ? short : ((bytes[at + 2] ?? 0) << 8) | (bytes[at + 3] ?? 0);
  const maskAt = at + 2 + extended;
  const end = maskAt + 4 + length;
  const payload = bytes.subarray(maskAt + 4, end);
  for (let i = 0; i < payload.length; i++) {
    payload[i] = (payload[i] ?? 0) ^ (bytes[maskAt + (i & 3)] ?? 0);
  }
  return { opcode: (bytes[at] ?? 0) & 0x0f, payload, end };
}

function textFrame(text: string): Uint8Array {
  const payload = new TextEncoder().encode(text);
  return joined(new Uint8Array([0x81, payload.length]), payload);
}

function switching(key: string): string {
  const accept = createHash("sha1").update(key + WEBSOCKET_GUID).digest("base64");
  return "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
    `Sec-WebSocket-Accept: ${accept}\r\n\r\n`;
}

function document(keep: boolean): Uint8Array {
  return encoder.encode(
    "HTTP/1.1 200 OK\r\ncontent-type: application/nostr+json\r\n" +
      `connection: ${keep ? "keep-alive" : "close"}\r\n` +
      `content-length: ${DOCUMENT.length}\r\n\r\n${DOCUMENT}`,
  );
}

function joined(first: Uint8Array, second: Uint8Array): Uint8Array {
  const both = new Uint8Array(first.length + second.length);
  both.set(first);
  both.set(second, first.length);
  return both;
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

if (import.meta.main) {
  const relays = await openFarm(JSON.parse(Deno.args[0] ?? "{}"));
  Deno.stdout.writeSync(encoder.encode(`${JSON.stringify(relays)}\n`));
  for await (const _ of Deno.stdin.readable) {
    // Nothing is said to it; only the end counts.
  }
  Deno.exit(0);
}
