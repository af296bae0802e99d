// NIP-45: how many events a relay says it has for a filter.
// In: a filter. Out: its number, unproven, or why there is none. Many relays never answer.
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

/** A relay's answer to COUNT, or how the waiting ended. */
export type CountOutcome =
  | { ok: true; count: number; approximate: boolean; elapsedMs: number }
  | { ok: false; end: SubscriptionEnd; elapsedMs: number };

/** One COUNT; `result` resolves when it is over and never rejects. */
export class CountExchange extends Exchange {
  readonly result: Promise<CountOutcome>;
  readonly #resolve: (outcome: CountOutcome) => void;
  readonly #filter: Filter;
  #startedAtMs = 0;
  #answer: { count: number; approximate: boolean } | undefined;

  constructor(link: Link, id: string, filter: Filter, options: ExchangeOptions) {
    super(link, id, options);
    const { promise, resolve } = Promise.withResolvers<CountOutcome>();
    this.result = promise;
    this.#resolve = resolve;
    this.#filter = filter;
  }

  /** Sends the COUNT. */
  open(): void {
    this.#startedAtMs = performance.now();
    this.start({ type: "count", subscriptionId: this.id, filters: [this.#filter] });
  }

  override receive(message: AddressedMessage): void {
    if (message.type === "count") {
      this.#answer = { count: message.count, approximate: message.approximate === true };
      this.finish({ reason: "eose" }, true);
    } else if (message.type === "closed") {
      this.finish(closedEnd(message), true);
    }
  }

  /** A COUNT opens nothing that would have to be closed. */
  protected override farewell(): ClientMessage | undefined {
    return undefined;
  }

  protected override onEnd(end: SubscriptionEnd): void {
    const elapsedMs = performance.now() - this.#startedAtMs;
    this.#resolve(
      this.#answer === undefined
        ? { ok: false, end, elapsedMs }
        : { ok: true, ...this.#answer, elapsedMs },
    );
  }
}
