/**
 * The configuration's text made into a plain tree: one YAML file, bounded in size, depth and
 * aliases, with the line of every name. Never: follows tags, merges or more than one document.
 */
import { type Document, isMap, isNode, isScalar, isSeq, LineCounter, parseDocument } from "yaml";
import { formatBytes } from "../lib/bytes.ts";
import { fail, ok, type Result } from "../lib/result.ts";
import { errorText } from "../lib/text.ts";
import type { ConfigProblem } from "./problem.ts";

/** A configuration is a page or two; what is longer is a mistake. */
export const MAX_CONFIG_BYTES = 1024 * 1024;
/** Each alias may cost as much as what it repeats. */
const MAX_ALIASES = 100;
const MAX_SYNTAX_PROBLEMS = 20;

/** A parsed file. */
export interface YamlFile {
  /** The plain tree: maps as objects, lists as arrays. */
  readonly tree: unknown;
  /** The line (from 1) where a dotted path, or the nearest one above it, stands. */
  lineOf(path: string): number | undefined;
}

/** Reads and parses a file; `file` is told in problems as it was given. */
export async function readYamlFile(file: string): Promise<Result<YamlFile, ConfigProblem[]>> {
  const text = await readBounded(file, MAX_CONFIG_BYTES);
  if (!text.ok) return fail([{ path: file, message: text.failure }]);
  return parseYaml(text.value, file);
}

/** Parses a text; `name` stands for it in problems. */
export function parseYaml(text: string, name: string): Result<YamlFile, ConfigProblem[]> {
  const lines = new LineCounter();
  try {
    const document = parseDocument(text, { lineCounter: lines, schema: "core", merge: false });
    if (document.errors.length > 0) {
      return fail(
        document.errors.slice(0, MAX_SYNTAX_PROBLEMS).map((error) => ({
          path: name,
          message: `is not valid YAML: ${firstLine(error.message)}`,
          source: `${name}:${lines.linePos(error.pos[0]).line}`,
        })),
      );
    }
    const tree: unknown = document.toJS({ maxAliasCount: MAX_ALIASES });
    return ok({ tree, lineOf: (path) => lineOf(document, path, lines) });
  } catch (error) {
    // Too many aliases, or nesting deeper than the parser's stack.
    return fail([{ path: name, message: `is not usable YAML: ${errorText(error)}` }]);
  }
}

/** A file's text, or why it can't be had; never reads more than `maxBytes`. */
export async function readBounded(file: string, maxBytes: number): Promise<Result<string, string>> {
  try {
    using opened = await Deno.open(file);
    const info = await opened.stat();
    if (info.isDirectory) return fail("is a folder, not a file");
    const chunks: Uint8Array<ArrayBuffer>[] = [];
    let size = 0;
    // Not by info.size: a pipe or /proc file has none.
    for (;;) {
      const chunk = new Uint8Array(64 * 1024);
      const read = await opened.read(chunk);
      if (read === null) break;
      chunks.push(chunk.subarray(0, read));
      size += read;
      if (size > maxBytes) return fail(`is larger than ${formatBytes(maxBytes)}`);
    }
    return ok(new TextDecoder("utf-8", { fatal: true }).decode(await new Blob(chunks).bytes()));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return fail("does not exist");
    return fail(`can't be read: ${errorText(error)}`);
  }
}

function lineOf(document: Document, path: string, lines: LineCounter): number | undefined {
  let node: unknown = document.contents;
  let offset: number | undefined;
  for (const key of path.split(".")) {
    if (isMap(node)) {
      const pair = node.items.find((item) => isScalar(item.key) && String(item.key.value) === key);
      if (pair === undefined) break;
      if (isNode(pair.key)) offset = pair.key.range?.[0];
      node = pair.value;
    } else if (isSeq(node)) {
      node = node.items[Number(key)];
      if (isNode(node)) offset = node.range?.[0];
    } else break;
  }
  return offset === undefined ? undefined : lines.linePos(offset).line;
}

function firstLine(message: string): string {
  return message.split("\n", 1)[0]?.replace(/:$/, "") ?? "";
}
