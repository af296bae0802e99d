// The seconds that a walk could not page through: noticed while it goes down, decided when the page
// below has shown whether they were cut, and split when it has come to its end, with more kinds and
// authors known by then, or when many wait. In: pages that one second has filled. Out: whole seconds
// for the walk to write down, and entries in the ledger for the others. How one is split is dense.ts,
// or NIP-77.
import type { CoverageProof } from "../../model/coverage.ts";
import type { KnownSecond, SecondSplit } from "./dense.ts";
import type { Evidence, PageSize } from "./evidence.ts";
import type { Ledger } from "../ledger.ts";
import type { Probes, SecondSeen } from "./probes.ts";
import type { OpenReason } from "../reasons.ts";

/** What a walk's dense seconds need of its turn. */
export interface DenseSecondsDeps {
  /** Tries to get all of a second that is, or may be, denser than a page. */
  split(second: number, known: KnownSecond): Promise<SecondSplit>;
  readonly probes: Probes;
  readonly ledger: Ledger;
  readonly evidence: Evidence;
  /** Called when the ledger has moved. */
  moved(): Promise<void>;
  /** Why to stop now, if there is a reason. */
  mustStop(): OpenReason | undefined;
}

/**
 * A second that filled a page, or (not `paged`) so much of a page's end that the next page would
 * mostly repeat it; `cut` when the page lacks what an earlier one has shown of it.
 */
export interface Suspect extends PageSize, SecondSeen {
  cut: boolean;
  paged: boolean;
}

/** What a suspect was found to be; a reason means that nobody can tell. */
export interface Settled {
  second: number;
  is: "whole" | "dense" | OpenReason;
}

/** Seconds that wait to be split: each holds the ids of a page. */
const MAX_WAITING = 32;

/** Of one walk. */
export class DenseSeconds {
  readonly #deps: DenseSecondsDeps;
  /** Whether it was cut, the next page tells. */
  #suspect: Suspect | undefined;
  /** To be split, newest first. */
  readonly #waiting: Suspect[] = [];

  constructor(deps: DenseSecondsDeps) {
    this.#deps = deps;
  }

  /** The second of which it is not known yet whether its page was cut. */
  get suspected(): number | undefined {
    return this.#suspect?.second;
  }

  /** Takes the place of the one before. */
  suspect(seen: Suspect): void {
    this.#suspect = seen;
  }

  /**
   * Decides about the suspect, if there is one: it was cut when older events follow it. A dense one
   * is in the ledger then. Nothing is decided when nothing is believed any more.
   */
  async settle(olderFollow: boolean, isBelieved: boolean): Promise<Settled | undefined> {
    const suspect = this.#suspect;
    this.#suspect = undefined;
    if (suspect === undefined || !isBelieved) return undefined;
    const { second, paged } = suspect;
    const cut = olderFollow || suspect.cut;
    if (cut && paged) this.#deps.evidence.sawCut(suspect);
    const whole = !cut && await this.#deps.probes.isWhole(suspect);
    if (typeof whole === "string") return { second, is: whole };
    if (whole) return { second, is: "whole" };
    this.#waiting.push(suspect);
    this.#deps.ledger.dense(second);
    return { second, is: "dense" };
  }

  /** No more should wait. */
  get isFull(): boolean {
    return this.#waiting.length >= MAX_WAITING;
  }

  /**
   * Goes back to the dense ones; those of which everything was had get the proof of the ground
   * around them. Resolves with why that was cut short, if it was.
   */
  async split(proof?: CoverageProof): Promise<OpenReason | undefined> {
    const { ledger } = this.#deps;
    for (let next = this.#waiting[0]; next !== undefined; next = this.#waiting[0]) {
      const mustStop = this.#deps.mustStop();
      if (mustStop !== undefined) return mustStop;
      this.#waiting.shift();
      const { second, ids, size, paged } = next;
      const known = { ids, size, paged };
      const { complete, missing, reconciled, stop } = await this.#deps.split(second, known);
      if (stop !== undefined) return stop;
      if (reconciled) continue;
      if (complete) ledger.fill(second, proof);
      else ledger.gap(second, missing);
      await this.#deps.moved();
    }
    return undefined;
  }
}
