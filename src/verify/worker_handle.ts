// One worker as the pool sees it: opened or not, batches in flight, and its death noticed.
// Knows records and verdicts, no events. Never restarts itself: that is the pool's decision.
import { fail, ok, type Result } from "../lib/result.ts";
import type { BackendOptions, VerifierBackend } from "./backend.ts";
import type { FromWorker, ToWorker } from "./messages.ts";

/** A worker died, or was silent for too long, while it had work. The work can be done again. */
export class WorkerCrash extends Error {
  override readonly name = "WorkerCrash";
}

/** How a handle makes its worker and how long it waits. */
export interface WorkerHandleOptions extends BackendOptions {
  spawn: () => Worker;
  backend: VerifierBackend;
  /** Silence after which a worker with work is taken for dead. */
  timeoutMs: number;
}

/** How long a worker may take to give its library back before it is ended all the same. */
const CLOSE_TIMEOUT_MS = 1000;

interface Pending {
  settle: (verdicts: Uint8Array) => void;
  reject: (error: unknown) => void;
  timer: ReturnType<typeof setTimeout>;
}

/** An open worker; the caller disposes of it, also after a crash. */
export class WorkerHandle implements AsyncDisposable {
  /** What the worker's backend loaded. */
  readonly source: string;
  readonly #worker: Worker;
  readonly #timeoutMs: number;
  readonly #pending = new Map<number, Pending>();
  #nextBatch = 0;
  #crash: WorkerCrash | undefined;
  #onClosed: (() => void) | undefined;

  private constructor(worker: Worker, source: string, timeoutMs: number) {
    this.#worker = worker;
    this.source = source;
    this.#timeoutMs = timeoutMs;
    worker.onmessage = ({ data }: MessageEvent<FromWorker>): void => this.#receive(data);
    worker.onerror = (event): void => {
      event.preventDefault();
      this.#die(new WorkerCrash(`Cannot go on as the worker failed: ${event.message}`));
    };
  }

  /** Starts a worker with its backend. Rejects with WorkerCrash when it dies at that. */
  static async open(options: WorkerHandleOptions): Promise<Result<WorkerHandle, string>> {
    const { spawn, backend, libraryPaths, timeoutMs } = options;
    const worker = spawn();
    let timer: ReturnType<typeof setTimeout> | undefined;
    try {
      const answer = await new Promise<FromWorker>((resolve, reject) => {
        worker.onmessage = ({ data }: MessageEvent<FromWorker>): void => resolve(data);
        worker.onerror = (event): void => {
          event.preventDefault();
          reject(new WorkerCrash(`Cannot start a worker: ${event.message}`));
        };
        timer = setTimeout(() => {
          reject(new WorkerCrash(`Cannot start a worker: no answer in ${timeoutMs} ms`));
        }, timeoutMs);
        post(worker, { type: "open", backend, libraryPaths });
      });
      if (answer.type === "ready") return ok(new WorkerHandle(worker, answer.source, timeoutMs));
      worker.terminate();
      return fail(answer.type === "unavailable" ? answer.reason : `unasked answer ${answer.type}`);
    } catch (error) {
      worker.terminate();
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  /** Batches that wait for their verdicts. */
  get inFlight(): number {
    return this.#pending.size;
  }

  /** True once the worker can do nothing more. */
  get crashed(): boolean {
    return this.#crash !== undefined;
  }

  /** Hands `records` over (its buffer is gone afterwards). Rejects with WorkerCrash. */
  judge(records: Uint8Array<ArrayBuffer>): Promise<Uint8Array> {
    if (this.#crash !== undefined) return Promise.reject(this.#crash);
    return new Promise((settle, reject) => {
      const batch = this.#nextBatch++;
      const timer = setTimeout(() => {
        this.#die(new WorkerCrash(`Cannot wait on: no verdicts in ${this.#timeoutMs} ms`));
      }, this.#timeoutMs);
      this.#pending.set(batch, { settle, reject, timer });
      post(this.#worker, { type: "verify", batch, records }, [records.buffer]);
    });
  }

  /** Lets the worker give back what it holds, then ends it. What is in flight is rejected. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#crash === undefined) {
      let timer: ReturnType<typeof setTimeout> | undefined;
      await new Promise<void>((resolve) => {
        this.#onClosed = resolve;
        timer = setTimeout(resolve, CLOSE_TIMEOUT_MS);
        post(this.#worker, { type: "close" });
      });
      clearTimeout(timer);
    }
    this.#die(new WorkerCrash("Cannot go on as the verifier is closed"));
  }

  #receive(message: FromWorker): void {
    if (message.type === "closed") this.#onClosed?.();
    if (message.type !== "verdicts") return;
    const pending = this.#pending.get(message.batch);
    if (pending === undefined) return;
    this.#pending.delete(message.batch);
    clearTimeout(pending.timer);
    pending.settle(message.verdicts);
  }

  #die(crash: WorkerCrash): void {
    this.#crash ??= crash;
    this.#worker.terminate();
    this.#onClosed?.();
    for (const { reject, timer } of this.#pending.values()) {
      clearTimeout(timer);
      reject(this.#crash);
    }
    this.#pending.clear();
  }
}

function post(worker: Worker, message: ToWorker, transfer: Transferable[] = []): void {
  worker.postMessage(message, transfer);
}
