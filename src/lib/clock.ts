/**
 * Time as a thing one is given: every piece that waits or stamps takes a {@linkcode Clock}, so that
 * tests own the time. In: nothing. Out: wall time, monotonic time, sleep that can be aborted.
 * Never: a timer that outlives its sleep.
 */

/** setTimeout fires at once for longer delays, so longer sleeps are made of several. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** Options of everything that waits. */
export interface SignalOptions {
  /** Ends the wait: the promise rejects with `signal.reason`. */
  signal?: AbortSignal | undefined;
}

/** Where time comes from. */
export interface Clock {
  /** Wall time in milliseconds since the Unix epoch; may jump. */
  nowMs(): number;
  /** Milliseconds since some fixed moment; never jumps, for measuring how long. */
  monotonicMs(): number;
  /** Resolves after `ms`; rejects with `signal.reason` on abort, and clears its timer. */
  sleep(ms: number, options?: SignalOptions): Promise<void>;
}

/** The machine's own clock. */
export const systemClock: Clock = {
  nowMs: (): number => Date.now(),
  monotonicMs: (): number => performance.now(),
  sleep,
};

/** Wall time in whole Unix seconds, as Nostr's `created_at` counts. */
export function unixSeconds(clock: Clock): number {
  return Math.floor(clock.nowMs() / 1000);
}

function sleep(ms: number, options: SignalOptions = {}): Promise<void> {
  const { signal } = options;
  return new Promise((resolve, reject) => {
    if (signal?.aborted) {
      reject(signal.reason);
      return;
    }
    const dueMs = performance.now() + ms;
    let timer = setTimeout(onTimer, Math.min(ms, MAX_TIMER_MS));
    signal?.addEventListener("abort", onAbort, { once: true });

    function onTimer(): void {
      const leftMs = dueMs - performance.now();
      if (ms > MAX_TIMER_MS && leftMs > 0) {
        timer = setTimeout(onTimer, Math.min(leftMs, MAX_TIMER_MS));
        return;
      }
      signal?.removeEventListener("abort", onAbort);
      resolve();
    }

    function onAbort(): void {
      clearTimeout(timer);
      reject(signal?.reason);
    }
  });
}
