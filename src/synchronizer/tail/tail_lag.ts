// How far behind the live tail is: the last so many delays from an event's date to its commit. In:
// seconds. Out: their median and 95th percentile, for the status. Pure.

const KEPT = 1_000;

/** The delays of the last events. */
export class TailLag {
  readonly #seconds: number[] = [];
  #next = 0;

  /** One event was so late. */
  note(seconds: number): void {
    this.#seconds[this.#next] = seconds;
    this.#next = (this.#next + 1) % KEPT;
  }

  /** Rounded to tenths; nothing while no event has come. */
  facts(): Record<string, number> {
    const sorted = this.#seconds.toSorted((a, b) => a - b);
    if (sorted.length === 0) return {};
    const at = (share: number): number =>
      Math.round(10 * (sorted[Math.floor(share * (sorted.length - 1))] ?? 0)) / 10;
    return { lag_seconds_median: at(0.5), lag_seconds_p95: at(0.95) };
  }
}
