// Unknown events that a page is verifying or writing: the first page that brings one has it, the
// others wait for how it ends. In: ids. Out: whose they are. Never keeps an event.

/** How an event under way ended, for the pages that wait for it. */
export type Outcome = { seq: number } | "invalid" | "abandoned";

type Ends = Map<string, PromiseWithResolvers<Outcome>>;

/** The events of all pages that are under way. */
export class UnderWay {
  readonly #ends: Ends = new Map();

  /** A page's part of it; empty at first. */
  open(): OwnEvents {
    return new OwnEvents(this.#ends);
  }
}

/** The events that a page verifies and writes, and how it tells their end. */
export class OwnEvents {
  readonly #all: Ends;
  readonly #own: Ends = new Map();

  constructor(all: Ends) {
    this.#all = all;
  }

  /** Makes this page the one that brings the event, unless another does: then how that will end. */
  claim(id: string): Promise<Outcome> | undefined {
    const other = this.#all.get(id);
    if (other !== undefined) return other.promise;
    const own = Promise.withResolvers<Outcome>();
    this.#own.set(id, own);
    this.#all.set(id, own);
    return undefined;
  }

  /** Ids that were claimed, ended or not. */
  get ids(): string[] {
    return [...this.#own.keys()];
  }

  /** Tells those who wait for the event; only the first end of it counts. */
  finish(id: string, outcome: Outcome): void {
    const own = this.#own.get(id);
    if (own === undefined || this.#all.get(id) !== own) return;
    this.#all.delete(id);
    own.resolve(outcome);
  }

  /** Ends what has none yet. */
  abandon(): void {
    for (const id of this.#own.keys()) this.finish(id, "abandoned");
  }
}
