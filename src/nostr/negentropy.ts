// NIP-77 on the wire: NEG-OPEN, then NEG-MSG back and forth, each answer awaited.
// In: hex payloads of whoever reconciles. Out: the relay's payloads, or why it gives none.
// Never reads a payload: reconciling is the caller's work.
import type { Filter } from "../model/filter.ts";
import type { ClientMessage } from "./client_message.ts";
import {
  type AddressedMessage,
  closedEnd,
  Exchange,
  type ExchangeOptions,
  type Link,
  type SubscriptionEnd,
} from "./exchange.ts";

/** The relay's next payload (hex), or how the session ended. */
export type NegentropyAnswer =
  | { ok: true; payload: string }
  | { ok: false; end: SubscriptionEnd };

/**
 * One reconciliation. `end` is set when it is over; NEG-ERR gives `closed` with prefix and message
 * (`blocked: too many query results` asks for a narrower filter). Dispose of it: that sends
 * NEG-CLOSE unless the relay has ended it.
 */
export interface NegentropySession extends AsyncDisposable {
  readonly id: string;
  readonly end: SubscriptionEnd | undefined;
  /** Sends NEG-OPEN the first time and NEG-MSG afterwards; one call at a time. Never rejects. */
  exchange(payload: string): Promise<NegentropyAnswer>;
  /** The relay has answered what it was asked after the last payload. */
  passOver(): void;
}

/** {@linkcode NegentropySession} over a connection's link. */
export class NegentropyExchange extends Exchange implements NegentropySession {
  readonly #filter: Filter;
  #opened = false;
  #answer: ((answer: NegentropyAnswer) => void) | undefined;

  constructor(link: Link, id: string, filter: Filter, options: ExchangeOptions) {
    super(link, id, options);
    this.#filter = filter;
  }

  exchange(payload: string): Promise<NegentropyAnswer> {
    if (this.#answer !== undefined) {
      throw new Error("Cannot send a payload as the answer to the last one is still due");
    }
    if (this.end !== undefined) return Promise.resolve({ ok: false, end: this.end });
    const { promise, resolve } = Promise.withResolvers<NegentropyAnswer>();
    this.#answer = resolve;
    if (this.#opened) {
      this.send({ type: "neg_msg", subscriptionId: this.id, payload });
      this.expectAnswer();
    } else {
      this.#opened = true;
      this.start({
        type: "neg_open",
        subscriptionId: this.id,
        filter: this.#filter,
        payload,
      });
    }
    return promise;
  }

  override receive(message: AddressedMessage): void {
    switch (message.type) {
      case "neg_msg":
        // An answer to nothing would be taken for the answer to the next payload.
        if (this.#answer === undefined) return;
        this.stopWaiting();
        this.#reply({ ok: true, payload: message.payload });
        break;
      case "neg_err":
      case "closed":
        this.finish(closedEnd(message), true);
        break;
      default:
        break;
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.finish({ reason: "aborted" }, false);
    return Promise.resolve();
  }

  protected override farewell(): ClientMessage | undefined {
    return this.#opened ? { type: "neg_close", subscriptionId: this.id } : undefined;
  }

  protected override onEnd(end: SubscriptionEnd): void {
    this.#reply({ ok: false, end });
  }

  #reply(answer: NegentropyAnswer): void {
    const reply = this.#answer;
    this.#answer = undefined;
    reply?.(answer);
  }
}
