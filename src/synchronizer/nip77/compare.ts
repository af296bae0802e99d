// A comparison by sums (NIP-77): one message with a fingerprint for each group of segments, and from
// the answer which of them differ. In: an open session and our groups. Out: windows that are not the
// same on both sides; only their ids need be read. What an answer leaves out is the same, as the
// protocol has it, so an answer that can't be read to its end says nothing.
import type { CoverageWindow } from "../../model/coverage.ts";
import type { SubscriptionEnd } from "../../nostr/exchange.ts";
import type { NegentropySession } from "../../nostr/negentropy.ts";
import { fingerprintOf, varint } from "./id_sum.ts";
import { isTooMany } from "./negotiate.ts";

/** Contiguous ground with the number and the sum of our ids in it. */
export interface Group extends CoverageWindow {
  count: number;
  sum: Uint32Array;
}

/** How a comparison went. */
export type Comparison =
  /** Groups that differ, oldest first, neighbours joined. */
  | { ok: true; differ: CoverageWindow[] }
  | { ok: false; why: "overflow" }
  | { ok: false; why: "ended"; end: SubscriptionEnd }
  | { ok: false; why: "nonsense" };

const VERSION = 0x61;
const SKIP = 0;
const FINGERPRINT = 1;
const ID_LIST = 2;
const FINGERPRINT_BYTES = 16;
const ID_BYTES = 32;
const MAX_VARINT_BYTES = 8;

/** Compares groups, oldest first, each beginning where the one before ends. */
export async function compare(
  session: NegentropySession,
  groups: readonly Group[],
): Promise<Comparison> {
  const answer = await session.exchange(question(groups));
  if (!answer.ok) {
    const { end } = answer;
    return isTooMany(end) ? { ok: false, why: "overflow" } : { ok: false, why: "ended", end };
  }
  const found = readAnswer(answer.payload);
  if (found === undefined) return { ok: false, why: "nonsense" };
  const differ: CoverageWindow[] = [];
  for (const { since, until } of groups) {
    const same = !found.some((range) => range.from <= until && range.to >= since);
    const last = differ.at(-1);
    if (same) continue;
    if (last !== undefined && last.until + 1 === since) last.until = until;
    else differ.push({ since, until });
  }
  return { ok: true, differ };
}

/** A message with one range per group; the last one has no end. */
function question(groups: readonly Group[]): string {
  const parts: Uint8Array[] = [Uint8Array.of(VERSION)];
  let before = 0;
  groups.forEach(({ until, sum, count }, i) => {
    const isLast = i === groups.length - 1;
    // Times are sent as what they add to the last one, plus one; 0 is the end of time.
    parts.push(varint(isLast ? 0 : until + 1 - before + 1), varint(0), varint(FINGERPRINT));
    parts.push(fingerprintOf(sum, count));
    before = until + 1;
  });
  return parts.map((part) => part.toHex()).join("");
}

/** The seconds, inclusive, of which the answer says more than "the same"; undefined for nonsense. */
function readAnswer(hex: string): { from: number; to: number }[] | undefined {
  const bytes = bytesOf(hex);
  if (bytes?.[0] !== VERSION) return undefined;
  const reader = new Reader(bytes, 1);
  const found: { from: number; to: number }[] = [];
  let from = 0;
  let time = 0;
  while (!reader.done) {
    const delta = reader.varint();
    const prefix = reader.varint();
    if (delta === undefined || prefix === undefined || !reader.skip(prefix)) return undefined;
    time = delta === 0 ? Infinity : time + delta - 1;
    // The upper end is exclusive: with no id it leaves its whole second out.
    const to = prefix === 0 ? time - 1 : time;
    const mode = reader.varint();
    if (mode === FINGERPRINT) {
      if (!reader.skip(FINGERPRINT_BYTES)) return undefined;
    } else if (mode === ID_LIST) {
      const ids = reader.varint();
      if (ids === undefined || !reader.skip(ids * ID_BYTES)) return undefined;
    } else if (mode !== SKIP) return undefined;
    if (mode !== SKIP) found.push({ from, to: Math.max(from, to) });
    from = time;
  }
  return found;
}

function bytesOf(hex: string): Uint8Array | undefined {
  try {
    return Uint8Array.fromHex(hex);
  } catch {
    // No hex at all is an answer that can't be read, like many others.
    return undefined;
  }
}

class Reader {
  readonly #bytes: Uint8Array;
  #at: number;

  constructor(bytes: Uint8Array, at: number) {
    this.#bytes = bytes;
    this.#at = at;
  }

  get done(): boolean {
    return this.#at >= this.#bytes.length;
  }

  skip(count: number): boolean {
    this.#at += count;
    return this.#at <= this.#bytes.length;
  }

  varint(): number | undefined {
    let value = 0;
    for (let n = 0; n < MAX_VARINT_BYTES; n++) {
      const byte = this.#bytes[this.#at++];
      if (byte === undefined) return undefined;
      value = value * 128 + (byte & 0x7f);
      if ((byte & 0x80) === 0) return Number.isSafeInteger(value) ? value : undefined;
    }
    return undefined;
  }
}
