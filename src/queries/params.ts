// The parameters of questions: zod schemas that take what any front door has (texts from a query
// string, a tag or a command line; lists; values of JSON) and give one typed value.
// A problem is a phrase that follows the field's name: "kind: must be a whole number, 0 to 65535".
// Never echoes a stranger's text beyond a short cut, and never a secret key.
import { z } from "zod";
import { nearestName } from "../config/problem.ts";
import { fail, ok, type Result } from "../lib/result.ts";
import { cut } from "../lib/text.ts";
import { NETWORKS } from "../model/network.ts";
import { parseRelayUrl, type RelayUrl } from "../model/relay_url.ts";
import { parsePubkey } from "../nostr/nip19.ts";

/** A parameter's schema; wrap it in `.optional()` or leave it required. */
export type Param<T> = z.ZodType<T, unknown>;

/** What a schema knows of itself for help, announcements and API documents. */
export interface ParamInfo {
  /** A phrase for people. */
  description: string;
  /** The values allowed, where it is one of a few. */
  values?: readonly string[];
}

/** A parameter's JSON Schema, as far as one can say it: what `read` refuses goes beyond it. */
export type ParamSchema = Readonly<Record<string, unknown>>;

/** Texts are bounded before anything looks at them. */
const MAX_TEXT = 64 * 1024;
const MAX_LIST = 200;

/** A parameter read by `read`, whose failure is a phrase. Undefined says that it is required. */
export function param<T>(
  info: ParamInfo & { json?: ParamSchema },
  read: (value: unknown) => Result<T, string>,
): Param<T> {
  return z.unknown().transform((value, context): T => {
    const result = value === undefined ? fail("is required") : read(value);
    if (result.ok) return result.value;
    context.addIssue({ code: "custom", message: result.failure });
    return z.NEVER;
  }).meta({ ...info });
}

/** What a parameter's schema says of itself. */
export function paramInfo(schema: z.core.$ZodType): ParamInfo {
  const meta = metaOf(schema);
  return {
    description: typeof meta.description === "string" ? meta.description : "",
    ...(Array.isArray(meta.values) ? { values: meta.values as string[] } : {}),
  };
}

/** A parameter as JSON Schema, for documents. */
export function paramSchema(schema: z.core.$ZodType): ParamSchema {
  const { values, json } = metaOf(schema);
  if (Array.isArray(values)) return { type: "string", enum: values };
  return typeof json === "object" && json !== null ? { ...json } : { type: "string" };
}

function metaOf(schema: z.core.$ZodType): Record<string, unknown> {
  const inner = schema instanceof z.ZodOptional ? schema.unwrap() : schema;
  return z.globalRegistry.get(inner) ?? {};
}

/** One text of 1 to `max` characters. */
export function textParam(description: string, max = 200): Param<string> {
  return param({ description, json: { type: "string", minLength: 1, maxLength: max } }, (value) => {
    const text = oneText(value);
    if (!text.ok) return text;
    const trimmed = text.value.trim();
    if (trimmed === "") return fail("must not be empty");
    // Neither is storable text, so nothing stored can hold it.
    if (trimmed.includes("\0") || !trimmed.isWellFormed()) return fail("must be well-formed text");
    return trimmed.length > max ? fail(`must have at most ${max} characters`) : ok(trimmed);
  });
}

/** A whole number from `min` to `max`. */
export function integerParam(description: string, min: number, max: number): Param<number> {
  const json = { type: "integer", minimum: min, maximum: max };
  return param({ description, json }, (value) => integerOf(value, min, max));
}

/** One of a few words, in any case. */
export function choiceParam<const T extends string>(
  description: string,
  values: readonly T[],
): Param<T> {
  return param({ description, values }, (value) => choiceOf(value, values));
}

/** Several whole numbers: a list, or one text with commas. */
export function integerListParam(description: string, min: number, max: number): Param<number[]> {
  const json = listSchema({ type: "integer", minimum: min, maximum: max });
  return param(
    { description, json },
    (value) => listOf(value, (item) => integerOf(item, min, max)),
  );
}

/** A public key, given as 64 hex digits, npub or nprofile. */
export function pubkeyParam(description: string): Param<string> {
  return param({ description: `${description} (hex or npub)` }, (value) => {
    const text = oneText(value);
    return text.ok ? parsePubkey(text.value) : text;
  });
}

/** A relay, in any spelling that has one normal form. */
export function relayParam(description: string): Param<RelayUrl> {
  return param({ description }, relayOf);
}

/** Several relays: a list, or one text with commas or blanks between. */
export function relayListParam(description: string): Param<RelayUrl[]> {
  const json = listSchema({ type: "string" });
  return param({ description, json }, (value) => listOf(value, relayOf, /[\s,]+/));
}

/** One of the networks. */
export function networkParam(description: string): Param<(typeof NETWORKS)[number]> {
  return choiceParam(description, NETWORKS);
}

function listSchema(items: ParamSchema): ParamSchema {
  return { type: "array", items, minItems: 1, maxItems: MAX_LIST };
}

/** The one text in a value; numbers and booleans are written out, lists must hold one item. */
export function oneText(value: unknown): Result<string, string> {
  const item: unknown = Array.isArray(value) && value.length === 1 ? value[0] : value;
  if (Array.isArray(item)) return fail(`takes one value, not ${item.length}`);
  if (typeof item === "number" || typeof item === "boolean") return ok(String(item));
  if (typeof item !== "string") return fail("must be a text");
  return item.length > MAX_TEXT ? fail(`must have at most ${MAX_TEXT} characters`) : ok(item);
}

/** Each item of a list, or of one text split at commas; the first bad one is named. */
export function listOf<T>(
  value: unknown,
  read: (item: unknown) => Result<T, string>,
  separator: RegExp = /\s*,\s*/,
): Result<T[], string> {
  const items = (Array.isArray(value) ? value : [value]).flatMap((item: unknown) =>
    typeof item === "string" && item.length <= MAX_TEXT
      ? item.trim().split(separator).filter((part) => part !== "")
      : [item]
  );
  if (items.length === 0) return fail("must not be empty");
  if (items.length > MAX_LIST) return fail(`takes at most ${MAX_LIST} values`);
  const values: T[] = [];
  for (const item of items) {
    const result = read(item);
    if (!result.ok) {
      return items.length === 1 ? result : fail(`${result.failure} (${cut(String(item), 40)})`);
    }
    values.push(result.value);
  }
  return ok(values);
}

/** One of `values`, in any case. */
export function choiceOf<const T extends string>(
  value: unknown,
  values: readonly T[],
): Result<T, string> {
  const text = oneText(value);
  if (!text.ok) return text;
  const word = text.value.trim().toLowerCase();
  const found = values.find((known) => known.toLowerCase() === word);
  if (found !== undefined) return ok(found);
  const nearest = nearestName(word, values);
  const hint = nearest === undefined ? "" : `; did you mean ${nearest}?`;
  return fail(`must be one of ${values.join(", ")}${hint}`);
}

function integerOf(value: unknown, min: number, max: number): Result<number, string> {
  const rule = `must be a whole number, ${min} to ${max}`;
  const text = oneText(value);
  if (!text.ok) return text;
  if (!/^\s*[+-]?\d{1,15}\s*$/.test(text.value)) return fail(rule);
  const number = Number(text.value);
  return number < min || number > max ? fail(rule) : ok(number);
}

function relayOf(value: unknown): Result<RelayUrl, string> {
  const text = oneText(value);
  if (!text.ok) return text;
  const url = parseRelayUrl(text.value);
  if (url.ok) return url;
  return fail(`must be a relay URL such as wss://relay.example.com (${url.failure})`);
}
