import assert from "node:assert/strict";
import type { Config } from "../../src/config/config.ts";
import { loadConfig } from "../../src/config/load.ts";
import { formatProblems } from "../../src/config/problem.ts";
import {
  configToYaml,
  effectiveConfig,
  LIMITS_MARKERS,
  limitsTable,
  referenceYaml,
} from "../../src/config/render.ts";
import { tempFolder } from "../support/temp_folder.ts";

async function loadText(text: string, variables: Record<string, string> = {}): Promise<Config> {
  await using folder = await tempFolder();
  const file = await folder.write("bigbrotr.yaml", text);
  const config = await loadConfig({ file, env: (name) => variables[name] });
  if (!config.ok) assert.fail(formatProblems(config.failure));
  return config.value;
}

function committed(path: string): Promise<string> {
  return Deno.readTextFile(new URL(`../../config/${path}`, import.meta.url));
}

Deno.test("the committed reference file is the one that the schema gives (deno task reference)", async () => {
  assert.equal(await committed("reference.yaml"), referenceYaml());
});

Deno.test("the table of limits in config/README.md is the one that the schema gives", async () => {
  const readme = await committed("README.md");
  const [, rest = ""] = readme.split(LIMITS_MARKERS.start);
  const [table = ""] = rest.split(LIMITS_MARKERS.end);
  assert.equal(table.trim(), limitsTable());
});

Deno.test("the reference file is a configuration, and says what holds without one", async () => {
  assert.deepEqual(await loadText(referenceYaml()), await loadText(""));
});

Deno.test("every line of the reference that is commented out is a setting without a default", () => {
  const optional = referenceYaml().match(/^ +# [a-z_0-9]+:$/gm) ?? [];
  assert.ok(optional.length > 5);
  const long = referenceYaml().split("\n").filter((line) => line.length > 100);
  // Comments are wrapped; values stand as they are.
  assert.deepEqual(long.filter((line) => line.trim().startsWith("#")), []);
});

Deno.test("what is printed can be loaded again and means the same", async () => {
  const config = await loadText(`
monitor: { interval: 90s, publish: { relays: [wss://a.example] } }
networks: { tor: { proxy_url: "socks5h://127.0.0.1:9050" } }
synchronizer: { filter: { kinds: [1], "#e": [] }, since: "2024-05-01T12:00:01Z",
  overrides: [{ url: wss://b.example, kinds: [0], max_relay_time: 1h }] }
log: { levels: { monitor: debug } }
`);
  const printed = configToYaml(effectiveConfig(config));
  assert.deepEqual(await loadText(printed), config);
});

Deno.test("what is printed says that there are secrets, and nothing of them", async () => {
  const config = await loadText(
    'networks: { tor: { proxy_url: "socks5h://bob:sesame@127.0.0.1:9050" } }',
    { DATABASE_URL: "postgres://bob:sesame@h/d", PRIVATE_KEY: "12".repeat(32) },
  );
  const effective = effectiveConfig(config);
  const shown = configToYaml(effective) + JSON.stringify(effective);
  assert.doesNotMatch(shown, /sesame|1212/);
  assert.match(shown, /DATABASE_URL: postgres:\/\/bob:\*\*\*@h\/d/);
  assert.match(shown, /PRIVATE_KEY: "?\*\*\*/);
});
