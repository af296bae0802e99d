// What a live tail can say of the ledger's ground: during which seconds of created_at a subscription
// stood, everything it brought being archived. In: where sessions begin and how far they have come.
// Out: spans, oldest first. Pure. Never a proof: a relay may forget to pass an event on, so what
// was followed is compared or walked before it is called complete.
import type { CoverageWindow } from "../../model/coverage.ts";

/** Spans kept of one relay: older ones are asked for again, which costs more but loses nothing. */
const MAX_SPANS = 64;

/** The ground that one relay's tail has followed, over all its sessions. */
export class FollowedGround {
  readonly #spans: CoverageWindow[];
  /** Where the session under way began, until it has come anywhere. */
  #from: number | undefined;
  #isExtending = false;

  constructor(spans: readonly CoverageWindow[] = []) {
    this.#spans = spans.slice(-MAX_SPANS).map((span) => ({ ...span }));
  }

  /** Oldest first; copies. */
  get spans(): CoverageWindow[] {
    return this.#spans.map((span) => ({ ...span }));
  }

  /** The newest second that was followed. */
  get until(): number | undefined {
    return this.#spans.at(-1)?.until;
  }

  /** A session has everything from this second on. */
  begin(from: number): void {
    this.#from = from;
    this.#isExtending = false;
  }

  /** The session under way has everything up to this second. */
  reach(until: number): void {
    const from = this.#from;
    if (from === undefined || until < from) return;
    const last = this.#spans.at(-1);
    if (this.#isExtending && last !== undefined) {
      last.until = Math.max(last.until, until);
      return;
    }
    this.#isExtending = true;
    if (last !== undefined && from <= last.until + 1) {
      last.since = Math.min(last.since, from);
      last.until = Math.max(last.until, until);
      this.#mergeDown();
    } else {
      this.#spans.push({ since: from, until });
      if (this.#spans.length > MAX_SPANS) this.#spans.shift();
    }
  }

  /** The session is over. */
  end(): void {
    this.#from = undefined;
    this.#isExtending = false;
  }

  /** Forgets what lies wholly below this second. */
  forget(below: number): void {
    while ((this.#spans[0]?.until ?? Infinity) < below) this.#spans.shift();
  }

  /** A session that reached far back joins the spans that it has come over. */
  #mergeDown(): void {
    for (;;) {
      const [below, last] = this.#spans.slice(-2);
      if (below === undefined || last === undefined || last.since > below.until + 1) return;
      this.#spans.splice(-2, 2, {
        since: Math.min(below.since, last.since),
        until: last.until,
      });
    }
  }
}
