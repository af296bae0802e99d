/** A NIP-01 filter as a setting: written as in a REQ, typed as the model's Filter. */
import { z } from "zod";
import { type Filter, filterToJson, parseFilter } from "../model/filter.ts";
import { custom } from "./builders.ts";
import type { Setting } from "./setting.ts";

/** Conditions that would not be heeded, and why. */
const UNHEEDED = {
  since: "a setting beside it",
  until: "a setting beside it",
  limit: "all that match are archived",
  search: "each relay judges by itself what it finds",
} as const;

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
    const misplaced = Object.entries(UNHEEDED)
      .find(([name]) => Object.hasOwn(filter.value, name));
    if (misplaced === undefined) return filter.value;
    const [name, why] = misplaced;
    context.addIssue(`can't have ${name} (${why})`);
    return z.NEVER;
  });
  return custom(value, description, schema, {
    allowed: 'a NIP-01 filter such as {kinds: [0, 3, 10002], "#t": [nostr]}',
    toYaml: filterToJson,
  });
}
