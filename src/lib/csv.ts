/**
 * Comma-separated values as RFC 4180 has them. In: rows of plain JSON. Out: lines that end in CRLF,
 * the names first. Never changes a value: what a spreadsheet takes for a formula stays as it was
 * written, for a reader that compares.
 */

const END = "\r\n";
const NEEDS_QUOTES = /[",\r\n]|^\s|\s$/;

/** The whole of it; `names` are the columns, in order. */
export function csvText(
  names: readonly string[],
  rows: readonly Readonly<Record<string, unknown>>[],
): string {
  return [names, ...rows.map((row) => names.map((name) => row[name]))].map(csvLine).join("");
}

/**
 * One line with its end. Null and what is missing are empty, lists and objects are JSON, and an empty
 * text is `""`, so that it is not taken for a missing one.
 */
export function csvLine(values: readonly unknown[]): string {
  return values.map(csvCell).join(",") + END;
}

function csvCell(value: unknown): string {
  if (value === null || value === undefined) return "";
  const text = typeof value === "object" ? JSON.stringify(value) : String(value);
  return text === "" || NEEDS_QUOTES.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
