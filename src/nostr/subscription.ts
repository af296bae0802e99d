// A live subscription: stored events, EOSE, and what comes after, as an async iterable whose slow
// consumer slows the relay down. Made by a relay connection; standing_subscription.ts keeps one up.
// Never drops an event by itself and never ends without saying why.
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
import { Inbox, type InboxBudget } from "./inbox.ts";

/** What a subscription yields. Events are as parsed from JSON: unchecked. */
export type SubscriptionItem =
  | { type: "event"; event: unknown; /** Of the whole frame. */ bytes: number }
  | { type: "eose"; hint?: "finish" | "more" };

/**
 * A running subscription for one consumer. Iterating ends when it has ended and its queue is empty;
 * leaving the loop early ends it. After `aborted` what waits in the queue is dropped.
 */
export interface Subscription extends AsyncIterable<SubscriptionItem>, AsyncDisposable {
  readonly id: string;
  readonly end: SubscriptionEnd | undefined;
}

/** {@linkcode Subscription} over a connection's link. */
export class LiveSubscription extends Exchange implements Subscription {
  readonly #inbox: Inbox<SubscriptionItem>;
  #wake: (() => void) | undefined;

  constructor(link: Link, budget: InboxBudget, id: string, options: ExchangeOptions) {
    super(link, id, options);
    this.#inbox = new Inbox(budget);
  }

  /** Sends the REQ. */
  open(filters: readonly Filter[]): void {
    this.start({ type: "req", subscriptionId: this.id, filters });
  }

  override receive(message: AddressedMessage, bytes: number): void {
    switch (message.type) {
      case "event":
        if (this.waiting) this.progress();
        this.#push({ type: "event", event: message.event, bytes }, bytes);
        break;
      case "eose":
        this.stopWaiting();
        this.#push(
          message.hint === undefined ? { type: "eose" } : { type: "eose", hint: message.hint },
          bytes,
        );
        break;
      case "closed":
        this.finish(closedEnd(message), true);
        break;
      default:
        // A COUNT or NEG frame under the id of a REQ answers nothing.
        break;
    }
  }

  [Symbol.asyncIterator](): AsyncIterator<SubscriptionItem> {
    return { next: () => this.#next(), return: () => this.#leave() };
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.finish({ reason: "aborted" }, false);
    this.#inbox.clear();
    return Promise.resolve();
  }

  protected override farewell(): ClientMessage {
    return { type: "close", subscriptionId: this.id };
  }

  protected override onEnd(end: SubscriptionEnd): void {
    if (end.reason === "aborted") this.#inbox.clear();
    this.#wake?.();
  }

  #push(item: SubscriptionItem, bytes: number): void {
    this.#inbox.push(item, bytes);
    this.#wake?.();
  }

  async #next(): Promise<IteratorResult<SubscriptionItem, undefined>> {
    for (;;) {
      const item = this.#inbox.shift();
      if (item !== undefined) return { done: false, value: item };
      if (this.end !== undefined) return { done: true, value: undefined };
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#wake = resolve;
      await promise;
      this.#wake = undefined;
    }
  }

  async #leave(): Promise<IteratorResult<SubscriptionItem, undefined>> {
    await this[Symbol.asyncDispose]();
    return { done: true, value: undefined };
  }
}
