/**
 * Trying again, politely: exponential backoff with jitter, and only for errors that may pass. In: a
 * piece of work and who may judge its errors. Out: its value, or its last error. Never: retries
 * without jitter, never for ever.
 */
import { type Clock, type SignalOptions, systemClock } from "./clock.ts";

/** How waits grow. */
export interface BackoffOptions {
  /** The first wait's upper bound, in milliseconds. */
  baseMs: number;
  /** No wait is longer. */
  maxMs: number;
  /** Uniform in [0, 1); Math.random unless told. */
  random?: (() => number) | undefined;
}

/** How often and for which errors to try again. */
export interface RetryOptions extends BackoffOptions, SignalOptions {
  /** Tries in all, the first included; at least 1. */
  attempts: number;
  /** True for errors that may pass by themselves; all others end the retrying at once. */
  isTransient: (error: unknown) => boolean;
  clock?: Clock | undefined;
  /** Told before each wait. `attempt` is the 0-based try that failed. */
  onRetry?: ((failed: { error: unknown; attempt: number; delayMs: number }) => void) | undefined;
}

/**
 * The wait after try number `attempt` (0-based): uniform between baseMs / 2 and the smaller of
 * maxMs and baseMs * 2^attempt, so that those who failed together don't come back together.
 */
export function backoffMs(attempt: number, options: BackoffOptions): number {
  const { baseMs, maxMs, random = Math.random } = options;
  const ceilingMs = Math.min(maxMs, baseMs * 2 ** attempt);
  const floorMs = Math.min(baseMs / 2, ceilingMs);
  return floorMs + random() * (ceilingMs - floorMs);
}

/**
 * The value of `fn`, tried up to `attempts` times with {@linkcode backoffMs} between. Rejects with
 * its last error, or with `signal.reason`.
 */
export async function retry<T>(
  fn: (attempt: number, signal: AbortSignal | undefined) => Promise<T>,
  options: RetryOptions,
): Promise<T> {
  const { attempts, isTransient, signal, clock = systemClock, onRetry } = options;
  for (let attempt = 0;; attempt++) {
    signal?.throwIfAborted();
    try {
      return await fn(attempt, signal);
    } catch (error) {
      if (signal?.aborted || attempt + 1 >= attempts || !isTransient(error)) throw error;
      const delayMs = backoffMs(attempt, options);
      onRetry?.({ error, attempt, delayMs });
      await clock.sleep(delayMs, { signal });
    }
  }
}
