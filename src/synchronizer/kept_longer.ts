// What becomes of the ledgers when retention is changed so that more is kept: what may have been
// deleted under the rules before is not complete any more. In: the rules now, and those that this
// archive was under before. Out: ledgers without that ground, which turns ask for again. Done before
// the first turn of a process; with the same or narrower rules it is one look at the store.
import { z } from "zod";
import { type Clock, unixSeconds } from "../lib/clock.ts";
import { logger } from "../lib/log.ts";
import { type CoverageInterval, type CoverageWindow, cutCoverage } from "../model/coverage.ts";
import { type Filter, parseFilter } from "../model/filter.ts";
import { keptSince, type RetentionRule } from "../model/retention.ts";
import type { Store } from "../store/connect.ts";
import {
  type CoverageCursor,
  type CoverageRow,
  pageCoverage,
  replaceCoverage,
} from "../store/coverage.ts";
import { getState, putState } from "../store/service_state.ts";

/** What it works with. */
export interface KeptLongerDeps {
  store: Store;
  retention: readonly RetentionRule[];
  clock: Clock;
}

const SERVICE = "synchronizer";
const KEY = "retention";
const PAGE_ROWS = 1_000;
/** Stands for all kinds that no rule names. */
const ANY_OTHER = -1;

const remembered = z.object({
  rules: z.array(z.object({ kinds: z.array(z.int()), olderThanMs: z.number() })),
});

const log = logger("synchronizer");

/** Reopens what was deleted and is kept now; the number of ledgers that it was in. */
export async function reopenKeptLonger(
  { store, retention, clock }: KeptLongerDeps,
  signal: AbortSignal,
): Promise<number> {
  const before = await getState(store, SERVICE, KEY, remembered, { signal });
  const isSame = JSON.stringify(before?.rules ?? []) === JSON.stringify(retention);
  if (isSame) return 0;
  const at = unixSeconds(clock);
  const reopened = before === undefined
    ? 0
    : await reopen({ store, before: before.rules, now: retention, at, signal });
  await putState(store, SERVICE, KEY, { rules: retention }, { at, signal });
  if (reopened > 0) log.info("More is kept than before: {reopened} ledgers are open", { reopened });
  return reopened;
}

/**
 * The time in which the rules before have deleted events of this filter that the rules now keep;
 * undefined when there is none.
 */
export function keptLonger(
  rules: { before: readonly RetentionRule[]; now: readonly RetentionRule[] },
  { kinds }: Pick<Filter, "kinds">,
  at: number,
): CoverageWindow | undefined {
  const named = [...rules.before, ...rules.now].flatMap((rule) => rule.kinds);
  let [since, until] = [Infinity, -Infinity];
  for (const kind of kinds ?? [ANY_OTHER, ...named]) {
    const deleted = keptSince(rules.before, kind, at);
    const kept = keptSince(rules.now, kind, at);
    if (kept >= deleted) continue;
    since = Math.min(since, kept);
    until = Math.max(until, deleted - 1);
  }
  return since <= until ? { since, until } : undefined;
}

async function reopen(
  { store, at, signal, ...rules }: {
    store: Store;
    before: readonly RetentionRule[];
    now: readonly RetentionRule[];
    at: number;
    signal: AbortSignal;
  },
): Promise<number> {
  let reopened = 0;
  for await (const { relayId, filter, intervals } of ledgers(store, signal)) {
    const window = keptLonger(rules, kindsOf(filter), at);
    if (window === undefined) continue;
    const left = cutCoverage(intervals, window);
    if (left.length === intervals.length && left.every((held, i) => held === intervals[i])) {
      continue;
    }
    await replaceCoverage(store, relayId, filter, left, { signal });
    reopened += 1;
  }
  return reopened;
}

/** One after the other; their rows come sorted by relay and filter. */
async function* ledgers(
  store: Store,
  signal: AbortSignal,
): AsyncGenerator<Pick<CoverageRow, "relayId" | "filter"> & { intervals: CoverageInterval[] }> {
  let held: CoverageRow[] = [];
  let after: CoverageCursor | undefined;
  do {
    const page = await pageCoverage(store, {
      limit: PAGE_ROWS,
      signal,
      ...(after === undefined ? {} : { after }),
    });
    for (const row of page.rows) {
      const [first] = held;
      if (
        first !== undefined && (first.relayId !== row.relayId || first.filterId !== row.filterId)
      ) {
        yield { ...first, intervals: held.map(({ interval }) => interval) };
        held = [];
      }
      held.push(row);
    }
    after = page.next;
  } while (after !== undefined);
  const [first] = held;
  if (first !== undefined) yield { ...first, intervals: held.map(({ interval }) => interval) };
}

/** A filter that can't be read may be of any kind. */
function kindsOf(canonical: string): Pick<Filter, "kinds"> {
  const parsed = parseFilter(JSON.parse(canonical));
  return parsed.ok ? parsed.value : {};
}
