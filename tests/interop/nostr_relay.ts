// An independent relay on loopback: nostr-relay's protocol engine over our sockets, so that tests
// and the demo meet a relay that none of our code wrote. In: events to start with; out: a URL.
// Holds everything in memory, publishes nothing, and speaks NIPs 1 and 11 only.
import "./noble_hashes.ts";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { NostrRelay } from "@nostr-relay/core";
import { Validator } from "@nostr-relay/validator";
// @ts-types="@types/ws"
import { type RawData, type WebSocket, WebSocketServer } from "ws";
import type { NostrEvent } from "../../src/model/event.ts";
import { parseRelayUrl, type RelayUrl } from "../../src/model/relay_url.ts";
import { MemoryRepository } from "./memory_repository.ts";

/** How an independent relay starts. */
export interface IndependentRelayOptions {
  /** Held from the start, as they are: what the validator would refuse is held too. */
  events?: Iterable<NostrEvent>;
  /** Most events that one REQ gives; default 500, as many relays have it. */
  maxLimit?: number;
  /** Port on 127.0.0.1; default: a free one. */
  port?: number;
  /** Fields beside the relay's own in its NIP-11 document. */
  nip11?: Record<string, unknown>;
}

/** A running relay; dispose of it to close its port and connections. */
export interface IndependentRelay extends AsyncDisposable {
  readonly url: RelayUrl;
  readonly port: number;
  /** What it holds now, newest first. */
  readonly events: readonly NostrEvent[];
  /** Connections open now. */
  readonly connections: number;
  /** Adds events behind every subscriber's back: no validation, no broadcast. */
  seed(events: Iterable<NostrEvent>): void;
}

/** Starts a relay on 127.0.0.1 and resolves when it listens. */
export async function startIndependentRelay(
  options: IndependentRelayOptions = {},
): Promise<IndependentRelay> {
  const maxLimit = options.maxLimit ?? 500;
  const repository = new MemoryRepository(maxLimit);
  repository.seed(options.events ?? []);
  // Results are cached for a second by default: a test would read its own past.
  const engine = new NostrRelay(repository, {
    filterResultCacheTtl: 0,
    eventHandlingResultCacheTtl: 0,
    maxSubscriptionsPerClient: 50,
    logger: { setLogLevel: nothing, debug: nothing, info: nothing, warn: nothing, error: nothing },
  });
  const document = {
    name: "independent relay",
    description: "nostr-relay with an in-memory repository",
    software: "git+https://github.com/CodyTseng/nostr-relay.git",
    version: "0.0.40",
    supported_nips: [1, 11],
    limitation: { max_limit: maxLimit },
    ...options.nip11,
  };
  const server = createServer((request, response) => answerHttp(request, response, document));
  const sockets = new WebSocketServer({ server, perMessageDeflate: false });
  const validator = new Validator({
    maxContentLength: 1024 * 1024,
    maxNumberOfTags: 20_000,
    maxTagValueLength: 64 * 1024,
  });
  sockets.on("connection", (socket) => {
    engine.handleConnection(socket);
    socket.on("message", (data) => void answer(engine, validator, socket, data));
    socket.on("close", () => engine.handleDisconnect(socket));
    // A peer that resets its connection is no business of a test relay's; "close" follows.
    socket.on("error", nothing);
  });
  const port = await listen(server, options.port ?? 0);
  const url = parseRelayUrl(`ws://127.0.0.1:${port}`);
  if (!url.ok) throw new Error(`Cannot name the relay: ${url.failure}`);

  return {
    url: url.value,
    port,
    get events(): readonly NostrEvent[] {
      return repository.events;
    },
    get connections(): number {
      return sockets.clients.size;
    },
    seed(events: Iterable<NostrEvent>): void {
      repository.seed(events);
    },
    async [Symbol.asyncDispose](): Promise<void> {
      for (const socket of sockets.clients) socket.terminate();
      await new Promise<void>((resolve) => sockets.close(() => resolve()));
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeAllConnections();
      await closed;
      await engine.destroy();
    },
  };
}

/** Hands one frame to the engine; what it cannot read is answered by a NOTICE, as relays do. */
async function answer(
  engine: NostrRelay,
  validator: Validator,
  socket: WebSocket,
  data: RawData,
): Promise<void> {
  try {
    const message = await validator.validateIncomingMessage(JSON.parse(data.toString()));
    await engine.handleMessage(socket, message);
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error);
    if (socket.readyState === socket.OPEN) socket.send(JSON.stringify(["NOTICE", text]));
  }
}

function answerHttp(
  request: IncomingMessage,
  response: ServerResponse,
  document: Record<string, unknown>,
): void {
  const wantsNip11 = request.headers.accept?.includes("application/nostr+json") ?? false;
  response.writeHead(200, {
    "content-type": wantsNip11 ? "application/nostr+json" : "text/plain",
    "access-control-allow-origin": "*",
  });
  response.end(wantsNip11 ? JSON.stringify(document) : "a Nostr relay");
}

function listen(server: Server, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, "127.0.0.1", () => {
      const address = server.address();
      if (address === null || typeof address === "string") reject(new Error("no port"));
      else resolve(address.port);
    });
  });
}

function nothing(): void {}
