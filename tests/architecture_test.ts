/**
 * The house rules that a machine can hold: which folder may import which, who speaks SQL, who
 * writes to the terminal, and how a module begins. Over the module graph that Deno itself builds,
 * with every file of src in it, whether main reaches it or not (workers).
 */
import assert from "node:assert/strict";
import { tempFolder } from "./support/temp_folder.ts";

const ROOT = new URL("../", import.meta.url);
const SRC = new URL("src/", ROOT);

const STAGES = ["seeder", "finder", "validator", "monitor", "synchronizer", "refresher"];
const FRONT_DOORS = ["dvm", "api"];
/** Modules that stand in src itself, between stages and commands. */
const ROOT_MODULES = [
  "configured_store.ts",
  "context.ts",
  "identity.ts",
  "metrics.ts",
  "pipeline.ts",
  "process.ts",
];

/** Imports stay in their folder, or go to a lower floor; never sideways, never up. */
const FLOORS: readonly (readonly string[])[] = [
  ["lib"],
  ["model"],
  ["config"],
  ["store", "net", "verify"],
  ["nostr"],
  ["ingest"],
  ["queries"],
  [...STAGES, ...FRONT_DOORS, "metrics"],
  ["(root)"],
  ["commands"],
  ["main.ts"],
];

/** What talks to a driver or a socket of the database; everybody else goes by connect.ts. */
const STORE_INTERNALS = /\/store\/(connection|connection_pool|pglite_\w+|server_\w+)\.ts$/;

interface Import {
  from: string;
  to: string;
}

/** The files of src, as paths from the root of the repository. */
async function sourceFiles(folder: URL = SRC): Promise<string[]> {
  const files: string[] = [];
  for await (const entry of Deno.readDir(folder)) {
    const url = new URL(entry.isDirectory ? `${entry.name}/` : entry.name, folder);
    if (entry.isDirectory) files.push(...await sourceFiles(url));
    else if (entry.name.endsWith(".ts")) files.push(url.href.slice(ROOT.href.length));
  }
  return files.sort();
}

function source(file: string): Promise<string> {
  return Deno.readTextFile(new URL(file, ROOT));
}

/** Every import of every file, types included, as Deno resolves it; npm ones as "npm:name@…". */
async function imports(files: readonly string[]): Promise<Import[]> {
  await using folder = await tempFolder();
  const lines = files.map((file) => `import ${JSON.stringify(new URL(file, ROOT).href)};`);
  const entry = await folder.write("all.ts", lines.join("\n"));
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["info", "--json", "--no-lock", "--config", "deno.json", entry],
    cwd: ROOT,
  }).output();
  assert.equal(code, 0, new TextDecoder().decode(stderr));
  const graph: {
    modules: {
      specifier: string;
      dependencies?: { code?: { specifier?: string }; type?: { specifier?: string } }[];
    }[];
  } = JSON.parse(new TextDecoder().decode(stdout));
  const found: Import[] = [];
  for (const module of graph.modules) {
    if (!module.specifier.startsWith(SRC.href)) continue;
    for (const dependency of module.dependencies ?? []) {
      const to = dependency.code?.specifier ?? dependency.type?.specifier;
      if (to !== undefined) found.push({ from: relative(module.specifier), to: relative(to) });
    }
  }
  return found;
}

function relative(specifier: string): string {
  return specifier.startsWith(ROOT.href) ? specifier.slice(ROOT.href.length) : specifier;
}

/** The room of a file: its folder, "main.ts", or "(root)" for the other modules in src itself. */
function roomOf(file: string): string {
  const [, room = "", ...rest] = file.split("/");
  if (rest.length > 0 || room === "main.ts") return room;
  return "(root)";
}

function floorOf(room: string): number {
  return FLOORS.findIndex((rooms) => rooms.includes(room));
}

function isAllowed({ from, to }: Import): boolean {
  if (!to.startsWith("src/")) return true;
  const [own, other] = [roomOf(from), roomOf(to)];
  return own === other || floorOf(other) < floorOf(own);
}

const files = await sourceFiles();
const found = await imports(files);

Deno.test("every file of src stands in a known room", () => {
  for (const file of files) {
    const room = roomOf(file);
    assert.notEqual(floorOf(room), -1, `${file}: no such room`);
    if (room === "(root)") assert.ok(ROOT_MODULES.includes(file.slice("src/".length)), file);
  }
});

Deno.test("imports point down: main, commands, pipeline, stages, queries, ingest, wire, model, lib", () => {
  // The graph is not empty, and the rule can say no.
  assert.ok(found.length > files.length);
  assert.equal(isAllowed({ from: "src/lib/a.ts", to: "src/model/b.ts" }), false);
  assert.equal(isAllowed({ from: "src/monitor/a.ts", to: "src/seeder/b.ts" }), false);
  assert.equal(isAllowed({ from: "src/monitor/a.ts", to: "src/lib/b.ts" }), true);
  const wrong = found.filter((one) => !isAllowed(one));
  assert.deepEqual(wrong, []);
});

Deno.test("no stage and no front door imports another", () => {
  const apart = [...STAGES, ...FRONT_DOORS];
  const wrong = found.filter(({ from, to }) =>
    to.startsWith("src/") && apart.includes(roomOf(from)) && apart.includes(roomOf(to)) &&
    roomOf(from) !== roomOf(to)
  );
  assert.deepEqual(wrong, []);
});

Deno.test("src imports nothing of the repository but itself, deno.json, config and sql", () => {
  const wrong = found.filter(({ to }) =>
    !/^(src|config|sql)\//.test(to) && !/^(npm|node):/.test(to) && to !== "deno.json"
  );
  assert.deepEqual(wrong, []);
});

Deno.test("only store and queries know the database's driver and speak SQL", async () => {
  for (const { from, to } of found) {
    const room = roomOf(from);
    if (/^npm:\/?postgres@/.test(to)) assert.ok(["store", "queries"].includes(room), from);
    if (/^npm:\/?@electric-sql\//.test(to)) assert.equal(room, "store", from);
    if (STORE_INTERNALS.test(to)) assert.equal(room, "store", `${from} imports ${to}`);
  }
  for (const file of files) {
    if (["store", "queries"].includes(roomOf(file))) continue;
    assert.doesNotMatch(await source(file), /\bsql(<[^>]*>)?`|\.unsafe\(/, file);
  }
});

Deno.test("nothing writes to the terminal but the commands' io and the log, and main alone exits", async () => {
  for (const file of files) {
    const text = await source(file);
    assert.doesNotMatch(text, /\bconsole\.\w+\(/, file);
    if (file !== "src/main.ts") assert.doesNotMatch(text, /\bDeno\.exit\(/, file);
    if (file !== "src/commands/io.ts" && file !== "src/lib/log.ts") {
      assert.doesNotMatch(text, /\bDeno\.(stdout|stderr)\b/, file);
    }
  }
});

Deno.test("every module begins by saying where it stands", async () => {
  for (const file of files) assert.match(await source(file), /^(\/\*\*|\/\/ )/, file);
});

Deno.test("no module swallows errors, leaves work undone or exports a default", async () => {
  for (const file of files) {
    const text = await source(file);
    assert.doesNotMatch(text, /\.catch\(\(\) => (\{\s*\}|undefined)\)/, file);
    assert.doesNotMatch(text, /\b(TODO|FIXME|XXX)\b/, file);
    assert.doesNotMatch(text, /^export default\b/m, file);
  }
});
