/**
 * The scope that loops live in: tasks start in a group, end when it aborts, and are joined before
 * the group is gone, so nothing outlives its owner. In: tasks. Out: the first failure, if any.
 * Never: a detached promise; an abort taken for a failure.
 */
import type { SignalOptions } from "./clock.ts";
import { logger } from "./log.ts";
import { errorText } from "./text.ts";

/** Tasks with one signal and one end: `await using group = new TaskGroup({ signal })`. */
export class TaskGroup implements AsyncDisposable {
  readonly #controller = new AbortController();
  readonly #parent: AbortSignal | undefined;
  readonly #tasks = new Set<Promise<void>>();
  #failure: { error: unknown } | undefined;
  #failureTold = false;

  constructor(options: SignalOptions = {}) {
    this.#parent = options.signal;
    if (this.#parent?.aborted) this.#controller.abort(this.#parent.reason);
    else this.#parent?.addEventListener("abort", this.#onParentAbort, { once: true });
  }

  /** Aborts when the parent does, when a task fails, on {@linkcode abort} and on disposal. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** How many tasks run. */
  get size(): number {
    return this.#tasks.size;
  }

  /**
   * Starts a task, which must end soon after its signal aborts. A group that has aborted starts
   * nothing more. `name` says in the log which task failed.
   */
  spawn(name: string, task: (signal: AbortSignal) => Promise<void>): void {
    if (this.signal.aborted) return;
    const running = this.#run(name, task).finally(() => this.#tasks.delete(running));
    this.#tasks.add(running);
  }

  /**
   * Waits until every task has ended. The first failure aborts the others; when they have ended
   * too, join rejects with that failure. Tasks that end because of an abort have not failed.
   */
  async join(): Promise<void> {
    while (this.#tasks.size > 0) await Promise.all(this.#tasks);
    if (this.#failure !== undefined) {
      this.#failureTold = true;
      throw this.#failure.error;
    }
  }

  /** Asks every task to end; wait for them with {@linkcode join}. */
  abort(reason?: unknown): void {
    this.#controller.abort(reason);
  }

  /** Aborts, joins, and rejects with a failure that no join has told yet. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#parent?.removeEventListener("abort", this.#onParentAbort);
    this.abort();
    const told = this.#failureTold;
    try {
      await this.join();
    } catch (error) {
      if (!told) throw error;
    }
  }

  async #run(name: string, task: (signal: AbortSignal) => Promise<void>): Promise<void> {
    try {
      await task(this.signal);
    } catch (error) {
      if (isAbort(error, this.signal)) return;
      if (this.#failure === undefined) {
        this.#failure = { error };
        this.abort(error);
        return;
      }
      // join can tell one failure only; the others must be seen somewhere.
      logger("task_group").warn("Task {task} failed too: {error}", {
        task: name,
        error: errorText(error),
      });
    }
  }

  readonly #onParentAbort = (): void => {
    this.#controller.abort(this.#parent?.reason);
  };
}

/**
 * True when an error is a signal's own abort coming back: its reason, an AbortError, or an error
 * caused by the reason (as Node's APIs reject), while the signal is aborted.
 */
export function isAbort(error: unknown, signal: AbortSignal): boolean {
  if (!signal.aborted) return false;
  if (error === signal.reason) return true;
  if (!(error instanceof Error)) return false;
  return error.name === "AbortError" ||
    (error.cause !== undefined && error.cause === signal.reason);
}
