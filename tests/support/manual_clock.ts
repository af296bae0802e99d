/**
 * A clock that tests move by hand: sleeps end when {@linkcode ManualClock.advance} has passed them,
 * in order, each followed by the work it woke.
 */
import type { Clock, SignalOptions } from "../../src/lib/clock.ts";

interface Sleeper {
  dueMs: number;
  wake(): void;
}

/** Starts at `startMs` (2026-01-01 unless told) and stands still until it is advanced. */
export class ManualClock implements Clock {
  #nowMs: number;
  readonly #startMs: number;
  readonly #sleepers = new Set<Sleeper>();
  readonly #watchers = new Set<() => void>();

  constructor(startMs: number = Date.UTC(2026, 0, 1)) {
    this.#startMs = startMs;
    this.#nowMs = startMs;
  }

  nowMs(): number {
    return this.#nowMs;
  }

  monotonicMs(): number {
    return this.#nowMs - this.#startMs;
  }

  /** How many sleeps wait. */
  get sleeping(): number {
    return this.#sleepers.size;
  }

  /** Milliseconds until the next sleep ends; undefined when none waits. */
  get nextDueInMs(): number | undefined {
    const dues = [...this.#sleepers].map((sleeper) => sleeper.dueMs);
    return dues.length === 0 ? undefined : Math.min(...dues) - this.#nowMs;
  }

  sleep(ms: number, options: SignalOptions = {}): Promise<void> {
    const { signal } = options;
    if (signal?.aborted) return Promise.reject(signal.reason);
    return new Promise((resolve, reject) => {
      const onAbort = (): void => {
        this.#sleepers.delete(sleeper);
        reject(signal?.reason);
      };
      const sleeper: Sleeper = {
        dueMs: this.#nowMs + Math.max(0, ms),
        wake: () => {
          this.#sleepers.delete(sleeper);
          signal?.removeEventListener("abort", onAbort);
          resolve();
        },
      };
      this.#sleepers.add(sleeper);
      signal?.addEventListener("abort", onAbort, { once: true });
      for (const watcher of [...this.#watchers]) watcher();
    });
  }

  /** Resolves once `count` sleeps wait (1 unless told): the moment to advance. */
  async untilSleeping(count = 1): Promise<void> {
    while (this.#sleepers.size < count) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#watchers.add(resolve);
      await promise;
      this.#watchers.delete(resolve);
    }
  }

  /** Moves time on, waking each sleep at its own moment and letting its work settle. */
  async advance(ms: number): Promise<void> {
    const targetMs = this.#nowMs + ms;
    await settle();
    for (;;) {
      const due = [...this.#sleepers]
        .filter((sleeper) => sleeper.dueMs <= targetMs)
        .sort((a, b) => a.dueMs - b.dueMs)[0];
      if (due === undefined) break;
      this.#nowMs = Math.max(this.#nowMs, due.dueMs);
      due.wake();
      await settle();
    }
    this.#nowMs = targetMs;
    await settle();
  }
}

/** Lets every promise that can go on go on: one turn of the event loop. */
function settle(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 0));
}
