// How many events this relay has shown to give in one page. Relays cut pages in silence, so that a
// short page proves nothing by itself; it does when the same relay has just given a longer one.
// One of these per session: caps differ between relays and change between days.

/** What the pages of one session say about the relay's cap. */
export class Capacity {
  #largest = 0;
  #smallestCut = Infinity;

  /** A finished page held so many events of ours; others don't count, they could be padding. */
  saw(ours: number): void {
    this.#largest = Math.max(this.#largest, ours);
  }

  /** The relay cut a page after so many events of ours: older ones came after it. */
  sawCut(ours: number): void {
    this.#smallestCut = Math.min(this.#smallestCut, ours);
  }

  /**
   * Whether a page of `size` events (of whatever kind), asked for with `limit`, is known not to have
   * been cut: longer ones were given, and none so short was cut. A page of a single event counts as
   * whole until the relay has cut one.
   */
  isWhole(size: number, limit: number): boolean {
    if (size >= limit || size >= this.#smallestCut) return false;
    return size <= 1 || size < this.#largest;
  }
}
