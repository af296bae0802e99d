// The archived events themselves, by NIP-01 filter.
import { z } from "zod";
import { anyOf, relayIdsOf } from "./any_filter.ts";
import { keyInteger } from "./cursor.ts";
import { eventFields, type EventKey, eventPage, type MarkedEvent } from "./event_page.ts";
import { filtersParam } from "./filter_param.ts";
import { markedCondition, markedParam } from "./marks.ts";
import { relayListParam } from "./params.ts";
import { type AskFailure, defineQuery, type Found } from "./query.ts";
import { isHex } from "../model/hex.ts";

/** Of a filter without a limit, in place of how many are left. */
const NO_LIMIT = -1;

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
  // How many the filter's limit leaves goes along, or each page would begin to count anew.
  key: z.tuple([keyInteger, z.string().refine((id) => isHex(id, 32)), keyInteger.min(NO_LIMIT)]),
  async page(
    sql,
    { filter, relay, marked },
    { after, limit, maxBytes },
  ): Promise<Found<MarkedEvent, Key> | AskFailure> {
    const relays = await relayIdsOf(sql, relay ?? []);
    if (relays.problems.length > 0) return { reason: "bad_params", problems: relays.problems };
    const asked = filter.length === 1 ? filter[0]?.limit : undefined;
    const left = after?.[2] ?? asked ?? NO_LIMIT;
    const { where, needsCheck, matches } = anyOf(sql, filter, relay && relays.ids);
    const found = await eventPage(sql, {
      where: sql`${where} and ${markedCondition(sql, marked)}`,
      needsCheck,
      matches,
      after: after && [after[0], after[1]],
      limit: left === NO_LIMIT ? limit : Math.min(limit, left),
      maxBytes,
    });
    return found.map(({ row, key: [createdAt, id] }, i) => {
      const rest = left === NO_LIMIT ? NO_LIMIT : left - i - (row === undefined ? 0 : 1);
      return { row, key: [createdAt, id, rest] };
    });
  },
});

type Key = [...EventKey, left: number];
