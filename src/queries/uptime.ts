// How much of the time relays were up, with what the figure rests on. A check vouches for the time up
// to the next one, and at most for twice as long as it was planned to; time for which none vouches is
// not known, and in no figure.
import { z } from "zod";
import { keyInteger, keyText } from "./cursor.ts";
import { choiceParam, integerParam, networkParam, relayParam } from "./params.ts";
import { defineQuery, type KeyedRow } from "./query.ts";
import type { Fragment, Read } from "./read.ts";
import { countRow, relayRow, timeRow } from "./rows.ts";
import { RELAY_STATES } from "../model/check.ts";

const SPANS = ["1h", "24h", "7d", "30d", "all"] as const;
/** The year 9999. */
const MAX_MOMENT = 253_402_300_799;

/** Uptime by relay and span of time. */
export const uptime = defineQuery({
  name: "uptime",
  summary: "Uptime of relays over 1 h, 24 h, 7 d, 30 d and all time, with the checks it rests on.",
  cost: "The checks of a week of each relay on the page",
  params: z.object({
    relay: relayParam("Only this relay").optional(),
    span: choiceParam("Only this span of time", SPANS).optional(),
    state: choiceParam("Only relays in this state now", RELAY_STATES).optional(),
    network: networkParam("Only relays in this network").optional(),
    at: integerParam("As of this moment in Unix seconds; now unless told", 0, MAX_MOMENT)
      .optional(),
  }),
  row: z.object({
    relay_url: relayRow,
    span: z.enum(SPANS).describe("The span of time; 30d is 30 whole days and today, in UTC"),
    since: timeRow("When the span begins; of all time, the first check").nullable(),
    uptime: z.number().min(0).max(1).nullable()
      .describe("Share of the known time in which it opened; null when nothing is known"),
    known_seconds: countRow("Seconds for which a check vouches"),
    up_seconds: countRow("Of these, seconds in which it opened"),
    checks: countRow("Checks in the span"),
    online: countRow("Of these, those that found it open"),
    first_at: timeRow("The first of these checks").nullable(),
    last_at: timeRow("The last of these checks").nullable(),
    reasons: z.record(z.string(), z.int()).describe("Why the others failed, and how often"),
  }),
  example: { relay: "wss://relay.damus.io" },
  // The moment goes along, so that all pages are as of the same one.
  key: z.tuple([keyInteger, keyText, keyInteger]),
  async page(sql, params, { after, limit }): Promise<Keyed[]> {
    const { relay, span, state, network } = params;
    const at = params.at ?? after?.[0];
    // A relay has a row a span, or the one that was asked for; the first may be half on the last page.
    const perRelay = span === undefined ? SPANS.length : 1;
    const relays = Math.ceil(limit / perRelay) + 1;
    const rows = await sql<Columns[]>`
      with page as materialized (
        select r.id, r.url from relay r join relay_status s on s.relay_id = r.id
        where true
          ${relay === undefined ? sql`` : sql`and r.url = ${relay}`}
          ${state === undefined ? sql`` : sql`and s.state = ${state}`}
          ${network === undefined ? sql`` : sql`and r.network = ${network}`}
          ${after === undefined ? sql`` : sql`and r.url >= ${after[1]}`}
        order by r.url limit ${relays}
      )
      select p.url as relay_url, u.n, u.span, u.since, u.known_seconds, u.up_seconds, u.checks,
        u.online, u.first_at, u.last_at, u.reasons, m.at
      from (select ${moment(sql, at)} as at) m
      cross join lateral relay_uptime((select array_agg(id) from page), m.at) u
      join page p on p.id = u.relay_id
      where true
        ${span === undefined ? sql`` : sql`and u.span = ${span}`}
        ${after === undefined ? sql`` : sql`and (p.url, u.n) > (${after[1]}, ${after[2]}::bigint)`}
      order by p.url, u.n
      limit ${limit}`;
    return rows.map(({ n, at, ...row }): Keyed => ({
      row: {
        ...row,
        uptime: row.known_seconds === 0 ? null : row.up_seconds / row.known_seconds,
      },
      key: [at, row.relay_url, n],
    }));
  },
});

function moment(sql: Read, at: number | undefined): Fragment {
  return at === undefined ? sql`extract(epoch from now())::bigint` : sql`${at}::bigint`;
}

interface Row {
  relay_url: string;
  span: (typeof SPANS)[number];
  since: number | null;
  uptime: number | null;
  known_seconds: number;
  up_seconds: number;
  checks: number;
  online: number;
  first_at: number | null;
  last_at: number | null;
  reasons: Record<string, number>;
}

type Columns = Omit<Row, "uptime"> & { n: number; at: number };
type Keyed = KeyedRow<Row, [at: number, relayUrl: string, n: number]>;
