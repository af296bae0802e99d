// Subscription ids of one connection: few and reused, because relays count them and some never
// forget one, but never reused at once: a second EOSE or a late event of the last page must not be
// taken for the next page's.

/** Hands out ids in turn; one that may still have frames on the way is never handed out again. */
export class SubscriptionIds {
  readonly #free: string[] = [];
  readonly #taken = new Set<string>();
  #made = 0;

  /** An id that no frame can be on its way for. */
  take(): string {
    // Two at least: the id given back last stays behind another one.
    while (this.#free.length < 2) this.#free.push(`s${++this.#made}`);
    const id = this.#free.shift() ?? `s${++this.#made}`;
    this.#taken.add(id);
    return id;
  }

  /** Gives an id back; without `clean` it is not used again. Ids from elsewhere are ignored. */
  give(id: string, clean: boolean): void {
    if (this.#taken.delete(id) && clean) this.#free.push(id);
  }
}
