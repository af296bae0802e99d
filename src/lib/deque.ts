/**
 * A queue with cheap ends, because `Array.shift` moves every element of a long queue. Serves the
 * channel. Never: bounded by itself; its owner keeps the bound.
 */

/** First in, first out, in a ring that doubles when it is full. */
export class Deque<T> {
  #ring: (T | undefined)[] = new Array(16);
  #head = 0;
  #length = 0;

  /** How many values wait. */
  get length(): number {
    return this.#length;
  }

  /** Adds a value behind the last one. */
  push(value: T): void {
    if (this.#length === this.#ring.length) this.#grow();
    this.#ring[(this.#head + this.#length) % this.#ring.length] = value;
    this.#length += 1;
  }

  /** The first value, left where it is; undefined when there is none. */
  peek(): T | undefined {
    return this.#ring[this.#head];
  }

  /** Takes the first value; undefined when there is none. */
  shift(): T | undefined {
    if (this.#length === 0) return undefined;
    const value = this.#ring[this.#head];
    // Dropping the reference lets the value be collected before the slot is used again.
    this.#ring[this.#head] = undefined;
    this.#head = (this.#head + 1) % this.#ring.length;
    this.#length -= 1;
    return value;
  }

  #grow(): void {
    const bigger: (T | undefined)[] = new Array(this.#ring.length * 2);
    for (let i = 0; i < this.#length; i++) {
      bigger[i] = this.#ring[(this.#head + i) % this.#ring.length];
    }
    this.#ring = bigger;
    this.#head = 0;
  }
}
