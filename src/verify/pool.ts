// The verifier's pool: recomputes ids here, sends signatures to the workers, brings verdicts back
// in the order of the events. Bounded: at most two batches per worker are out, and whoever calls
// waits for its turn. A worker that dies is replaced and its batch judged once more elsewhere.
import { type SignalOptions, systemClock } from "../lib/clock.ts";
import { withSignal } from "../lib/deadline.ts";
import { logger } from "../lib/log.ts";
import { backoffMs } from "../lib/retry.ts";
import { Semaphore } from "../lib/semaphore.ts";
import { computeEventId, type NostrEvent } from "../model/event.ts";
import type { VerifierBackend } from "./backend.ts";
import { VerifierError } from "./errors.ts";
import { RECORD_BYTES, writeRecord } from "./record.ts";
import type { EventVerdict, Verifier, VerifierStats } from "./verifier.ts";
import { WorkerCrash, WorkerHandle, type WorkerHandleOptions } from "./worker_handle.ts";

/**
 * Events in one batch: 4 ms of work for the fastest backend, 50 ms for the slowest, so that small
 * calls spread over the workers while a message's 30 µs weigh nothing.
 */
const BATCH_EVENTS = 128;
/** The second batch lies ready while the first is worked on. */
const BATCHES_PER_WORKER = 2;
/** A batch is judged again once: records are of fixed size, none can be what kills a worker. */
const ATTEMPTS = 2;
const RESTART_BACKOFF = { baseMs: 100, maxMs: 10_000 };

/** A place for a worker; empty after its worker died, until the next batch needs one. */
interface Slot {
  handle: WorkerHandle | undefined;
  opening: Promise<WorkerHandle> | undefined;
  /** Batches given to this place and not yet back. */
  load: number;
  /** Deaths since the last verdict. */
  crashes: number;
}

/** The verifier over its workers; see `openVerifier`. */
export class VerifierPool implements Verifier {
  readonly backend: VerifierBackend;
  readonly source: string;
  readonly workers: number;
  readonly #options: WorkerHandleOptions;
  readonly #slots: Slot[];
  readonly #turns: Semaphore;
  readonly #closing = new AbortController();
  readonly #tasks = new Set<Promise<void>>();
  readonly #verdicts: Record<EventVerdict, number> = { ok: 0, bad_id: 0, bad_sig: 0 };
  #restarts = 0;

  private constructor(handles: readonly WorkerHandle[], options: WorkerHandleOptions) {
    this.backend = options.backend;
    this.source = handles[0]?.source ?? "";
    this.workers = handles.length;
    this.#options = options;
    this.#slots = handles.map((handle) => ({ handle, opening: undefined, load: 0, crashes: 0 }));
    this.#turns = new Semaphore(handles.length * BATCHES_PER_WORKER);
  }

  /** A pool of `workers`, the first of which is open already. Takes it over, also on failure. */
  static async start(
    first: WorkerHandle,
    workers: number,
    options: WorkerHandleOptions,
  ): Promise<VerifierPool> {
    await using opened = new AsyncDisposableStack();
    opened.use(first);
    const others = await Promise.allSettled(
      Array.from({ length: workers - 1 }, () => openHandle(options)),
    );
    const handles = [first];
    for (const other of others) {
      if (other.status === "fulfilled") handles.push(opened.use(other.value));
    }
    const failed = others.find((other) => other.status === "rejected");
    if (failed !== undefined) throw failed.reason;
    opened.move();
    return new VerifierPool(handles, options);
  }

  async verify(
    events: readonly NostrEvent[],
    options: SignalOptions = {},
  ): Promise<EventVerdict[]> {
    const closing = this.#closing.signal;
    const signal = options.signal ? AbortSignal.any([options.signal, closing]) : closing;
    signal.throwIfAborted();
    const verdicts = new Array<EventVerdict>(events.length).fill("bad_id");
    const batches: Promise<void>[] = [];
    const failures: unknown[] = [];
    for (let start = 0; start < events.length && failures.length === 0; start += BATCH_EVENTS) {
      const turn = await this.#turns.acquire({ signal });
      const end = Math.min(start + BATCH_EVENTS, events.length);
      batches.push(this.#track(async () => {
        using _turn = turn;
        try {
          await this.#judge(events, start, end, verdicts);
        } catch (error) {
          failures.push(error);
        }
      }));
    }
    await withSignal(Promise.all(batches), signal);
    if (failures.length > 0) throw failures[0];
    for (const verdict of verdicts) this.#verdicts[verdict]++;
    return verdicts;
  }

  stats(): VerifierStats {
    return {
      verdicts: { ...this.#verdicts },
      restarts: this.#restarts,
      inFlight: this.#turns.inUse,
      waiting: this.#turns.waiting,
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort(
      new VerifierError("Cannot verify as the verifier is closed", { transient: false }),
    );
    await this.#closeHandles();
    await Promise.all(this.#tasks);
    // Those that a batch opened while we closed the others.
    await this.#closeHandles();
  }

  async #closeHandles(): Promise<void> {
    await Promise.all(this.#slots.map(async (slot) => {
      const { handle } = slot;
      slot.handle = undefined;
      await handle?.[Symbol.asyncDispose]();
    }));
  }

  /** Runs a task that never rejects, and remembers it until it is done. */
  #track(task: () => Promise<void>): Promise<void> {
    const running = task().finally(() => this.#tasks.delete(running));
    this.#tasks.add(running);
    return running;
  }

  /** Judges the events from `start` up to `end`; whose id is wrong never reaches a worker. */
  async #judge(
    events: readonly NostrEvent[],
    start: number,
    end: number,
    verdicts: EventVerdict[],
  ): Promise<void> {
    const sent: number[] = [];
    const records = new Uint8Array((end - start) * RECORD_BYTES);
    for (let i = start; i < end; i++) {
      const event = events[i];
      if (event === undefined || computeEventId(event) !== event.id) continue;
      verdicts[i] = "bad_sig";
      if (writeRecord(records, sent.length, event)) sent.push(i);
    }
    if (sent.length === 0) return;
    const answers = await this.#ask(records.subarray(0, sent.length * RECORD_BYTES));
    for (const [row, i] of sent.entries()) if (answers[row] === 1) verdicts[i] = "ok";
  }

  async #ask(records: Uint8Array<ArrayBuffer>): Promise<Uint8Array> {
    for (let attempt = 1;; attempt++) {
      const slot = this.#leastBusy();
      slot.load++;
      let handle: WorkerHandle | undefined;
      try {
        handle = await this.#workerOf(slot);
        // A copy travels: when the worker dies, what went with it is needed again.
        const answers = await handle.judge(records.slice());
        slot.crashes = 0;
        return answers;
      } catch (error) {
        this.#closing.signal.throwIfAborted();
        if (!(error instanceof WorkerCrash)) throw error;
        await this.#bury(slot, handle, error);
        if (attempt === ATTEMPTS) {
          throw new VerifierError("Cannot verify as workers died twice on the same batch", {
            transient: true,
            cause: error,
          });
        }
      } finally {
        slot.load--;
      }
    }
  }

  #leastBusy(): Slot {
    return this.#slots.reduce((best, slot) => slot.load < best.load ? slot : best);
  }

  /** The place's worker, opened again if it died; one opening serves all who wait for it. */
  async #workerOf(slot: Slot): Promise<WorkerHandle> {
    if (slot.handle !== undefined) return slot.handle;
    slot.opening ??= this.#reopen(slot).finally(() => slot.opening = undefined);
    return await slot.opening;
  }

  async #reopen(slot: Slot): Promise<WorkerHandle> {
    const delayMs = backoffMs(Math.max(0, slot.crashes - 1), RESTART_BACKOFF);
    await systemClock.sleep(delayMs, { signal: this.#closing.signal });
    try {
      slot.handle = await openHandle(this.#options);
    } catch (error) {
      slot.crashes++;
      throw error;
    }
    this.#restarts++;
    return slot.handle;
  }

  /** Clears the place of a dead worker, once, however many batches died with it. */
  async #bury(slot: Slot, handle: WorkerHandle | undefined, error: WorkerCrash): Promise<void> {
    if (handle === undefined || slot.handle !== handle) return;
    slot.handle = undefined;
    slot.crashes++;
    logger("verify").warn("a verifier worker died and will be replaced: {reason}", {
      reason: error.message,
    });
    await handle[Symbol.asyncDispose]();
  }
}

async function openHandle(options: WorkerHandleOptions): Promise<WorkerHandle> {
  const opened = await WorkerHandle.open(options);
  if (opened.ok) return opened.value;
  throw new VerifierError(`Cannot start another worker: ${opened.failure}`, { transient: true });
}
