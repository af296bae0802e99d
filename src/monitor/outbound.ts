// What waits to be published beside the checks: a queue bounded in number and in size, at which nobody
// who offers waits, and which knows when all it took is out. In: pieces of one cycle. Out: the same,
// in order. Never says what becomes of what it has no room for.
import { Channel } from "../lib/channel.ts";
import type { SignalOptions } from "../lib/clock.ts";
import { Pending } from "../lib/pending.ts";

/** A first cycle has a piece for each relay; some carry a document of 100 KiB. */
const MAX_PIECES = 10_000;
const MAX_SIZE = 16 * 1024 * 1024;

/** One cycle's pieces of one kind. */
export class Outbound<T> {
  readonly #queue = new Channel<{ piece: T; size: number }>(MAX_PIECES);
  readonly #pending = new Pending();
  #size = 0;

  /** How many wait. */
  get length(): number {
    return this.#queue.length;
  }

  /** Takes a piece of so many bytes or characters; false without room. */
  offer(piece: T, size: number): boolean {
    if (this.#size + size > MAX_SIZE || !this.#queue.trySend({ piece, size })) return false;
    this.#size += size;
    this.#pending.add();
    return true;
  }

  /** The next piece; undefined once closed and empty. Rejects with the signal's reason. */
  async take(options: SignalOptions = {}): Promise<T | undefined> {
    const next = await this.#queue.receive(options);
    if (next === undefined) return undefined;
    this.#size -= next.size;
    return next.piece;
  }

  /** Pieces until closed and empty. */
  async *pieces(): AsyncGenerator<T, void, undefined> {
    for (let piece = await this.take(); piece !== undefined; piece = await this.take()) yield piece;
  }

  /** So many pieces are out, or given up. */
  done(n = 1): void {
    this.#pending.done(n);
  }

  /** Resolves once all that was taken is done; never, when whoever publishes has failed. */
  idle(): Promise<void> {
    return this.#pending.idle();
  }

  /** No more come. */
  close(): void {
    this.#queue.close();
  }
}
