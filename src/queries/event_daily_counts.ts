// Events by day, as their authors date them, within a span that bounds what is counted.
import { z } from "zod";
import { keyInteger } from "./cursor.ts";
import { integerParam } from "./params.ts";
import { type AskFailure, defineQuery, type KeyedRow } from "./query.ts";
import { countRow, timeRow } from "./rows.ts";
import { MAX_KIND } from "../model/event.ts";

const DAY_SECONDS = 86_400;
const DEFAULT_DAYS = 30;
const MAX_DAYS = 366;
const MAX_TIME = 253_402_300_799;

/** Events by day. */
export const eventDailyCounts = defineQuery({
  name: "event_daily_counts",
  summary: "How many events are of each day (UTC), with their authors, the latest day first.",
  cost: `One pass over the events of at most ${MAX_DAYS} days, by index`,
  params: z.object({
    since: integerParam(`Unix seconds; ${DEFAULT_DAYS} days before until unless told`, 0, MAX_TIME)
      .optional(),
    until: integerParam("Unix seconds; now unless told", 0, MAX_TIME).optional(),
    kind: integerParam("Only this kind", 0, MAX_KIND).optional(),
  }),
  row: z.object({
    day: z.string().describe("The day in UTC, such as 2026-01-31"),
    since: timeRow("Its first second"),
    events: countRow("Events of this day"),
    pubkeys: countRow("Different authors of these events"),
  }),
  example: { since: "1735689600", until: "1738367999", kind: "1" },
  key: z.tuple([keyInteger]),
  async page(sql, params, { after, limit }): Promise<Keyed[] | AskFailure> {
    const [clock] = await sql<{ now: number }[]>`select extract(epoch from now())::bigint as now`;
    const { until = clock?.now ?? 0, kind } = params;
    const { since = Math.max(0, until - DEFAULT_DAYS * DAY_SECONDS + 1) } = params;
    if (since > until) return wrong("must not be later than until");
    if (until - since >= MAX_DAYS * DAY_SECONDS) {
      return wrong(`must be at most ${MAX_DAYS} days before until`);
    }
    const last = after === undefined ? until : Math.min(until, after[0] - 1);
    const rows = await sql<{ since: number; events: number; pubkeys: number }[]>`
      select created_at / ${DAY_SECONDS}::bigint * ${DAY_SECONDS}::bigint as since,
        count(*) as events, count(distinct pubkey) as pubkeys
      from event where created_at between ${since}::bigint and ${last}::bigint
        ${kind === undefined ? sql`` : sql`and kind = ${kind}`}
      group by 1 order by 1 desc limit ${limit}`;
    return rows.map((row): Keyed => ({
      row: { day: new Date(row.since * 1000).toISOString().slice(0, 10), ...row },
      key: [row.since],
    }));
  },
});

function wrong(problem: string): AskFailure {
  return { reason: "bad_params", problems: [{ field: "since", problem }] };
}

interface DayRow {
  day: string;
  since: number;
  events: number;
  pubkeys: number;
}

type Keyed = KeyedRow<DayRow, [since: number]>;
