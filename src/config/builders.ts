/**
 * The kinds of settings, each a function that takes a default, a sentence and bounds:
 * `interval: duration("1h", "How often …", { min: "1s", max: "30d" })`. A default of undefined makes
 * the setting optional. In: the sections. Out: settings. Never: reads files or environment.
 */
import { z } from "zod";
import { formatBytes, parseBytes } from "../lib/bytes.ts";
import { formatDuration, parseDuration } from "../lib/duration.ts";
import { parseRelayUrl, type RelayUrl } from "../model/relay_url.ts";
import type { Setting, Unit } from "./setting.ts";

/** Whether a default was given decides whether the typed property is optional. */
type Optional<D> = D extends undefined ? true : false;

/** Common to all kinds. */
export interface CommonBounds {
  /** Lists the setting in the LIMITS table. */
  limit?: boolean;
}

/** Yes or no. */
export function flag<D extends boolean | undefined>(
  value: D,
  description: string,
): Setting<"none", boolean, Optional<D>> {
  return setting("none", value, description, z.boolean(), { allowed: "true or false" });
}

/** A whole number within bounds (both included). */
export function integer<D extends number | undefined>(
  value: D,
  description: string,
  bounds: CommonBounds & { min: number; max: number },
): Setting<"none", number, Optional<D>> {
  const { min, max } = bounds;
  return setting("none", value, description, z.int().min(min).max(max), {
    ...bounds,
    allowed: `a whole number from ${min} to ${max}`,
  });
}

/** A number within bounds (both included). */
export function decimal<D extends number | undefined>(
  value: D,
  description: string,
  bounds: CommonBounds & { min: number; max: number },
): Setting<"none", number, Optional<D>> {
  const { min, max } = bounds;
  return setting("none", value, description, z.number().min(min).max(max), {
    ...bounds,
    allowed: `a number from ${min} to ${max}`,
  });
}

/** A TCP port; 0 lets the system choose one. */
export function port<D extends number | undefined>(
  value: D,
  description: string,
): Setting<"none", number, Optional<D>> {
  return integer(value, description, { min: 0, max: 65_535 });
}

/** A length of time, written "30s" or "1h30m"; the typed value is in milliseconds. */
export function duration<D extends string | undefined>(
  value: D,
  description: string,
  bounds: CommonBounds & { min: string; max: string },
): Setting<"ms", number, Optional<D>> {
  return setting("ms", value, description, measured(parseDuration, bounds), {
    ...bounds,
    allowed: `a duration from ${bounds.min} to ${bounds.max}`,
    example: '"90s", "5m" or "1h30m"',
    toYaml: formatDuration,
  });
}

/** A size, written "128KiB" or "1MB"; the typed value is in bytes. Always a limit. */
export function bytes<D extends string | undefined>(
  value: D,
  description: string,
  bounds: { min: string; max: string },
): Setting<"bytes", number, Optional<D>> {
  return setting("bytes", value, description, measured(parseBytes, bounds), {
    limit: true,
    allowed: `a size from ${bounds.min} to ${bounds.max}`,
    example: '"64KiB" or "2MB"',
    toYaml: formatBytes,
  });
}

/** A moment, written as a date, an ISO date and time, or Unix seconds; typed as Unix seconds. */
export function moment<D extends string | number | undefined>(
  value: D,
  description: string,
): Setting<"none", number, Optional<D>> {
  const schema = z.union([z.int().min(0).max(MAX_MOMENT), z.iso.date(), z.iso.datetime()])
    .transform((given) => typeof given === "number" ? given : Math.floor(Date.parse(given) / 1000));
  return setting("none", value, description, schema, {
    allowed: 'Unix seconds, or a date such as "2024-05-01" or "2024-05-01T12:00:00Z"',
    toYaml: (seconds) =>
      seconds === 0 ? 0 : new Date(seconds * 1000).toISOString().replace(".000Z", "Z"),
  });
}

/** A text; `pattern` (with `allowed` in words) narrows it. */
export function text<D extends string | undefined>(
  value: D,
  description: string,
  bounds: { max?: number; pattern?: RegExp; allowed?: string } = {},
): Setting<"none", string, Optional<D>> {
  const { max = 500, pattern } = bounds;
  let schema = z.string().min(1).max(max);
  if (pattern !== undefined) schema = schema.regex(pattern);
  return setting("none", value, description, schema, {
    allowed: bounds.allowed ?? `a text of 1 to ${max} characters`,
  });
}

/** One of a few words. */
export function choice<const C extends readonly string[], D extends C[number] | undefined>(
  value: D,
  description: string,
  choices: C,
): Setting<"none", C[number], Optional<D>> {
  return setting("none", value, description, z.enum(choices), {
    allowed: `one of ${choices.join(", ")}`,
  });
}

/**
 * A list of values of another kind, whose unit it takes over:
 * `retry_delays: list(["1m", "1h"], "…", duration(undefined, "", { min, max }), { max: 10 })`.
 */
export function list<U extends Unit, T>(
  value: readonly unknown[],
  description: string,
  item: Setting<U, T, boolean>,
  bounds: CommonBounds & { min?: number; max: number },
): Setting<U, T[], false> {
  const { min = 0, max } = bounds;
  return setting(item.unit, value, description, z.array(item.schema).min(min).max(max), {
    ...bounds,
    allowed: `a list of ${min === 0 ? "at most" : `${min} to`} ${max}, each ${item.allowed}`,
    ...(item.example === undefined ? {} : { example: item.example }),
    toYaml: (values) => values.map((one) => item.toYaml(one)),
  });
}

/** A list of relay URLs, in any spelling that has a normal form. */
export function relayUrls(
  value: readonly string[],
  description: string,
  bounds: { max?: number } = {},
): Setting<"none", RelayUrl[], false> {
  return list(value, description, relayUrl(undefined, ""), { max: bounds.max ?? 1000 });
}

/** One relay URL. */
export function relayUrl<D extends string | undefined>(
  value: D,
  description: string,
): Setting<"none", RelayUrl, Optional<D>> {
  const schema = z.string().transform((given, context) => {
    const url = parseRelayUrl(given);
    if (url.ok) return url.value;
    context.addIssue(`not a relay URL (${url.failure.replaceAll("_", " ")})`);
    return z.NEVER;
  });
  return setting("none", value, description, schema, {
    allowed: 'a relay URL such as "wss://relay.example.com"',
  });
}

/** An http or https URL. */
export function httpUrl<D extends string | undefined>(
  value: D,
  description: string,
): Setting<"none", string, Optional<D>> {
  const schema = z.url({ protocol: /^https?$/ }).max(2048);
  return setting("none", value, description, schema, {
    allowed: "an http or https URL",
  });
}

/** Words to words, such as stages to log levels. */
export function choices<const K extends readonly string[], const C extends readonly string[]>(
  description: string,
  keys: K,
  values: C,
): Setting<"none", Partial<Record<K[number], C[number]>>, false> {
  return setting("none", {}, description, z.partialRecord(z.enum(keys), z.enum(values)), {
    allowed: `a map from any of ${keys.join(", ")} to one of ${values.join(", ")}`,
  });
}

/** What is unlike all other kinds brings its own schema. */
export function custom<T, D>(
  value: D,
  description: string,
  schema: z.ZodType<T>,
  options: CommonBounds & { allowed: string; toYaml?: (value: T) => unknown },
): Setting<"none", T, Optional<D>> {
  return setting("none", value, description, schema, options);
}

/** The year 9999, the last one that an ISO date can name. */
const MAX_MOMENT = 253_402_300_799;

function setting<U extends Unit, T, D>(
  unit: U,
  value: D,
  description: string,
  schema: z.ZodType<T>,
  options: CommonBounds & { allowed: string; example?: string; toYaml?: (value: T) => unknown },
): Setting<U, T, Optional<D>> {
  const { allowed, example, limit = false, toYaml = (typed: T): unknown => typed } = options;
  return {
    node: "setting",
    unit,
    // The type says the same of D; TypeScript can't follow a conditional type into a value.
    optional: (value === undefined) as Optional<D>,
    description,
    defaultYaml: value,
    allowed,
    ...(example === undefined ? {} : { example }),
    limit,
    schema,
    toYaml,
  };
}

function measured(
  parse: (text: string) => number | undefined,
  bounds: { min: string; max: string },
): z.ZodType<number> {
  const min = parse(bounds.min) ?? 0;
  const max = parse(bounds.max) ?? 0;
  return z.string().transform((given, context) => {
    const value = parse(given);
    if (value !== undefined && value >= min && value <= max) return value;
    context.addIssue(value === undefined ? "no number with a unit" : "out of bounds");
    return z.NEVER;
  });
}
