// In which parts a second that is denser than a page is asked for: some kinds, or one kind by some
// authors, each part as large as fits. In: what was seen of the second, and how each part went. Out:
// the next part. Pure; the first part is a small one, from which the size of the others is judged.
import type { NostrEvent } from "../../model/event.ts";
import type { Filter } from "../../model/filter.ts";

/** What a page is narrowed by. */
export type Part = Pick<Filter, "kinds" | "authors">;

/** All kinds and authors that were seen of the relay. */
export interface SeenValues {
  readonly kinds: ReadonlyMap<number, number>;
  readonly authors: ReadonlyMap<string, number>;
}

/** Of a page, because events come unevenly. */
const ROOM_SHARE = 0.85;
/** How many times what was seen there may be, before anything is known. */
const FIRST_GUESS = 4;
const MARGIN = 1.1;
/** In one request: 33 kB. */
const MAX_AUTHORS = 500;
/** What was not seen in this second, but elsewhere on the relay. */
const UNSEEN_WEIGHT = 0.05;

/** Kinds, or authors of one kind, with how many events of each were seen. */
interface Piece {
  /** One kind's authors; undefined: kinds. */
  kind?: number;
  values: { value: number | string; weight: number }[];
}

/** The plan for one second. */
export class PartPlan {
  readonly #filter: Filter;
  readonly #seen: SeenValues;
  readonly #sample: readonly Pick<NostrEvent, "kind" | "pubkey">[];
  readonly #room: number;
  /** Still to be asked for. */
  #waiting: Piece[];
  #asked: Piece | undefined;
  #growth: number | undefined;
  #had = { seen: 0, got: 0 };
  /** Kinds that the plan is about. */
  readonly #kinds: ReadonlySet<number>;
  /** Of kinds that were split by authors: whom it was asked about. */
  readonly #authorsOf = new Map<number, Set<string>>();
  #isInseparable = false;
  #again = true;

  /** `size` is what a page holds. */
  constructor(
    filter: Filter,
    seen: SeenValues,
    sample: readonly Pick<NostrEvent, "kind" | "pubkey">[],
    size: number,
  ) {
    this.#filter = filter;
    this.#seen = seen;
    this.#sample = sample;
    this.#room = Math.max(1, size * ROOM_SHARE);
    const weights = sample.length > 0
      ? counts(sample.map(({ kind }) => kind))
      : scaled(seen.kinds, size);
    const kinds = filter.kinds ?? new Set([...seen.kinds.keys(), ...weights.keys()]);
    this.#kinds = new Set(kinds);
    const values = weighted(kinds, weights);
    const [only] = values;
    // A single kind that the filter names was asked for already, by the page that filled up.
    this.#waiting = filter.kinds?.length === 1 && typeof only?.value === "number"
      ? [this.#byAuthors(only.value)]
      : [{ values }];
  }

  /** Tells how many events the second has. */
  expect(total: number): void {
    if (this.#sample.length > 0) this.#growth = Math.max(1, total / this.#sample.length);
  }

  /** How many events the second has, as far as parts have shown. */
  get total(): number | undefined {
    return this.#growth === undefined ? undefined : this.#growth * this.#sample.length;
  }

  /** Whether parts that were whole are all there can be. */
  get separates(): boolean {
    const { kinds, authors } = this.#filter;
    return !this.#isInseparable && kinds !== undefined &&
      (this.#authorsOf.size === 0 || authors !== undefined);
  }

  /** Whether some part was cut that nothing splits any further. */
  get isInseparable(): boolean {
    return this.#isInseparable;
  }

  /** The next part; undefined when there is none left. */
  next(): Part | undefined {
    const piece = this.#waiting.pop() ?? this.#latecomers();
    if (piece === undefined) return undefined;
    const [part, rest] = this.#cut(piece);
    if (rest.values.length > 0) this.#waiting.push(rest);
    const { kind, values } = part;
    const [only] = values;
    if (kind === undefined && values.length === 1 && weightOf(part) > this.#most) {
      this.#waiting.push(this.#byAuthors(Number(only?.value)));
      return this.next();
    }
    this.#asked = part;
    if (kind === undefined) return { kinds: values.map(({ value }) => Number(value)) };
    return { kinds: [kind], authors: values.map(({ value }) => String(value)) };
  }

  /** How the part went that was given last: whether all of it came, and how many events. */
  answered(isWhole: boolean, got: number): void {
    const asked = this.#asked;
    if (asked === undefined) return;
    const seen = weightOf(asked);
    if (isWhole) {
      this.#had = { seen: this.#had.seen + seen, got: this.#had.got + got };
      // Of what was seen least, the share says little.
      if (this.#had.seen >= 1) this.#growth = Math.max(1, this.#had.got / this.#had.seen);
      return;
    }
    this.#growth = Math.max(this.#growth ?? 1, 2 * got / Math.max(seen, 1));
    const { kind, values } = asked;
    if (values.length > 1) {
      const half = values.length >> 1;
      this.#waiting.push({ ...asked, values: values.slice(0, half) });
      this.#waiting.push({ ...asked, values: values.slice(half) });
    } else if (kind === undefined) this.#waiting.push(this.#byAuthors(Number(values[0]?.value)));
    // One author's events of one kind in one second: nothing left to split by.
    else this.#isInseparable = true;
  }

  /** How much may be asked for at a time, in events that were seen. */
  get #most(): number {
    return this.#room / (this.#growth === undefined ? FIRST_GUESS : this.#growth * MARGIN);
  }

  /** As many values as fit, at least one; the rest waits. */
  #cut(piece: Piece): [Piece, Piece] {
    const part: Piece = { ...piece, values: [] };
    const rest: Piece = { ...piece, values: [] };
    const most = this.#most;
    let weight = 0;
    // Of the first part the size is a guess: it takes what was seen least.
    const order = this.#growth === undefined ? piece.values : piece.values.toReversed();
    for (const item of order) {
      const fits = weight + item.weight <= most && part.values.length < MAX_AUTHORS;
      if (part.values.length > 0 && !fits) rest.values.push(item);
      else {
        part.values.push(item);
        weight += item.weight;
      }
    }
    rest.values.sort((a, b) => a.weight - b.weight);
    return [part, rest];
  }

  #byAuthors(kind: number): Piece {
    const sample = this.#sample.filter((event) => event.kind === kind);
    const weights = sample.length > 0
      ? counts(sample.map(({ pubkey }) => pubkey))
      : scaled(this.#seen.authors, this.#room);
    const authors = new Set(
      this.#filter.authors ?? [...this.#seen.authors.keys(), ...weights.keys()],
    );
    this.#authorsOf.set(kind, authors);
    return { kind, values: weighted(authors, weights) };
  }

  /** Kinds and authors that have come to light since; once. */
  #latecomers(): Piece | undefined {
    if (!this.#again) return undefined;
    this.#again = false;
    const kinds = this.#filter.kinds ?? this.#seen.kinds.keys();
    const values = weighted([...kinds].filter((kind) => !this.#kinds.has(kind)), new Map());
    if (values.length > 0) this.#waiting.push({ values });
    if (this.#filter.authors !== undefined) return this.#waiting.pop();
    for (const [kind, asked] of this.#authorsOf) {
      const late = [...this.#seen.authors.keys()].filter((author) => !asked.has(author));
      if (late.length > 0) this.#waiting.push({ kind, values: weighted(late, new Map()) });
    }
    return this.#waiting.pop();
  }
}

/** Least weight first. */
function weighted<T extends number | string>(
  values: Iterable<T>,
  weights: ReadonlyMap<T, number>,
): Piece["values"] {
  return [...values].map((value) => ({ value, weight: weights.get(value) ?? UNSEEN_WEIGHT }))
    .sort((a, b) => a.weight - b.weight);
}

function weightOf({ values }: Piece): number {
  return values.reduce((sum, { weight }) => sum + weight, 0);
}

function counts<T>(values: readonly T[]): Map<T, number> {
  const found = new Map<T, number>();
  for (const value of values) found.set(value, (found.get(value) ?? 0) + 1);
  return found;
}

/** The same shares, of another sum. */
function scaled<T>(values: ReadonlyMap<T, number>, to: number): Map<T, number> {
  const sum = [...values.values()].reduce((a, b) => a + b, 0);
  return new Map([...values].map(([value, n]) => [value, n * to / Math.max(1, sum)]));
}
