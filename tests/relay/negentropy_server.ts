// The answering side of negentropy protocol 1 (NIP-77), which nostr-tools does not have: its class
// answers a list of ids with nothing, as only a client may. In: a query in hex; out: the answer.
//
// A message is 0x61 and then ranges, each up to a bound and beginning where the one before ended:
// bound (time as a delta plus one, 0 for infinity; a prefix of an id), mode, payload.
import { createHash } from "node:crypto";
import type { NostrEvent } from "../../src/model/event.ts";

const VERSION = 0x61;
const SKIP = 0;
const FINGERPRINT = 1;
const ID_LIST = 2;
const BUCKETS = 16;
/** Room left for the closing range when a frame is full. */
const RESERVE_BYTES = 200;

interface Item {
  timestamp: number;
  id: Uint8Array;
}

/** An exclusive upper end; `id` may be a prefix, and empty comes before every id. */
interface Bound {
  timestamp: number;
  id: Uint8Array;
}

const INFINITE: Bound = { timestamp: Infinity, id: new Uint8Array() };
const ID_BYTES = 32;

/** Events in negentropy's order with running sums of their ids: made once for many reconciliations. */
export class NegentropyIndex {
  readonly items: readonly Item[];
  /** Before each item and behind the last: the sums, byte by byte of a place, without a carry. */
  readonly #sums: Float64Array;

  constructor(events: Iterable<NostrEvent>) {
    this.items = [...events]
      .sort((a, b) => a.created_at - b.created_at || (a.id < b.id ? -1 : a.id > b.id ? 1 : 0))
      .map(({ created_at, id }) => ({ timestamp: created_at, id: Uint8Array.fromHex(id) }));
    this.#sums = new Float64Array((this.items.length + 1) * ID_BYTES);
    this.items.forEach(({ id }, item) => {
      const from = item * ID_BYTES;
      for (let at = 0; at < ID_BYTES; at++) {
        this.#sums[from + ID_BYTES + at] = (this.#sums[from + at] ?? 0) + (id[at] ?? 0);
      }
    });
  }

  /** SHA-256 over the sum of the ids (little-endian, modulo 2^256) and their number, 16 bytes. */
  fingerprint(lower: number, upper: number): Uint8Array {
    const sum = new Uint8Array(ID_BYTES);
    let carry = 0;
    for (let at = 0; at < ID_BYTES; at++) {
      const value = carry + (this.#sums[upper * ID_BYTES + at] ?? 0) -
        (this.#sums[lower * ID_BYTES + at] ?? 0);
      sum[at] = value % 256;
      carry = Math.floor(value / 256);
    }
    const digest = createHash("sha256").update(sum).update(varint(upper - lower)).digest();
    return new Uint8Array(digest.subarray(0, 16));
  }

  /** The first item from here on that is not below the bound. */
  indexOf(bound: Bound, from = 0, to = this.items.length): number {
    let low = from;
    let high = to;
    while (low < high) {
      const middle = (low + high) >> 1;
      const item = this.items[middle];
      const below = item !== undefined && (item.timestamp < bound.timestamp ||
        (item.timestamp === bound.timestamp && compareBytes(item.id, bound.id) < 0));
      if (below) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** One reconciliation over a fixed set of events: all of an index, or those of a window. */
export class NegentropyServer {
  readonly #index: NegentropyIndex;
  readonly #items: readonly Item[];
  readonly #from: number;
  readonly #to: number;
  readonly #frameSizeLimit: number;

  constructor(
    index: NegentropyIndex,
    options: { frameSizeLimit?: number; since?: number; until?: number } = {},
  ) {
    const { since = 0, until = Infinity } = options;
    this.#index = index;
    this.#items = index.items;
    this.#from = index.indexOf({ timestamp: since, id: new Uint8Array() });
    this.#to = index.indexOf({ timestamp: until + 1, id: new Uint8Array() });
    this.#frameSizeLimit = options.frameSizeLimit ?? 60_000;
  }

  /** Events in it. */
  get size(): number {
    return this.#to - this.#from;
  }

  /** The answer to a query. Throws on a malformed one. */
  answer(queryHex: string): string {
    const query = new Reader(Uint8Array.fromHex(queryHex));
    const version = query.byte();
    // A version that we do not speak is answered with ours.
    if (version !== VERSION) return new Uint8Array([VERSION]).toHex();
    const out = new Writer();
    const length = this.#to;
    let lower = this.#from;
    let from: Bound = { timestamp: 0, id: new Uint8Array() };
    let skipping = false;
    while (!query.done) {
      const bound = query.bound();
      const upper = this.#index.indexOf(bound, lower, length);
      const mark = out.mark();
      const flushSkip = (): void => {
        if (skipping) out.bound(from).number(SKIP);
        skipping = false;
      };
      const mode = query.number();
      if (mode === SKIP) {
        skipping = true;
      } else if (mode === FINGERPRINT) {
        if (compareBytes(query.bytes(16), this.#index.fingerprint(lower, upper)) === 0) {
          skipping = true;
        } else {
          flushSkip();
          this.#split(out, lower, upper, bound);
        }
      } else if (mode === ID_LIST) {
        // What they have is theirs to compare; they get what we have.
        query.bytes(32 * query.number());
        flushSkip();
        const room = Math.floor((this.#frameSizeLimit - RESERVE_BYTES - out.length) / 32);
        const end = Math.min(upper, lower + Math.max(1, room));
        const cutAt = this.#items[end];
        this.#ids(out, lower, end, end < upper && cutAt !== undefined ? cutAt : bound);
        if (end < upper) return this.#rest(out, end, length);
      } else {
        throw new Error(`unexpected mode ${mode}`);
      }
      if (out.length > this.#frameSizeLimit - RESERVE_BYTES) {
        out.reset(mark);
        if (skipping) out.bound(from).number(SKIP);
        return this.#rest(out, lower, length);
      }
      lower = upper;
      from = bound;
    }
    return out.toHex();
  }

  /** All that did not fit, as one fingerprint: the client asks again from there. */
  #rest(out: Writer, lower: number, upper: number): string {
    out.bound(INFINITE).number(FINGERPRINT).bytes(this.#index.fingerprint(lower, upper));
    return out.toHex();
  }

  #split(out: Writer, lower: number, upper: number, bound: Bound): void {
    const count = upper - lower;
    if (count < 2 * BUCKETS) {
      this.#ids(out, lower, upper, bound);
      return;
    }
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      const start = lower + Math.floor(count * bucket / BUCKETS);
      const end = lower + Math.floor(count * (bucket + 1) / BUCKETS);
      const next = this.#items[end];
      out.bound(bucket === BUCKETS - 1 || next === undefined ? bound : next)
        .number(FINGERPRINT).bytes(this.#index.fingerprint(start, end));
    }
  }

  #ids(out: Writer, lower: number, upper: number, bound: Bound): void {
    out.bound(bound).number(ID_LIST).number(upper - lower);
    for (const { id } of this.#items.slice(lower, upper)) out.bytes(id);
  }
}

class Reader {
  readonly #bytes: Uint8Array;
  #at = 0;
  #timestamp = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get done(): boolean {
    return this.#at >= this.#bytes.length;
  }

  byte(): number {
    const byte = this.#bytes[this.#at++];
    if (byte === undefined) throw new Error("message ends too early");
    return byte;
  }

  bytes(count: number): Uint8Array {
    if (this.#at + count > this.#bytes.length) throw new Error("message ends too early");
    return this.#bytes.subarray(this.#at, this.#at += count);
  }

  /** Seven bits a byte, the highest first; the top bit says that more follow. */
  number(): number {
    let value = 0;
    while (true) {
      const byte = this.byte();
      value = value * 128 + (byte & 0x7f);
      if ((byte & 0x80) === 0) return value;
    }
  }

  bound(): Bound {
    const encoded = this.number();
    this.#timestamp = encoded === 0 ? Infinity : this.#timestamp + encoded - 1;
    return { timestamp: this.#timestamp, id: this.bytes(this.number()) };
  }
}

class Writer {
  #bytes: number[] = [VERSION];
  #timestamp = 0;

  get length(): number {
    return this.#bytes.length;
  }

  mark(): { length: number; timestamp: number } {
    return { length: this.#bytes.length, timestamp: this.#timestamp };
  }

  reset(mark: { length: number; timestamp: number }): void {
    this.#bytes.length = mark.length;
    this.#timestamp = mark.timestamp;
  }

  bytes(bytes: Iterable<number>): this {
    for (const byte of bytes) this.#bytes.push(byte);
    return this;
  }

  number(value: number): this {
    return this.bytes(varint(value));
  }

  bound({ timestamp, id }: Bound): this {
    this.number(timestamp === Infinity ? 0 : timestamp - this.#timestamp + 1);
    this.#timestamp = timestamp;
    return this.number(id.length).bytes(id);
  }

  toHex(): string {
    return Uint8Array.from(this.#bytes).toHex();
  }
}

function varint(value: number): Uint8Array {
  const groups = [value % 128];
  for (let left = Math.floor(value / 128); left > 0; left = Math.floor(left / 128)) {
    groups.unshift(left % 128 + 128);
  }
  return Uint8Array.from(groups);
}

function compareBytes(a: Uint8Array, b: Uint8Array): number {
  const length = Math.min(a.length, b.length);
  for (let at = 0; at < length; at++) {
    const difference = (a[at] ?? 0) - (b[at] ?? 0);
    if (difference !== 0) return difference;
  }
  return a.length - b.length;
}
