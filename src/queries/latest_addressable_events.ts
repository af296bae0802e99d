// The latest version of each article, list, relay report and whatever else has a `d` tag.
import { z } from "zod";
import { eventFields, type EventKey, eventKey, type MarkedEvent } from "./event_page.ts";
import { LATEST_COST, latestPage } from "./latest_events.ts";
import { markedParam } from "./marks.ts";
import { integerListParam, oneText, param, pubkeyParam } from "./params.ts";
import { type AskFailure, defineQuery, type Found, isFailure } from "./query.ts";
import { fail } from "../lib/result.ts";
import { MAX_KIND } from "../model/event.ts";

const MAX_D = 4_096;

/** Blanks and an empty text are values like any other. */
const dParam = param(
  { description: "Only with this value of the d tag", json: { type: "string", maxLength: MAX_D } },
  (value) => {
    const text = oneText(value);
    if (text.ok && text.value.length > MAX_D) return fail(`must have at most ${MAX_D} characters`);
    return text;
  },
);

/** The latest of each author, kind and `d`. */
export const latestAddressableEvents = defineQuery({
  name: "latest_addressable_events",
  summary:
    "Addressable events (kinds 30000 to 39999), the latest version of each author, kind and d tag.",
  cost: LATEST_COST,
  params: z.object({
    pubkey: pubkeyParam("Only of this author").optional(),
    kind: integerListParam("Only these kinds", 0, MAX_KIND).optional(),
    d: dParam.optional(),
    marked: markedParam.optional(),
  }),
  row: z.object({ ...eventFields, d: z.string().describe("Value of its first d tag, or empty") }),
  example: { kind: "30023" },
  key: eventKey,
  async page(sql, params, page): Promise<Found<Addressable, EventKey> | AskFailure> {
    const found = await latestPage(sql, { ...params, class: "addressable" }, page);
    if (isFailure(found)) return found;
    return found.map(({ row, key }) =>
      row === undefined
        ? { key }
        : { row: { ...row, d: row.tags.find(([name]) => name === "d")?.[1] ?? "" }, key }
    );
  },
});

type Addressable = MarkedEvent & { d: string };
