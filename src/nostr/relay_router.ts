// Which answer belongs to which question: the inside of a relay connection. Messages of the socket
// are routed by subscription id or event id; those that nobody waits for are counted and dropped.
// @ts-types="@types/ws"
import type { WebSocket } from "ws";
import { cut } from "../lib/text.ts";
import type { NostrEvent } from "../model/event.ts";
import type { Filter } from "../model/filter.ts";
import type { RelayUrl } from "../model/relay_url.ts";
import type { DialFacts } from "../net/dialer.ts";
import type { ClientMessage } from "./client_message.ts";
import { CountExchange, type CountOutcome } from "./count.ts";
import type { AddressedMessage, Exchange, Link, SubscriptionEnd } from "./exchange.ts";
import { InboxBudget } from "./inbox.ts";
import { Login, type LoginOutcome } from "./login.ts";
import type { RelayMessage } from "./message.ts";
import { NegentropyExchange, type NegentropySession } from "./negentropy.ts";
import { PageExchange } from "./page.ts";
import { PendingPublishes, type PublishOptions, type PublishOutcome } from "./publish.ts";
import type {
  AskOptions,
  ConnectRelayOptions,
  RelayConnection,
  RequestedPage,
  RequestOptions,
} from "./relay_connection.ts";
import { RelaySocket } from "./relay_socket.ts";
import type { Signer } from "./signer.ts";
import { LiveSubscription, type Subscription } from "./subscription.ts";
import { SubscriptionIds } from "./subscription_ids.ts";

const MAX_NOTICES = 8;

/** {@linkcode RelayConnection} over an open, stopped WebSocket. */
export class RelayRouter implements RelayConnection {
  readonly url: RelayUrl;
  readonly facts: DialFacts;
  readonly #socket: RelaySocket;
  readonly #inbox: InboxBudget;
  readonly #link: Link;
  readonly #exchanges = new Map<string, Exchange>();
  readonly #ids = new SubscriptionIds();
  readonly #publishes = new PendingPublishes();
  readonly #login = new Login();
  readonly #notices: string[] = [];

  constructor(
    url: RelayUrl,
    ws: WebSocket,
    facts: DialFacts,
    options: ConnectRelayOptions & { maxPayloadBytes: number },
  ) {
    this.url = url;
    this.facts = facts;
    const socket = new RelaySocket(ws, {
      maxPayloadBytes: options.maxPayloadBytes,
      keepAliveMs: options.keepAliveMs ?? 30_000,
      closeTimeoutMs: options.closeTimeoutMs ?? 1_000,
      takesFrames: (id) => this.#exchanges.get(id)?.takesFrames ?? false,
      onMessage: (message, bytes) => this.#onMessage(message, bytes),
      onEnd: (end) => this.#onEnd(end),
    });
    const inbox = new InboxBudget({
      maxItems: options.inboxItems ?? 2_000,
      maxBytes: options.inboxBytes ?? 8 * 1024 * 1024,
      pause: () => socket.pause(),
      resume: () => socket.resume(),
    });
    this.#socket = socket;
    this.#inbox = inbox;
    this.#link = {
      noticeGraceMs: options.noticeGraceMs ?? 2_000,
      send: (message) => socket.send(message),
      release: (exchange, clean) => this.#release(exchange, clean),
      get paused() {
        return inbox.paused;
      },
      get resumedAtMs() {
        return inbox.resumedAtMs;
      },
    };
  }

  get closed(): Promise<{ code: number; reason: string }> {
    return this.#socket.closed;
  }

  get isOpen(): boolean {
    return this.#socket.end === undefined;
  }

  get challenge(): string | undefined {
    return this.#login.challenge;
  }

  get notices(): readonly string[] {
    return this.#notices;
  }

  get bytesReceived(): number {
    return this.#socket.bytesReceived;
  }

  get framesReceived(): number {
    return this.#socket.framesReceived;
  }

  get invalidFrames(): number {
    return this.#socket.invalidFrames;
  }

  get lateFrames(): number {
    return this.#socket.lateFrames;
  }

  get heardAtMs(): number {
    return this.#socket.heardAtMs;
  }

  subscribe(filters: readonly Filter[], options: AskOptions): Subscription {
    const id = this.#idFor(options);
    const subscription = new LiveSubscription(this.#link, this.#inbox, id, options);
    if (this.#admit(subscription)) subscription.open(filters);
    return subscription;
  }

  async request(filter: Filter, options: RequestOptions): Promise<RequestedPage> {
    const { signer, signal, idleMs } = options;
    const page = await this.#requestOnce(filter, options);
    if (signer === undefined || !this.#isLoginWall(page.end)) return page;
    const login = await this.authenticate(signer, { timeoutMs: idleMs, signal });
    if (!login.ok) return { ...page, login };
    return { ...await this.#requestOnce(filter, options), login };
  }

  async count(filter: Filter, options: AskOptions): Promise<CountOutcome> {
    const count = new CountExchange(this.#link, this.#idFor(options), filter, options);
    if (this.#admit(count)) count.open();
    return await count.result;
  }

  openNegentropy(filter: Filter, options: AskOptions): NegentropySession {
    const session = new NegentropyExchange(this.#link, this.#idFor(options), filter, options);
    this.#admit(session);
    return session;
  }

  async publish(
    event: NostrEvent,
    options: PublishOptions & { signer?: Signer | undefined },
  ): Promise<PublishOutcome> {
    const { signer } = options;
    const outcome = await this.#sendEvent({ type: "event", event }, event.id, options);
    const isWalled = !outcome.ok && outcome.prefix === "auth-required";
    if (!isWalled || signer === undefined) return outcome;
    const login = await this.authenticate(signer, options);
    return login.ok ? await this.#sendEvent({ type: "event", event }, event.id, options) : outcome;
  }

  authenticate(signer: Signer, options: PublishOptions): Promise<LoginOutcome> {
    return this.#login.authenticate(
      this.url,
      signer,
      (event) => this.#sendEvent({ type: "auth", event }, event.id, options),
      options,
    );
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#socket.close();
  }

  async #requestOnce(filter: Filter, options: RequestOptions): Promise<RequestedPage> {
    const invalidBefore = this.#socket.invalidFrames;
    const page = new PageExchange(this.#link, this.#idFor(options), filter, options);
    if (this.#admit(page)) page.open();
    const result = await page.result;
    return { ...result, invalidFrames: this.#socket.invalidFrames - invalidBefore };
  }

  async #sendEvent(
    message: ClientMessage,
    eventId: string,
    options: PublishOptions,
  ): Promise<PublishOutcome> {
    if (!this.isOpen) return { ok: false, reason: "disconnected", elapsedMs: 0 };
    return await this.#publishes.wait(eventId, () => this.#socket.send(message), options);
  }

  /** A refusal that a log-in may lift. */
  #isLoginWall(end: SubscriptionEnd): boolean {
    if (end.reason === "closed") return end.prefix === "auth-required";
    return end.reason === "notice" && this.challenge !== undefined &&
      /auth-required|authenticat/i.test(end.message ?? "");
  }

  #idFor(options: AskOptions): string {
    const { id } = options;
    if (id !== undefined && this.#exchanges.has(id)) {
      throw new Error(`Cannot ask under the id ${cut(id, 64)} as it is in use`);
    }
    return id ?? this.#ids.take();
  }

  /** Routes messages to it from now on; false when the connection is over, and so is it. */
  #admit(exchange: Exchange): boolean {
    this.#exchanges.set(exchange.id, exchange);
    const { end } = this.#socket;
    if (end !== undefined) exchange.disconnect(end);
    return end === undefined;
  }

  #release(exchange: Exchange, clean: boolean): void {
    this.#exchanges.delete(exchange.id);
    this.#ids.give(exchange.id, clean);
  }

  #onMessage(message: RelayMessage, bytes: number): void {
    switch (message.type) {
      case "ok":
        if (!this.#publishes.receive(message)) this.#socket.lateFrames += 1;
        break;
      case "notice":
        this.#onNotice(message.message);
        break;
      case "auth":
        this.#login.receive(message.challenge);
        break;
      default:
        this.#route(message, bytes);
    }
  }

  #route(message: AddressedMessage, bytes: number): void {
    const exchange = message.subscriptionId === undefined
      ? this.#onlyWaiting()
      : this.#exchanges.get(message.subscriptionId);
    if (exchange === undefined) this.#socket.lateFrames += 1;
    else exchange.receive(message, bytes);
  }

  /** For an EOSE without an id: clear only where one answer is due. */
  #onlyWaiting(): Exchange | undefined {
    const waiting = [...this.#exchanges.values()].filter((exchange) => exchange.waiting);
    return waiting.length === 1 ? waiting[0] : undefined;
  }

  #onNotice(message: string): void {
    this.#notices.push(cut(message));
    if (this.#notices.length > MAX_NOTICES) this.#notices.shift();
    for (const exchange of [...this.#exchanges.values()]) exchange.hearNotice(message);
  }

  #onEnd(end: SubscriptionEnd): void {
    this.#login.disconnect();
    for (const exchange of [...this.#exchanges.values()]) exchange.disconnect(end);
    this.#publishes.disconnect(end.reason === "aborted" ? "aborted" : "disconnected");
  }
}
