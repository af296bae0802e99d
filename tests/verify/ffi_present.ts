// Whether this machine has a usable libsecp256k1: tests of the ffi backend are ignored without it.
import { openFfiBackend } from "../../src/verify/ffi.ts";

const opened = openFfiBackend();
if (opened.ok) opened.value[Symbol.dispose]();

/** The `ignore` of tests that need the library. */
export const ffiMissing: boolean = !opened.ok;
/** Ends the name of such a test: empty when the library is there, else the reason. */
export const ffiNote: string = opened.ok ? "" : ` (ignored: ${opened.failure})`;
