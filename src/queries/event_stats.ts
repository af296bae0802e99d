// How much is in the archive, in all or within a window of time: one row of totals.
import { z } from "zod";
import { defineQuery, type KeyedRow } from "./query.ts";
import { countRow, SMALL_COST, timeRow } from "./rows.ts";
import { windowParam } from "./windows.ts";
import { type Window, WINDOWS } from "../model/window.ts";

/** Totals of the archive. */
export const eventStats = defineQuery({
  name: "event_stats",
  summary:
    "Totals of the archive, of all time or of the events dated in the last 1 h, 24 h, 7 d or 30 d.",
  cost: SMALL_COST,
  params: z.object({ window: windowParam.optional() }),
  row: z.object({
    window: z.enum(WINDOWS).describe("The window, which ends at as_of"),
    as_of: timeRow("When the statistics were last refreshed; later dates are in `all` alone"),
    events: countRow("Events stored"),
    sightings: countRow("Pairs of an event and a relay that was seen to hold it"),
    pubkeys: countRow("Different authors, exact"),
    kinds: countRow("Different kinds, exact"),
    relays: countRow("Different relays that were seen to hold any, exact"),
    regular: countRow("Events of regular kinds"),
    replaceable: countRow("Events of replaceable kinds"),
    ephemeral: countRow("Events of ephemeral kinds"),
    addressable: countRow("Events of addressable kinds"),
  }),
  example: { window: "24h" },
  key: z.tuple([z.literal(1)]),
  async page(sql, { window = "all" }, { after }): Promise<Keyed[]> {
    if (after !== undefined) return [];
    const rows = await sql<EventStatsRow[]>`
      select span as "window", as_of, events, sightings, pubkeys, kinds, relays, regular, replaceable,
        ephemeral, addressable
      from event_stats where span = ${window}`;
    return rows.map((row): Keyed => ({ row: { ...row }, key: [1] }));
  },
});

interface EventStatsRow {
  window: Window;
  as_of: number;
  events: number;
  sightings: number;
  pubkeys: number;
  kinds: number;
  relays: number;
  regular: number;
  replaceable: number;
  ephemeral: number;
  addressable: number;
}

type Keyed = KeyedRow<EventStatsRow, [1]>;
