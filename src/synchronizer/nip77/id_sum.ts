// Sums of ids, from which negentropy makes its fingerprints (NIP-77): little-endian, modulo 2^256,
// so that sums of parts add up. In: ids. Out: words of a sum, and the 16 bytes that are sent.
import { createHash } from "node:crypto";

/** 32-bit words of a sum or an id. */
export const ID_WORDS = 8;

const FINGERPRINT_BYTES = 16;
const WORD = 2 ** 32;

/** Adds `b` to `a`; both have ID_WORDS words. */
export function addSum(a: Uint32Array, b: Uint32Array): void {
  let carry = 0;
  for (let word = 0; word < ID_WORDS; word++) {
    const value = (a[word] ?? 0) + (b[word] ?? 0) + carry;
    a[word] = value % WORD;
    carry = value >= WORD ? 1 : 0;
  }
}

/** The words of an id in lower-case hex. */
export function idWords(idHex: string): Uint32Array {
  const bytes = Uint8Array.fromHex(idHex);
  return new Uint32Array(bytes.buffer, bytes.byteOffset, ID_WORDS);
}

/** SHA-256 over the sum and the number of ids, cut to 16 bytes. */
export function fingerprintOf(sum: Uint32Array, count: number): Uint8Array {
  const digest = createHash("sha256")
    .update(new Uint8Array(sum.buffer, sum.byteOffset, ID_WORDS * 4))
    .update(varint(count)).digest();
  return new Uint8Array(digest.subarray(0, FINGERPRINT_BYTES));
}

/** Seven bits a byte, the highest first; the top bit says that more follow. */
export function varint(value: number): Uint8Array {
  const groups = [value % 128];
  for (let left = Math.floor(value / 128); left > 0; left = Math.floor(left / 128)) {
    groups.unshift(left % 128 + 128);
  }
  return Uint8Array.from(groups);
}
