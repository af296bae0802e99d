// What a process costs while it works, sampled by timers: its memory's peak, and how late its event
// loop is. In: time. Out: numbers. Dispose of a sampler when the work is over.

const RSS_EVERY_MS = 100;
/** Short, so that a turn of the loop that blocks is seen with its whole length. */
const LAG_EVERY_MS = 10;

/** The most resident memory that was seen. */
export class RssSampler implements Disposable {
  readonly #timer: ReturnType<typeof setInterval>;
  #maxBytes = Deno.memoryUsage().rss;

  constructor() {
    this.#timer = setInterval(() => this.#look(), RSS_EVERY_MS);
  }

  get maxBytes(): number {
    this.#look();
    return this.#maxBytes;
  }

  #look(): void {
    this.#maxBytes = Math.max(this.#maxBytes, Deno.memoryUsage().rss);
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }
}

/** How much later than asked a timer woke, again and again. */
export class LagSampler implements Disposable {
  readonly #lags: number[] = [];
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor() {
    this.#arm();
  }

  /** The lags so far, in milliseconds. */
  take(): number[] {
    return this.#lags.splice(0);
  }

  #arm(): void {
    const askedMs = performance.now() + LAG_EVERY_MS;
    this.#timer = setTimeout(() => {
      this.#lags.push(Math.max(0, performance.now() - askedMs));
      this.#arm();
    }, LAG_EVERY_MS);
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
  }
}

/** The least-squares slope of the values over their places: how much each adds to the one before. */
export function slope(values: readonly number[]): number {
  const n = values.length;
  const meanX = (n - 1) / 2;
  const meanY = values.reduce((sum, value) => sum + value, 0) / n;
  let [above, below] = [0, 0];
  for (const [x, y] of values.entries()) {
    above += (x - meanX) * (y - meanY);
    below += (x - meanX) ** 2;
  }
  return below === 0 ? 0 : above / below;
}
