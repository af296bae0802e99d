import assert from "node:assert/strict";
import { loadConfig } from "../../src/config/load.ts";
import { formatProblems } from "../../src/config/problem.ts";
import { tempFolder } from "../support/temp_folder.ts";

Deno.test("the file of named relays is checked before anything opens, line by line", async () => {
  await using folder = await tempFolder();
  const good = await folder.write("good.txt", "# ours\nwss://one.example # first\ntwo.example\n");
  assert.equal(await problemsOf(good), "");
  const bad = await folder.write("bad.txt", "wss://one.example\nnonsense://\n");
  assert.match(await problemsOf(bad), /synchronizer\.priority\.file.*names no relay/s);
  assert.match(await problemsOf(bad), /bad\.txt:2/);
  assert.match(await problemsOf(`${folder.path}/absent.txt`), /synchronizer\.priority\.file/);
});

async function problemsOf(file: string): Promise<string> {
  const loaded = await loadConfig({
    env: () => undefined,
    sets: [`synchronizer.priority.file=${file}`],
  });
  return loaded.ok ? "" : formatProblems(loaded.failure);
}
