// What the verifier and its workers say to each other. Everything here is ours: both ends are the
// same build, so messages are typed and not parsed.
import type { VerifierBackend } from "./backend.ts";

/** To a worker. `open` comes first and once, `close` last. */
export type ToWorker =
  | { type: "open"; backend: VerifierBackend; libraryPaths?: readonly string[] | undefined }
  | { type: "verify"; batch: number; records: Uint8Array<ArrayBuffer> }
  | { type: "close" };

/** From a worker: one answer to each message, in the same order. */
export type FromWorker =
  | { type: "ready"; source: string }
  | { type: "unavailable"; reason: string }
  | { type: "verdicts"; batch: number; verdicts: Uint8Array<ArrayBuffer> }
  | { type: "closed" };
