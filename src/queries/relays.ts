// Search for relays: which ones fit these wants, with what is known of each in short. Wants are
// matched with facts: what was measured where it was, what the relay states where it was not.
import { z } from "zod";
import { keyInteger, keyText } from "./cursor.ts";
import {
  choiceParam,
  integerListParam,
  integerParam,
  networkParam,
  oneText,
  param,
  textParam,
} from "./params.ts";
import { defineQuery, type KeyedRow } from "./query.ts";
import type { Fragment, Read } from "./read.ts";
import {
  factColumns,
  factFields,
  type FactRow,
  UPTIME_SPANS,
  type UptimeSpan,
} from "./relay_facts.ts";
import { countRow, networkRow, relayRow, RELAYS_COST, timeRow } from "./rows.ts";
import { RELAY_STATES, type RelayState } from "../model/check.ts";
import type { Network } from "../model/network.ts";
import { fail, ok } from "../lib/result.ts";

const SORTS = [
  "url",
  "rtt",
  "uptime",
  "events",
  "checked",
  "online",
  "discovered",
  "name",
  "country",
  "software",
  "nips",
] as const;
type Sort = typeof SORTS[number];
const YES_NO = ["yes", "no"] as const;
/** Sorts after every real value: a relay without one comes last. */
const LAST = 9_007_199_254_740_991;

const countryParam = param(
  { description: "Only relays there (ISO 3166-1, such as DE)" },
  (value) => {
    const text = oneText(value);
    if (!text.ok) return text;
    const code = text.value.trim().toUpperCase();
    return /^[A-Z]{2}$/.test(code) ? ok(code) : fail("must be a country's two letters, such as DE");
  },
);

/** Relays that fit. */
export const relays = defineQuery({
  name: "relays",
  summary: "Relays by state, place, NIPs, log-in, payment, round trip, uptime, software or text.",
  cost: RELAYS_COST,
  params: z.object({
    state: choiceParam("Only relays in this state", RELAY_STATES).optional(),
    network: networkParam("Only relays of this network").optional(),
    country: countryParam.optional(),
    nip: integerListParam("Only relays that claim all of these NIPs", 0, 99_999).optional(),
    proven: integerListParam(
      "Only relays that showed all of these NIPs when tested: 42, 45, 50, 77",
      0,
      99_999,
    ).optional(),
    auth: choiceParam("Only relays that ask for a log-in, or that don't", YES_NO).optional(),
    payment: choiceParam("Only relays that ask for a payment, or that don't", YES_NO).optional(),
    restricted: choiceParam("Only relays that restrict who writes, or that don't", YES_NO)
      .optional(),
    software: textParam("Only relays whose software's name holds this text").optional(),
    text: textParam("Only relays whose URL, name or description holds this text").optional(),
    max_rtt: integerParam("Only relays that opened within so many ms", 1, 600_000).optional(),
    min_uptime: integerParam("Only relays that were up so many percent of the span", 0, 100)
      .optional(),
    span: choiceParam(
      "The span of min_uptime and of sorting by uptime; 7d unless told",
      UPTIME_SPANS,
    )
      .optional(),
    sort: choiceParam("By what to sort; url unless told", SORTS).optional(),
  }),
  row: z.object({
    url: relayRow,
    network: networkRow,
    state: z.enum(RELAY_STATES).describe("At the last check"),
    discovered_at: timeRow("First known"),
    checked_at: timeRow("Last checked").nullable(),
    online_at: timeRow("Last found open").nullable(),
    rtt_open_ms: z.int().nullable().describe("Milliseconds from dialling to open, last time"),
    ...factFields,
    events: countRow("Events seen on it"),
  }),
  example: { state: "online", nip: "11,77", sort: "rtt" },
  key: z.tuple([keyInteger, keyText, keyText]),
  order: ({ sort = "url", span = "7d" }) => sort === "uptime" ? `${sort} ${span}` : sort,
  async page(sql, params, { after, limit }): Promise<Keyed[]> {
    const { state, network, country, nip, proven, software, text } = params;
    const { max_rtt: maxRtt, min_uptime: minUptime, sort = "url", span = "7d" } = params;
    const { position, word } = placeIn(sql, sort, span);
    const rows = await sql<RelayColumns[]>`
      select * from (
        select r.url, r.network, s.state, r.discovered_at, s.checked_at, s.online_at, s.rtt_open_ms,
          ${factColumns(sql)}, coalesce(t.sightings, 0) as events,
          (${position})::bigint as position, coalesce(${word}, '') collate "C" as word
        from relay r join relay_status s on s.relay_id = r.id
          left join relay_facts f on f.relay_id = r.id
          left join stat_relay t on t.relay_id = r.id
        where true
          ${state === undefined ? sql`` : sql`and s.state = ${state}`}
          ${network === undefined ? sql`` : sql`and r.network = ${network}`}
          ${country === undefined ? sql`` : sql`and f.country = ${country}`}
          ${nip === undefined ? sql`` : sql`and f.nips @> ${`{${nip}}`}::int[]`}
          ${proven === undefined ? sql`` : sql`and f.nips_proven @> ${`{${proven}}`}::int[]`}
          ${asked(sql, sql`f.auth`, params.auth)}
          ${asked(sql, sql`f.payment`, params.payment)}
          ${asked(sql, sql`f.restricted`, params.restricted)}
          ${maxRtt === undefined ? sql`` : sql`and s.rtt_open_ms <= ${maxRtt}`}
          ${
      minUptime === undefined ? sql`` : sql`and ${uptimeOf(sql, span)} * 100 >= ${minUptime}::int`
    }
          ${software === undefined ? sql`` : sql`and ${holds(sql, sql`f.software`, software)}`}
          ${
      text === undefined ? sql`` : sql`and (${holds(sql, sql`r.url`, text)}
          or ${holds(sql, sql`f.name`, text)} or ${holds(sql, sql`f.description`, text)})`
    }
      ) found
      ${
      after === undefined
        ? sql``
        : sql`where (position, word, url collate "C") > (${after[0]}::bigint, ${after[1]}, ${
          after[2]
        })`
    }
      order by position, word, url collate "C"
      limit ${limit}`;
    return rows.map(({ position, word, ...row }): Keyed => ({
      row,
      key: [position, word, row.url],
    }));
  },
});

/** The smallest first in every order, so that one comparison serves all; unknown ones come last. */
function placeIn(sql: Read, sort: Sort, span: UptimeSpan): { position: Fragment; word: Fragment } {
  const none = sql`''`;
  const byNumber = (position: Fragment): { position: Fragment; word: Fragment } => ({
    position,
    word: none,
  });
  const byWord = (word: Fragment): { position: Fragment; word: Fragment } => ({
    position: sql`case when coalesce(${word}, '') = '' then 1 else 0 end`,
    word: sql`lower(${word})`,
  });
  switch (sort) {
    case "url":
      return byNumber(sql`0`);
    case "rtt":
      return byNumber(sql`coalesce(s.rtt_open_ms, ${LAST}::bigint)`);
    case "uptime":
      return byNumber(
        sql`coalesce(-round(${uptimeOf(sql, span)} * 1000000)::bigint, ${LAST}::bigint)`,
      );
    case "events":
      return byNumber(sql`-coalesce(t.sightings, 0)`);
    case "checked":
      return byNumber(sql`-coalesce(s.checked_at, 0)`);
    case "online":
      return byNumber(sql`-coalesce(s.online_at, 0)`);
    case "discovered":
      return byNumber(sql`-r.discovered_at`);
    case "nips":
      return byNumber(sql`-coalesce(cardinality(f.nips), 0)`);
    case "name":
      return byWord(sql`f.name`);
    case "country":
      return byWord(sql`f.country`);
    case "software":
      return byWord(sql`f.software`);
  }
}

function uptimeOf(sql: Read, span: UptimeSpan): Fragment {
  return { "24h": sql`f.uptime_24h`, "7d": sql`f.uptime_7d`, "30d": sql`f.uptime_30d` }[span];
}

/** What is not known is neither yes nor no. */
function asked(sql: Read, column: Fragment, wanted: "yes" | "no" | undefined): Fragment {
  return wanted === undefined ? sql`` : sql`and ${column} = ${wanted === "yes"}`;
}

function holds(sql: Read, column: Fragment, part: string): Fragment {
  return sql`strpos(lower(${column}), lower(${part}::text)) > 0`;
}

interface RelayRow extends FactRow {
  url: string;
  network: Network;
  state: RelayState;
  discovered_at: number;
  checked_at: number | null;
  online_at: number | null;
  rtt_open_ms: number | null;
  events: number;
}

type RelayColumns = RelayRow & { position: number; word: string };
type Keyed = KeyedRow<RelayRow, [position: number, word: string, url: string]>;
