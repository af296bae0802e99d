// The seed file's format: one relay URL a line, `#` starts a comment, blank lines are ignored.
// In: the text. Out: the relays in normal form, each once, and the lines that are none, by number.
// Reads no file and keeps no list longer than the text it was given.
import { cut } from "../lib/text.ts";
import { parseRelayUrl, type RelayUrl, type RelayUrlProblem } from "../model/relay_url.ts";

/** A line that names no relay. */
export interface BadSeed {
  /** 1-based. */
  line: number;
  problem: RelayUrlProblem;
  /** What stands there, cut. */
  text: string;
}

/** What a seed file holds. */
export interface Seeds {
  urls: RelayUrl[];
  bad: BadSeed[];
  /** Lines that named a relay again. */
  repeated: number;
}

/** Reads a seed file's text. Any text gives a value. */
export function parseSeeds(text: string): Seeds {
  const urls = new Set<RelayUrl>();
  const bad: BadSeed[] = [];
  let repeated = 0;
  // A byte order mark, as some editors leave it, is no part of the first URL.
  const lines = text.replace(/^\ufeff/, "").split(/\r?\n/);
  for (const [index, line] of lines.entries()) {
    const seed = withoutComment(line);
    if (seed === "") continue;
    const url = parseRelayUrl(seed);
    if (!url.ok) bad.push({ line: index + 1, problem: url.failure, text: cut(seed, 100) });
    else if (urls.has(url.value)) repeated += 1;
    else urls.add(url.value);
  }
  return { urls: [...urls], bad, repeated };
}

/** A `#` inside a URL is its fragment; it is a comment at the start of the line or after a blank. */
function withoutComment(line: string): string {
  return line.replace(/(?:^|\s)#.*$/, "").trim();
}
