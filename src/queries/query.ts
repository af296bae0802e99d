// What a question is: a name, the schemas of its parameters and rows, and how to read one page.
// The front doors (command line, HTTP, data vending machine) hand in whatever they were given and
// get typed rows or a failure that they can show. Below stand the store's views.
// Never knows who asks, never counts what nobody asked for, never answers without bounds.
import { Buffer } from "node:buffer";
import { z } from "zod";
import { decodeCursor, encodeCursor, type Key } from "./cursor.ts";
import { nearestName } from "../config/problem.ts";
import { integerParam, textParam } from "./params.ts";
import { fail, ok, type Result } from "../lib/result.ts";
import { cut } from "../lib/text.ts";
import { type Read, read } from "./read.ts";
import type { Store } from "../store/connect.ts";

/** Rows on a page when the asker doesn't say. */
export const DEFAULT_LIMIT = 100;
/** No page has more rows. */
export const MAX_LIMIT = 5_000;

/** A row as it goes out: plain JSON. */
export type Row = Record<string, unknown>;

/** Bounds that the front door sets for one answer. */
export interface AskOptions {
  /** More rows than this are never on one page; at most {@linkcode MAX_LIMIT}. */
  maxRows: number;
  /** Bytes of all rows of the page as JSON. */
  maxBytes: number;
  /** The database works no longer on it. */
  timeoutMs: number;
  signal?: AbortSignal | undefined;
}

/** One page. */
export interface Page {
  rows: Row[];
  /** The cursor of the next page; absent at the end. */
  next?: string;
}

/** A parameter that is wrong, and a phrase that says how. */
export interface ParamProblem {
  field: string;
  problem: string;
}

/** Why there is no answer. What is not here is a bug and is thrown. */
export type AskFailure =
  | { reason: "bad_params"; problems: ParamProblem[] }
  /** The database took longer than timeoutMs; a narrower question may do. */
  | { reason: "too_slow" }
  /** The answer can't be had within the bounds; `next` skips what is too large. */
  | { reason: "too_large"; detail: string; next?: string }
  /** The database is away. */
  | { reason: "unavailable" };

/** A question of the catalogue. */
export interface Query {
  /** snake_case; also its path, its value for `query`, its word on the command line. */
  readonly name: string;
  /** One sentence. */
  readonly summary: string;
  /** What one page costs the database. */
  readonly cost: string;
  /** The parameters beside `limit` and `cursor`, which every query has. */
  readonly params: z.ZodObject;
  readonly row: z.ZodObject;
  /** Parameters that can be run as they stand. */
  readonly example: Readonly<Record<string, string>>;
  /** What is wrong with raw parameters, as far as it shows without the database. */
  check(given: Readonly<Record<string, unknown>>): ParamProblem[];
  /**
   * One page of the answer. `given` holds raw parameters (texts, lists, JSON values), `limit` and
   * `cursor` among them; `limit` is cut down to `maxRows`. Rejects with the signal's reason.
   */
  ask(
    store: Store,
    given: Readonly<Record<string, unknown>>,
    options: AskOptions,
  ): Promise<Result<Page, AskFailure>>;
}

/** A row and the key that a page ending with it continues from. */
export interface KeyedRow<R, K> {
  row: R;
  key: K;
}

/** In place of the rest: up to this key everything was looked at, and beyond it may be more. */
export interface LookedTo<K> {
  row?: undefined;
  key: K;
}

/** What one page was found to hold, in order. */
export type Found<R, K> = readonly (KeyedRow<R, K> | LookedTo<K>)[];

/** Where a page begins, and when enough was read. */
export interface PageBounds<K> {
  after: K | undefined;
  /** Rows; one more than is shown, which tells that there is more. */
  limit: number;
  /**
   * Bytes of rows as JSON that will be shown. Where strangers decide how large a row is, no more is
   * read than this and one row: a thousand events of a megabyte would otherwise stand in memory.
   */
  maxBytes: number;
}

/** A definition: what {@linkcode defineQuery} makes a question from. */
export interface QueryDefinition<P extends z.ZodObject, R extends z.ZodObject, K extends Key> {
  name: string;
  summary: string;
  cost: string;
  params: P;
  row: R;
  example: Readonly<Record<string, string>>;
  /** The sort key; it makes the order total. */
  key: z.ZodType<K>;
  /** Names the order that these params ask for; a cursor is good for one order alone. */
  order?(params: z.output<P>): string;
  /** At most `limit` rows after the key `after`, in order. May fail for what the params ask. */
  page(
    read: Read,
    params: z.output<P>,
    page: PageBounds<K>,
  ): Promise<Found<z.output<R>, K> | AskFailure>;
}

const limitSchema = integerParam(`Rows on a page, ${DEFAULT_LIMIT} unless told`, 1, 1_000_000)
  .optional();
const cursorSchema = textParam("Where the last page ended, as its `next` said", 4096).optional();

/** The parameters that every question has beside its own. */
export const PAGING_PARAMS = z.object({ limit: limitSchema, cursor: cursorSchema });

/** A question from its definition. */
export function defineQuery<P extends z.ZodObject, R extends z.ZodObject, K extends Key>(
  definition: QueryDefinition<P, R, K>,
): Query {
  const { name, summary, cost, params, row, example } = definition;
  const schema = z.strictObject({ ...params.shape, ...PAGING_PARAMS.shape });
  return {
    name,
    summary,
    cost,
    params,
    row,
    example,
    check(given): ParamProblem[] {
      const parsed = schema.safeParse(given);
      return parsed.success ? [] : paramProblems(parsed.error, Object.keys(schema.shape));
    },
    async ask(store, given, options): Promise<Result<Page, AskFailure>> {
      const parsed = schema.safeParse(given);
      if (!parsed.success) {
        const problems = paramProblems(parsed.error, Object.keys(schema.shape));
        return fail({ reason: "bad_params", problems });
      }
      const asked = parsed.data as z.output<P>;
      const { limit: wanted = DEFAULT_LIMIT, cursor } = PAGING_PARAMS.parse(paging(given));
      const order = `${name} ${definition.order?.(asked) ?? ""}`.trimEnd();
      const after = cursor === undefined
        ? ok(undefined)
        : decodeCursor(order, cursor, definition.key);
      if (!after.ok) {
        const problems = [{ field: "cursor", problem: after.failure }];
        return fail({ reason: "bad_params", problems });
      }
      const { maxRows, maxBytes, timeoutMs, signal } = options;
      const limit = Math.max(1, Math.min(wanted, maxRows, MAX_LIMIT));
      const found = await read(
        store,
        name,
        { timeoutMs, signal },
        // One more than is shown tells whether there is a next page.
        (sql) => definition.page(sql, asked, { after: after.value, limit: limit + 1, maxBytes }),
      );
      if (!found.ok) return found;
      if (isFailure(found.value)) return fail(found.value);
      return cutPage(order, found.value, limit, maxBytes);
    },
  };
}

/** A phrase for people: `kind must be …; relay must be …`. */
export function problemsText(problems: readonly ParamProblem[]): string {
  return problems.map(({ field, problem }) => `${field} ${problem}`).join("; ");
}

function paging({ limit, cursor }: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return { limit, cursor };
}

/** True where a page could not be had. */
export function isFailure<R, K>(found: Found<R, K> | AskFailure): found is AskFailure {
  return !Array.isArray(found);
}

function cutPage(
  order: string,
  found: Found<Row, Key>,
  limit: number,
  maxBytes: number,
): Result<Page, AskFailure> {
  const rows: Row[] = [];
  let bytes = 2;
  let lastKey: Key | undefined;
  for (const { row, key } of found) {
    if (rows.length === limit) break;
    // The page may be short, even empty; the cursor goes on from where the search stopped.
    if (row === undefined) return ok({ rows, next: encodeCursor(order, key) });
    const size = Buffer.byteLength(JSON.stringify(row)) + 1;
    if (bytes + size > maxBytes) {
      if (rows.length > 0) break;
      const detail = `One row has ${size} bytes, more than the ${maxBytes} that fit an answer`;
      return fail({ reason: "too_large", detail, next: encodeCursor(order, key) });
    }
    rows.push(row);
    bytes += size;
    lastKey = key;
  }
  if (lastKey === undefined || rows.length === found.length) return ok({ rows });
  return ok({ rows, next: encodeCursor(order, lastKey) });
}

function paramProblems(error: z.ZodError, known: readonly string[]): ParamProblem[] {
  return error.issues.flatMap((issue): ParamProblem[] => {
    if (issue.code !== "unrecognized_keys") {
      return [{ field: issue.path.map(String).join(".") || "params", problem: issue.message }];
    }
    return issue.keys.slice(0, 10).map((key) => {
      const nearest = nearestName(key, known);
      const hint = nearest === undefined
        ? `known are ${known.join(", ")}`
        : `did you mean ${nearest}?`;
      return { field: cut(key, 40), problem: `is not a parameter here; ${hint}` };
    });
  });
}
