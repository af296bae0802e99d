/** A NIP-01 filter as a setting: written as in a REQ, typed as the model's Filter. */
import { z } from "zod";
import { type Filter, filterToJson, parseFilter } from "../model/filter.ts";
import { custom } from "./builders.ts";
import type { Setting } from "./setting.ts";

/** A filter setting whose default, {}, matches everything. */
export function eventFilter(description: string): Setting<"none", Filter, false> {
  const schema = z.unknown().transform((given, context) => {
    const filter = parseFilter(given);
    if (filter.ok) return filter.value;
    const { path, problem } = filter.failure;
    context.addIssue(`is not a filter (${path === "" ? "" : `${path}: `}${problem})`);
    return z.NEVER;
  });
  return custom({}, description, schema, {
    allowed: 'a NIP-01 filter such as {kinds: [0, 3, 10002], "#t": [nostr]}',
    toYaml: filterToJson,
  });
}
