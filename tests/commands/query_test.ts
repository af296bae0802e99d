// `bigbrotr query` and `bigbrotr status` as they are typed: over an embedded database of their own,
// and over HTTP while another process has it.
import assert from "node:assert/strict";
import { startApi } from "../../src/api/server.ts";
import { loadConfig } from "../../src/config/load.ts";
import { openConfiguredStore } from "../../src/configured_store.ts";
import { CATALOGUE } from "../../src/queries/catalogue.ts";
import { writeStageStatus } from "../../src/queries/status.ts";
import type { Store } from "../../src/store/connect.ts";
import { NOW, WAITING } from "../api/support.ts";
import { type Archive, fillArchive } from "../queries/archive.ts";
import { tempFolder } from "../support/temp_folder.ts";
import { runBigbrotr } from "../support/test_io.ts";

/** A data folder with a small archive and the written statuses of two stages, made once. */
let data: { path: string; archive: Archive } & AsyncDisposable;

Deno.test.beforeAll(async () => {
  const folder = await tempFolder();
  await using store = await openIn(folder.path);
  const archive = await fillArchive(store, 40);
  const at = Math.floor(Date.now() / 1000);
  await writeStageStatus(store, { ...WAITING, lastSuccessAt: at - 30 }, { at });
  const failed = { ...WAITING, name: "finder", failures: 1, lastError: "the list is gone" };
  await writeStageStatus(store, { ...failed, state: "failing" }, { at: NOW });
  data = { path: folder.path, archive, [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose]() };
});

Deno.test.afterAll(async () => await data[Symbol.asyncDispose]());

async function openIn(dataDir: string): Promise<Store> {
  const config = await loadConfig({ env: () => undefined, dataDir });
  assert.ok(config.ok);
  return await openConfiguredStore(config.value);
}

Deno.test("--list names every question with its parameters, without a database", async () => {
  const text = await runBigbrotr(["query", "--list"]);
  assert.equal(text.code, 0, text.stderr);
  for (const { name, params } of CATALOGUE) {
    assert.match(text.stdout, new RegExp(`^${name}: `, "m"));
    for (const param of Object.keys(params.shape)) assert.ok(text.stdout.includes(`    ${param}`));
  }
  const json = await runBigbrotr(["query", "--list", "--json"]);
  const { questions } = JSON.parse(json.stdout);
  assert.equal(questions.length, CATALOGUE.length);
  assert.equal(
    questions.find((q: { name: string }) => q.name === "relay").params.relay.required,
    true,
  );
});

Deno.test("a question is answered as a table or as JSON, page after page", async () => {
  const base = ["query", "kind_counts", "--data", data.path, "--param", "limit=2"];
  const table = await runBigbrotr(base);
  assert.equal(table.code, 0, table.stderr);
  assert.match(table.stdout, /^kind +class +events +pubkeys\n +1 +regular +\d+ +\d+\n/);
  const cursor = /--param cursor=(\S+)/.exec(table.stderr)?.[1];
  const json = await runBigbrotr([...base, "--param", `cursor=${cursor}`, "--json"]);
  const { rows } = JSON.parse(json.stdout);
  assert.equal(rows.length, 2);
  const count = await runBigbrotr([
    "query",
    "event_count",
    "--data",
    data.path,
    "--json",
    "--param",
    'filter={"kinds":[1]}',
  ]);
  const ones = data.archive.events.filter((event) => event.kind === 1).length;
  assert.deepEqual(JSON.parse(count.stdout), { rows: [{ group: [], count: ones }] });
});

Deno.test("--csv is a table for programs, with its names even where there are no rows", async () => {
  const base = ["query", "--data", data.path, "--csv"];
  const kinds = await runBigbrotr([...base, "kind_counts", "--param", "limit=2"]);
  assert.equal(kinds.code, 0, kinds.stderr);
  assert.match(
    kinds.stdout,
    /^kind,class,events,pubkeys\r\n1,regular,\d+,\d+\r\n\d+,\w+,\d+,\d+\r\n$/,
  );
  assert.match(kinds.stderr, /^There is more: --param cursor=/m);
  const relays = await runBigbrotr([...base, "relays", "--param", "text=beta.example"]);
  assert.match(relays.stdout, /^url,network,state,.*\r\nwss:\/\/beta.example.com\/,clearnet,/);
  assert.match(relays.stdout, /,"\[1,11,77\]",.*,\d+\r\n$/);
  const none = await runBigbrotr([...base, "kind_counts", "--param", "kind=65535"]);
  assert.equal(none.stdout, "kind,class,events,pubkeys\r\n");
  assert.equal((await runBigbrotr([...base, "event_stats", "--json"])).code, 2);
});

Deno.test("bad questions and parameters are bad usage, named with what is allowed", async () => {
  await using folder = await tempFolder();
  const lines: [string[], RegExp][] = [
    [[], /Name a question/],
    [["relay_stat"], /no question called relay_stat; did you mean relay_stats\?/],
    [["relays", "--param", "state"], /name=value/],
    [["relays", "--param", "constructor=1"], /constructor is not a parameter here/],
    [["relays", "--param", "__proto__=1"], /__proto__ is not a parameter here/],
    [
      ["relays", "--param", "state=upp", "--param", "limit=x"],
      /limit must be.*state must be|state must be.*limit must be/,
    ],
  ];
  for (const [args, pattern] of lines) {
    const { code, stderr, stdout } = await runBigbrotr(["query", ...args, "--data", folder.path]);
    assert.equal(code, 2, stderr);
    assert.match(stderr, pattern);
    assert.equal(stdout, "");
  }
  // Nothing was opened for it.
  assert.deepEqual([...Deno.readDirSync(folder.path)], []);
});

Deno.test("status tells each stage's counts and failures, silence, and what the store holds", async () => {
  const text = await runBigbrotr(["status", "--data", data.path]);
  assert.equal(text.code, 0, text.stderr);
  assert.match(text.stdout, /^stage +state +cycles/);
  assert.match(
    text.stdout,
    /^monitor +(waiting|silent since .*) +4 +0 +\S+ ago +10\.0s +relays_checked 12$/m,
  );
  assert.match(text.stdout, /^finder +silent since 2025-10-09/m);
  assert.match(text.stdout, /finder failed last with: the list is gone/);
  assert.match(text.stdout, /^events +40$/m);
  assert.match(text.stdout, /^relays +dead 1, online 2, unknown 1, unreachable 1$/m);
  const json = JSON.parse((await runBigbrotr(["status", "--data", data.path, "--json"])).stdout);
  assert.equal(json.store.events, 40);
  assert.equal(json.store.behind, 0);
  assert.equal(json.stages.length, 2);
});

Deno.test("while another process has the data folder, that one is asked over HTTP", async () => {
  await using store = await openIn(data.path);
  const held = await runBigbrotr([
    "query",
    "event_stats",
    "--data",
    data.path,
    "--set",
    "api.port=1",
  ]);
  assert.equal(held.code, 1);
  assert.match(held.stderr, /another process|process \d+ uses it/);

  const config = await loadConfig({ env: () => undefined, sets: ["api.port=0"] });
  assert.ok(config.ok);
  await using api = await startApi({
    config: config.value.api,
    store,
    identity: { name: "BigBrotr", version: "0.0.1", commit: "unknown", npub: "npub1test" },
    stages: () => [WAITING],
    metricsText: () => Promise.resolve(""),
  });
  const options = ["--data", data.path, "--set", `api.port=${api.port}`];
  const answer = await runBigbrotr(["query", "event_stats", "--json", ...options]);
  assert.equal(answer.code, 0, answer.stderr);
  assert.equal(JSON.parse(answer.stdout).rows[0].events, 40);
  const wrong = await runBigbrotr(["query", "relays", "--param", "cursor=abc", ...options]);
  assert.equal(wrong.code, 2);
  assert.match(wrong.stderr, /cursor is not a cursor of this query/);
  const status = await runBigbrotr(["status", ...options]);
  assert.equal(status.code, 0, status.stderr);
  assert.match(status.stdout, /^monitor +waiting/m);
});
