// The door to signature checking: which events are what they claim to be. In: structurally sound
// events (model/event.ts). Out: a verdict each. Ids are recomputed on the calling thread with
// node:crypto, signatures are checked in workers by the fastest backend that passes the vectors.
// Never stores, caches or logs an event.
import type { SignalOptions } from "../lib/clock.ts";
import { logger } from "../lib/log.ts";
import type { NostrEvent } from "../model/event.ts";
import { VERIFIER_BACKENDS, type VerifierBackend } from "./backend.ts";
import { VerifierError } from "./errors.ts";
import { VerifierPool } from "./pool.ts";
import { WorkerCrash, WorkerHandle, type WorkerHandleOptions } from "./worker_handle.ts";

export { VERIFIER_BACKENDS, type VerifierBackend, VerifierError };

/** ok, or what was found first: an id that is not the event's hash, a signature that is not valid. */
export type EventVerdict = "ok" | "bad_id" | "bad_sig";

/** What a verifier has done since it was opened. */
export interface VerifierStats {
  /** Events judged, of each verdict. */
  verdicts: Record<EventVerdict, number>;
  /** Workers that died and were replaced. */
  restarts: number;
  /** Batches at the workers now. */
  inFlight: number;
  /** Batches whose callers wait for their turn. */
  waiting: number;
}

/** A pool of workers that check signatures. The owner disposes of it. */
export interface Verifier extends AsyncDisposable {
  readonly backend: VerifierBackend;
  /** What the backend loaded: a library or a package. */
  readonly source: string;
  readonly workers: number;
  /**
   * Judges events, verdicts in their order. Waits while the workers are busy: not calling again
   * before this resolves is all the back-pressure a caller needs. Rejects with the signal's reason,
   * or with VerifierError when the workers fail twice on a batch or the verifier is closed.
   */
  verify(events: readonly NostrEvent[], options?: SignalOptions): Promise<EventVerdict[]>;
  stats(): VerifierStats;
}

/** How to open a verifier. */
export interface VerifierOptions {
  /** "auto" (the default) takes the first of ffi, wasm, noble that works here. */
  backend?: VerifierBackend | "auto" | undefined;
  /**
   * Threads. By default one less than the machine has, at least one, for ffi; all of them for the
   * slower backends, beside which the calling thread has next to nothing to do.
   */
  workers?: number | undefined;
  /** Libraries for ffi to try instead of the usual names. */
  libraryPaths?: readonly string[] | undefined;
  /** Silence after which a worker with work is taken for dead; 30 s by default. */
  workerTimeoutMs?: number | undefined;
  /** Makes a worker; tests put in ones that fail. */
  spawn?: (() => Worker) | undefined;
}

const DEFAULT_WORKER_TIMEOUT_MS = 30_000;

/**
 * Opens a verifier whose every worker has passed the BIP-340 vectors. Which backend serves, and why
 * a faster one doesn't, stands in the log. Rejects with VerifierError when the backend that was
 * asked for (or, with auto, every one) is not to be had.
 */
export async function openVerifier(options: VerifierOptions = {}): Promise<Verifier> {
  const log = logger("verify");
  const { backend = "auto", libraryPaths } = options;
  if (
    options.workers !== undefined && !(Number.isSafeInteger(options.workers) && options.workers > 0)
  ) {
    throw new RangeError(`Cannot open a verifier with this many workers: ${options.workers}`);
  }
  const reasons: string[] = [];
  for (const name of backend === "auto" ? VERIFIER_BACKENDS : [backend]) {
    const workers = options.workers ?? defaultWorkers(name);
    const handleOptions: WorkerHandleOptions = {
      backend: name,
      libraryPaths,
      spawn: options.spawn ?? spawnWorker,
      timeoutMs: options.workerTimeoutMs ?? DEFAULT_WORKER_TIMEOUT_MS,
    };
    const first = await openFirst(handleOptions);
    if (typeof first === "string") {
      reasons.push(`${name}: ${first}`);
      log.info("verifier backend {backend} is not used: {reason}", {
        backend: name,
        reason: first,
      });
      continue;
    }
    log.info("signatures are checked by {backend} ({source}), workers: {workers}", {
      backend: name,
      source: first.source,
      workers,
    });
    return await VerifierPool.start(first, workers, handleOptions);
  }
  throw new VerifierError(
    `Cannot check signatures with backend ${backend}: ${reasons.join("; ")}`,
    { transient: false },
  );
}

/** A worker with the backend, or the reason why there is none. */
async function openFirst(options: WorkerHandleOptions): Promise<WorkerHandle | string> {
  try {
    const opened = await WorkerHandle.open(options);
    return opened.ok ? opened.value : opened.failure;
  } catch (error) {
    if (error instanceof WorkerCrash) return error.message;
    throw error;
  }
}

function defaultWorkers(backend: VerifierBackend): number {
  const cores = navigator.hardwareConcurrency;
  return backend === "ffi" ? Math.max(1, cores - 1) : cores;
}

function spawnWorker(): Worker {
  // In this very form, so that `deno compile` finds the module and embeds it.
  return new Worker(new URL("./worker.ts", import.meta.url), {
    type: "module",
    name: "bigbrotr-verifier",
  });
}
