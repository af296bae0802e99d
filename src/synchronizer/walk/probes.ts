// Questions that a walk asks on the side, when its pages leave open whether the relay can be taken
// at its word: is a second whole, is `until` inclusive, are events sent behind EOSE. In: a doubt.
// Out: an answer, as evidence or as the reason why nothing may be closed. A few events each, and
// only when nothing that has come so far decides it.
import type { PageResult } from "../../ingest/ingest.ts";
import type { CoverageWindow } from "../../model/coverage.ts";
import type { Filter } from "../../model/filter.ts";
import type { Evidence } from "./evidence.ts";
import type { PageAnswer } from "../page.ts";
import type { OpenReason } from "../reasons.ts";
import { within } from "../window_filter.ts";

/** What probes work with. */
export interface ProbeDeps {
  /** What is archived from this relay; no window. */
  readonly filter: Filter;
  /** What the turn is about: nothing else is taken. */
  readonly window: CoverageWindow;
  fetch(filter: Filter): Promise<PageAnswer>;
  /** The same, listening for events behind EOSE. */
  listen(filter: Filter): Promise<PageAnswer>;
  take(page: PageAnswer): Promise<PageResult>;
  readonly evidence: Evidence;
  /** No page is larger. */
  readonly pageSize: number;
}

/** All that was seen of one second, in a page of this size. */
export interface SecondSeen {
  second: number;
  /** Frames of the page. */
  size: number;
  limit: number;
  ids: ReadonlySet<string>;
}

/** Asks one relay. */
export class Probes {
  readonly #deps: ProbeDeps;

  constructor(deps: ProbeDeps) {
    this.#deps = deps;
  }

  /**
   * Whether a page that held this second alone, with nothing below it, held all of it. A reason
   * means that nobody can tell.
   */
  async isWhole(seen: SecondSeen): Promise<boolean | OpenReason> {
    const { evidence, filter } = this.#deps;
    const { second, size, limit } = seen;
    if (!evidence.isShort(size, limit) && size < this.#deps.pageSize) {
      const page = await this.#deps.fetch({ ...this.#newest, limit: size + 1 });
      const { accepted } = await this.#deps.take(page);
      if (page.end === "eose") evidence.saw(accepted.length);
    }
    // A single event, and the relay has no other: there can hardly be a cap.
    if (!evidence.isWhole(size, limit)) return false;
    // It was not cut; but its EOSE may have come too early.
    const page = await this.#deps.listen({ ...filter, since: second, until: second });
    const { accepted } = await this.#deps.take(page);
    if (page.late) return "early_eose";
    if (page.end !== "eose") return page.stop ?? "idle";
    return accepted.every((event) => event.created_at !== second || seen.ids.has(event.id));
  }

  /**
   * Whether a page of what we don't take, which was not cut, held nothing else: its EOSE may have come
   * too early. A reason means that nobody can tell.
   */
  async isEnd(window: CoverageWindow): Promise<boolean | OpenReason> {
    const page = await this.#deps.listen(within(this.#deps.filter, window));
    const { accepted } = await this.#deps.take(page);
    if (page.late) return "early_eose";
    if (page.end !== "eose") return page.stop ?? "idle";
    return !accepted.some(({ created_at }) =>
      created_at >= window.since && created_at <= window.until
    );
  }

  /**
   * Why a page did not show a second again of which `ids` were seen (any, when there are none):
   * `until` is exclusive, or the relay would not say. Undefined when they were deleted meanwhile.
   */
  async boundaryLost(second: number, ids: ReadonlySet<string>): Promise<OpenReason | undefined> {
    const { filter } = this.#deps;
    const page = await this.#deps.fetch({ ...filter, since: second, until: second + 1 });
    const { accepted } = await this.#deps.take(page);
    const shown = accepted.some((event) =>
      ids.size > 0 ? ids.has(event.id) : event.created_at === second
    );
    return shown ? "until_exclusive" : noAnswer(page);
  }

  /**
   * Why it is not known that `until` is inclusive; undefined when it is, or nothing is there that an
   * exclusive one would hide below this second.
   */
  async untilDoubt(until: number): Promise<OpenReason | undefined> {
    const { filter, evidence } = this.#deps;
    if (evidence.untilIsInclusive) return undefined;
    const newest = await this.#deps.fetch({ ...this.#newest, limit: 1 });
    const [event] = (await this.#deps.take(newest)).accepted;
    if (event === undefined) return noAnswer(newest) ?? await this.boundaryLost(until, NONE);
    const second = event.created_at;
    const page = await this.#deps.fetch({ ...filter, since: second, until: second, limit: 1 });
    const { accepted } = await this.#deps.take(page);
    if (accepted.length === 0) return noAnswer(page) ?? "until_exclusive";
    evidence.untilIsInclusive = true;
    return undefined;
  }

  /** For the newest events that are taken: on a busy relay those of this moment are not. */
  get #newest(): Filter {
    return within(this.#deps.filter, this.#deps.window);
  }
}

const NONE: ReadonlySet<string> = new Set();

/** Why a page that was to answer a question did not; undefined when it did. */
export function noAnswer(page: PageAnswer): OpenReason | undefined {
  if (page.end === "stopped") return page.stop ?? "protocol_error";
  return page.end === "idle" ? "idle" : undefined;
}
