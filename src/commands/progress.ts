/**
 * One line on the terminal that changes in place while long work runs. In: a text now and then. Out:
 * the line on standard error, a few times a second, and nothing at all where no person looks. Never:
 * mixes with what the command prints: it takes its line away before the end.
 */
import { type Clock, systemClock } from "../lib/clock.ts";
import type { Io } from "./io.ts";

const EVERY_MS = 200;
/** Up to the line's start, and away with what stands there. */
const REWRITE = "\x1b[1A\x1b[2K";

/** A line of progress; dispose of it before printing anything else. */
export class Progress implements Disposable {
  readonly #io: Io;
  readonly #clock: Clock;
  #shownMs = -Infinity;
  #isShown = false;

  constructor(io: Io, clock: Clock = systemClock) {
    this.#io = io;
    this.#clock = clock;
  }

  /** Shows the text, unless the last one is too young; `text` is only called when it is shown. */
  show(text: () => string): void {
    if (!this.#io.stderrIsTerminal) return;
    const nowMs = this.#clock.monotonicMs();
    if (nowMs - this.#shownMs < EVERY_MS) return;
    this.#shownMs = nowMs;
    this.#io.stderr(`${this.#isShown ? REWRITE : ""}${text()}`);
    this.#isShown = true;
  }

  [Symbol.dispose](): void {
    // The line itself stays empty: there is no way to print without a line break.
    if (this.#isShown) this.#io.stderr(`${REWRITE}\x1b[1A`);
    this.#isShown = false;
  }
}

/** `1234567` as `1,234,567`. */
export function grouped(n: number): string {
  return n.toLocaleString("en-US", { maximumFractionDigits: 0 });
}

/** Milliseconds for a person: `0.4 s`, `12 s`, `3 min 20 s`. */
export function elapsedText(ms: number): string {
  if (ms < 10_000) return `${(ms / 1000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1000);
  return seconds < 120 ? `${seconds} s` : `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
}

/** How many a second, for a person. */
export function rateText(n: number, ms: number): string {
  return `${grouped(ms <= 0 ? 0 : n / (ms / 1000))}/s`;
}

/** Bytes for a person: `512 B`, `3.4 kB`, `12 MB`. */
export function sizeText(bytes: number): string {
  const units = ["B", "kB", "MB", "GB"];
  let size = bytes;
  let unit = 0;
  while (size >= 1000 && unit < units.length - 1) {
    size /= 1000;
    unit++;
  }
  return `${size < 10 && unit > 0 ? size.toFixed(1) : Math.round(size)} ${units[unit]}`;
}
