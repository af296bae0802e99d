// Waiting in tests, never for ever: what does not come in time fails the test with a sentence that
// says what was waited for. In: a promise or a condition. Out: its value, or an AssertionError.
import { AssertionError } from "node:assert/strict";
import { deadline, withSignal } from "../../src/lib/deadline.ts";

/** Longer than anything takes on a busy machine; only failing tests wait for it. */
export const PATIENCE_MS = 90_000;
const LOOK_INTERVAL_MS = 10;

/** The promise's value; fails when it takes longer than `ms`. `what` is what is waited for. */
export async function within<T>(
  what: string | (() => string),
  promise: PromiseLike<T>,
  ms = PATIENCE_MS,
): Promise<T> {
  using limit = deadline(ms);
  try {
    return await withSignal(Promise.resolve(promise), limit.signal);
  } catch (error) {
    if (!limit.expired) throw error;
    const text = typeof what === "string" ? what : what();
    throw new AssertionError({ message: `waited ${ms} ms for ${text}` });
  }
}

/** Looks again and again until it is so; fails when that takes longer than `ms`. */
export async function eventually(
  what: string | (() => string),
  isSo: () => boolean | Promise<boolean>,
  ms = PATIENCE_MS,
): Promise<void> {
  let isLate = false;
  async function look(): Promise<void> {
    while (!isLate && !await isSo()) {
      await new Promise((resolve) => setTimeout(resolve, LOOK_INTERVAL_MS));
    }
  }
  try {
    await within(what, look(), ms);
  } finally {
    isLate = true;
  }
}
