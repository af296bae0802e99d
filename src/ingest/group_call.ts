// Many callers, one caller at a time to the database: what arrives while a call is under way goes
// together into the next one. So batches grow with the load, and a lone caller never waits for
// company. In: items, with back-pressure. Out: each item's own answer. Never: two calls at once.
import { Channel } from "../lib/channel.ts";
import { withSignal } from "../lib/deadline.ts";

/** What a group call does. */
export interface GroupCallOptions<T, R> {
  /** Items that may wait; callers beyond it wait to be let in. */
  capacity: number;
  /** A call takes items until their weights reach this (always at least one item). */
  maxWeight: number;
  weigh: (item: T) => number;
  /** One call for many items: the answers in the order of the items. A rejection is for them all. */
  call: (items: readonly T[]) => Promise<readonly R[]>;
}

/** A running group call; disposal lets no more items in and ends when all have their answer. */
export interface GroupCall<T, R> extends AsyncDisposable {
  /**
   * The item's answer. Rejects with the call's error, with `signal.reason` (an item that was let
   * in is worked on all the same), or with ChannelClosed after disposal.
   */
  submit(item: T, options?: { signal?: AbortSignal | undefined }): Promise<R>;
  /** Items that wait for the next call. */
  readonly waiting: number;
}

interface Entry<T, R> {
  item: T;
  resolve(answer: R): void;
  reject(error: unknown): void;
}

/** Starts a group call; dispose of it. */
export function openGroupCall<T, R>(options: GroupCallOptions<T, R>): GroupCall<T, R> {
  const queue = new Channel<Entry<T, R>>(options.capacity);
  const running = work(queue, options);
  return {
    async submit(item, { signal } = {}): Promise<R> {
      const { promise, resolve, reject } = Promise.withResolvers<R>();
      await queue.send({ item, resolve, reject }, { signal });
      return await (signal === undefined ? promise : withSignal(promise, signal));
    },
    get waiting(): number {
      return queue.length;
    },
    async [Symbol.asyncDispose](): Promise<void> {
      queue.close();
      await running;
    },
  };
}

async function work<T, R>(
  queue: Channel<Entry<T, R>>,
  options: GroupCallOptions<T, R>,
): Promise<void> {
  let next = await queue.receive();
  while (next !== undefined) {
    const group = [next];
    let weight = options.weigh(next.item);
    next = undefined;
    while (queue.length > 0 && weight < options.maxWeight) {
      const entry = await queue.receive();
      if (entry === undefined) break;
      const more = options.weigh(entry.item);
      if (weight + more > options.maxWeight) {
        next = entry;
        break;
      }
      group.push(entry);
      weight += more;
    }
    await answer(group, options);
    next ??= await queue.receive();
  }
}

/** Never rejects: what goes wrong belongs to those who asked. */
async function answer<T, R>(
  group: readonly Entry<T, R>[],
  options: GroupCallOptions<T, R>,
): Promise<void> {
  try {
    const answers = await options.call(group.map((entry) => entry.item));
    if (answers.length !== group.length) {
      throw new RangeError(
        `Cannot answer ${group.length} items as the call gave ${answers.length} answers`,
      );
    }
    for (const [index, given] of answers.entries()) group[index]?.resolve(given);
  } catch (error) {
    for (const entry of group) entry.reject(error);
  }
}
