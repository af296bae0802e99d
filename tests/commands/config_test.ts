import assert from "node:assert/strict";
import { referenceYaml } from "../../src/config/render.ts";
import { tempFolder } from "../support/temp_folder.ts";
import { runBigbrotr } from "../support/test_io.ts";

Deno.test("config check says yes to a good configuration and lists what is wrong with a bad one", async () => {
  await using folder = await tempFolder();
  const good = await folder.write("good.yaml", "monitor: { interval: 30m }\n");
  const bad = await folder.write("bad.yaml", "monitor: { intervall: 30m }\n");
  const yes = await runBigbrotr(["config", "check", "--config", good]);
  assert.deepEqual([yes.code, yes.stderr], [0, ""]);
  const no = await runBigbrotr(["config", "check", "--config", bad]);
  assert.deepEqual([no.code, no.stdout], [2, ""]);
  assert.match(no.stderr, /monitor\.intervall: is unknown/);
  assert.match(no.stderr, /did you mean: monitor\.interval/);
  assert.match(no.stderr, /given in: .*bad\.yaml:1/);
});

Deno.test("config print shows what holds in the end, as YAML and as JSON", async () => {
  const env = { DATABASE_URL: "postgres://bob:sesame@h/d" };
  const args = ["config", "print", "--set", "monitor.interval=90s", "--data", "/d"];
  const yaml = await runBigbrotr(args, { env });
  assert.equal(yaml.code, 0);
  assert.match(yaml.stdout, /^monitor:\n(?: .*\n)*? {2}interval: 90s$/m);
  const json = await runBigbrotr([...args, "--json"], { env });
  const printed: { data: string; monitor: Record<string, unknown> } = JSON.parse(json.stdout);
  assert.equal(printed.data, "/d");
  assert.equal(printed.monitor["interval"], "90s");
  assert.doesNotMatch(yaml.stdout + json.stdout, /sesame/);
});

Deno.test("config reference prints the reference file", async () => {
  const { code, stdout } = await runBigbrotr(["config", "reference"]);
  assert.deepEqual([code, stdout], [0, referenceYaml()]);
});
