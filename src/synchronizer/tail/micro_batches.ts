// Between a subscription that brings one event after the other and a store that likes them together:
// what comes within a moment is handed on as one small batch, one batch at a time. In: items. Out:
// batches, in order. Its bound is the back-pressure: a producer waits while it is full, and with it
// its socket. Never drops an item, and never holds one longer than the moment and the write before.
import type { Clock, SignalOptions } from "../../lib/clock.ts";
import { Channel } from "../../lib/channel.ts";

/** Bounds of the batches. */
export interface MicroBatchOptions {
  /** Items in one batch, and items that wait for the next. */
  maxItems: number;
  /** How long the first item of a batch waits for company. */
  gatherMs: number;
  clock: Clock;
}

/** Writes a batch. `isAll`: nothing had come that is not in it or in those before. */
export type WriteBatch<T> = (items: readonly T[], isAll: boolean) => Promise<void>;

/** One producer, one consumer. */
export class MicroBatches<T> {
  readonly #channel: Channel<T>;
  readonly #options: MicroBatchOptions;
  #gathering: AbortController | undefined;
  #isWriting = false;

  constructor(options: MicroBatchOptions) {
    this.#options = options;
    this.#channel = new Channel(options.maxItems);
  }

  /** Nothing waits, and nothing is being written. */
  get isIdle(): boolean {
    return this.#channel.length === 0 && !this.#isWriting;
  }

  /** Waits while there is no room. Rejects with `signal.reason`. */
  async push(item: T, options: SignalOptions): Promise<void> {
    const { capacity } = this.#channel;
    if (this.#channel.length + 1 >= capacity) this.#gathering?.abort(FULL);
    await this.#channel.send(item, options);
  }

  /** No more items come. */
  close(): void {
    this.#channel.close();
    this.#gathering?.abort(FULL);
  }

  /** Writes until the end of the items. Rejects as `write` does, or with `signal.reason`. */
  async run(write: WriteBatch<T>, options: SignalOptions): Promise<void> {
    for (;;) {
      const first = await this.#channel.receive(options);
      if (first === undefined) return;
      this.#isWriting = true;
      try {
        await this.#gather(options);
        const items = [first];
        while (this.#channel.length > 0 && items.length < this.#options.maxItems) {
          const next = await this.#channel.receive(options);
          if (next === undefined) break;
          items.push(next);
        }
        await write(items, this.#channel.length === 0);
      } finally {
        this.#isWriting = false;
      }
    }
  }

  async #gather({ signal }: SignalOptions): Promise<void> {
    const channel = this.#channel;
    if (channel.closed || channel.length + 1 >= channel.capacity) return;
    const gathering = new AbortController();
    this.#gathering = gathering;
    const onAbort = (): void => gathering.abort(signal?.reason);
    signal?.addEventListener("abort", onAbort, { once: true });
    if (signal?.aborted) onAbort();
    try {
      await this.#options.clock.sleep(this.#options.gatherMs, { signal: gathering.signal });
    } catch (error) {
      if (error !== FULL) throw error;
    } finally {
      this.#gathering = undefined;
      signal?.removeEventListener("abort", onAbort);
    }
  }
}

const FULL = Symbol("full");
