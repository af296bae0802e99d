// NIP-01 filters as parameters: JSON text or JSON values, one filter or a list of them, with keys
// and ids in any spelling. In: what a front door has. Out: filters of model/filter.ts.
// Never lets an unknown condition through: to ignore one is to answer another question.
import { type Param, param } from "./params.ts";
import { fail, ok, type Result } from "../lib/result.ts";
import { type Filter, type FilterLimits, parseFilter } from "../model/filter.ts";
import { isObject, parseJson } from "../nostr/json.ts";
import { parseEventId, parsePubkey } from "../nostr/nip19.ts";

/** Filters in one question; they are joined by "or". */
const MAX_FILTERS = 10;
const MAX_JSON = 64 * 1024;
/** Tighter than what the archive itself may ask: these come from strangers. */
const LIMITS: FilterLimits = { maxValues: 2_000, maxTagNames: 10, maxTextLength: 2_048 };

const RULE = "must be a NIP-01 filter as JSON, or a list of them";

/** One or several filters; an event matches when it matches one of them. */
export function filtersParam(description: string): Param<Filter[]> {
  return param({ description }, (given) => {
    const list: unknown[] = [];
    for (const item of Array.isArray(given) ? given : [given]) {
      const value = jsonOf(item);
      if (!value.ok) return value;
      list.push(...Array.isArray(value.value) ? value.value : [value.value]);
    }
    if (list.length === 0) return fail(`${RULE}; this list is empty`);
    if (list.length > MAX_FILTERS) return fail(`takes at most ${MAX_FILTERS} filters`);
    const filters: Filter[] = [];
    for (const [index, item] of list.entries()) {
      const filter = filterOf(item);
      if (!filter.ok) {
        return fail(list.length === 1 ? filter.failure : `[${index}] ${filter.failure}`);
      }
      filters.push(filter.value);
    }
    return ok(filters);
  });
}

function jsonOf(value: unknown): Result<unknown, string> {
  if (typeof value !== "string") return ok(value);
  if (value.length > MAX_JSON) return fail(`must have at most ${MAX_JSON} characters`);
  const parsed = parseJson(value, { maxChars: MAX_JSON, maxDepth: 8 });
  return parsed === undefined ? fail(`${RULE}; this is not JSON`) : ok(parsed);
}

function filterOf(value: unknown): Result<Filter, string> {
  if (!isObject(value)) return fail(RULE);
  const filter = parseFilter(inHex(value), LIMITS);
  if (!filter.ok) {
    const { path, problem } = filter.failure;
    return fail(path === "" ? problem : `${path} ${problem}`);
  }
  if (filter.value.search !== undefined) return fail("search is not answered here; leave it out");
  return filter;
}

/** npub, note and the like become hex where a filter wants hex; what is neither stays as it is. */
function inHex(filter: Record<string, unknown>): Record<string, unknown> {
  const changed: Record<string, unknown> = { ...filter };
  for (const [key, read] of HEX_KEYS) {
    const list = filter[key];
    if (!Array.isArray(list)) continue;
    changed[key] = list.map((item: unknown) => {
      const hex = typeof item === "string" ? read(item) : fail("");
      return hex.ok ? hex.value : item;
    });
  }
  return changed;
}

const HEX_KEYS = [
  ["ids", parseEventId],
  ["#e", parseEventId],
  ["authors", parsePubkey],
  ["#p", parsePubkey],
] as const;
