// Whether a relay sends more than it should: messages a second, on average over a minute. In: how
// many have come so far. Out: a verdict. Pure.

const WINDOW_MS = 60_000;

/** The rate of one connection. */
export class FrameRate {
  readonly #most: number;
  #since = { frames: 0, atMs: -Infinity };

  /** `maxRate`: messages a second. */
  constructor(maxRate: number) {
    this.#most = maxRate * WINDOW_MS / 1000;
  }

  /** Whether too many have come; `nowMs` is monotonic. */
  isOver(frames: number, nowMs: number): boolean {
    if (nowMs - this.#since.atMs >= WINDOW_MS) this.#since = { frames, atMs: nowMs };
    return frames - this.#since.frames > this.#most;
  }
}
