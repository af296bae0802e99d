/**
 * How late the event loop is: it sleeps again and again, and notes how much later than asked it woke.
 * In: time. Out: the longest delay of the last minute. Never: forgets because somebody asked, so
 * that two readers see the same.
 */

/** How often the event loop is asked how late it is. */
const SAMPLE_MS = 500;
/** Samples that are remembered: a minute, longer than any sensible scrape interval. */
const SAMPLES = 120;

/** Measures until it is disposed of. */
export class LagMeter implements Disposable {
  readonly #timer: ReturnType<typeof setInterval>;
  readonly #samples = new Float64Array(SAMPLES);
  #next = 0;
  #expectedMs = performance.now() + SAMPLE_MS;

  constructor() {
    this.#timer = setInterval(() => {
      const nowMs = performance.now();
      this.#samples[this.#next] = Math.max(0, nowMs - this.#expectedMs);
      this.#next = (this.#next + 1) % SAMPLES;
      this.#expectedMs = nowMs + SAMPLE_MS;
    }, SAMPLE_MS);
    this.#timer.unref();
  }

  /** The longest delay of the last minute, in milliseconds. */
  maxMs(): number {
    return Math.max(...this.#samples);
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }
}
