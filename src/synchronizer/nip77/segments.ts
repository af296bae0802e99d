// What a relay was seen to hold, as sums: segments of created_at with the number and the sum of the
// ids in each, about a thousand ids a segment. In: sightings, each once. Out: counts, sums of
// windows, and bytes to store. Pure arithmetic; memory is 44 bytes a segment, whatever is added.
import type { CoverageWindow } from "../../model/coverage.ts";
import { addSum, ID_WORDS, idWords } from "./id_sum.ts";

/** A stretch of created_at, up to where the next one begins. */
export interface Segment {
  since: number;
  count: number;
  sum: Uint32Array;
}

/** A second and an id; the words of ids that were added already are not kept. */
export interface SeenId {
  createdAt: number;
  id: string;
}

/** Ids in a segment, when it can be chosen. */
const TARGET = 1_000;
/** A segment that has grown beyond this is to be read again, and made into smaller ones. */
const OVERFULL = 8 * TARGET;
const BYTES = 8 + 4 + ID_WORDS * 4;

/** All of time in segments; no event is older than second 0. */
export class Segments {
  #list: Segment[];

  constructor(list: readonly Segment[] = [emptyAt(0)]) {
    this.#list = [...list];
  }

  /** Reads what {@linkcode encode} gave; undefined for anything else. */
  static decode(bytes: Uint8Array): Segments | undefined {
    if (bytes.length === 0) return new Segments();
    if (bytes.length % BYTES !== 0) return undefined;
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    const list: Segment[] = [];
    for (let at = 0; at < bytes.length; at += BYTES) {
      const sum = new Uint32Array(ID_WORDS);
      for (let word = 0; word < ID_WORDS; word++) {
        sum[word] = view.getUint32(at + 12 + word * 4, true);
      }
      list.push({ since: view.getFloat64(at), count: view.getUint32(at + 8), sum });
    }
    const sorted = list.every(({ since }, i) => since > (list[i - 1]?.since ?? -1));
    return sorted && list[0]?.since === 0 ? new Segments(list) : undefined;
  }

  encode(): Uint8Array {
    const bytes = new Uint8Array(this.#list.length * BYTES);
    const view = new DataView(bytes.buffer);
    this.#list.forEach(({ since, count, sum }, i) => {
      const at = i * BYTES;
      view.setFloat64(at, since);
      view.setUint32(at + 8, count);
      sum.forEach((value, word) => view.setUint32(at + 12 + word * 4, value, true));
    });
    return bytes;
  }

  get list(): readonly Segment[] {
    return this.#list;
  }

  /** Adds ids that are not in yet; each batch makes segments of its own where there were none. */
  add(batch: readonly SeenId[]): void {
    const sorted = batch.toSorted((a, b) => a.createdAt - b.createdAt);
    const next: Segment[] = [];
    let at = 0;
    this.#list.forEach((segment, i) => {
      const until = this.#untilOf(i);
      const from = at;
      while (at < sorted.length && (sorted[at]?.createdAt ?? Infinity) <= until) at += 1;
      if (from === at) next.push(segment);
      else if (segment.count === 0) next.push(...made(sorted, from, at, segment.since, until));
      else {
        for (let n = from; n < at; n++) addTo(segment, sorted[n]);
        next.push(segment);
      }
    });
    this.#list = next;
  }

  /** Makes small neighbours one; to be called when a load has ended. */
  join(): void {
    this.#list = joined(this.#list);
  }

  /** Empties the segments that have grown too large, and those that are stale; gives their ground. */
  clear(isStale: (segment: CoverageWindow) => boolean): CoverageWindow[] {
    const cleared: CoverageWindow[] = [];
    this.#list = this.#list.map((segment, i) => {
      const window = { since: segment.since, until: this.#untilOf(i) };
      if (segment.count <= OVERFULL && !isStale(window)) return segment;
      const last = cleared.at(-1);
      if (last !== undefined && last.until + 1 === window.since) last.until = window.until;
      else cleared.push(window);
      return emptyAt(segment.since);
    });
    return cleared;
  }

  /** How many ids lie in the window, at most: segments that it cuts count whole. */
  countIn(window: CoverageWindow): number {
    let count = 0;
    this.#list.forEach((segment, i) => {
      const until = this.#untilOf(i);
      if (segment.since <= window.until && until >= window.since) count += segment.count;
    });
    return count;
  }

  /**
   * The segments of the window, oldest first, in at most `parts` groups of about equally many ids.
   * One that the window cuts is left out, at either end, unless it is empty.
   */
  groups(window: CoverageWindow, parts: number): (CoverageWindow & Omit<Segment, "since">)[] {
    const inside: (CoverageWindow & Segment)[] = [];
    this.#list.forEach((segment, i) => {
      const until = this.#untilOf(i);
      if (segment.since > window.until || until < window.since) return;
      const since = Math.max(segment.since, window.since);
      const last = Math.min(until, window.until);
      if (segment.count > 0 && (since > segment.since || last < until)) return;
      inside.push({ ...segment, since, until: last });
    });
    const total = inside.reduce((sum, { count }) => sum + count, 0);
    const size = Math.max(1, Math.ceil(total / parts));
    const groups: (CoverageWindow & Segment)[] = [];
    for (const segment of inside) {
      const last = groups.at(-1);
      if (last === undefined || (last.count > 0 && last.count + segment.count > size)) {
        if (groups.length < parts) {
          groups.push({ ...segment, sum: segment.sum.slice() });
          continue;
        }
      }
      const open = groups.at(-1);
      if (open === undefined) continue;
      open.until = segment.until;
      open.count += segment.count;
      addSum(open.sum, segment.sum);
    }
    return groups;
  }

  #untilOf(i: number): number {
    return (this.#list[i + 1]?.since ?? Infinity) - 1;
  }
}

function emptyAt(since: number): Segment {
  return { since, count: 0, sum: new Uint32Array(ID_WORDS) };
}

function addTo(segment: Segment, seen: SeenId | undefined): void {
  if (seen === undefined) return;
  segment.count += 1;
  addSum(segment.sum, idWords(seen.id));
}

/**
 * Segments of sorted[from, to) that together span [since, until]. The last one ends with its newest
 * event, so that what is newer gets a segment of its own.
 */
function made(
  sorted: readonly SeenId[],
  from: number,
  to: number,
  since: number,
  until: number,
): Segment[] {
  const list: Segment[] = [];
  const first = sorted[from]?.createdAt ?? since;
  // What lies below is empty, and stays free to be divided otherwise.
  if (first > since) list.push(emptyAt(since));
  let open = emptyAt(first);
  list.push(open);
  let newest = first;
  for (let n = from; n < to; n++) {
    const seen = sorted[n];
    if (seen === undefined) break;
    if (open.count >= TARGET && seen.createdAt > newest) {
      open = emptyAt(seen.createdAt);
      list.push(open);
    }
    newest = seen.createdAt;
    addTo(open, seen);
  }
  if (newest < until) list.push(emptyAt(newest + 1));
  return list;
}

/** Empty ground at either end stays free, to be divided as events come. */
function joined(list: readonly Segment[]): Segment[] {
  const kept: Segment[] = [];
  list.forEach((segment, i) => {
    const last = kept.at(-1);
    const isFree = (kept.length === 1 && last?.count === 0) ||
      (i === list.length - 1 && segment.count === 0);
    const isEmpty = last?.count === 0 || segment.count === 0;
    const both = (last?.count ?? 0) + segment.count;
    if (last === undefined || (both > 0 && (isFree || (!isEmpty && both > TARGET)))) {
      kept.push(segment);
    } else {
      last.count = both;
      addSum(last.sum, segment.sum);
    }
  });
  return kept;
}
