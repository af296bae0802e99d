/**
 * A counted right to do something at the same time as others (connections, slots, requests). In:
 * how many. Out: permits, first come first served. Never: more in use than there are.
 */
import type { SignalOptions } from "./clock.ts";

/** A fixed number of permits: `using permit = await semaphore.acquire({ signal })`. */
export class Semaphore {
  readonly #permits: number;
  // A set keeps the order of arrival, and lets an aborted waiter leave from the middle.
  readonly #waiting = new Set<() => void>();
  #inUse = 0;

  /** `permits`: a whole number of at least 1, else a RangeError. */
  constructor(permits: number) {
    if (!Number.isSafeInteger(permits) || permits < 1) {
      throw new RangeError(`Cannot make a semaphore as its permits are not at least 1: ${permits}`);
    }
    this.#permits = permits;
  }

  /** Permits that are held now. */
  get inUse(): number {
    return this.#inUse;
  }

  /** Callers that wait for a permit. */
  get waiting(): number {
    return this.#waiting.size;
  }

  /**
   * Resolves with a permit, in order of asking; disposing of it (once or more) gives it back.
   * Rejects with `signal.reason`; then no permit was taken.
   */
  acquire(options: SignalOptions = {}): Promise<Disposable> {
    const { signal } = options;
    if (signal?.aborted) return Promise.reject(signal.reason);
    if (this.#inUse < this.#permits) {
      this.#inUse += 1;
      return Promise.resolve(this.#permit());
    }
    return new Promise((resolve, reject) => {
      const grant = (): void => {
        signal?.removeEventListener("abort", onAbort);
        resolve(this.#permit());
      };
      const onAbort = (): void => {
        this.#waiting.delete(grant);
        reject(signal?.reason);
      };
      this.#waiting.add(grant);
      signal?.addEventListener("abort", onAbort, { once: true });
    });
  }

  #permit(): Disposable {
    let held = true;
    return {
      [Symbol.dispose]: (): void => {
        if (!held) return;
        held = false;
        this.#release();
      },
    };
  }

  #release(): void {
    // A permit passes straight to the next in line, so that nobody slips in between.
    for (const grant of this.#waiting) {
      this.#waiting.delete(grant);
      grant();
      return;
    }
    this.#inUse -= 1;
  }
}
