// NIP-01 filters: parsed from strangers and from configuration, matched against events, and named
// (canonicalFilter) so that a coverage ledger knows which filter it belongs to.
// Compiling a filter to SQL is the store's work; asking a relay with one is nostr/'s.
import { fail, ok, type Result } from "../lib/result.ts";
import { type EventHead, MAX_KIND, type NostrEvent } from "./event.ts";
import { isHex } from "./hex.ts";

/** A filter with its tag conditions apart; on the wire they are `#x` keys. */
export interface Filter {
  ids?: string[];
  authors?: string[];
  kinds?: number[];
  /** Unix seconds, inclusive. */
  since?: number;
  /** Unix seconds, inclusive. */
  until?: number;
  limit?: number;
  /** By single letter: events with a tag of that name and one of these values. */
  tags?: Record<string, string[]>;
  /** NIP-50; only a relay can judge it. */
  search?: string;
}

/** Bounds on a stranger's filter. */
export interface FilterLimits {
  /** Values in one list. */
  maxValues: number;
  /** Tag letters in one filter. */
  maxTagNames: number;
  /** UTF-16 units of one tag value or search text. */
  maxTextLength: number;
}

/** Wide enough for a client that follows 5,000 people. */
export const DEFAULT_FILTER_LIMITS: Readonly<FilterLimits> = {
  maxValues: 10_000,
  maxTagNames: 26,
  maxTextLength: 2048,
};

/** What is wrong with a filter, and where: a path like `#e[2]` and a sentence for people. */
export interface FilterProblem {
  path: string;
  problem: string;
}

const TAG_KEY = /^#[A-Za-z]$/;

/**
 * Reads a filter from its wire form. Conditions that we don't know are refused: to ignore one is
 * to answer another question. An empty list is legal and matches nothing. Never throws.
 */
export function parseFilter(
  value: unknown,
  limits: Readonly<FilterLimits> = DEFAULT_FILTER_LIMITS,
): Result<Filter, FilterProblem> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    return fail({ path: "", problem: "must be a JSON object" });
  }
  const filter: Filter = {};
  const tags: Record<string, string[]> = {};
  let tagNames = 0;
  for (const [key, given] of Object.entries(value as Record<string, unknown>)) {
    let problem: FilterProblem | undefined;
    if (key === "ids" || key === "authors") {
      problem = listProblem(key, given, limits, isHexKey, "must be 64 lower-case hex digits");
      if (problem === undefined) filter[key] = [...given as string[]];
    } else if (key === "kinds") {
      problem = listProblem(key, given, limits, isKind, `must be an integer, 0 to ${MAX_KIND}`);
      if (problem === undefined) filter.kinds = [...given as number[]];
    } else if (key === "since" || key === "until" || key === "limit") {
      if (isCount(given)) filter[key] = given + 0;
      else problem = { path: key, problem: "must be a non-negative integer" };
    } else if (key === "search") {
      if (typeof given === "string" && given.length <= limits.maxTextLength) filter.search = given;
      else problem = { path: key, problem: textRule(limits) };
    } else if (TAG_KEY.test(key)) {
      const isText = (item: unknown): boolean =>
        typeof item === "string" && item.length <= limits.maxTextLength;
      problem = ++tagNames > limits.maxTagNames
        ? { path: key, problem: `must be one of at most ${limits.maxTagNames} tag names` }
        : listProblem(key, given, limits, isText, textRule(limits));
      if (problem === undefined) tags[key.slice(1)] = [...given as string[]];
    } else {
      problem = { path: key.slice(0, 64), problem: "is not a filter condition we know" };
    }
    if (problem !== undefined) return fail(problem);
  }
  if (tagNames > 0) filter.tags = tags;
  return ok(filter);
}

/** The wire form of a filter; `parseFilter` of it gives the filter back. */
export function filterToJson(filter: Filter): Record<string, unknown> {
  const { tags, ...rest } = filter;
  const json: Record<string, unknown> = { ...rest };
  for (const [name, values] of Object.entries(tags ?? {})) json[`#${name}`] = values;
  return json;
}

/** Whether the event satisfies the filter; `limit` and `search` are not conditions here. */
export function matchesFilter(event: NostrEvent, filter: Filter): boolean {
  if (filter.kinds !== undefined && !filter.kinds.includes(event.kind)) return false;
  if (filter.since !== undefined && event.created_at < filter.since) return false;
  if (filter.until !== undefined && event.created_at > filter.until) return false;
  if (filter.authors !== undefined && !filter.authors.includes(event.pubkey)) return false;
  if (filter.ids !== undefined && !filter.ids.includes(event.id)) return false;
  if (filter.tags === undefined) return true;
  for (const name in filter.tags) {
    const values = filter.tags[name];
    if (values !== undefined && !hasTag(event, name, (value) => values.includes(value))) {
      return false;
    }
  }
  return true;
}

/**
 * `matchesFilter` of one filter, prepared for many events: a look-up instead of a search through
 * each list. Later changes to the filter are not seen.
 */
export function filterMatcher(filter: Filter): (event: NostrEvent) => boolean {
  const matchesHead = headMatcher(filter);
  const tags = Object.entries(filter.tags ?? {}).map(([name, values]) =>
    [name, new Set(values)] as const
  );
  if (tags.length === 0) return matchesHead;
  return (event) =>
    matchesHead(event) &&
    tags.every(([name, values]) => hasTag(event, name, (value) => values.has(value)));
}

/** The part of `filterMatcher` that an event's head decides: all but the tags. */
export function headMatcher(filter: Filter): (event: EventHead) => boolean {
  const ids = filter.ids && new Set(filter.ids);
  const authors = filter.authors && new Set(filter.authors);
  const kinds = filter.kinds && new Set(filter.kinds);
  const since = filter.since ?? -Infinity;
  const until = filter.until ?? Infinity;
  return (event) =>
    event.created_at >= since && event.created_at <= until &&
    (kinds?.has(event.kind) ?? true) && (authors?.has(event.pubkey) ?? true) &&
    (ids?.has(event.id) ?? true);
}

/**
 * A text that two filters share exactly when they ask for the same events in any window: lists
 * sorted and without repeats, `since`, `until` and `limit` left out.
 */
export function canonicalFilter(filter: Filter): string {
  const { since: _since, until: _until, limit: _limit, ...conditions } = filter;
  const json = filterToJson(conditions);
  const entries = Object.keys(json).sort().filter((key) => json[key] !== undefined).map((key) => {
    const value = json[key];
    return [key, Array.isArray(value) ? sortedUnique(value) : value] as const;
  });
  return JSON.stringify(Object.fromEntries(entries));
}

function sortedUnique(values: readonly (string | number)[]): (string | number)[] {
  return [...new Set(values)].sort((a, b) => a < b ? -1 : a > b ? 1 : 0);
}

function hasTag(event: NostrEvent, name: string, wanted: (value: string) => boolean): boolean {
  for (const tag of event.tags) {
    if (tag[0] === name && tag[1] !== undefined && wanted(tag[1])) return true;
  }
  return false;
}

function listProblem(
  path: string,
  given: unknown,
  limits: Readonly<FilterLimits>,
  isGood: (item: unknown) => boolean,
  rule: string,
): FilterProblem | undefined {
  if (!Array.isArray(given)) return { path, problem: "must be a list" };
  if (given.length > limits.maxValues) {
    return { path, problem: `must hold at most ${limits.maxValues} values` };
  }
  const bad = given.findIndex((item) => !isGood(item));
  return bad < 0 ? undefined : { path: `${path}[${bad}]`, problem: rule };
}

function textRule(limits: Readonly<FilterLimits>): string {
  return `must be a string of at most ${limits.maxTextLength} characters`;
}

function isHexKey(item: unknown): boolean {
  return isHex(item, 32);
}

function isKind(item: unknown): boolean {
  return isCount(item) && item <= MAX_KIND;
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}
