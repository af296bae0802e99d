// Events by kind, over the whole archive or a window of time.
import { z } from "zod";
import { keyInteger } from "./cursor.ts";
import { choiceParam, integerParam } from "./params.ts";
import { defineQuery, type KeyedRow } from "./query.ts";
import { countRow, kindRow } from "./rows.ts";
import { windowColumn, windowParam } from "./windows.ts";
import { MAX_KIND } from "../model/event.ts";

const CLASSES = ["regular", "replaceable", "ephemeral", "addressable"] as const;

/** Events by kind. */
export const kindCounts = defineQuery({
  name: "kind_counts",
  summary: "How many events of each kind are stored, by how many authors, the most frequent first.",
  cost: "One pass over the kinds",
  params: z.object({
    kind: integerParam("Only this kind", 0, MAX_KIND).optional(),
    class: choiceParam("Only kinds of this NIP-01 class", CLASSES).optional(),
    window: windowParam.optional(),
    sort: choiceParam("By what to sort; events unless told", ["events", "kind"]).optional(),
  }),
  row: z.object({
    kind: kindRow,
    class: z.enum(CLASSES).describe("The kind's NIP-01 class"),
    events: countRow("Events stored"),
    pubkeys: countRow("Their different authors, exact"),
  }),
  example: { class: "replaceable", window: "7d" },
  key: z.tuple([keyInteger, keyInteger]),
  order: ({ sort = "events" }) => sort,
  async page(
    sql,
    { kind, class: ofClass, window, sort = "events" },
    { after, limit },
  ): Promise<Keyed[]> {
    const byKind = sort === "kind";
    const rest = after === undefined
      ? sql``
      : byKind
      ? sql`and kind > ${after[1]}::bigint`
      : sql`and (events, -kind) < (${after[0]}::bigint, ${-after[1]}::bigint)`;
    const rows = await sql<KindRow[]>`
      select kind, class, events, pubkeys from (
        select kind, event_class(kind) as class, ${sql(windowColumn("events", window))} as events,
          ${sql(windowColumn("pubkeys", window))} as pubkeys
        from stat_kind
      ) counted
      where events > 0
        ${kind === undefined ? sql`` : sql`and kind = ${kind}`}
        ${ofClass === undefined ? sql`` : sql`and class = ${ofClass}`}
        ${rest}
      order by ${byKind ? sql`kind` : sql`events desc, kind`}
      limit ${limit}`;
    return rows.map((row): Keyed => ({ row: { ...row }, key: [row.events, row.kind] }));
  },
});

interface KindRow {
  kind: number;
  class: (typeof CLASSES)[number];
  events: number;
  pubkeys: number;
}

type Keyed = KeyedRow<KindRow, [events: number, kind: number]>;
