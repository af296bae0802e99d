// What the first page of a live session says: from which second on it has everything. In: what became
// of its events. Out: a second. Pure.
import type { PageResult } from "../../ingest/ingest.ts";

/**
 * The stored events at the start of a session: a page, newest first. Down to its oldest event nothing
 * is missing, and nothing at all when none came, so that the session vouches from there on.
 */
export class CatchUp {
  /** When it was asked for, Unix seconds. */
  readonly startedAt: number;
  readonly #since: number;
  readonly #ids = new Set<string>();
  #oldest: number | undefined;
  #isSorted = true;

  constructor(since: number, startedAt: number) {
    this.#since = since;
    this.startedAt = startedAt;
  }

  /** More of it, in the order of arrival. */
  note({ received, accepted }: PageResult): void {
    // Nothing can be said of a page that held only what is not taken.
    if (received > 0 && accepted.length === 0) this.#isSorted = false;
    for (const { id, created_at } of accepted) {
      // What the second filter brings may be older, or come again.
      if (created_at < this.#since || this.#ids.has(id)) continue;
      this.#ids.add(id);
      if (created_at > (this.#oldest ?? Infinity)) this.#isSorted = false;
      this.#oldest = Math.min(this.#oldest ?? created_at, created_at);
    }
  }

  /** From this second on nothing is missing, if the relay keeps its word. */
  get from(): number {
    // Of the oldest event's own second, and of the one in which we asked, a part may be cut off.
    if (!this.#isSorted) return this.startedAt + 1;
    return this.#oldest === undefined ? this.#since : this.#oldest + 1;
  }
}
