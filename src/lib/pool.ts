/**
 * Work over many items with a bound on how much runs at once. In: items, as fast as there is room.
 * Out: results, as they come. Never: more than `limit` running, never reads the source ahead.
 */
import { Channel } from "./channel.ts";
import type { SignalOptions } from "./clock.ts";
import { withSignal } from "./deadline.ts";
import { TaskGroup } from "./task_group.ts";

/**
 * Runs `fn` over `items`, at most `limit` at a time, and yields results in the order they finish.
 * A slow consumer holds the work back. The first error of `fn` or of the source aborts the others'
 * signals and is thrown when they have ended; breaking out of the loop ends them likewise; an
 * aborted `signal` throws its reason. Nothing starts before the first result is asked for. The
 * source's iterator is closed at the end, unless it is itself still waiting for an item: a source
 * that waits watches the signal on its own.
 */
export async function* mapConcurrent<T, R>(
  items: Iterable<T> | AsyncIterable<T>,
  limit: number,
  fn: (item: T, signal: AbortSignal) => Promise<R>,
  options: SignalOptions = {},
): AsyncGenerator<R, void, undefined> {
  const source = new Source(items);
  try {
    yield* mapSource(source, limit, fn, options);
  } finally {
    await source.close();
  }
  options.signal?.throwIfAborted();
}

async function* mapSource<T, R>(
  source: Source<T>,
  limit: number,
  fn: (item: T, signal: AbortSignal) => Promise<R>,
  options: SignalOptions,
): AsyncGenerator<R, void, undefined> {
  options.signal?.throwIfAborted();
  const results = new Channel<{ value: R }>(limit);
  await using group = new TaskGroup(options);
  let workers = limit;
  for (let i = 0; i < limit; i++) {
    group.spawn(`map ${i}`, async (signal) => {
      try {
        for (;;) {
          const next = await withSignal(source.next(), signal);
          if (next.done === true) return;
          await results.send({ value: await fn(next.value, signal) }, { signal });
        }
      } finally {
        workers -= 1;
        if (workers === 0) results.close();
      }
    });
  }
  for await (const result of results) yield result.value;
  await group.join();
}

/** One iterator for many workers: asked by one at a time, and no more once it has ended. */
class Source<T> {
  readonly #iterator: Iterator<T> | AsyncIterator<T>;
  #last: Promise<unknown> = Promise.resolve();
  #asking = 0;
  #ended = false;

  constructor(items: Iterable<T> | AsyncIterable<T>) {
    this.#iterator = Symbol.asyncIterator in items
      ? items[Symbol.asyncIterator]()
      : items[Symbol.iterator]();
  }

  next(): Promise<IteratorResult<T>> {
    const answer = this.#last.then(() => this.#ask(), () => this.#ask());
    this.#last = answer;
    return answer;
  }

  /** Lets the iterator clean up, unless it has ended or is itself waiting for an item. */
  async close(): Promise<void> {
    if (this.#ended) return;
    // Also where an item is under way: workers that still stand in line must take no more.
    this.#ended = true;
    if (this.#asking === 0) await this.#iterator.return?.();
  }

  async #ask(): Promise<IteratorResult<T>> {
    if (this.#ended) return { done: true, value: undefined };
    this.#asking += 1;
    try {
      const next = await this.#iterator.next();
      if (next.done === true) this.#ended = true;
      return next;
    } catch (error) {
      this.#ended = true;
      throw error;
    } finally {
      this.#asking -= 1;
    }
  }
}
