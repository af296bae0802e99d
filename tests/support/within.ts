// Waiting in tests, never for ever: what does not come in time fails the test with a sentence that
// says what was waited for. In: a promise or a condition. Out: its value, or an AssertionError.
import { AssertionError } from "node:assert/strict";
import { systemClock } from "../../src/lib/clock.ts";
import { deadline, withSignal } from "../../src/lib/deadline.ts";

/** Longer than anything takes on a busy machine; only failing tests wait for it. */
export const PATIENCE_MS = 90_000;
const LOOK_INTERVAL_MS = 10;

/** The promise's value; fails when it takes longer than `ms`. `what` is what is waited for. */
export function within<T>(
  what: string | (() => string),
  promise: PromiseLike<T>,
  ms = PATIENCE_MS,
): Promise<T> {
  return inTime(what, ms, (signal) => withSignal(Promise.resolve(promise), signal));
}

/** Looks again and again until it is so; fails when that takes longer than `ms`. */
export function eventually(
  what: string | (() => string),
  isSo: () => boolean | Promise<boolean>,
  ms = PATIENCE_MS,
): Promise<void> {
  return inTime(what, ms, async (signal) => {
    while (!await withSignal(Promise.resolve(isSo()), signal)) {
      await systemClock.sleep(LOOK_INTERVAL_MS, { signal });
    }
  });
}

async function inTime<T>(
  what: string | (() => string),
  ms: number,
  wait: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  using limit = deadline(ms);
  try {
    return await wait(limit.signal);
  } catch (error) {
    if (!limit.expired) throw error;
    const text = typeof what === "string" ? what : what();
    throw new AssertionError({ message: `waited ${ms} ms for ${text}` });
  }
}
