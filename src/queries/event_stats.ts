// How much is in the archive: one row of totals.
import { z } from "zod";
import { defineQuery, type KeyedRow } from "./query.ts";
import { countRow, SMALL_COST } from "./rows.ts";

/** Totals of the archive. */
export const eventStats = defineQuery({
  name: "event_stats",
  summary: "Totals of the archive: events, sightings, authors, kinds and the NIP-01 classes.",
  cost: SMALL_COST,
  params: z.object({}),
  row: z.object({
    events: countRow("Events stored"),
    sightings: countRow("Pairs of an event and a relay that was seen to hold it"),
    pubkeys: countRow("Different authors"),
    kinds: countRow("Different kinds"),
    regular: countRow("Events of regular kinds"),
    replaceable: countRow("Events of replaceable kinds"),
    ephemeral: countRow("Events of ephemeral kinds"),
    addressable: countRow("Events of addressable kinds"),
  }),
  example: {},
  key: z.tuple([z.literal(1)]),
  async page(sql, _params, { after }): Promise<Keyed[]> {
    if (after !== undefined) return [];
    const rows = await sql<EventStatsRow[]>`
      select events, sightings, pubkeys, kinds, regular, replaceable, ephemeral, addressable
      from event_stats`;
    return rows.map((row): Keyed => ({ row: { ...row }, key: [1] }));
  },
});

interface EventStatsRow {
  events: number;
  sightings: number;
  pubkeys: number;
  kinds: number;
  regular: number;
  replaceable: number;
  ephemeral: number;
  addressable: number;
}

type Keyed = KeyedRow<EventStatsRow, [1]>;
