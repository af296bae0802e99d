// What the pages of one turn have shown of the relay's habits. Relays cut pages in silence, so that a
// short page proves nothing by itself; it does when the same relay has just given a longer one. And
// `until` is inclusive where an event of that very second came. One of these per turn: habits differ
// between relays and change between days.

/** How much a page held, and how much of it was ours. */
export interface PageSize {
  size: number;
  limit: number;
  ours: number;
}

/** The habits of a relay, as far as its pages have shown them. */
export class Evidence {
  /** An event of the very second of an `until` has come. */
  untilIsInclusive = false;

  #largest = 0;
  #smallestCut = Infinity;

  /** A finished page held so many events of ours; others don't count, they could be padding. */
  saw(ours: number): void {
    this.#largest = Math.max(this.#largest, ours);
  }

  /** Older events came after this page: where our limit has not ended it, the relay has. */
  sawCut({ size, limit, ours }: PageSize): void {
    if (size < limit) this.#smallestCut = Math.min(this.#smallestCut, ours);
  }

  /**
   * Whether a page of `size` events (of whatever kind), asked for with `limit`, is known not to have
   * been cut: longer ones were given, and none so short was cut.
   */
  isShort(size: number, limit: number): boolean {
    return size < limit && size < this.#smallestCut && size < this.#largest;
  }

  /** The same for a page of our own events; a single one is whole until the relay has cut one. */
  isWhole(size: number, limit: number): boolean {
    return this.isShort(size, limit) || (size <= 1 && size < this.#smallestCut && size < limit);
  }
}
