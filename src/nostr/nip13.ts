// NIP-13: work that makes an event dear to its author, and how much of it an event shows.
// In: an unsigned event and a number of bits. Out: the event with a nonce that shows them.
// Never works longer than it was told to: what relays ask for is a stranger's number.
import { createHash } from "node:crypto";
import { type SignalOptions, systemClock } from "../lib/clock.ts";
import { hexToBytes } from "../model/hex.ts";
import type { EventTemplate } from "./signer.ts";

/** How much may be spent. */
export interface MineOptions extends SignalOptions {
  /** For all of it, in milliseconds. */
  timeoutMs: number;
}

/** How long the event loop may be held up at a time. */
const SLICE_MS = 4;
/** Hashes between two looks at the clock; about half a millisecond's. */
const CHECK_EVERY = 256;

/**
 * The template with a `nonce` tag, so that its id as `pubkey`'s begins with `bits` zero bits;
 * undefined when the time was not enough. Gives way to others every few milliseconds. Rejects with
 * the signal's reason.
 */
export async function mine(
  template: EventTemplate,
  pubkey: string,
  bits: number,
  options: MineOptions,
): Promise<EventTemplate | undefined> {
  const { timeoutMs, signal } = options;
  const { kind, created_at, tags, content } = template;
  // What stands before and behind the nonce in the text that is hashed (NIP-01) never changes.
  const others = tags.map((tag) => `${JSON.stringify(tag)},`).join("");
  const before = `[0,"${pubkey}",${created_at},${kind},[${others}["nonce","`;
  const behind = `","${bits}"]],${JSON.stringify(content)}]`;
  const startedMs = performance.now();
  let sliceMs = startedMs;
  for (let nonce = 0;; nonce++) {
    const hash = createHash("sha256").update(`${before}${nonce}${behind}`).digest();
    if (zeroBits(hash) >= bits) {
      return { ...template, tags: [...tags, ["nonce", String(nonce), String(bits)]] };
    }
    if (nonce % CHECK_EVERY !== 0) continue;
    const nowMs = performance.now();
    if (nowMs - startedMs >= timeoutMs) return undefined;
    if (nowMs - sliceMs < SLICE_MS) continue;
    await systemClock.sleep(0, { signal });
    sliceMs = performance.now();
  }
}

/** The leading zero bits of an id (hex): the work that it shows. */
export function difficultyOf(id: string): number {
  return zeroBits(hexToBytes(id));
}

/**
 * The bits that a refusal asks for (`pow: difficulty 20 is less than 28`, `pow: 28 bits needed`);
 * undefined when its text names none.
 */
export function demandedDifficulty(message: string): number | undefined {
  const numbers = (message.match(/\d+/g) ?? []).map(Number).filter((n) => n > 0 && n <= 256);
  // A text that tells both says how much there was, and how much there should be.
  return numbers.length === 0 ? undefined : Math.max(...numbers);
}

function zeroBits(hash: Uint8Array): number {
  let bits = 0;
  for (const byte of hash) {
    if (byte === 0) {
      bits += 8;
      continue;
    }
    return bits + Math.clz32(byte) - 24;
  }
  return bits;
}
