/**
 * Rows as a person reads them: columns aligned and cut to the terminal, or one row as a list of its
 * fields. In: rows of plain JSON. Out: lines. Never: a control character of a stranger's, never a
 * line wider than the terminal.
 */
import { cut } from "../lib/text.ts";
import type { Io } from "./io.ts";

/** Without a terminal, cells are still bounded. */
const MAX_CELL = 200;
const DEFAULT_COLUMNS = 80;
const GAP = "  ";
/** A column is not squeezed below this while others can give way. */
const MIN_CELL = 8;

/** Columns whose numbers are moments. */
const MOMENT = /(_at|^since|^until|_since|_until)$/;

/** How wide lines may be; undefined where nobody looks at them. */
export function terminalColumns(io: Io): number | undefined {
  if (!io.stdoutIsTerminal) return undefined;
  try {
    return Math.max(40, Deno.consoleSize().columns);
  } catch {
    // A terminal that doesn't know its size.
    return DEFAULT_COLUMNS;
  }
}

/**
 * The rows as lines: a head and a line each, or, unless `alwaysTable`, name and value for a single
 * row of many fields.
 */
export function tableLines(
  rows: readonly Readonly<Record<string, unknown>>[],
  columns: number | undefined,
  options: { alwaysTable?: boolean } = {},
): string[] {
  const [first] = rows;
  if (first === undefined) return [];
  const names = Object.keys(first);
  const isList = rows.length === 1 && names.length > 6 && options.alwaysTable !== true;
  if (isList) return fieldLines(first, columns);
  const cells = rows.map((row) => names.map((name) => cellText(name, row[name])));
  const widths = names.map((name, i) =>
    Math.max(name.length, ...cells.map((row) => width(row[i] ?? "")))
  );
  if (columns !== undefined) squeeze(widths, columns);
  const isRight = names.map((name) =>
    rows.every((row) => typeof row[name] === "number" && !MOMENT.test(name))
  );
  const line = (texts: readonly string[]): string =>
    texts.map((text, i) => fit(text, widths[i] ?? 0, isRight[i] ?? false)).join(GAP).trimEnd();
  return [line(names), ...cells.map(line)];
}

function fieldLines(
  row: Readonly<Record<string, unknown>>,
  columns: number | undefined,
): string[] {
  const label = Math.max(...Object.keys(row).map((name) => name.length));
  const room = columns === undefined ? 10 * MAX_CELL : columns - label - GAP.length;
  return Object.entries(row).flatMap(([name, value]) => {
    // A list of objects is a table of its own, set in.
    if (Array.isArray(value) && value.length > 0 && value.every(isObject)) {
      return [name, ...tableLines(value, columns && columns - 2).map((line) => `  ${line}`)];
    }
    return [`${name.padEnd(label)}${GAP}${cut(cellText(name, value, room), room)}`.trimEnd()];
  });
}

/** Takes width from the widest columns until the line fits, as far as there is any to take. */
function squeeze(widths: number[], columns: number): void {
  const gaps = GAP.length * (widths.length - 1);
  for (;;) {
    const over = widths.reduce((sum, w) => sum + w, gaps) - columns;
    const widest = Math.max(...widths);
    if (over <= 0 || widest <= MIN_CELL) return;
    const next = Math.max(MIN_CELL, ...widths.filter((w) => w < widest));
    const sharers = widths.filter((w) => w === widest).length;
    const less = Math.min(widest - next, Math.ceil(over / sharers)) || 1;
    for (const [i, w] of widths.entries()) if (w === widest) widths[i] = w - less;
  }
}

function fit(text: string, room: number, isRight: boolean): string {
  const shown = width(text) > room ? cut(text, room) : text;
  const blanks = " ".repeat(Math.max(0, room - width(shown)));
  return isRight ? blanks + shown : shown + blanks;
}

/** Code points; wide characters are rare here, and a column off by one harms nobody. */
function width(text: string): number {
  return [...text].length;
}

function cellText(name: string, value: unknown, max = MAX_CELL): string {
  if (value === null || value === undefined) return "-";
  if (typeof value === "number" && MOMENT.test(name)) {
    return value === 0 && name.endsWith("_at") ? "-" : momentText(value);
  }
  if (typeof value === "string") return cut(value, max);
  if (Array.isArray(value) && value.every((item) => typeof item !== "object")) {
    return cut(value.join(", "), max);
  }
  return cut(JSON.stringify(value), max);
}

/** A moment of Unix seconds as `2026-01-31 12:00:00`, in UTC. */
export function momentText(seconds: number): string {
  const date = new Date(seconds * 1000);
  if (Number.isNaN(date.getTime())) return String(seconds);
  return date.toISOString().replace("T", " ").replace(/\.\d+Z$/, "");
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
