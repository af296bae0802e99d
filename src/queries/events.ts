// The archived events themselves, by NIP-01 filter.
import { z } from "zod";
import { anyOf, relayIdsOf } from "./any_filter.ts";
import { eventFields, type EventKey, eventKey, eventPage, type MarkedEvent } from "./event_page.ts";
import { filtersParam } from "./filter_param.ts";
import { markedCondition, markedParam } from "./marks.ts";
import { relayListParam } from "./params.ts";
import { type AskFailure, defineQuery, type KeyedRow } from "./query.ts";

/** Archived events, newest first. */
export const events = defineQuery({
  name: "events",
  summary: "Archived events that match a NIP-01 filter, newest first, ties by the lowest id.",
  cost: "One page by index; tags and authors by index, anything else in the order of time",
  params: z.object({
    filter: filtersParam("A NIP-01 filter as JSON, or a list of them; its limit is honoured"),
    relay: relayListParam("Only events seen on one of these relays").optional(),
    marked: markedParam.optional(),
  }),
  row: z.object(eventFields),
  example: { filter: '{"kinds":[0],"limit":10}' },
  key: eventKey,
  async page(
    sql,
    { filter, relay, marked },
    { after, limit },
  ): Promise<KeyedRow<MarkedEvent, EventKey>[] | AskFailure> {
    const relays = await relayIdsOf(sql, relay ?? []);
    if (relays.problems.length > 0) return { reason: "bad_params", problems: relays.problems };
    const asked = filter.length === 1 ? filter[0]?.limit : undefined;
    const { where, needsCheck, matches } = anyOf(sql, filter, relay && relays.ids);
    return await eventPage(sql, {
      where: sql`${where} and ${markedCondition(sql, marked)}`,
      needsCheck,
      matches,
      after,
      limit: Math.min(limit, asked ?? limit),
    });
  },
});
