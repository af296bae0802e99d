// PostgreSQL's text forms for what postgres.js would send slowly or not at all: arrays, and texts
// from strangers. Never touches the bytes of an event: those go by events.ts.

// Only what array_in gives a meaning to inside quotes.
const QUOTED = /["\\]/g;
const NUL = /\0/g;

/** `{"a","b"}` for a `::text[]` parameter; texts must hold neither NUL nor lone surrogates. */
export function textArray(list: readonly string[]): string {
  let out = "{";
  for (let i = 0; i < list.length; i++) {
    const text = list[i] ?? "";
    out += i === 0 ? '"' : ',"';
    out += text.includes('"') || text.includes("\\") ? text.replace(QUOTED, "\\$&") : text;
    out += '"';
  }
  return out + "}";
}

/** `{1,2}` for an `::int[]` or `::bigint[]` parameter. */
export function numberArray(list: readonly (number | bigint)[]): string {
  return `{${list.join(",")}}`;
}

/** The text with U+FFFD for what PostgreSQL can't hold: NULs and lone surrogates. */
export function storableText(text: string): string {
  const whole = text.isWellFormed() ? text : text.toWellFormed();
  return whole.includes("\0") ? whole.replace(NUL, "\ufffd") : whole;
}

/** Deeper than any document means something; PostgreSQL's own stack ends at some thousands. */
const MAX_JSON_DEPTH = 64;

/**
 * The JSON value with {@linkcode storableText} of every string and key in it, for jsonb. JSON spells
 * numbers that are too large (1e999); they parse to Infinity, which no JSON has: null. What lies
 * deeper than 64 levels is null too.
 */
export function storableJson(value: unknown, depth = 0): unknown {
  if (typeof value === "string") return storableText(value);
  if (typeof value === "number") return Number.isFinite(value) ? value : null;
  if (typeof value !== "object" || value === null) return value;
  if (depth >= MAX_JSON_DEPTH) return null;
  if (Array.isArray(value)) return value.map((item) => storableJson(item, depth + 1));
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [storableText(key), storableJson(item, depth + 1)]),
  );
}
