// Between a socket that is faster than us and the consumers of its live subscriptions: queues whose
// sum is bounded in items and bytes, and which stop the socket instead of dropping a frame.
// The bound is soft by what one read of the socket holds (64 KiB), which can't be un-read.
import { Deque } from "../lib/deque.ts";

/** What the queues of one connection may hold together. */
export class InboxBudget {
  readonly #maxItems: number;
  readonly #maxBytes: number;
  readonly #pause: () => void;
  readonly #resume: () => void;
  #items = 0;
  #bytes = 0;
  #paused = false;
  #resumedAtMs = 0;

  constructor(options: {
    maxItems: number;
    maxBytes: number;
    /** Stops and restarts the socket. */
    pause: () => void;
    resume: () => void;
  }) {
    this.#maxItems = options.maxItems;
    this.#maxBytes = options.maxBytes;
    this.#pause = options.pause;
    this.#resume = options.resume;
  }

  /** True while the socket is stopped. */
  get paused(): boolean {
    return this.#paused;
  }

  /** Monotonic milliseconds; 0 before the first stop. */
  get resumedAtMs(): number {
    return this.#resumedAtMs;
  }

  /** Items waiting in all queues. */
  get items(): number {
    return this.#items;
  }

  /** Bytes waiting in all queues. */
  get bytes(): number {
    return this.#bytes;
  }

  /** An item was queued. */
  take(bytes: number): void {
    this.#items += 1;
    this.#bytes += bytes;
    if (!this.#paused && (this.#items >= this.#maxItems || this.#bytes >= this.#maxBytes)) {
      this.#paused = true;
      this.#pause();
    }
  }

  /** Items left a queue. */
  give(items: number, bytes: number): void {
    this.#items -= items;
    this.#bytes -= bytes;
    // Half empty before reading goes on, so that the socket isn't toggled at every item.
    if (this.#paused && this.#items <= this.#maxItems / 2 && this.#bytes <= this.#maxBytes / 2) {
      this.#paused = false;
      this.#resumedAtMs = performance.now();
      this.#resume();
    }
  }
}

/** The queue of one live subscription, counted against its connection's budget. */
export class Inbox<T> {
  readonly #budget: InboxBudget;
  readonly #queue = new Deque<{ item: T; bytes: number }>();
  #bytes = 0;

  constructor(budget: InboxBudget) {
    this.#budget = budget;
  }

  /** Queues an item; never refuses one. */
  push(item: T, bytes: number): void {
    this.#queue.push({ item, bytes });
    this.#bytes += bytes;
    this.#budget.take(bytes);
  }

  /** The oldest item; undefined when there is none. */
  shift(): T | undefined {
    const first = this.#queue.shift();
    if (first === undefined) return undefined;
    this.#bytes -= first.bytes;
    this.#budget.give(1, first.bytes);
    return first.item;
  }

  /** Forgets what waits. */
  clear(): void {
    const items = this.#queue.length;
    while (this.#queue.shift() !== undefined);
    this.#budget.give(items, this.#bytes);
    this.#bytes = 0;
  }
}
