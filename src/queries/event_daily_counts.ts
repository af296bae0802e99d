// Events by day, as their authors date them: whole days of UTC, from the statistics.
import { z } from "zod";
import { keyInteger } from "./cursor.ts";
import { integerParam } from "./params.ts";
import { type AskFailure, defineQuery, type KeyedRow } from "./query.ts";
import { countRow, timeRow } from "./rows.ts";
import { MAX_KIND } from "../model/event.ts";

const DAY_SECONDS = 86_400;
const DEFAULT_DAYS = 30;
const MAX_TIME = 253_402_300_799;
/** The row of a day that counts all kinds. */
const ALL_KINDS = -1;

/** Events by day. */
export const eventDailyCounts = defineQuery({
  name: "event_daily_counts",
  summary: "How many events are of each day (UTC), with their authors, the latest day first.",
  cost: "A row for each day, by key",
  params: z.object({
    since: integerParam(
      `Unix seconds in the first day; ${DEFAULT_DAYS} days before until unless told`,
      0,
      MAX_TIME,
    ).optional(),
    until: integerParam("Unix seconds in the last day; now unless told", 0, MAX_TIME).optional(),
    kind: integerParam("Only this kind", 0, MAX_KIND).optional(),
  }),
  row: z.object({
    day: z.string().describe("The day in UTC, such as 2026-01-31"),
    since: timeRow("Its first second"),
    events: countRow("Events of this day"),
    pubkeys: countRow("Different authors of these events, exact"),
  }),
  example: { since: "1735689600", until: "1738367999", kind: "1" },
  key: z.tuple([keyInteger]),
  async page(sql, params, { after, limit }): Promise<Keyed[] | AskFailure> {
    const [clock] = await sql<{ now: number }[]>`select extract(epoch from now())::bigint as now`;
    const { until = clock?.now ?? 0, kind = ALL_KINDS } = params;
    const { since = Math.max(0, until - (DEFAULT_DAYS - 1) * DAY_SECONDS) } = params;
    if (since > until) {
      const problem = "must not be later than until";
      return { reason: "bad_params", problems: [{ field: "since", problem }] };
    }
    const before = after === undefined ? Infinity : Math.floor(after[0] / DAY_SECONDS) - 1;
    const last = Math.min(Math.floor(until / DAY_SECONDS), before);
    const rows = await sql<{ since: number; events: number; pubkeys: number }[]>`
      select day::bigint * ${DAY_SECONDS}::bigint as since, events, pubkeys from stat_day
      where day between ${Math.floor(since / DAY_SECONDS)}::bigint and ${last}::bigint
        and kind = ${kind}::int
      order by day desc limit ${limit}`;
    return rows.map((row): Keyed => ({
      row: { day: new Date(row.since * 1000).toISOString().slice(0, 10), ...row },
      key: [row.since],
    }));
  },
});

interface DayRow {
  day: string;
  since: number;
  events: number;
  pubkeys: number;
}

type Keyed = KeyedRow<DayRow, [since: number]>;
