/** A NIP-01 filter as a setting: written as in a REQ, typed as the model's Filter. */
import { z } from "zod";
import { type Filter, filterToJson, parseFilter } from "../model/filter.ts";
import { custom } from "./builders.ts";
import type { Setting } from "./setting.ts";

/** Conditions that would not be heeded: time is a setting beside the filter, a count is none. */
const ELSEWHERE = ["since", "until", "limit"] as const;

/** A filter setting without a time of its own; a default of {} matches everything. */
export function eventFilter<D extends Filter | undefined>(
  value: D,
  description: string,
): Setting<"none", Filter, D extends undefined ? true : false> {
  const schema = z.unknown().transform((given, context) => {
    const filter = parseFilter(given);
    if (!filter.ok) {
      const { path, problem } = filter.failure;
      context.addIssue(`is not a filter (${path === "" ? "" : `${path}: `}${problem})`);
      return z.NEVER;
    }
    const misplaced = ELSEWHERE.find((name) => filter.value[name] !== undefined);
    if (misplaced === undefined) return filter.value;
    const hint = misplaced === "limit" ? "all that match are archived" : "a setting beside it";
    context.addIssue(`can't have ${misplaced} (${hint})`);
    return z.NEVER;
  });
  return custom(value, description, schema, {
    allowed: 'a NIP-01 filter such as {kinds: [0, 3, 10002], "#t": [nostr]}',
    toYaml: filterToJson,
  });
}
