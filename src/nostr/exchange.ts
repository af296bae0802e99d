// One question to a relay that is waiting for its answer, whatever its verb: the id, the deadline
// since the last progress, the caller's signal, the NOTICE that may be a refusal, and one end.
// Base of subscription.ts (live), page.ts, count.ts and negentropy.ts; relay_connection.ts routes
// frames to it. Never touches the socket: it says what to send through its Link.
import { cut } from "../lib/text.ts";
import type { ClientMessage } from "./client_message.ts";
import type { MachinePrefix } from "./machine_prefix.ts";
import type { RelayMessage } from "./message.ts";

/**
 * Why an exchange is over.
 * - `eose`: the relay said that all stored events were sent; by itself no proof that they were
 * - `limit`: the relay sent more than the caller takes
 * - `closed`: the relay's CLOSED (or NEG-ERR), with its prefix and text
 * - `notice`: a NOTICE came while an answer was due, then silence or a disconnect
 * - `idle`: nothing came for the given time
 * - `disconnected`: the connection ended; `protocol_error`: it was ended for breaking the protocol
 * - `aborted`: by the caller
 */
export type EndReason =
  | "eose"
  | "limit"
  | "closed"
  | "notice"
  | "idle"
  | "disconnected"
  | "aborted"
  | "protocol_error";

/** How an exchange ended. */
export interface SubscriptionEnd {
  reason: EndReason;
  /** Of a CLOSED or NEG-ERR, when it is a known one. */
  prefix?: MachinePrefix;
  /** The relay's own words, cut. */
  message?: string;
  /** NIP-67's word on completeness, with `eose`. */
  hint?: "finish" | "more";
  /** Of the WebSocket, with `disconnected` and `protocol_error`. */
  closeCode?: number;
}

/** What every waiting question can be told. */
export interface ExchangeOptions {
  /** Longest silence while an answer is due, in milliseconds. */
  idleMs: number;
  signal?: AbortSignal | undefined;
  /** In place of the connection's, for a question that a relay may well not understand. */
  noticeGraceMs?: number | undefined;
}

/** What an exchange needs of its connection. */
export interface Link {
  send(message: ClientMessage): void;
  /** No more frames for it; `clean` when nothing can be on its way under this id any more. */
  release(exchange: Exchange, clean: boolean): void;
  /** True while the socket is stopped because our own consumer is slow. */
  readonly paused: boolean;
  /** When reading last went on after such a stop; monotonic milliseconds. */
  readonly resumedAtMs: number;
  /** How long a relay has to go on after a NOTICE that reads like a refusal. */
  readonly noticeGraceMs: number;
}

/** The frames that carry a subscription id. */
export type AddressedMessage = Extract<RelayMessage, { subscriptionId: string | undefined }>;

const DAY_MS = 86_400_000;
/** A timer so late shows that the event loop was held up. */
const LATE_TIMER_MS = 50;
/** So often in a row that is believed: in a loop that is always late, silence must end, too. */
const MAX_LATE_TIMERS = 4;
const REFUSAL = new RegExp(
  "error|invalid|could not|cannot|can't|unable|not (?:allowed|supported|permitted|authori)|" +
    "unsupported|refus|reject|denied|restrict|block|banned|forbid|too (?:many|large|big|long)|" +
    "limit|exceed|bad |fail|unknown|unrecogni|required|maximum|slow down",
  "i",
);

/** One question and its one end. */
export abstract class Exchange {
  readonly id: string;
  /** Whether events come as EventFrame where they can. */
  readonly takesFrames: boolean = false;
  readonly #link: Link;
  readonly #idleMs: number;
  readonly #noticeGraceMs: number;
  readonly #signal: AbortSignal | undefined;
  #end: SubscriptionEnd | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #firesAtMs = 0;
  #lateTimers = 0;
  #progressAtMs = performance.now();
  #notice: { message: string; dueMs: number } | undefined;

  constructor(link: Link, id: string, options: ExchangeOptions) {
    this.id = id;
    this.#link = link;
    this.#idleMs = options.idleMs;
    this.#noticeGraceMs = options.noticeGraceMs ?? link.noticeGraceMs;
    this.#signal = options.signal;
  }

  /** Set once, when it is over. */
  get end(): SubscriptionEnd | undefined {
    return this.#end;
  }

  /** True while an answer is due: then silence counts, and a NOTICE may be a refusal. */
  get waiting(): boolean {
    return this.#timer !== undefined;
  }

  /** Asks, and starts to count the silence. */
  start(message: ClientMessage): void {
    if (this.#signal?.aborted) {
      this.finish({ reason: "aborted" }, true);
      return;
    }
    this.#signal?.addEventListener("abort", this.#onAbort, { once: true });
    this.#link.send(message);
    this.expectAnswer();
  }

  /** A frame for this exchange. */
  abstract receive(message: AddressedMessage, bytes: number): void;

  /** A NOTICE while this exchange is open; relays name no subscription in it. */
  hearNotice(message: string): void {
    if (!this.waiting) return;
    const graceMs = REFUSAL.test(message) ? this.#noticeGraceMs : Infinity;
    this.#notice = { message: cut(message), dueMs: performance.now() + graceMs };
    this.#arm();
  }

  /**
   * The relay has answered what it was asked after this: a NOTICE before that which reads like a
   * refusal was its answer. There is nothing to close then, and no second NOTICE to be had for it.
   */
  passOver(): void {
    const notice = this.#notice;
    if (!this.waiting || notice === undefined || notice.dueMs === Infinity) return;
    this.finish({ reason: "notice", message: notice.message }, true, false);
  }

  /** The connection is over, for this reason. */
  disconnect(end: SubscriptionEnd): void {
    if (this.#notice !== undefined && end.reason === "disconnected") {
      this.finish({ ...end, reason: "notice", message: this.#notice.message }, true);
    } else {
      this.finish(end, true);
    }
  }

  /** The wire message that ends it, when the relay has not ended it itself. */
  protected abstract farewell(): ClientMessage | undefined;

  /** Called once, when it is over. */
  protected abstract onEnd(end: SubscriptionEnd): void;

  /** Counts silence from now on. */
  protected expectAnswer(): void {
    this.progress();
    this.#arm();
  }

  /** Stops counting silence: what comes now comes when it comes. */
  protected stopWaiting(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#notice = undefined;
  }

  /** The relay answered something: silence starts anew, and an earlier NOTICE was no refusal. */
  protected progress(): void {
    this.#progressAtMs = performance.now();
    this.#lateTimers = 0;
    this.#notice = undefined;
  }

  /** Sends to the relay. */
  protected send(message: ClientMessage): void {
    this.#link.send(message);
  }

  /** Ends it, once. `relayIsDone`: the relay has ended it itself, so no farewell is due. */
  protected finish(end: SubscriptionEnd, relayIsDone: boolean, clean = relayIsDone): void {
    if (this.#end !== undefined) return;
    this.#end = end;
    this.stopWaiting();
    this.#signal?.removeEventListener("abort", this.#onAbort);
    const farewell = relayIsDone ? undefined : this.farewell();
    if (farewell !== undefined) this.#link.send(farewell);
    this.#link.release(this, clean);
    this.onEnd(end);
  }

  #arm(atLeastMs = 1): void {
    clearTimeout(this.#timer);
    // Sending may be what finds the connection lost: then nothing is awaited any more.
    if (this.#end !== undefined) return;
    const nowMs = performance.now();
    // A day is far beyond any idle time that makes sense, and within what timers can count.
    const leftMs = Math.min(Math.max(atLeastMs, this.#dueMs() - nowMs), DAY_MS);
    this.#firesAtMs = nowMs + leftMs;
    this.#timer = setTimeout(this.#onTimer, leftMs);
  }

  #dueMs(): number {
    const since = Math.max(this.#progressAtMs, this.#link.resumedAtMs);
    return Math.min(since + this.#idleMs, this.#notice?.dueMs ?? Infinity);
  }

  // Progress only moves the due time; the timer finds out when it fires, and re-arms itself.
  readonly #onTimer = (): void => {
    const nowMs = performance.now();
    if (this.#link.paused) this.#progressAtMs = nowMs;
    const lateMs = nowMs - this.#firesAtMs;
    if (this.#dueMs() > nowMs) {
      this.#arm();
    } else if (lateMs > LATE_TIMER_MS && this.#lateTimers < MAX_LATE_TIMERS) {
      this.#lateTimers += 1;
      // Our own loop was busy: what the relay sent meanwhile is still to be read.
      this.#arm(Math.min(lateMs, 1_000));
    } else if (this.#notice !== undefined) {
      this.finish({ reason: "notice", message: this.#notice.message }, false);
    } else {
      this.finish({ reason: "idle" }, false);
    }
  };

  readonly #onAbort = (): void => {
    this.finish({ reason: "aborted" }, false);
  };
}

/** The end that a CLOSED or NEG-ERR makes. */
export function closedEnd(
  message: { prefix: MachinePrefix | undefined; message: string },
): SubscriptionEnd {
  const end: SubscriptionEnd = { reason: "closed", message: cut(message.message) };
  if (message.prefix !== undefined) end.prefix = message.prefix;
  return end;
}
