// The pages of a walk, each asked for while the one before it is verified and written, and ingested as
// soon as it is there: signatures of one page are checked while the rows of the last one are written.
// In: windows. Out: pages and what became of them. One request at a time, and never more than one page
// ahead: with two, one relay took as long, and 20 with the same events 8.1 s instead of 7.5.
import type { PageResult } from "../../ingest/ingest.ts";
import type { CoverageWindow } from "../../model/coverage.ts";
import type { PageAnswer } from "../page.ts";
import type { Evidence } from "./evidence.ts";
import { likelyNextUntil } from "./page_verdict.ts";
import type { OpenReason } from "../reasons.ts";

/** What asking ahead works with. */
export interface PagesAheadDeps {
  /** Asks for one page of the archive's filter. Rejects only on abort. */
  fetch(window: CoverageWindow): Promise<PageAnswer>;
  /** Ingests a page; resolves after the commit. */
  take(page: PageAnswer): Promise<PageResult>;
  readonly evidence: Evidence;
  /** Why to stop now, if there is a reason. */
  mustStop(): OpenReason | undefined;
}

/** A page that has come, and is being ingested. */
export interface ArrivedPage {
  readonly window: CoverageWindow;
  readonly page: PageAnswer;
  /** Never rejects: how that ended is looked at when the page's turn has come. */
  readonly taken: Promise<PromiseSettledResult<PageResult>>;
}

/** A walk's pages; `settle` it when the walk is over. */
export class PagesAhead {
  readonly #deps: PagesAheadDeps;
  #ahead: ArrivedPage | undefined;

  constructor(deps: PagesAheadDeps) {
    this.#deps = deps;
  }

  /** The page of this window. One that was asked for ahead under another is let go. */
  async page(window: CoverageWindow): Promise<ArrivedPage> {
    if (this.#ahead?.window.until !== window.until) await this.letGo();
    const ahead = this.#ahead;
    this.#ahead = undefined;
    return ahead ?? await this.#ask(window);
  }

  /** What became of a page, after its commit. Asks for the page behind it meanwhile. */
  async committed(arrived: ArrivedPage): Promise<PageResult> {
    const until = this.#nextUntil(arrived);
    const asked = until === undefined ? undefined : this.#ask({ ...arrived.window, until });
    const [result, ahead] = await Promise.all([arrived.taken, asked && settled(asked)]);
    this.#ahead = ahead && fulfilled(ahead);
    return fulfilled(result);
  }

  /** Ends what is under way: the events of a page that nobody judges are as good as any. */
  async letGo(): Promise<void> {
    const ahead = this.#ahead;
    this.#ahead = undefined;
    if (ahead !== undefined) fulfilled(await ahead.taken);
  }

  /** Waits for what is under way, however it ends. */
  async settle(): Promise<void> {
    await this.#ahead?.taken;
  }

  #nextUntil({ page, window }: ArrivedPage): number | undefined {
    const { evidence, mustStop } = this.#deps;
    const mayGoOn = (page.end === "eose" || page.end === "limit") && page.hint !== "finish" &&
      !page.late && mustStop() === undefined;
    return mayGoOn
      ? likelyNextUntil(page.events, window, !evidence.isShort(page.size, page.limit))
      : undefined;
  }

  async #ask(window: CoverageWindow): Promise<ArrivedPage> {
    const page = await this.#deps.fetch(window);
    return { window, page, taken: settled(this.#deps.take(page)) };
  }
}

/** How it ends; never rejects. */
async function settled<T>(promise: Promise<T>): Promise<PromiseSettledResult<T>> {
  const [end] = await Promise.allSettled([promise]);
  return end;
}

/** What came of it; throws what it was rejected with. */
function fulfilled<T>(end: PromiseSettledResult<T>): T {
  if (end.status === "rejected") throw end.reason;
  return end.value;
}
