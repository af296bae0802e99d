/**
 * What stands between producers and consumers in one process: a bounded queue whose senders wait
 * when it is full (back-pressure) and whose receivers wait when it is empty. In: values. Out: the
 * same values, first in first out, each to one receiver. Never: unbounded, never loses a value.
 */
import type { SignalOptions } from "./clock.ts";
import { Deque } from "./deque.ts";

/** Sending on a closed channel. A bug of the sender, or a shutdown that it should have noticed. */
export class ChannelClosed extends Error {
  override readonly name = "ChannelClosed";

  constructor() {
    super("Cannot send as the channel is closed");
  }
}

interface Receiver<T> {
  resolve(value: T | undefined): void;
}

interface Sender<T> {
  value: T;
  resolve(): void;
  reject(error: unknown): void;
}

/** A bounded queue for many producers and many consumers. `undefined` is not a value to send. */
export class Channel<T> implements AsyncIterable<T> {
  readonly capacity: number;
  readonly #values = new Deque<T>();
  // Sets keep the order of arrival, and let an aborted waiter leave from the middle.
  readonly #senders = new Set<Sender<T>>();
  readonly #receivers = new Set<Receiver<T>>();
  #closed = false;

  /** `capacity`: how many values may wait; a whole number of at least 1, else a RangeError. */
  constructor(capacity: number) {
    if (!Number.isSafeInteger(capacity) || capacity < 1) {
      throw new RangeError(`Cannot make a channel as its capacity is not at least 1: ${capacity}`);
    }
    this.capacity = capacity;
  }

  /** How many values wait in the channel (those of blocked senders apart). */
  get length(): number {
    return this.#values.length;
  }

  /** True after {@linkcode close}; values may still wait to be received. */
  get closed(): boolean {
    return this.#closed;
  }

  /**
   * Resolves when the channel has taken the value. Rejects with {@linkcode ChannelClosed}, or with
   * `signal.reason`; then the value was not taken.
   */
  send(value: T, options: SignalOptions = {}): Promise<void> {
    const { signal } = options;
    if (signal?.aborted) return Promise.reject(signal.reason);
    if (this.#closed) return Promise.reject(new ChannelClosed());
    if (this.trySend(value)) return Promise.resolve();
    return new Promise((resolve, reject) => {
      const onAbort = (): void => {
        this.#senders.delete(sender);
        reject(signal?.reason);
      };
      const sender: Sender<T> = {
        value,
        resolve: () => {
          signal?.removeEventListener("abort", onAbort);
          resolve();
        },
        reject: (error) => {
          signal?.removeEventListener("abort", onAbort);
          reject(error);
        },
      };
      this.#senders.add(sender);
      signal?.addEventListener("abort", onAbort, { once: true });
    });
  }

  /** Sends without waiting; false when the channel is full or closed. */
  trySend(value: T): boolean {
    if (this.#closed) return false;
    const receiver = takeFirst(this.#receivers);
    if (receiver !== undefined) {
      receiver.resolve(value);
      return true;
    }
    // Those who wait go first: a value must not overtake the ones of blocked senders.
    if (this.#values.length >= this.capacity || this.#senders.size > 0) return false;
    this.#values.push(value);
    return true;
  }

  /**
   * Resolves with the next value, or with undefined once the channel is closed and drained. Rejects
   * with `signal.reason`; then no value was taken.
   */
  receive(options: SignalOptions = {}): Promise<T | undefined> {
    const { signal } = options;
    if (signal?.aborted) return Promise.reject(signal.reason);
    if (this.#values.length > 0) return Promise.resolve(this.#take());
    if (this.#closed) return Promise.resolve(undefined);
    return new Promise((resolve, reject) => {
      const onAbort = (): void => {
        this.#receivers.delete(receiver);
        reject(signal?.reason);
      };
      const receiver: Receiver<T> = {
        resolve: (value) => {
          signal?.removeEventListener("abort", onAbort);
          resolve(value);
        },
      };
      this.#receivers.add(receiver);
      signal?.addEventListener("abort", onAbort, { once: true });
    });
  }

  /** Ends sending: what waits can still be received, blocked senders are refused. Idempotent. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    for (const sender of this.#senders) sender.reject(new ChannelClosed());
    this.#senders.clear();
    for (const receiver of this.#receivers) receiver.resolve(undefined);
    this.#receivers.clear();
  }

  /** Receives until the channel is closed and drained. */
  async *[Symbol.asyncIterator](): AsyncGenerator<T, void, undefined> {
    for (;;) {
      const value = await this.receive();
      if (value === undefined) return;
      yield value;
    }
  }

  #take(): T | undefined {
    const value = this.#values.shift();
    const sender = takeFirst(this.#senders);
    if (sender !== undefined) {
      this.#values.push(sender.value);
      sender.resolve();
    }
    return value;
  }
}

function takeFirst<V>(set: Set<V>): V | undefined {
  for (const value of set) {
    set.delete(value);
    return value;
  }
  return undefined;
}
