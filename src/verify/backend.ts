// The ways to check a BIP-340 signature, behind one interface. Runs inside a worker: opening loads
// a library or compiles WebAssembly, verifying blocks the thread for the whole batch.
// Which one to use is the verifier's decision; no backend falls back to another by itself.
import { fail, ok, type Result } from "../lib/result.ts";
import { failedVector } from "./vectors.ts";

/** Fastest first: the order in which "auto" tries them. */
export const VERIFIER_BACKENDS = ["ffi", "wasm", "noble"] as const;
/** ffi = the system's libsecp256k1; wasm = the same compiled to WebAssembly; noble = JavaScript. */
export type VerifierBackend = typeof VERIFIER_BACKENDS[number];

/** A checker of signatures, for one thread. */
export interface SchnorrBackend extends Disposable {
  readonly name: VerifierBackend;
  /** What was loaded: a library's name, or a package's. */
  readonly source: string;
  /** Judges each 128-byte record (record.ts): writes 1 for a good signature, 0 for any other. */
  verify(records: Uint8Array, verdicts: Uint8Array): void;
}

/** What a backend may be told. */
export interface BackendOptions {
  /** Libraries to try instead of the usual names, by path or by name (ffi only). */
  libraryPaths?: readonly string[] | undefined;
}

/**
 * Opens a backend and runs the official vectors through it. A backend that is not to be had here
 * (no library, no permission) or that judges a vector wrongly is a failure with a sentence for the
 * log; it holds nothing open. The caller disposes of the backend.
 */
export async function openBackend(
  name: VerifierBackend,
  options: BackendOptions = {},
): Promise<Result<SchnorrBackend, string>> {
  const opened = await openUnchecked(name, options);
  if (!opened.ok) return opened;
  const wrong = failedVector(opened.value);
  if (wrong === undefined) return ok(opened.value);
  opened.value[Symbol.dispose]();
  return fail(`${opened.value.source} judges BIP-340 vector ${wrong} wrongly`);
}

// Imported when asked for: a worker carries the code of one backend alone.
async function openUnchecked(
  name: VerifierBackend,
  options: BackendOptions,
): Promise<Result<SchnorrBackend, string>> {
  switch (name) {
    case "ffi":
      return (await import("./ffi.ts")).openFfiBackend(options.libraryPaths);
    case "wasm":
      return await (await import("./wasm.ts")).openWasmBackend();
    case "noble":
      return ok((await import("./noble.ts")).openNobleBackend());
  }
}
