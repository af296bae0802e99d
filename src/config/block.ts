/**
 * The group `monitor.block`: who is left alone, named inline and in a file. In: rules as text. Out:
 * rules that are known to be some, and every line of the file that is none, before anything opens.
 */
import { z } from "zod";
import { fail, ok, type Result } from "../lib/result.ts";
import {
  BLOCK_RULE_FORMS,
  type BlockRule,
  blockRuleText,
  parseBlockRule,
} from "../model/block_list.ts";
import { custom, integer, list, text } from "./builders.ts";
import { type ConfigProblem, shownValue } from "./problem.ts";
import { group, type Values } from "./setting.ts";
import { readBounded } from "./yaml_file.ts";

/** A file with the longest rules that are likely, and room for comments. */
const MAX_FILE_BYTES = 16 * 1024 * 1024;
/** Wrong lines that are told, each with its place. */
const MAX_PROBLEMS = 20;

const rule = custom<BlockRule, undefined>(
  undefined,
  "",
  z.string().max(4096).transform((given, context) => {
    const parsed = parseBlockRule(given);
    if (parsed.ok) return parsed.value;
    context.addIssue(parsed.failure);
    return z.NEVER;
  }),
  { allowed: BLOCK_RULE_FORMS, toYaml: blockRuleText },
);

export const blockGroup = group(
  "Relays that are left alone, by validator, monitor and synchronizer alike: because their operators " +
    "ask for it, or because they are not worth asking. They wait; they do not fail.",
  {
    rules: list([], "Who.", rule, { max: 10_000 }),
    file: text(
      undefined,
      "More of them, one a line, # before comments; read again when it changes.",
      { max: 4096, allowed: "the path of a text file" },
    ),
    max_rules: integer(100_000, "Rules taken from the file.", {
      min: 1,
      max: 10_000_000,
      limit: true,
    }),
  },
);

export type BlockConfig = Values<typeof blockGroup.shape>;

/** One line of a file that is no rule; counted from 1. */
export interface BadRule {
  line: number;
  text: string;
  problem: string;
}

/** What a file holds: its rules, and what stands there and is none. */
export interface BlockFile {
  rules: BlockRule[];
  bad: BadRule[];
}

/** Reads the file; a failure says why it can't be had. */
export async function readBlockFile(
  file: string,
  options: { maxRules: number },
): Promise<Result<BlockFile, string>> {
  const content = await readBounded(file, MAX_FILE_BYTES);
  if (!content.ok) return content;
  const found: BlockFile = { rules: [], bad: [] };
  for (const [index, line] of content.value.split("\n").entries()) {
    const rule = line.replace(/(^|\s)#.*$/, "").trim();
    if (rule === "") continue;
    if (found.rules.length >= options.maxRules) {
      return fail(`holds more than ${options.maxRules} rules`);
    }
    const parsed = parseBlockRule(rule);
    if (parsed.ok) found.rules.push(parsed.value);
    else found.bad.push({ line: index + 1, text: rule, problem: parsed.failure });
  }
  return ok(found);
}

/** Reports what is wrong with the file, as problems of the configuration. */
export async function checkBlockFile(
  { file, maxRules }: BlockConfig,
  problems: ConfigProblem[],
): Promise<void> {
  if (file === undefined) return;
  const read = await readBlockFile(file, { maxRules });
  if (!read.ok) {
    problems.push({ path: "monitor.block.file", message: read.failure, value: shownValue(file) });
    return;
  }
  for (const { line, text, problem } of read.value.bad.slice(0, MAX_PROBLEMS)) {
    problems.push({
      path: "monitor.block.file",
      message: problem,
      value: shownValue(text),
      allowed: BLOCK_RULE_FORMS,
      source: `${file}:${line}`,
    });
  }
}
