/**
 * Colour on a terminal: a few roles as functions from text to text, plain where nobody sees colour.
 */

/** What a piece of text means. */
export interface Style {
  good(text: string): string;
  bad(text: string): string;
  warn(text: string): string;
  dim(text: string): string;
  bold(text: string): string;
}

const PLAIN: Style = {
  good: (text) => text,
  bad: (text) => text,
  warn: (text) => text,
  dim: (text) => text,
  bold: (text) => text,
};

const COLOUR: Style = {
  good: (text) => paint(32, text),
  bad: (text) => paint(31, text),
  warn: (text) => paint(33, text),
  dim: (text) => paint(2, text),
  bold: (text) => paint(1, text),
};

/** Colour for a terminal, unless NO_COLOR is set (Deno reads it without a permission). */
export function styleFor(isTerminal: boolean, noColor: boolean = Deno.noColor): Style {
  return isTerminal && !noColor ? COLOUR : PLAIN;
}

function paint(code: number, text: string): string {
  return `\x1b[${code}m${text}\x1b[0m`;
}
