// The backend that is always there: pure JavaScript, no permission, no file. The slowest: about a
// tenth of the system library.
import { schnorr } from "@noble/curves/secp256k1.js";
import type { SchnorrBackend } from "./backend.ts";
import { PUBKEY_OFFSET, RECORD_BYTES, SIGNATURE_OFFSET } from "./record.ts";

/** Signatures checked by @noble/curves. */
export function openNobleBackend(): SchnorrBackend {
  return { name: "noble", source: "@noble/curves", verify, [Symbol.dispose]: () => {} };
}

function verify(records: Uint8Array, verdicts: Uint8Array): void {
  for (let i = 0, at = 0; i < verdicts.length; i++, at += RECORD_BYTES) {
    const id = records.subarray(at, at + PUBKEY_OFFSET);
    const pubkey = records.subarray(at + PUBKEY_OFFSET, at + SIGNATURE_OFFSET);
    const signature = records.subarray(at + SIGNATURE_OFFSET, at + RECORD_BYTES);
    // Answers false, and does not throw, for keys and signatures off the curve.
    verdicts[i] = schnorr.verify(signature, id, pubkey) ? 1 : 0;
  }
}
