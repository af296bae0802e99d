// Keeps the monitor's history in bounds: days out of checks, and what is old deleted. In: the tables,
// and how long things are kept. Out: the tables, and the last day that was written, which is where
// questions change from days to checks. Several processes may do it at once: a day that is written
// twice is the same day.
import { z } from "zod";
import { type Clock, unixSeconds } from "../lib/clock.ts";
import type { Count } from "../lib/cycle.ts";
import { logger } from "../lib/log.ts";
import type { Store } from "../store/connect.ts";
import { deleteExpiredMetadata } from "../store/metadata.ts";
import { deleteExpiredHistory, firstCheckAt, rollUpDay } from "../store/relay_history.ts";
import { getState, putState } from "../store/service_state.ts";

/** How long things are kept, in milliseconds, and how many. */
export interface KeepConfig {
  checksMs: number;
  daysMs: number;
  documentsMs: number;
  /** Of each relay and type. */
  documentVersions: number;
}

/** What upkeep works with. */
export interface UpkeepDeps {
  store: Store;
  config: KeepConfig;
  clock: Clock;
}

const SERVICE = "monitor";
/** Known to the function relay_uptime too. */
const KEY = "roll_up";
const ROLLED = z.object({ day: z.int() });

const DAY_SECONDS = 86_400;
/** A day is finished when its last checks are written: they are held back for minutes at most. */
const SLACK_SECONDS = 3_600;
const EVERY_MS = 3_600_000;
const DOCUMENTS_AT_ONCE = 1_000;

const log = logger("monitor");

/** The upkeep of one process. */
export class Upkeep {
  readonly #deps: UpkeepDeps;
  #dueMs = -Infinity;

  constructor(deps: UpkeepDeps) {
    this.#deps = deps;
  }

  /** Does what is due, at most once an hour. Rejects when the store fails, or aborted. */
  async run(count: Count, signal: AbortSignal): Promise<void> {
    const { clock } = this.#deps;
    if (clock.monotonicMs() < this.#dueMs) return;
    const rolledDay = await this.#rollUp(count, signal);
    await this.#forget(rolledDay, count, signal);
    this.#dueMs = clock.monotonicMs() + EVERY_MS;
  }

  /** Writes the finished days; gives the last one, undefined when there is none. */
  async #rollUp(count: Count, signal: AbortSignal): Promise<number | undefined> {
    const { store, clock } = this.#deps;
    const now = unixSeconds(clock);
    const finished = dayOf(now - SLACK_SECONDS) - 1;
    const before = await getState(store, SERVICE, KEY, ROLLED, { signal });
    const first = before === undefined ? await firstCheckAt(store, { signal }) : undefined;
    let rolled = before?.day ?? (first === undefined ? undefined : dayOf(first) - 1);
    if (rolled === undefined) return undefined;
    for (let day = rolled + 1; day <= finished; day++) {
      await rollUpDay(store, day, { signal });
      await putState(store, SERVICE, KEY, { day }, { at: now, signal });
      rolled = day;
      count("days_rolled_up");
      log.info("Checks of {day} are rolled up", {
        day: new Date(day * DAY_SECONDS * 1000).toISOString().slice(0, 10),
      });
    }
    return rolled;
  }

  async #forget(rolledDay: number | undefined, count: Count, signal: AbortSignal): Promise<void> {
    const { store, clock, config } = this.#deps;
    const now = unixSeconds(clock);
    const before = (ms: number): number => Math.floor(now - ms / 1000);
    const documentsBefore = before(config.documentsMs);
    if (rolledDay !== undefined) {
      await deleteExpiredHistory(store, {
        // Never a check whose day is not written yet.
        checksBefore: Math.min(before(config.checksMs), (rolledDay + 1) * DAY_SECONDS),
        transitionsBefore: documentsBefore,
        daysBefore: dayOf(before(config.daysMs)),
      }, { signal });
    }
    for (;;) {
      const { rows, documents } = await deleteExpiredMetadata(store, {
        before: documentsBefore,
        newest: config.documentVersions,
        limit: DOCUMENTS_AT_ONCE,
        signal,
      });
      if (rows > 0) count("documents_forgotten", rows);
      if (rows < DOCUMENTS_AT_ONCE && documents < DOCUMENTS_AT_ONCE) return;
    }
  }
}

/** Days since 1970-01-01, in UTC. */
function dayOf(seconds: number): number {
  return Math.floor(seconds / DAY_SECONDS);
}
