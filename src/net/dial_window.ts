/**
 * Keeps our own event loop out of the latency that a dial measures: few dials may be in their first
 * moments at once, and as many more as the loop keeps up with. Who waits here has not begun to
 * dial, and no time runs for him. In: dials about to begin. Out: leave to begin. Knows no sockets.
 *
 * Two hundred dials at once to relays on the same machine each took 12 ms, 11.8 of them waiting for
 * the answers of the others to be read; through the window 2 ms, at the same number a second.
 */
import { Deque } from "../lib/deque.ts";

/** Dials in their first moments to begin with, and at the least. */
const FIRST_SIZE = 8;
const LEAST_SIZE = 4;
/** More than any stage runs. */
const LARGEST_SIZE = 1000;
/**
 * A dial older than this waits for a far host and not for us: it counts no more. So even the
 * smallest window lets 800 dials begin each second, whatever the hosts do and however late a busy
 * machine is. (With 20 ms, 100 checks at once of relays 100 ms away took twice their time on one.)
 */
const YOUNG_MS = 5;
/** How often the loop is asked how late it is, while somebody waits. */
const TICK_MS = 1;
/** A timer of 1 ms fires after 1.1 to 1.3 in an idle loop; later than this, work is queueing. */
const LATE_AFTER_MS = 1.7;
const GROWTH = 0.25;
const SHRINKAGE = 0.85;

/** One dialer's window. */
export class DialWindow {
  readonly #young = new Deque<Permit>();
  readonly #line = new Deque<Waiter>();
  /** Of those in the line, who has not gone. */
  #waiting = 0;
  #inside = 0;
  #size = FIRST_SIZE;
  readonly #nowMs: () => number;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #tickedAtMs = 0;

  /** `nowMs` is monotonic; for tests. */
  constructor(options: { nowMs?: () => number } = {}) {
    this.#nowMs = options.nowMs ?? (() => performance.now());
  }

  /** How many may be in their first moments now. */
  get size(): number {
    return Math.floor(this.#size);
  }

  /**
   * Waits for leave to begin; in order of arrival. Dispose of it when the dial is over. An aborted
   * signal gives leave at once, for a dial that then ends at once.
   */
  async enter(options: { signal?: AbortSignal | undefined } = {}): Promise<Disposable> {
    const { signal } = options;
    const nowMs = this.#nowMs();
    this.#forgetOld(nowMs);
    if (this.#inside < this.size && this.#waiting === 0) return this.#admit(nowMs);
    if (signal?.aborted) return NOBODY;
    return await new Promise((resolve) => {
      const waiter: Waiter = {
        enter: (permit) => {
          signal?.removeEventListener("abort", leave);
          resolve(permit);
        },
        gone: false,
      };
      const leave = (): void => {
        waiter.gone = true;
        this.#oneLessWaits();
        resolve(NOBODY);
      };
      signal?.addEventListener("abort", leave, { once: true });
      this.#line.push(waiter);
      this.#waiting += 1;
      if (this.#timer === undefined) this.#arm(nowMs);
    });
  }

  #admit(nowMs: number): Disposable {
    this.#inside += 1;
    const permit: Permit = {
      sinceMs: nowMs,
      counts: true,
      [Symbol.dispose]: () => {
        this.#discount(permit);
        this.#admitWaiting(this.#nowMs());
      },
    };
    this.#young.push(permit);
    return permit;
  }

  #discount(permit: Permit): void {
    if (!permit.counts) return;
    permit.counts = false;
    this.#inside -= 1;
  }

  #forgetOld(nowMs: number): void {
    for (;;) {
      const oldest = this.#young.peek();
      if (oldest === undefined) return;
      if (oldest.counts && nowMs - oldest.sinceMs < YOUNG_MS) return;
      this.#discount(oldest);
      this.#young.shift();
    }
  }

  #admitWaiting(nowMs: number): void {
    this.#forgetOld(nowMs);
    while (this.#inside < this.size) {
      const next = this.#line.shift();
      if (next === undefined) return;
      if (next.gone) continue;
      this.#oneLessWaits();
      next.enter(this.#admit(nowMs));
    }
  }

  #oneLessWaits(): void {
    this.#waiting -= 1;
    if (this.#waiting > 0) return;
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #arm(nowMs: number): void {
    this.#tickedAtMs = nowMs;
    this.#timer = setTimeout(this.#onTick, TICK_MS);
  }

  readonly #onTick = (): void => {
    const nowMs = this.#nowMs();
    const isLate = nowMs - this.#tickedAtMs > LATE_AFTER_MS;
    this.#size = isLate
      ? Math.max(LEAST_SIZE, this.#size * SHRINKAGE)
      : Math.min(LARGEST_SIZE, this.#size + GROWTH);
    this.#admitWaiting(nowMs);
    if (this.#waiting > 0) this.#arm(nowMs);
  };
}

interface Permit extends Disposable {
  readonly sinceMs: number;
  counts: boolean;
}

interface Waiter {
  enter(permit: Disposable): void;
  gone: boolean;
}

const NOBODY: Disposable = { [Symbol.dispose]: () => undefined };
