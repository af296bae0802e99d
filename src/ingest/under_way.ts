// Unknown events that a page is verifying or writing: the first page that brings one has it, the
// others wait for how it ends. In: ids. Out: whose they are. Never keeps an event.

/** How an event under way ended, for the pages that wait for it. */
export type Outcome = { seq: number } | "invalid" | "abandoned";

/** The events of all pages that are under way. */
export class UnderWay {
  readonly #owners = new Map<string, OwnEvents>();

  /** A page's part of it; empty at first. */
  open(): OwnEvents {
    return new OwnEvents(this.#owners);
  }
}

/** The events that a page verifies and writes, and how it tells their end. */
export class OwnEvents {
  readonly #owners: Map<string, OwnEvents>;
  readonly #outcomes = new Map<string, Outcome | undefined>();
  readonly #end = Promise.withResolvers<void>();

  constructor(owners: Map<string, OwnEvents>) {
    this.#owners = owners;
  }

  /** Makes this page the one that brings the event, unless another does: then that one is given. */
  claim(id: string): OwnEvents | undefined {
    const other = this.#owners.get(id);
    if (other !== undefined) return other;
    this.#outcomes.set(id, undefined);
    this.#owners.set(id, this);
    return undefined;
  }

  /** Ids that were claimed, ended or not. */
  get ids(): string[] {
    return [...this.#outcomes.keys()];
  }

  /**
   * Resolves when all have ended. One promise for a page, not for an event: 20 pages with the same 500
   * events would wait for 9,500.
   */
  get ended(): Promise<void> {
    return this.#end.promise;
  }

  /** How a claimed event ended. */
  outcomeOf(id: string): Outcome | undefined {
    return this.#outcomes.get(id);
  }

  /** Says how a claimed event ended; only its first end counts. */
  finish(id: string, outcome: Outcome): void {
    if (this.#owners.get(id) !== this) return;
    this.#owners.delete(id);
    this.#outcomes.set(id, outcome);
  }

  /** Ends what has no end yet, and tells those who wait. */
  end(): void {
    for (const id of this.#outcomes.keys()) this.finish(id, "abandoned");
    this.#end.resolve();
  }
}
