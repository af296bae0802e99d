/**
 * The supervised cycle of a stage: run, wait its interval, run again; a failed cycle backs off and
 * is counted, and too many in a row are the end. In: a task that does one cycle. Out: its status
 * and counts. Never: two cycles of one task at a time, never an abort counted as a failure.
 */
import { type Clock, type SignalOptions, systemClock, unixSeconds } from "./clock.ts";
import { backoffMs } from "./retry.ts";
import { isAbort } from "./task_group.ts";
import { errorText } from "./text.ts";

/** The first wait after a failure, and the longest one (never more than the interval). */
const FAILURE_BASE_MS = 5_000;
const FAILURE_MAX_MS = 300_000;
/** Intervals vary by this share each way, so that stages and processes drift apart. */
const JITTER = 0.05;

/** What a task did, e.g. `{ candidates_inserted: 5 }`. */
export type Counts = Record<string, number>;

/** Adds `n` (1 unless told) to one count as the work is done, so that a long cycle shows progress. */
export type Count = (name: string, n?: number) => void;

/** What a cycle is handed. */
export interface CycleContext {
  readonly signal: AbortSignal;
  readonly count: Count;
}

/** One cycle of work; it ends soon after its signal aborts. What it did, it says by `count`. */
export interface CycleTask {
  readonly name: string;
  cycle(context: CycleContext): Promise<void>;
  /** How things stand now, where counts of what was done do not tell. */
  facts?(): Record<string, number>;
}

/** What a runner is doing: between cycles it waits, after a failed one it is failing. */
export type CycleState = "starting" | "running" | "waiting" | "failing" | "stopped";

/** How a task has fared since the process started. Times are Unix seconds. */
export interface CycleStatus {
  name: string;
  state: CycleState;
  /** Cycles that ended, failed ones included. */
  cycles: number;
  failures: number;
  consecutiveFailures: number;
  lastStartedAt?: number;
  lastSuccessAt?: number;
  /** When a count last moved, or a cycle ended: a long cycle that works is not a stuck one. */
  lastProgressAt?: number;
  lastDurationMs?: number;
  /** The last failure's text, cut; kept after a later success. */
  lastError?: string;
  /** Sums of all counts, those of the cycle under way and of failed ones included. */
  totals: Counts;
  /** How things stand now, by the task's own names. */
  now?: Record<string, number>;
  /** Milliseconds until the next cycle, while waiting. */
  nextDueInMs?: number;
}

/** How often to run, and whom to tell. */
export interface CycleOptions {
  /** From the start of one cycle to the start of the next. */
  intervalMs: number;
  /** So many failures in a row end the run. */
  maxConsecutiveFailures: number;
  /** A cycle that worked for so long before it failed was a good one: its failure is the first. */
  stableMs?: number | undefined;
  /** The least time between two starts, whatever wakes the runner; 1 s unless told. */
  minSpacingMs?: number | undefined;
  clock?: Clock | undefined;
  random?: (() => number) | undefined;
  /** Told after each cycle, with its counts and, when it failed, its error. Must not throw. */
  onCycle?:
    | ((status: CycleStatus, counts: Counts, error: unknown | undefined) => void)
    | undefined;
}

/** A task failed `failures` times in a row; the cause is the last error. */
export class TooManyFailures extends Error {
  override readonly name = "TooManyFailures";
  readonly task: string;
  readonly failures: number;

  constructor(task: string, failures: number, cause: unknown) {
    super(`${task} failed ${failures} times in a row`, { cause });
    this.task = task;
    this.failures = failures;
  }
}

/** Runs one task's cycles. */
export class CycleRunner {
  readonly #task: CycleTask;
  readonly #options: CycleOptions;
  readonly #clock: Clock;
  readonly #status: CycleStatus;
  #startedMs = 0;
  #dueMs: number | undefined;
  #woken = false;
  #wakeSleep: (() => void) | undefined;

  constructor(task: CycleTask, options: CycleOptions) {
    this.#task = task;
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#status = {
      name: task.name,
      state: "starting",
      cycles: 0,
      failures: 0,
      consecutiveFailures: 0,
      totals: {},
    };
  }

  /**
   * Runs cycles until the signal aborts (then it resolves). Rejects with
   * {@linkcode TooManyFailures} after maxConsecutiveFailures in a row.
   */
  async run(options: { signal: AbortSignal }): Promise<void> {
    const { signal } = options;
    try {
      while (!signal.aborted) {
        const end = await this.#attempt(signal);
        if (end.ok) await this.#wait(this.#intervalMs(), { signal, mayWake: true });
        else if (!end.aborted) {
          const failures = this.#status.consecutiveFailures;
          if (failures >= this.#options.maxConsecutiveFailures) {
            throw new TooManyFailures(this.#task.name, failures, end.error);
          }
          await this.#wait(this.#failureDelayMs(failures), { signal, mayWake: false });
        }
      }
    } finally {
      this.#status.state = "stopped";
    }
  }

  /** One cycle, now. Rejects with its failure, or with the signal's reason. */
  async runOnce(options: SignalOptions = {}): Promise<Counts> {
    const signal = options.signal ?? new AbortController().signal;
    signal.throwIfAborted();
    const end = await this.#attempt(signal);
    this.#status.state = "stopped";
    if (!end.ok) throw end.error;
    return end.counts;
  }

  /**
   * Starts the next cycle as soon as minSpacingMs allows; during a cycle, another follows it. After
   * a failure the backoff is waited out first.
   */
  wake(): void {
    this.#woken = true;
    this.#wakeSleep?.();
  }

  /** A copy of the status at this moment. */
  status(): CycleStatus {
    const status: CycleStatus = { ...this.#status, totals: { ...this.#status.totals } };
    const now = this.#task.facts?.();
    if (now !== undefined) status.now = now;
    if (this.#dueMs !== undefined) {
      status.nextDueInMs = Math.max(0, this.#dueMs - this.#clock.monotonicMs());
    }
    return status;
  }

  async #attempt(signal: AbortSignal): Promise<CycleEnd> {
    const status = this.#status;
    this.#woken = false;
    this.#startedMs = this.#clock.monotonicMs();
    status.state = "running";
    status.lastStartedAt = unixSeconds(this.#clock);
    const counts: Counts = {};
    const count: Count = (name, n = 1) => {
      counts[name] = (counts[name] ?? 0) + n;
      status.totals[name] = (status.totals[name] ?? 0) + n;
      status.lastProgressAt = unixSeconds(this.#clock);
    };
    let end: CycleEnd;
    try {
      await this.#task.cycle({ signal, count });
      end = { ok: true, counts };
    } catch (error) {
      end = { ok: false, error, aborted: isAbort(error, signal) };
      if (end.aborted) return end;
    }
    status.lastProgressAt = unixSeconds(this.#clock);
    status.lastDurationMs = this.#clock.monotonicMs() - this.#startedMs;
    status.cycles += 1;
    if (end.ok) {
      status.state = "waiting";
      status.consecutiveFailures = 0;
      status.lastSuccessAt = unixSeconds(this.#clock);
      this.#options.onCycle?.(this.status(), counts, undefined);
    } else {
      status.state = "failing";
      status.failures += 1;
      const wasStable = status.lastDurationMs >= (this.#options.stableMs ?? Infinity);
      status.consecutiveFailures = wasStable ? 1 : status.consecutiveFailures + 1;
      status.lastError = errorText(end.error);
      this.#options.onCycle?.(this.status(), counts, end.error);
    }
    return end;
  }

  /** Sleeps; resolves early when woken (if it may be) and when the signal aborts. */
  async #wait(delayMs: number, options: { signal: AbortSignal; mayWake: boolean }): Promise<void> {
    const { signal, mayWake } = options;
    const spacingMs = this.#untilSpacedMs();
    try {
      await this.#sleep(Math.max(delayMs, spacingMs), signal, mayWake);
      await this.#sleep(this.#untilSpacedMs(), signal, false);
    } catch (error) {
      if (!isAbort(error, signal)) throw error;
    } finally {
      this.#dueMs = undefined;
    }
  }

  async #sleep(ms: number, signal: AbortSignal, mayWake: boolean): Promise<void> {
    if (ms <= 0 || (mayWake && this.#woken)) return;
    this.#dueMs = this.#clock.monotonicMs() + ms;
    const waking = new AbortController();
    const onAbort = (): void => waking.abort(signal.reason);
    signal.addEventListener("abort", onAbort, { once: true });
    if (signal.aborted) onAbort();
    if (mayWake) this.#wakeSleep = (): void => waking.abort(WOKEN);
    try {
      await this.#clock.sleep(ms, { signal: waking.signal });
    } catch (error) {
      if (error !== WOKEN) throw error;
    } finally {
      this.#wakeSleep = undefined;
      signal.removeEventListener("abort", onAbort);
    }
  }

  #untilSpacedMs(): number {
    const { minSpacingMs = 1000 } = this.#options;
    return this.#startedMs + minSpacingMs - this.#clock.monotonicMs();
  }

  #intervalMs(): number {
    const random = this.#options.random ?? Math.random;
    const spread = 1 + JITTER * (2 * random() - 1);
    const elapsedMs = this.#clock.monotonicMs() - this.#startedMs;
    return Math.max(0, this.#options.intervalMs * spread - elapsedMs);
  }

  #failureDelayMs(failures: number): number {
    const maxMs = Math.min(FAILURE_MAX_MS, this.#options.intervalMs);
    return backoffMs(failures - 1, {
      baseMs: Math.min(FAILURE_BASE_MS, maxMs),
      maxMs,
      random: this.#options.random,
    });
  }
}

const WOKEN = Symbol("woken");

type CycleEnd =
  | { ok: true; counts: Counts }
  | { ok: false; error: unknown; aborted: boolean };
