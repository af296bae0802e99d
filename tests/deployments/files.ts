// The repository's files, for the tests of what is around the program: deployments, image, workflows.
// In: paths from the top of the repository. Out: their text, parsed where asked. Never writes.
import { parse, parseDocument } from "yaml";

const ROOT = new URL("../../", import.meta.url);

/** Absolute path of a file of the repository. */
export function rootPath(path = ""): string {
  return new URL(path, ROOT).pathname;
}

/** Its text. */
export function text(path: string): Promise<string> {
  return Deno.readTextFile(rootPath(path));
}

/** A YAML file, strictly: no duplicate keys, no errors. */
export async function yaml(path: string): Promise<unknown> {
  const source = await text(path);
  const document = parseDocument(source, { uniqueKeys: true });
  if (document.errors[0] !== undefined) throw document.errors[0];
  return parse(source);
}

/** All files below a folder, as paths from the top, sorted. */
export async function filesBelow(folder: string): Promise<string[]> {
  const files: string[] = [];
  for await (const entry of Deno.readDir(rootPath(folder))) {
    const path = `${folder}/${entry.name}`;
    if (entry.isDirectory) files.push(...await filesBelow(path));
    else files.push(path);
  }
  return files.sort();
}

/** What is at the end of `keys` in a parsed document; undefined when there is none. */
export function at(value: unknown, ...keys: (string | number)[]): unknown {
  return keys.reduce<unknown>((inner, key) => {
    if (typeof inner !== "object" || inner === null) return undefined;
    return (inner as Record<string, unknown>)[key];
  }, value);
}

/** The entries of an object in a parsed document; none when it is no object. */
export function entries(value: unknown): [string, unknown][] {
  return typeof value === "object" && value !== null ? Object.entries(value) : [];
}
