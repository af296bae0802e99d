// What travels to a worker for one event: 128 bytes, id then public key then signature. Flat and
// transferable: a batch is one buffer that changes hands without a copy.
import { isHex } from "../model/hex.ts";
import type { NostrEvent } from "../model/event.ts";

/** 32 bytes of id, 32 of public key, 64 of signature. */
export const RECORD_BYTES = 128;
export const PUBKEY_OFFSET = 32;
export const SIGNATURE_OFFSET = 64;

/**
 * Writes the record of an event at position `index`. Returns false and writes nothing of use when
 * key or signature is not lower-case hex of its length; the id was compared before.
 */
export function writeRecord(records: Uint8Array, index: number, event: NostrEvent): boolean {
  if (!isHex(event.pubkey, 32) || !isHex(event.sig, 64)) return false;
  const at = index * RECORD_BYTES;
  records.subarray(at, at + PUBKEY_OFFSET).setFromHex(event.id);
  records.subarray(at + PUBKEY_OFFSET, at + SIGNATURE_OFFSET).setFromHex(event.pubkey);
  records.subarray(at + SIGNATURE_OFFSET, at + RECORD_BYTES).setFromHex(event.sig);
  return true;
}
