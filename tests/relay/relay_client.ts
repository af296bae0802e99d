// The relay's side of one connection: reads frames, asks the behaviours, answers as NIP-01, 42 and
// 45 have it where no behaviour takes over. In: a WebSocket; out: frames and entries in the log.
import { randomUUID } from "node:crypto";
import type { Duplex } from "node:stream";
// @ts-types="@types/ws"
import type { WebSocket } from "ws";
import { verifyEvent } from "nostr-tools";
import { computeEventId, type NostrEvent, parseEvent } from "../../src/model/event.ts";
import type { Behaviour, ClientFrame, RelayClient, ReqInHand, Step } from "./behaviour.ts";
import { type EventSet, isEphemeral, type WireFilter } from "./event_set.ts";
import type { RelayLog } from "./relay_log.ts";
import { type Outlet, RelaySubscription } from "./subscription.ts";

/** What a connection shares with its relay. */
export interface RelayShared {
  readonly events: EventSet;
  readonly log: RelayLog;
  /** Read at every message, so that behaviours can change under way. */
  readonly behaviours: readonly Behaviour[];
  /** Passes a new event to every live subscription of every connection. */
  broadcast(event: NostrEvent): void;
}

/** How old or new an AUTH event may be, in seconds (NIP-42 says about ten minutes). */
const AUTH_WINDOW = 600;

/** One connected client. */
export class ClientConnection implements RelayClient, Outlet {
  readonly number: number;
  readonly url: string;
  challenge: string | undefined;
  readonly pubkeys = new Set<string>();
  reqCount = 0;
  readonly #socket: WebSocket;
  readonly #stream: Duplex;
  #isCorked = false;
  readonly #shared: RelayShared;
  readonly #subscriptions = new Map<string, RelaySubscription>();
  #queue: Promise<void> = Promise.resolve();
  readonly #running = new Set<Promise<void>>();
  readonly #ended = new AbortController();

  /** `stream` is what carries the WebSocket. */
  constructor(
    socket: WebSocket,
    stream: Duplex,
    number: number,
    url: string,
    shared: RelayShared,
  ) {
    this.number = number;
    this.url = url;
    this.#socket = socket;
    this.#stream = stream;
    this.#shared = shared;
    socket.on("message", (data, isBinary) => {
      const text = isBinary ? "" : String(data);
      // In order, one at a time: behaviours may wait.
      this.#queue = this.#queue.then(() => this.#receive(text));
    });
    socket.on("close", () => this.#end());
    // A reset is followed by "close".
    socket.on("error", () => socket.terminate());
    for (const behaviour of shared.behaviours) behaviour.connected?.(this);
  }

  get subscriptionIds(): ReadonlySet<string> {
    return new Set(this.#subscriptions.keys());
  }

  get buffered(): number {
    return this.#socket.bufferedAmount;
  }

  send(frame: string | Uint8Array): void {
    if (this.#socket.readyState !== this.#socket.OPEN) return;
    this.#shared.log.sent.frames++;
    this.#shared.log.sent.bytes += frame.length;
    this.#together();
    // A send to a connection that has just ended reports an error that nobody can act on.
    this.#socket.send(frame, () => undefined);
  }

  /** What is sent without a pause goes out in one write; a page of small ones took two each. */
  #together(): void {
    if (this.#isCorked) return;
    this.#isCorked = true;
    this.#stream.cork();
    queueMicrotask(() => {
      this.#isCorked = false;
      this.#stream.uncork();
    });
  }

  flushed(): Promise<void> {
    if (this.#ended.signal.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      const { signal } = this.#ended;
      const done = (): void => {
        signal.removeEventListener("abort", done);
        resolve();
      };
      signal.addEventListener("abort", done, { once: true });
      // An empty pong is in order at any time and answered by nobody: its callback is the flush. On
      // a connection that is closing there is none, or one with an error: "close" comes next.
      if (this.#socket.readyState !== this.#socket.OPEN) return;
      this.#socket.pong("", false, (error) => {
        if (!error) done();
      });
    });
  }

  disconnect(code?: number): void {
    if (code === undefined) this.#socket.terminate();
    else this.#socket.close(code);
  }

  terminate(): void {
    this.#socket.terminate();
  }

  /** Hands an event to the subscriptions. */
  offer(event: NostrEvent): void {
    for (const subscription of this.#subscriptions.values()) subscription.offer(event);
  }

  /** Resolves when nothing of this connection is under way any more. */
  async settled(): Promise<void> {
    await this.#queue;
    await Promise.all(this.#running);
  }

  #end(): void {
    this.#ended.abort();
    for (const subscription of this.#subscriptions.values()) subscription.stop();
    this.#subscriptions.clear();
    for (const behaviour of this.#shared.behaviours) behaviour.disconnected?.(this);
  }

  async #receive(text: string): Promise<void> {
    for (const { delayMs } of this.#shared.behaviours) {
      if (delayMs !== undefined) await this.#delay(delayMs);
    }
    if (this.#ended.signal.aborted) return;
    const frame = readFrame(text);
    this.#shared.log.message(this.number, frame, text);
    if (frame === undefined) {
      this.#notice("invalid: not a message");
      return;
    }
    if (frame.type === "REQ") this.reqCount++;
    const { behaviours, events } = this.#shared;
    if (behaviours.some((behaviour) => behaviour.handle?.(frame, this, events))) return;
    switch (frame.type) {
      case "REQ":
        return this.#req(frame);
      case "CLOSE":
        this.#subscriptions.get(String(frame.message[1]))?.stop();
        this.#subscriptions.delete(String(frame.message[1]));
        return;
      case "EVENT":
        return this.#event(frame);
      case "AUTH":
        return this.#auth(frame.event);
      default:
        this.#notice(`ERROR: bad msg: unknown cmd ${frame.type}`);
    }
  }

  #req(frame: ClientFrame): void {
    const id = String(frame.message[1]);
    const filters = frame.message.slice(2).filter(isObject);
    const refusal = this.#refusal(frame);
    if (refusal !== undefined) {
      this.send(JSON.stringify(["CLOSED", id, refusal]));
      return;
    }
    const { behaviours, events } = this.#shared;
    const read = filters.map((filter) =>
      behaviours.reduce((f, behaviour) => behaviour.rewriteFilter?.(f) ?? f, filter)
    );
    const page = events.query(read);
    const req: ReqInHand = {
      client: this,
      subscriptionId: id,
      filters,
      events,
      truncated: page.truncated,
    };
    let steps: Iterable<Step> = [
      ...page.events.map((event): Step => ({ do: "event", event })),
      { do: "eose" },
    ];
    for (const behaviour of behaviours) steps = behaviour.answer?.(steps, req) ?? steps;
    this.#subscriptions.get(id)?.stop();
    // Live events match the filters without their bounds on how many.
    const subscription = new RelaySubscription(id, read, this);
    this.#subscriptions.set(id, subscription);
    const running = subscription.run(steps).then((goesOn) => {
      if (!goesOn && this.#subscriptions.get(id) === subscription) this.#subscriptions.delete(id);
      this.#running.delete(running);
    });
    this.#running.add(running);
  }

  #event(frame: ClientFrame): void {
    const { event } = frame;
    if (event === undefined) {
      this.#notice("invalid: not an event");
      return;
    }
    const refusal = this.#refusal(frame) ?? eventProblem(event);
    if (refusal !== undefined) {
      this.#ok(event.id, false, refusal);
      return;
    }
    if (isEphemeral(event.kind)) {
      this.#ok(event.id, true, "");
      this.#shared.broadcast(event);
      return;
    }
    const outcome = this.#shared.events.publish(event);
    if (outcome === "stored") this.#shared.broadcast(event);
    const said = {
      stored: "",
      duplicate: "duplicate: already have it",
      superseded: "replaced: newer",
    };
    this.#ok(event.id, outcome !== "superseded", said[outcome]);
  }

  #auth(event: NostrEvent | undefined): void {
    if (event === undefined) {
      this.#notice("invalid: not an AUTH event");
      return;
    }
    const tag = (name: string): string | undefined => event.tags.find((t) => t[0] === name)?.[1];
    const problem = this.challenge === undefined
      ? "error: no challenge was sent"
      : event.kind !== 22_242
      ? "invalid: not kind 22242"
      : tag("challenge") !== this.challenge
      ? "invalid: another challenge"
      : hostOf(tag("relay")) !== hostOf(this.url)
      ? "invalid: another relay"
      : Math.abs(event.created_at - Date.now() / 1000) > AUTH_WINDOW
      ? "invalid: created_at is too far from now"
      : eventProblem(event);
    if (problem === undefined) this.pubkeys.add(event.pubkey);
    this.#ok(event.id, problem === undefined, problem ?? "");
  }

  #refusal(frame: ClientFrame): string | undefined {
    for (const behaviour of this.#shared.behaviours) {
      const refusal = behaviour.refuse?.(frame, this);
      if (refusal !== undefined) return refusal;
    }
    return undefined;
  }

  #ok(id: string, accepted: boolean, message: string): void {
    this.send(JSON.stringify(["OK", id, accepted, message]));
  }

  #notice(message: string): void {
    this.send(JSON.stringify(["NOTICE", message]));
  }

  #delay(ms: number): Promise<void> {
    const { signal } = this.#ended;
    return new Promise((resolve) => {
      const timer = setTimeout(done, ms);
      signal.addEventListener("abort", done, { once: true });
      function done(): void {
        clearTimeout(timer);
        signal.removeEventListener("abort", done);
        resolve();
      }
    });
  }
}

/** Sends a NIP-42 challenge. */
export function challengeClient(client: RelayClient): void {
  client.challenge ??= randomUUID();
  client.send(JSON.stringify(["AUTH", client.challenge]));
}

/** What a validating relay says against an event, if anything. */
function eventProblem(event: NostrEvent): string | undefined {
  if (computeEventId(event) !== event.id) return "invalid: event id does not match";
  return verifyEvent({ ...event }) ? undefined : "invalid: bad signature";
}

function readFrame(text: string): ClientFrame | undefined {
  let message: unknown;
  try {
    message = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (!Array.isArray(message) || typeof message[0] !== "string") return undefined;
  const [type, body]: unknown[] = message;
  const event = type === "EVENT" || type === "AUTH" ? parseEvent(body) : undefined;
  return { type: String(type), message, event: event?.ok ? event.value : undefined };
}

function isObject(value: unknown): value is WireFilter {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function hostOf(url: string | undefined): string | undefined {
  return URL.parse(url ?? "")?.host;
}
