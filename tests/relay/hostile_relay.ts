// The hostile relay: a real WebSocket and HTTP(S) server on loopback with events in memory. Without
// behaviours it is a plain good relay (NIPs 1, 11, 42); with them it is as bad as they say. For
// tests and the demo. README.md here lists the behaviours.
import { Buffer } from "node:buffer";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { createServer as createTlsServer } from "node:https";
import { createServer as createTcpServer, type Server, type Socket } from "node:net";
import type { Duplex } from "node:stream";
// @ts-types="@types/ws"
import { WebSocketServer } from "ws";
import type { NostrEvent } from "../../src/model/event.ts";
import { parseRelayUrl, type RelayUrl } from "../../src/model/relay_url.ts";
import type { Behaviour } from "./behaviour.ts";
import { type CertificateKind, makeCertificate, testRootPem } from "./certificates.ts";
import { EventSet } from "./event_set.ts";
import { ClientConnection, type RelayShared } from "./relay_client.ts";
import { RelayLog } from "./relay_log.ts";

/** How a hostile relay starts. */
export interface HostileRelayOptions {
  /** Held from the start, as they are. */
  events?: Iterable<NostrEvent>;
  /** In order: each sees what the ones before it left. */
  behaviours?: readonly Behaviour[];
  /** On 127.0.0.1; default: a free one. Give one to come back where another relay stood. */
  port?: number;
  /** Fields beside the relay's own in its NIP-11 document. */
  nip11?: Record<string, unknown>;
}

/** A running hostile relay; disposing of it closes its port and every connection. */
export interface HostileRelay extends AsyncDisposable {
  readonly url: RelayUrl;
  readonly port: number;
  /** What it holds. */
  readonly events: EventSet;
  /** What it saw. */
  readonly seen: RelayLog;
  /** PEM of the root that signed its certificate (`ca` of a dialer). */
  readonly ca: string;
  /** Its URL under another host name or path, for resolvers that lead here. */
  urlFor(host: string, path?: string): RelayUrl;
  /** Puts these behaviours in place of the ones it has; what is fixed at the start stays fixed. */
  behave(...behaviours: readonly Behaviour[]): void;
  /** Adds an event from nowhere and passes it to live subscriptions; nothing is checked. */
  inject(event: NostrEvent): void;
  /** Drops all WebSockets, without a close frame unless there is a code. */
  disconnectAll(code?: number): void;
}

/** Starts a relay on 127.0.0.1; resolves when it listens (or, with `refuses`, no longer does). */
export async function startHostileRelay(options: HostileRelayOptions = {}): Promise<HostileRelay> {
  const relay = new LoopbackRelay(options);
  await relay.listen(options.port ?? 0);
  return relay;
}

class LoopbackRelay implements HostileRelay, RelayShared {
  readonly events: EventSet;
  readonly log = new RelayLog();
  port = 0;
  behaviours: readonly Behaviour[];
  readonly #tls: CertificateKind | undefined;
  readonly #transport: Behaviour["transport"];
  readonly #nip11: Record<string, unknown>;
  readonly #server: Server;
  readonly #sockets = new Set<Duplex>();
  readonly #clients = new Set<ClientConnection>();
  readonly #ws = new WebSocketServer({ noServer: true, perMessageDeflate: false });
  readonly #timers = new Set<ReturnType<typeof setTimeout>>();

  constructor(options: HostileRelayOptions) {
    this.behaviours = options.behaviours ?? [];
    this.events = new EventSet(options.events);
    this.#nip11 = options.nip11 ?? {};
    this.#tls = this.behaviours.find((behaviour) => behaviour.tls !== undefined)?.tls;
    this.#transport = this.behaviours.find((b) => b.transport !== undefined)?.transport;
    this.#server = this.#createServer();
    this.#server.on("connection", (socket: Socket) => {
      this.#sockets.add(socket);
      this.log.connected();
      socket.on("error", () => socket.destroy());
      socket.on("close", () => {
        this.#sockets.delete(socket);
        this.log.disconnected();
      });
      // Without a reader the end of the connection would go unnoticed.
      if (this.#transport === "stall") socket.resume();
    });
  }

  get seen(): RelayLog {
    return this.log;
  }

  get url(): RelayUrl {
    return this.urlFor("127.0.0.1");
  }

  get ca(): string {
    return testRootPem();
  }

  urlFor(host: string, path = ""): RelayUrl {
    const secure = this.#tls !== undefined;
    const url = parseRelayUrl(`${secure ? "wss" : "ws"}://${host}:${this.port}${path}`);
    if (!url.ok) throw new Error(`Cannot name a relay so: ${url.failure}`);
    return url.value;
  }

  behave(...behaviours: readonly Behaviour[]): void {
    this.behaviours = behaviours;
  }

  inject(event: NostrEvent): void {
    this.events.put(event);
    this.broadcast(event);
  }

  broadcast(event: NostrEvent): void {
    for (const client of this.#clients) client.offer(event);
  }

  disconnectAll(code?: number): void {
    for (const client of this.#clients) client.disconnect(code);
  }

  async listen(port: number): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once("error", reject);
      this.#server.listen(port, "127.0.0.1", resolve);
    });
    const address = this.#server.address();
    if (address === null || typeof address === "string") throw new Error("No port to listen at");
    this.port = address.port;
    if (this.#transport === "refuse") await this.#close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const timer of this.#timers) clearTimeout(timer);
    const clients = [...this.#clients];
    for (const client of clients) client.terminate();
    await Promise.all(clients.map((client) => client.settled()));
    if (this.#transport !== "refuse") await this.#close();
  }

  #createServer(): Server {
    if (this.#transport !== undefined) return createTcpServer();
    const onRequest = (request: IncomingMessage, response: ServerResponse): void =>
      this.#answerHttp(request, response);
    const server = this.#tls === undefined
      ? createServer(onRequest)
      : createTlsServer(makeCertificate(this.#tls), onRequest);
    server.on("upgrade", (request: IncomingMessage, socket: Duplex, head: Uint8Array) => {
      this.#sockets.add(socket);
      socket.on("error", () => socket.destroy());
      socket.on("close", () => this.#sockets.delete(socket));
      // HTTP servers leave a half-open socket open, and one that is not read does not even notice.
      // No client sends anything before the 101, so nothing is lost by reading.
      socket.on("end", () => socket.end());
      socket.resume();
      const delayMs = this.behaviours.reduce((sum, behaviour) => sum + (behaviour.delayMs ?? 0), 0);
      if (delayMs === 0) this.#upgrade(request, socket, head);
      else this.#later(delayMs, () => this.#upgrade(request, socket, head));
    });
    // Strangers' handshakes that fail are what many tests are about.
    server.on("tlsClientError", (_error, socket) => socket.destroy());
    server.on("clientError", (_error, socket) => {
      if (socket.writable) socket.end("HTTP/1.1 400 Bad Request\r\n\r\n");
      else socket.destroy();
    });
    return server;
  }

  #upgrade(request: IncomingMessage, socket: Duplex, head: Uint8Array): void {
    this.log.request(request.url ?? "", true, request.headers);
    if (socket.destroyed) return;
    if (this.behaviours.some((behaviour) => behaviour.upgrade?.(request, socket))) return;
    this.#ws.handleUpgrade(request, socket, Buffer.from(head), (webSocket) => {
      this.log.opened();
      const scheme = this.#tls === undefined ? "ws" : "wss";
      const url = `${scheme}://${request.headers.host}${request.url}`;
      const { total } = this.log.connections;
      const client = new ClientConnection(webSocket, socket, total, url, this);
      this.#clients.add(client);
      webSocket.on("close", () => {
        this.#clients.delete(client);
        this.log.closed();
      });
    });
  }

  #answerHttp(request: IncomingMessage, response: ServerResponse): void {
    this.log.request(request.url ?? "", false, request.headers);
    response.on("error", () => response.destroy());
    if (this.behaviours.some((behaviour) => behaviour.http?.(request, response))) return;
    const nips = this.behaviours.flatMap((behaviour) => behaviour.nips ?? []);
    const document = {
      name: "hostile relay",
      software: "tests/relay",
      supported_nips: [...new Set([1, 11, 42, ...nips])].sort((a, b) => a - b),
      ...this.#nip11,
    };
    response.writeHead(200, { "content-type": "application/nostr+json" });
    response.end(JSON.stringify(document));
  }

  #later(ms: number, work: () => void): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      work();
    }, ms);
    this.#timers.add(timer);
  }

  async #close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const socket of this.#sockets) socket.destroy();
    await closed;
    this.#ws.close();
  }
}
