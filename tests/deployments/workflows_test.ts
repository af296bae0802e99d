/**
 * The project's habits: workflows that run what the repository has, by pinned actions and with few
 * rights. Whether they pass is for GitHub to say.
 */
import assert from "node:assert/strict";
import { parse } from "yaml";
import manifest from "../../deno.json" with { type: "json" };
import { at, entries, filesBelow, rootPath, text } from "./files.ts";
import { tool } from "./tools.ts";

interface Step {
  uses?: string;
  run?: string;
  with?: { "deno-version"?: string };
}

async function workflows(): Promise<{ file: string; source: unknown; steps: Step[] }[]> {
  const files = await filesBelow(".github/workflows");
  return await Promise.all(files.map(async (file) => {
    const source = parse(await text(file));
    const steps = entries(at(source, "jobs")).flatMap(([, job]) => at(job, "steps") as Step[]);
    return { file, source, steps };
  }));
}

Deno.test("every workflow says which rights it needs, and its jobs end by themselves", async () => {
  for (const { file, source } of await workflows()) {
    assert.ok(at(source, "permissions"), file);
    for (const [name, job] of entries(at(source, "jobs"))) {
      assert.ok(Number(at(job, "timeout-minutes")) > 0, `${file}: ${name}`);
    }
  }
});

Deno.test("every action is pinned, and Deno is the one that the project is tested with", async () => {
  const version = /VERSION=([\d.]+)/.exec(await text(".ci/run"))?.[1];
  for (const { file, steps } of await workflows()) {
    for (const { uses, with: inputs } of steps) {
      if (uses === undefined) continue;
      assert.match(uses, /@v\d+$/, file);
      if (uses.startsWith("denoland/")) assert.equal(inputs?.["deno-version"], `v${version}`, file);
    }
  }
});

Deno.test("the tasks and folders that workflows name exist", async () => {
  const tasks = Object.keys(manifest.tasks);
  let named = 0;
  for (const { file, steps } of await workflows()) {
    for (const { run = "" } of steps) {
      for (const [, task = "", rest = ""] of run.matchAll(/deno task ([\w-]+)([^\n]*)/g)) {
        assert.ok(tasks.includes(task), `${file}: ${task}`);
        for (const path of rest.match(/tests\/\w+/g) ?? []) await Deno.stat(rootPath(path));
        named += 1;
      }
    }
  }
  assert.ok(named >= 4, `only ${named}`);
});

Deno.test("every script in a workflow is one that bash can read", async () => {
  for (const { file, steps } of await workflows()) {
    for (const { run } of steps) {
      if (run === undefined) continue;
      const script = run.replace(/\$\{\{[^}]*\}\}/g, "x");
      const { code, text: said } = await tool("bash", ["-n", "-c", script]);
      assert.equal(code, 0, `${file}: ${said}`);
    }
  }
});

Deno.test("links between the documents lead somewhere", async () => {
  const files = [
    ...(await filesBelow("deployments")),
    ...(await filesBelow(".github")),
    "CHANGELOG.md",
  ].filter((file) => file.endsWith(".md"));
  for (const file of files) {
    const folder = file.slice(0, file.lastIndexOf("/") + 1);
    for (const [, link = ""] of (await text(file)).matchAll(/\]\((?!https?:)([^)#]+)/g)) {
      await Deno.stat(rootPath(folder + link));
    }
  }
});

Deno.test("the changelog has the version of deno.json", async () => {
  assert.match(
    await text("CHANGELOG.md"),
    new RegExp(`^## ${manifest.version.replaceAll(".", "\\.")} `, "m"),
  );
});
