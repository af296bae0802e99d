import assert from "node:assert/strict";
import { readBlockFile } from "../../src/config/block.ts";
import { loadConfig } from "../../src/config/load.ts";
import { configToYaml, effectiveConfig } from "../../src/config/render.ts";
import { tempFolder } from "../support/temp_folder.ts";

const NPUB = "npub180cvv07tjdrrgpa0j7j7tmnyl2yr6yr7l8j4s3evf6u64th6gkwsyjh6w6";
const HEX = "3bf0c63fcb93463407af97a5e5ee64fa883d107ef9e558472c4eb9aaaefa459d";

async function load(...sets: string[]): ReturnType<typeof loadConfig> {
  return await loadConfig({ env: () => undefined, sets });
}

Deno.test("rules are read inline, and printed as they can be read again", async () => {
  const texts = ["wss://a.example/x", "b.example", ".c.example", "203.0.113.0/24"];
  const config = await load(`monitor.block.rules=${JSON.stringify(texts)}`);
  assert.ok(config.ok);
  const kinds = config.value.monitor.block.rules.map(({ kind }) => kind);
  assert.deepEqual(kinds, ["url", "host", "suffix", "address"]);
  const printed = configToYaml(effectiveConfig(config.value));
  for (const text of texts) assert.ok(printed.includes(`- ${text}`), text);
});

Deno.test("a rule that is none is a problem with its place", async () => {
  const config = await load('monitor.block.rules=[a.example, "no rule"]');
  assert.ok(!config.ok);
  assert.deepEqual(config.failure.map(({ path }) => path), ["monitor.block.rules.1"]);
});

Deno.test("a file's rules are read, its wrong lines are all told before anything opens", async () => {
  await using folder = await tempFolder();
  const good = await folder.write(
    "good.txt",
    "# who asked\n\na.example # since May\n10.0.0.0/8\r\n",
  );
  const read = await readBlockFile(good, { maxRules: 10 });
  assert.ok(read.ok);
  assert.deepEqual(read.value, {
    rules: [{ kind: "host", value: "a.example" }, { kind: "address", value: "10.0.0.0/8" }],
    bad: [],
  });
  assert.equal((await load(`monitor.block.file=${good}`)).ok, true);

  const bad = await folder.write(
    "bad.txt",
    "a.example\n10.0.0.0/40\nb.example\nhttps//c.example\n",
  );
  const config = await load(`monitor.block.file=${bad}`);
  assert.ok(!config.ok);
  assert.deepEqual(config.failure.map(({ source }) => source), [`${bad}:2`, `${bad}:4`]);
});

Deno.test("a file that is absent or too long is a problem", async () => {
  await using folder = await tempFolder();
  const absent = await load(`monitor.block.file=${folder.path}/absent.txt`);
  assert.ok(!absent.ok);
  assert.deepEqual(absent.failure.map(({ message }) => message), ["does not exist"]);
  const file = await folder.write("long.txt", "a.example\nb.example\n");
  const long = await load(`monitor.block.file=${file}`, "monitor.block.max_rules=1");
  assert.ok(!long.ok);
  assert.deepEqual(long.failure.map(({ message }) => message), ["holds more than 1 rules"]);
});

Deno.test("operators are named by hex or npub, or left to the relay's own word", async () => {
  const operators = [
    { relay: "relay.example.com", pubkey: NPUB },
    { relay: "wss://b.example", pubkey: HEX.toUpperCase(), recovery: false },
    { relay: "wss://c.example" },
  ];
  const config = await load(`monitor.notices.operators=${JSON.stringify(operators)}`);
  assert.ok(config.ok);
  assert.deepEqual(config.value.monitor.notices.operators, [
    { relay: "wss://relay.example.com/", pubkey: HEX, recovery: true },
    { relay: "wss://b.example/", pubkey: HEX, recovery: false },
    { relay: "wss://c.example/", recovery: true },
  ]);
});

Deno.test("an operator without a relay, or with no public key, is a problem", async () => {
  const config = await load('monitor.notices.operators=[{ pubkey: "npub1x", relay: a.example }]');
  assert.ok(!config.ok);
  assert.equal(config.failure[0]?.path, "monitor.notices.operators.0.pubkey");
  const nameless = await load(`monitor.notices.operators=[{ pubkey: ${HEX} }]`);
  assert.ok(!nameless.ok);
  assert.equal(nameless.failure[0]?.path, "monitor.notices.operators.0.relay");
});
