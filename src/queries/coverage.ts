// The ledger of the archive: for each relay and filter, which time is complete and which is not.
import { z } from "zod";
import { keyInteger, keyText } from "./cursor.ts";
import { choiceParam, relayParam } from "./params.ts";
import { defineQuery, type KeyedRow } from "./query.ts";
import { relayRow, timeRow } from "./rows.ts";
import type { CoverageState } from "../model/coverage.ts";
import { coverageWords } from "../model/coverage_words.ts";

const STATES = ["closed", "open", "gap"] as const;

/** Intervals of created_at by relay and filter. */
export const coverage = defineQuery({
  name: "coverage",
  summary: "Which time spans of which relay are archived completely, with the proof, or why not.",
  cost: "The ledger of one relay, or one page of all",
  params: z.object({
    relay: relayParam("Only this relay").optional(),
    state: choiceParam("Only spans in this state", STATES).optional(),
  }),
  row: z.object({
    relay_url: relayRow,
    filter: z.string().describe("The NIP-01 filter that was synchronized, canonical JSON"),
    since: timeRow("First second of the span"),
    until: timeRow("Last second of the span"),
    state: z.enum(STATES).describe(
      "closed: complete; open: tried, not complete; gap: not to be had",
    ),
    proof: z.string().nullable().describe("Of a closed span: what proves it"),
    reason: z.string().nullable().describe("Of the others: how the last request ended"),
    meaning: z.string().describe("The same in a sentence"),
    missing: z.int().nullable().describe("Of a gap: events that the relay counts and we lack"),
    updated_at: timeRow("When this was found out"),
  }),
  example: { state: "gap" },
  key: z.tuple([keyText, keyInteger, keyInteger]),
  async page(sql, { relay, state }, { after, limit }): Promise<Keyed[]> {
    // Newest first within a relay and filter; -since so that one comparison serves all three.
    const rows = await sql<CoverageRow[]>`
      select r.url as relay_url, f.filter, c.since, c.until, c.state, c.proof, c.reason, c.missing,
        c.updated_at, c.filter_id
      from coverage c join relay r on r.id = c.relay_id join filter f on f.id = c.filter_id
      where true
        ${relay === undefined ? sql`` : sql`and r.url = ${relay}`}
        ${state === undefined ? sql`` : sql`and c.state = ${state}`}
        ${
      after === undefined
        ? sql``
        : sql`and (r.url, c.filter_id, -c.since) > (${after[0]}, ${after[1]}::bigint,
          ${-after[2]}::bigint)`
    }
      order by r.url, c.filter_id, -c.since
      limit ${limit}`;
    return rows.map(({ filter_id, ...row }): Keyed => ({
      row: { ...row, meaning: coverageWords(row) },
      key: [row.relay_url, filter_id, row.since],
    }));
  },
});

interface CoverageRow {
  relay_url: string;
  filter: string;
  since: number;
  until: number;
  state: CoverageState;
  proof: string | null;
  reason: string | null;
  missing: number | null;
  updated_at: number;
  filter_id: number;
}

type Keyed = KeyedRow<
  Omit<CoverageRow, "filter_id"> & { meaning: string },
  [relayUrl: string, filterId: number, since: number]
>;
