// Our side of a reconciliation (NIP-77): the ids that we hold of a window, in flat arrays. In: ids,
// newest first, as the store gives them. Out: what nostr-tools' Negentropy asks its storage for.
// Its own storage keeps an object per id: a million of them take 0.6 GB, these take 40 MB.
import { nip77 } from "nostr-tools";
import { fingerprintOf, ID_WORDS } from "./id_sum.ts";

/** A position in the order of negentropy: by second, then by id; a prefix comes before its ids. */
export interface Bound {
  timestamp: number;
  id: Uint8Array;
}

const ID_BYTES = 32;
const WORD = 2 ** 32;
const START: Bound = { timestamp: 0, id: new Uint8Array() };

/** Ids of a window, at most `capacity` (of up to two million: sums of words must stay exact). */
export class IdSet extends nip77.NegentropyStorageVector {
  readonly #seconds: Float64Array;
  readonly #bytes: Uint8Array;
  readonly #words: Uint32Array;
  #count = 0;
  #from: Bound = START;
  #to: Bound = START;

  constructor(capacity: number) {
    super();
    this.#seconds = new Float64Array(capacity);
    this.#bytes = new Uint8Array(capacity * ID_BYTES);
    this.#words = new Uint32Array(this.#bytes.buffer);
  }

  /** Adds one that comes before all others: newest first, ties by the highest id. */
  prepend(second: number, idHex: string): void {
    if (this.#count >= this.#seconds.length) {
      throw new RangeError(`Cannot add an id as the set is full: capacity is ${this.#count}`);
    }
    // Kept in the order of arrival, counted from the end.
    this.#seconds[this.#count] = second;
    this.#bytes.subarray(this.#count * ID_BYTES).setFromHex(idHex);
    this.#count += 1;
  }

  /** Adds ids of anywhere that are not in it; false when they don't fit, and nothing is added. */
  add(list: readonly { second: number; idHex: string }[]): boolean {
    if (this.#count + list.length > this.#seconds.length) return false;
    const added = list.map(({ second, idHex }) => ({
      timestamp: second,
      id: Uint8Array.fromHex(idHex),
    })).sort(compare);
    // From the oldest on: each is put behind those that come before it, and they are moved once.
    let from = this.#count;
    let to = this.#count + added.length;
    this.#count = to;
    for (const item of added) {
      while (from > 0 && compare(this.#stored(from - 1), item) < 0) this.#move(--from, --to);
      to -= 1;
      this.#seconds[to] = item.timestamp;
      this.#bytes.set(item.id, to * ID_BYTES);
    }
    return true;
  }

  #stored(at: number): Bound {
    const id = this.#bytes.subarray(at * ID_BYTES, (at + 1) * ID_BYTES);
    return { timestamp: this.#seconds[at] ?? 0, id };
  }

  #move(from: number, to: number): void {
    this.#seconds[to] = this.#seconds[from] ?? 0;
    this.#bytes.copyWithin(to * ID_BYTES, from * ID_BYTES, (from + 1) * ID_BYTES);
  }

  /** Drops what was added last, as far as it is of this second. */
  dropSecond(second: number): void {
    while (this.#count > 0 && this.#seconds[this.#count - 1] === second) this.#count -= 1;
  }

  /** The oldest second of an id that is not among these; undefined when there is none. */
  oldestBut(ids: ReadonlySet<string>): number | undefined {
    for (let i = 0; i < this.#count; i++) {
      const { timestamp, id } = this.getItem(i);
      if (ids.size === 0 || !ids.has(id.toHex())) return timestamp;
    }
    return undefined;
  }

  /** The range of a relay's message that is being read, for finding out where its ids lie. */
  get range(): { from: Bound; to: Bound } {
    return { from: this.#from, to: this.#to };
  }

  /** To be called before each message: its ranges begin at the beginning. */
  rewind(): void {
    this.#from = START;
    this.#to = START;
  }

  override size(): number {
    return this.#count;
  }

  override getItem(i: number): Bound {
    const at = this.#count - 1 - i;
    const timestamp = this.#seconds[at];
    if (at < 0 || timestamp === undefined) {
      throw new RangeError(`Cannot read id ${i}: out of range`);
    }
    return { timestamp, id: this.#bytes.subarray(at * ID_BYTES, (at + 1) * ID_BYTES) };
  }

  override iterate(begin: number, end: number, take: (item: Bound, i: number) => boolean): void {
    for (let i = begin; i < end; i++) if (!take(this.getItem(i), i)) return;
  }

  /** Called once for each range of a message, with its exclusive upper end. */
  override findLowerBound(begin: number, end: number, bound: Bound): number {
    this.#from = this.#to;
    this.#to = bound;
    let low = begin;
    let high = end;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (compare(this.getItem(middle), bound) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** SHA-256 over the sum of the ids (little-endian, modulo 2^256) and their number, 16 bytes. */
  override fingerprint(begin: number, end: number): Uint8Array {
    const sums = new Float64Array(ID_WORDS);
    const first = (this.#count - end) * ID_WORDS;
    const past = (this.#count - begin) * ID_WORDS;
    for (let at = first; at < past; at += ID_WORDS) {
      for (let word = 0; word < ID_WORDS; word++) {
        sums[word] = (sums[word] ?? 0) + (this.#words[at + word] ?? 0);
      }
    }
    const sum = new Uint32Array(ID_WORDS);
    let carry = 0;
    for (let word = 0; word < ID_WORDS; word++) {
      const value = (sums[word] ?? 0) + carry;
      sum[word] = value % WORD;
      carry = Math.floor(value / WORD);
    }
    return fingerprintOf(sum, end - begin);
  }
}

function compare(a: Bound, b: Bound): number {
  if (a.timestamp !== b.timestamp) return a.timestamp - b.timestamp;
  const length = Math.min(a.id.length, b.id.length);
  for (let at = 0; at < length; at++) {
    const difference = (a.id[at] ?? 0) - (b.id[at] ?? 0);
    if (difference !== 0) return difference;
  }
  return a.id.length - b.id.length;
}
