/**
 * How much of what was handed over is still under way, and a way to wait until nothing is. In: more,
 * and done. Out: a number, and an end to wait for. Knows nothing of the work.
 */

/** Counts work under way. */
export class Pending {
  #count = 0;
  #idle: PromiseWithResolvers<void> | undefined;

  /** Pieces under way. */
  get count(): number {
    return this.#count;
  }

  /** So many more are under way. */
  add(n = 1): void {
    this.#count += n;
  }

  /** So many are done. Throws a RangeError when fewer were under way: they were counted twice. */
  done(n = 1): void {
    if (n > this.#count) {
      throw new RangeError(`Cannot end ${n} pieces as ${this.#count} are under way`);
    }
    this.#count -= n;
    if (this.#count > 0) return;
    this.#idle?.resolve();
    this.#idle = undefined;
  }

  /** Resolves once nothing is under way; at once when nothing is. */
  idle(): Promise<void> {
    if (this.#count === 0) return Promise.resolve();
    this.#idle ??= Promise.withResolvers<void>();
    return this.#idle.promise;
  }
}
