/**
 * Writes what is generated from the configuration's schema: `config/reference.yaml`, and the table
 * of limits in `config/README.md`. Run by `deno task reference`; a test compares both.
 */
import { LIMITS_MARKERS, limitsTable, referenceYaml } from "../src/config/render.ts";

const { start, end } = LIMITS_MARKERS;
const readme = new URL("README.md", import.meta.url);
const text = await Deno.readTextFile(readme);
const [before, rest] = text.split(start);
const after = rest?.slice(rest.indexOf(end));
if (before === undefined || after === undefined) {
  throw new Error(`Cannot write the table of limits as README.md lacks the line ${start}`);
}
await Deno.writeTextFile(readme, `${before}${start}\n\n${limitsTable()}\n\n${after}`);
await Deno.writeTextFile(new URL("reference.yaml", import.meta.url), referenceYaml());
