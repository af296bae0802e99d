// What a turn has done so far: events, requests, how far back it has come, how much the relay gets a
// day. In: the results of pages. Out: the numbers of progress and report. Pure but for telling.
import { addDrops } from "../ingest/drop.ts";
import type { PageResult } from "../ingest/ingest.ts";
import type { CoverageWindow } from "../model/coverage.ts";
import type { SyncProgress } from "./report.ts";

const DAY_SECONDS = 86_400;

/** The numbers of one turn. */
export class TurnTally {
  readonly progress: SyncProgress = {
    received: 0,
    newEvents: 0,
    newSightings: 0,
    repeated: 0,
    dropped: {},
    requests: 0,
    bytes: 0,
    reached: undefined,
    gaps: 0,
  };
  readonly #window: CoverageWindow;
  readonly #onProgress: ((progress: SyncProgress, page: PageResult) => void) | undefined;
  /** Events of the last day that came in pages. */
  #recent = 0;
  /** Where the newest hole begins, if it ends in the present. */
  #newestSince: number | undefined;

  constructor(
    window: CoverageWindow,
    onProgress: ((progress: SyncProgress, page: PageResult) => void) | undefined,
  ) {
    this.#window = window;
    this.#onProgress = onProgress;
  }

  /** What is to be filled, newest first. */
  begin([newest]: readonly CoverageWindow[]): void {
    if (newest?.until === this.#window.until) this.#newestSince = newest.since;
  }

  /** A page with this `until` is asked for. */
  reach(until: number): void {
    this.progress.reached = Math.min(this.progress.reached ?? Infinity, until);
  }

  /** A page was committed. */
  note(result: PageResult, now: Pick<SyncProgress, "requests" | "bytes" | "gaps">): void {
    const { progress } = this;
    progress.received += result.received;
    progress.newEvents += result.newEvents;
    progress.newSightings += result.newSightings;
    progress.repeated += result.repeated;
    addDrops(progress.dropped, result.dropped);
    Object.assign(progress, now);
    const dayAgo = this.#window.until - DAY_SECONDS;
    for (const event of result.accepted) if (event.created_at > dayAgo) this.#recent += 1;
    this.#onProgress?.({ ...progress, dropped: { ...progress.dropped } }, result);
  }

  /** From the newest ground that was walked: as much of the last day as there is of it. */
  eventsPerDay(): { eventsPerDay?: number } {
    const { until } = this.#window;
    const { reached } = this.progress;
    if (this.#newestSince === undefined || reached === undefined) return {};
    const seconds = until - Math.max(this.#newestSince, reached, until - DAY_SECONDS);
    return seconds < 60 ? {} : { eventsPerDay: this.#recent * DAY_SECONDS / seconds };
  }
}
