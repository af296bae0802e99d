// The 64-bit keys under which the archive's index knows single-letter tags (NIP-01's `#x`). In: a
// tag. Out: the same number as SQL's tag_key(). Keys can collide: they name candidates, never
// answers.
import { hash } from "node:crypto";

const HEX64 = /^[0-9a-f]{64}$/;
const LETTER = /^[A-Za-z]$/;

/** The key of a letter and a value; texts that PostgreSQL can't hold have keys all the same. */
export function tagKey(letter: string, value: string): bigint {
  const digits = HEX64.test(value) ? value : hash("sha256", value);
  const mixed = BigInt(`0x${digits.slice(0, 16)}`) ^ (BigInt(letter.charCodeAt(0)) << 56n);
  return BigInt.asIntN(64, mixed);
}

/** The keys of an event's single-letter tags that have a value, each once. */
export function tagKeys(tags: readonly (readonly string[])[]): bigint[] {
  const keys = new Set<bigint>();
  for (const tag of tags) {
    const [name, value] = tag;
    if (name !== undefined && value !== undefined && LETTER.test(name)) {
      keys.add(tagKey(name, value));
    }
  }
  return [...keys];
}
