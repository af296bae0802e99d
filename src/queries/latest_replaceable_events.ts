// The latest version of each author's profile, contacts, relay list and other replaceable kinds.
import { z } from "zod";
import { eventFields, type EventKey, eventKey, type MarkedEvent } from "./event_page.ts";
import { LATEST_COST, latestPage } from "./latest_events.ts";
import { markedParam } from "./marks.ts";
import { integerListParam, pubkeyParam } from "./params.ts";
import { type AskFailure, defineQuery, type Found } from "./query.ts";
import { MAX_KIND } from "../model/event.ts";

/** The latest of each author and kind. */
export const latestReplaceableEvents = defineQuery({
  name: "latest_replaceable_events",
  summary:
    "Replaceable events (kinds 0, 3, 10000 to 19999), the latest version of each author and kind.",
  cost: LATEST_COST,
  params: z.object({
    pubkey: pubkeyParam("Only of this author").optional(),
    kind: integerListParam("Only these kinds", 0, MAX_KIND).optional(),
    marked: markedParam.optional(),
  }),
  row: z.object(eventFields),
  example: { kind: "0" },
  key: eventKey,
  page(sql, params, page): Promise<Found<MarkedEvent, EventKey> | AskFailure> {
    return latestPage(sql, { ...params, class: "replaceable" }, page);
  },
});
