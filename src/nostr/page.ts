// One page of stored events: a REQ, its events up to EOSE, a CLOSE.
// In: a filter and bounds. Out: the events as they came, unchecked, and the exact reason why no more
// came: only `eose` is an answer, and even that proves nothing of completeness (NIP-67's hint does).
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

/** Bounds of one page. */
export interface PageOptions extends ExchangeOptions {
  /**
   * Events taken; one more ends the page with `limit`. Default: the filter's own limit, so that a
   * relay that ignores it is stopped, or 5,000.
   */
  maxEvents?: number;
  /** Bytes of frames taken; default 64 MiB. */
  maxBytes?: number;
  /**
   * No CLOSE after EOSE, where the connection ends soon and closes all subscriptions with it: one
   * packet less for both sides.
   */
  leaveOpen?: boolean;
  /** Events come unparsed, as EventFrame, where they are spelled as usual. */
  asFrames?: boolean;
}

/** What a page gave. */
export interface Page {
  /** As parsed from JSON, or an EventFrame each, in the order of arrival. */
  events: unknown[];
  /** Of their frames. */
  bytes: number;
  eose: boolean;
  end: SubscriptionEnd;
  /** From REQ to the first EVENT, EOSE or CLOSED. */
  firstMs?: number;
  elapsedMs: number;
}

const DEFAULT_MAX_EVENTS = 5_000;
const DEFAULT_MAX_BYTES = 64 * 1024 * 1024;

/** Collects one page; `result` resolves when it is over and never rejects. */
export class PageExchange extends Exchange {
  readonly result: Promise<Page>;
  override readonly takesFrames: boolean;
  readonly #resolve: (page: Page) => void;
  readonly #filter: Filter;
  readonly #maxEvents: number;
  readonly #maxBytes: number;
  readonly #leaveOpen: boolean;
  readonly #events: unknown[] = [];
  #startedAtMs = 0;
  #firstMs: number | undefined;
  #bytes = 0;

  constructor(link: Link, id: string, filter: Filter, options: PageOptions) {
    super(link, id, options);
    const { promise, resolve } = Promise.withResolvers<Page>();
    this.result = promise;
    this.#resolve = resolve;
    this.#filter = filter;
    this.#maxEvents = options.maxEvents ?? filter.limit ?? DEFAULT_MAX_EVENTS;
    this.#maxBytes = options.maxBytes ?? DEFAULT_MAX_BYTES;
    this.#leaveOpen = options.leaveOpen ?? false;
    this.takesFrames = options.asFrames ?? false;
  }

  /** Sends the REQ. */
  open(): void {
    this.#startedAtMs = performance.now();
    this.start({ type: "req", subscriptionId: this.id, filters: [this.#filter] });
  }

  override receive(message: AddressedMessage, bytes: number): void {
    this.#firstMs ??= performance.now() - this.#startedAtMs;
    switch (message.type) {
      case "event":
        this.progress();
        if (this.#events.length >= this.#maxEvents || this.#bytes + bytes > this.#maxBytes) {
          this.finish({ reason: "limit" }, false);
          return;
        }
        this.#events.push(message.event);
        this.#bytes += bytes;
        break;
      case "eose":
        // The CLOSE is ours to send, but nothing is on its way any more, unless it stays open.
        this.finish(
          message.hint === undefined ? { reason: "eose" } : { reason: "eose", hint: message.hint },
          false,
          !this.#leaveOpen,
        );
        break;
      case "closed":
        this.finish(closedEnd(message), true);
        break;
      default:
        break;
    }
  }

  protected override farewell(): ClientMessage | undefined {
    if (this.#leaveOpen && this.end?.reason === "eose") return undefined;
    return { type: "close", subscriptionId: this.id };
  }

  protected override onEnd(end: SubscriptionEnd): void {
    this.#resolve({
      events: this.#events,
      bytes: this.#bytes,
      eose: end.reason === "eose",
      end,
      ...(this.#firstMs === undefined ? {} : { firstMs: this.#firstMs }),
      elapsedMs: performance.now() - this.#startedAtMs,
    });
  }
}
