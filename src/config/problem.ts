/**
 * What is wrong with a configuration, told so that it can be put right: where, what was given, what
 * is allowed, and the name that was probably meant. Never: shows a secret, or an endless value.
 */
import { closest, distance } from "fastest-levenshtein";
import { isSecretKey, maskText, maskValue } from "../lib/mask.ts";

const MAX_VALUE_LENGTH = 80;

/** One thing that is wrong. */
export interface ConfigProblem {
  /** Dotted path of the setting (`networks.tor.timeout`), a variable's name, or a file's. */
  readonly path: string;
  /** What is wrong, in words. */
  readonly message: string;
  /** What was given, cut and masked; undefined when there is nothing to show. */
  readonly value?: string;
  /** What is allowed, in words. */
  readonly allowed?: string;
  /** The nearest name that exists, when one is near. */
  readonly nearest?: string;
  /** Where it was given: `bigbrotr.yaml:12`, "the command line", "the environment". */
  readonly source?: string;
}

/** A value as a problem shows it: on one line, cut, masked when its key names a secret. */
export function shownValue(value: unknown, key = ""): string {
  if (isSecretKey(key)) return "***";
  const plain = maskValue(value, MAX_VALUE_LENGTH);
  return maskText(JSON.stringify(plain), MAX_VALUE_LENGTH);
}

/** The name among `names` that was probably meant by `given`; undefined when none is near. */
export function nearestName(given: string, names: readonly string[]): string | undefined {
  if (names.length === 0 || given.length > 100) return undefined;
  const name = closest(given.toLowerCase().replaceAll("-", "_"), [...names]);
  const limit = Math.max(2, Math.floor(Math.max(given.length, name.length) * 0.4));
  return distance(given, name) <= limit ? name : undefined;
}

/** All problems as text, one a paragraph, for standard error. */
export function formatProblems(problems: readonly ConfigProblem[]): string {
  const count = problems.length === 1 ? "1 problem" : `${problems.length} problems`;
  return [`The configuration has ${count}:`, ...problems.map(formatProblem)].join("\n");
}

function formatProblem(problem: ConfigProblem): string {
  const { path, message, value, allowed, nearest, source } = problem;
  const lines = [`  ${path}: ${message}${value === undefined ? "" : `: ${value}`}`];
  if (nearest !== undefined) lines.push(`    did you mean: ${nearest}`);
  if (allowed !== undefined) lines.push(`    allowed: ${allowed}`);
  if (source !== undefined) lines.push(`    given in: ${source}`);
  return lines.join("\n");
}
