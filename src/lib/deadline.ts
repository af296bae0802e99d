/**
 * Deadlines as abort signals. In: a time, and the signal of whoever asked. Out: one signal that
 * aborts on either, whose time restarts on progress. Never: a timer or a listener left behind, as
 * long as the deadline is disposed of (`using`).
 */
import type { SignalOptions } from "./clock.ts";

/** A timer so late shows that the event loop, or the whole process, was held up; so long is added. */
const LATE_MS = 250;
/** Longer timers fire at once; they are re-armed instead. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** The abort reason of a deadline that passed. */
export class DeadlineExceeded extends Error {
  override readonly name = "DeadlineExceeded";
  /** The time that was given, in milliseconds. */
  readonly ms: number;

  constructor(ms: number) {
    super(`No progress within ${ms} ms`);
    this.ms = ms;
  }
}

/** A running deadline; dispose of it when the work is done. */
export interface Deadline extends Disposable {
  /** Aborts with {@linkcode DeadlineExceeded}, or with the parent's reason. */
  readonly signal: AbortSignal;
  /** True once the time has passed (not when the parent aborted). */
  readonly expired: boolean;
  /** The time that is left, in milliseconds; 0 when it has passed. */
  readonly leftMs: number;
  /** Restarts the time; cheap enough for every frame. No effect after the end. */
  extend(): void;
}

/**
 * Starts a deadline of `ms` milliseconds (`Infinity` means none):
 * `using d = deadline(5000, { signal })`. After disposal its signal aborts no more.
 */
export function deadline(ms: number, options: SignalOptions = {}): Deadline {
  return new TimerDeadline(ms, options.signal);
}

/**
 * Settles as `promise` does, or rejects with `signal.reason` as soon as the signal aborts. What
 * `promise` does after that is observed and ignored, so no rejection floats.
 */
export function withSignal<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(signal.reason);
    if (signal.aborted) onAbort();
    else signal.addEventListener("abort", onAbort, { once: true });
    promise.then(
      (value) => {
        signal.removeEventListener("abort", onAbort);
        resolve(value);
      },
      (error) => {
        signal.removeEventListener("abort", onAbort);
        reject(error);
      },
    );
  });
}

class TimerDeadline implements Deadline {
  readonly #ms: number;
  readonly #parent: AbortSignal | undefined;
  readonly #controller = new AbortController();
  #dueMs: number;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #expired = false;
  #isExcused = false;
  #disposed = false;

  constructor(ms: number, parent: AbortSignal | undefined) {
    this.#ms = ms;
    this.#parent = parent;
    this.#dueMs = performance.now() + ms;
    if (parent?.aborted) {
      this.#controller.abort(parent.reason);
      return;
    }
    parent?.addEventListener("abort", this.#onParentAbort, { once: true });
    this.#arm(ms);
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  get expired(): boolean {
    return this.#expired;
  }

  get leftMs(): number {
    return Math.max(0, this.#dueMs - performance.now());
  }

  extend(): void {
    // The timer is not touched: when it fires early, it re-arms itself for what is left.
    this.#dueMs = performance.now() + this.#ms;
    this.#isExcused = false;
  }

  [Symbol.dispose](): void {
    this.#disposed = true;
    clearTimeout(this.#timer);
    this.#parent?.removeEventListener("abort", this.#onParentAbort);
  }

  #arm(ms: number): void {
    if (ms === Infinity) return;
    this.#timer = setTimeout(this.#onTimer, Math.min(Math.ceil(ms), MAX_TIMER_MS));
  }

  readonly #onTimer = (): void => {
    const leftMs = this.#dueMs - performance.now();
    if (leftMs > 0) {
      this.#arm(leftMs);
      return;
    }
    if (leftMs < -LATE_MS && !this.#isExcused) {
      // What came in time is still to be read, and the fault of our loop is nobody else's.
      this.#isExcused = true;
      this.#arm(LATE_MS);
      return;
    }
    this.#expired = true;
    this.#parent?.removeEventListener("abort", this.#onParentAbort);
    this.#controller.abort(new DeadlineExceeded(this.#ms));
  };

  readonly #onParentAbort = (): void => {
    clearTimeout(this.#timer);
    if (!this.#disposed) this.#controller.abort(this.#parent?.reason);
  };
}
