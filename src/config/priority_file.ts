/**
 * The file of `synchronizer.priority`: relays that come first, one a line. In: its path. Out: relays
 * in normal form, each once, and every line that names none, before anything opens.
 */
import { ok, type Result } from "../lib/result.ts";
import { cut } from "../lib/text.ts";
import { parseRelayUrl, type RelayUrl, type RelayUrlProblem } from "../model/relay_url.ts";
import { type ConfigProblem, shownValue } from "./problem.ts";
import { readBounded } from "./yaml_file.ts";

/** What the file holds. */
export interface PriorityFile {
  urls: RelayUrl[];
  /** Lines that name no relay, counted from 1. */
  bad: { line: number; text: string; problem: RelayUrlProblem }[];
}

const MAX_FILE_BYTES = 4 * 1024 * 1024;
/** Wrong lines that are told, each with its place. */
const MAX_PROBLEMS = 20;

/** Reads the file; a failure says why it can't be had. */
export async function readPriorityFile(file: string): Promise<Result<PriorityFile, string>> {
  const content = await readBounded(file, MAX_FILE_BYTES);
  if (!content.ok) return content;
  const urls = new Set<RelayUrl>();
  const bad: PriorityFile["bad"] = [];
  for (const [index, line] of content.value.replace(/^\ufeff/, "").split(/\r?\n/).entries()) {
    const named = line.replace(/(?:^|\s)#.*$/, "").trim();
    if (named === "") continue;
    const url = parseRelayUrl(named);
    if (url.ok) urls.add(url.value);
    else bad.push({ line: index + 1, text: cut(named, 100), problem: url.failure });
  }
  return ok({ urls: [...urls], bad });
}

/** Reports what is wrong with the file, as problems of the configuration. */
export async function checkPriorityFile(
  { file }: { file?: string | undefined },
  problems: ConfigProblem[],
): Promise<void> {
  if (file === undefined) return;
  const path = "synchronizer.priority.file";
  const read = await readPriorityFile(file);
  if (!read.ok) {
    problems.push({ path, message: read.failure, value: shownValue(file) });
    return;
  }
  for (const { line, text, problem } of read.value.bad.slice(0, MAX_PROBLEMS)) {
    problems.push({
      path,
      message: `names no relay (${problem.replaceAll("_", " ")})`,
      value: shownValue(text),
      allowed: 'a relay URL such as "wss://relay.example.com"',
      source: `${file}:${line}`,
    });
  }
}
