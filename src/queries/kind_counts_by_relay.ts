// Events by kind and relay: what a relay holds, or where a kind is held.
import { z } from "zod";
import { keyInteger, keyText } from "./cursor.ts";
import { integerParam, relayParam } from "./params.ts";
import { type AskFailure, defineQuery, type KeyedRow } from "./query.ts";
import { countRow, kindRow, relayRow } from "./rows.ts";
import { windowColumn, windowParam } from "./windows.ts";
import { MAX_KIND } from "../model/event.ts";

/** Events by kind and relay, as far as the relays were archived. */
export const kindCountsByRelay = defineQuery({
  name: "kind_counts_by_relay",
  summary: "Events by kind and relay: what one relay holds, or which relays hold one kind.",
  cost: "The kinds of one relay, or one pass over all relays' kinds",
  params: z.object({
    relay: relayParam("The relay; give this or kind").optional(),
    kind: integerParam("The kind; give this or relay", 0, MAX_KIND).optional(),
    window: windowParam.optional(),
  }),
  row: z.object({
    relay_url: relayRow,
    kind: kindRow,
    events: countRow("Events of this kind seen on this relay"),
  }),
  example: { kind: "1" },
  key: z.tuple([keyInteger, keyText, keyInteger]),
  async page(sql, { relay, kind, window }, { after, limit }): Promise<Keyed[] | AskFailure> {
    if (relay === undefined && kind === undefined) return NEITHER;
    const rows = await sql<CountRow[]>`
      select relay_url, kind, events from (
        select r.url as relay_url, k.kind, ${
      sql(`k.${windowColumn("sightings", window)}`)
    } as events
        from stat_kind_relay k join relay r on r.id = k.relay_id
      ) counted
      where events > 0
        ${relay === undefined ? sql`` : sql`and relay_url = ${relay}`}
        ${kind === undefined ? sql`` : sql`and kind = ${kind}`}
        ${
      after === undefined
        ? sql``
        : sql`and (-events, relay_url, kind) > (${-after[0]}::bigint, ${after[1]},
          ${after[2]}::bigint)`
    }
      order by -events, relay_url, kind
      limit ${limit}`;
    return rows.map((row): Keyed => ({
      row: { ...row },
      key: [row.events, row.relay_url, row.kind],
    }));
  },
});

const NEITHER: AskFailure = {
  reason: "bad_params",
  problems: [{ field: "relay", problem: "is required where kind is not given" }],
};

interface CountRow {
  relay_url: string;
  kind: number;
  events: number;
}

type Keyed = KeyedRow<CountRow, [events: number, relayUrl: string, kind: number]>;
