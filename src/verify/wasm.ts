// libsecp256k1 compiled to WebAssembly, by the tiny-secp256k1 package: no native library needed.
// Measured under Deno beside nostr-wasm: 200 µs a signature against 235 µs for a whole event, and
// it takes bare ids, which is what travels to a worker. Its module reads its .wasm file while it
// loads, so it is imported here, when asked for, and only with the permission to read it.
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { fail, ok, type Result } from "../lib/result.ts";
import { errorText } from "../lib/text.ts";
import type { SchnorrBackend } from "./backend.ts";
import { PUBKEY_OFFSET, RECORD_BYTES, SIGNATURE_OFFSET } from "./record.ts";

/** Loads the package; a failure says what stands in the way. */
export async function openWasmBackend(): Promise<Result<SchnorrBackend, string>> {
  const folder = packageFolder();
  // Asked first: on a terminal the import itself would stop and prompt for the permission.
  if (Deno.permissions.querySync({ name: "read", path: folder }).state !== "granted") {
    return fail(`no permission to read ${folder} (--allow-read)`);
  }
  try {
    const { verifySchnorr } = await import("tiny-secp256k1");
    return ok({
      name: "wasm",
      source: "tiny-secp256k1",
      verify: (records, verdicts) => verifyAll(verifySchnorr, records, verdicts),
      [Symbol.dispose]: () => {},
    });
  } catch (error) {
    return fail(`tiny-secp256k1 did not load: ${errorText(error)}`);
  }
}

/** Where the package looks for its .wasm file. */
function packageFolder(): string {
  try {
    return dirname(fileURLToPath(import.meta.resolve("tiny-secp256k1")));
  } catch {
    // Bundled into a compiled binary, names resolve no more and the file lies beside the bundle.
    return import.meta.dirname ?? ".";
  }
}

type VerifySchnorr = (id: Uint8Array, pubkey: Uint8Array, signature: Uint8Array) => boolean;

function verifyAll(verifySchnorr: VerifySchnorr, records: Uint8Array, verdicts: Uint8Array): void {
  for (let i = 0, at = 0; i < verdicts.length; i++, at += RECORD_BYTES) {
    const id = records.subarray(at, at + PUBKEY_OFFSET);
    const pubkey = records.subarray(at + PUBKEY_OFFSET, at + SIGNATURE_OFFSET);
    const signature = records.subarray(at + SIGNATURE_OFFSET, at + RECORD_BYTES);
    try {
      verdicts[i] = verifySchnorr(id, pubkey, signature) ? 1 : 0;
    } catch (error) {
      // Keys off the curve and numbers out of range are thrown; a trap is a fault of ours.
      if (error instanceof WebAssembly.RuntimeError) throw error;
      verdicts[i] = 0;
    }
  }
}
