// `bigbrotr sync`, `export` and `import` as they are typed: what a relay holds comes out of the
// archive byte for byte, and nothing forged gets in.
import assert from "node:assert/strict";
import { cp } from "node:fs/promises";
import { gunzipSync, gzipSync } from "node:zlib";
import type { NostrEvent } from "../../src/model/event.ts";
import { cap, closedWith, forged, refuses, startHostileRelay } from "../relay/mod.ts";
import { forgeContent, forgeSig, generateEvents, REGULAR_KINDS } from "../support/events.ts";
import { readRealEvents, sharedDataMissing, sharedDataNote } from "../support/shared_data.ts";
import { type TempFolder, tempFolder } from "../support/temp_folder.ts";
import { type CliTestResult, runBigbrotr } from "../support/test_io.ts";

/** An empty migrated data folder; a copy of it opens in a second, a new one takes four. */
let template: TempFolder;

Deno.test.beforeAll(async () => {
  template = await tempFolder();
  const { code, stderr } = await run(`${template.path}/data`, "migrate");
  assert.equal(code, 0, stderr);
});

Deno.test.afterAll(async () => await template[Symbol.asyncDispose]());

/** A folder with an empty archive in `data`. */
async function archiveFolder(): Promise<TempFolder> {
  const folder = await tempFolder();
  await cp(`${template.path}/data`, `${folder.path}/data`, { recursive: true });
  return folder;
}

const generated = generateEvents(150, { oddShare: 0.3, kinds: REGULAR_KINDS });

Deno.test("what is synced is exported byte for byte, and imports into another archive", async () => {
  await using folder = await archiveFolder();
  await using relay = await startHostileRelay({
    events: generated,
    behaviours: [cap(40), forged({ every: 4 })],
  });
  const sync = await run(`${folder.path}/data`, "sync", relay.url);
  assert.equal(sync.code, 0, sync.stdout + sync.stderr);
  assert.match(sync.stdout, / {2}complete\n/);
  assert.match(sync.stdout, /150 new/);
  assert.match(sync.stdout, /dropped: wrong signature/);
  assert.match(sync.stdout, /100\.0 % of the beginning to .* is complete/);
  assert.match(sync.stdout, /closed .*EOSE on an empty page/);

  const exported = await run(`${folder.path}/data`, "export");
  assert.equal(exported.code, 0, exported.stderr);
  assert.equal(exported.stdout, jsonLines(generated));

  await using other = await archiveFolder();
  const imported = await runWith(`${other.path}/data`, exported.stdout, "import", "-", "--json");
  assert.equal(imported.code, 0, imported.stderr);
  const summary = JSON.parse(imported.stdout);
  assert.equal(summary.newEvents, 150);
  assert.deepEqual(summary.dropped, {});
  assert.equal((await run(`${other.path}/data`, "export")).stdout, exported.stdout);
});

Deno.test({
  name: `every real event survives relay, archive and export${sharedDataNote}`,
  ignore: sharedDataMissing,
  fn: async () => {
    const events = readRealEvents() as NostrEvent[];
    const forgeries = events.slice(0, 50).map((event) => forgeContent(event));
    await using folder = await archiveFolder();
    await using relay = await startHostileRelay({
      events: [...events, ...forgeries],
      behaviours: [cap(500)],
    });
    const sync = await run(`${folder.path}/data`, "sync", relay.url, "--json");
    const report = JSON.parse(sync.stdout);
    assert.equal(report.outcome, "complete", sync.stdout);
    const unique = new Map(events.map((event) => [event.id, event]));
    assert.equal(report.newEvents, unique.size);
    // Paged twice where they sit on a boundary.
    assert.ok(report.dropped.wrong_signature >= forgeries.length);
    const exported = await run(`${folder.path}/data`, "export");
    assert.equal(exported.stdout, jsonLines([...unique.values()]));
  },
});

Deno.test("sync goes on where it stopped, in its window, with its filter", async () => {
  await using folder = await archiveFolder();
  await using relay = await startHostileRelay({ events: generated, behaviours: [cap(40)] });
  const since = "2023-12-01";
  const from = Date.UTC(2023, 11, 1) / 1000;
  const args = ["sync", relay.url, "--since", since, "--filter", '{"kinds":[1]}', "--json"];
  const first = JSON.parse((await run(`${folder.path}/data`, ...args)).stdout);
  const wanted = generated.filter((event) => event.kind === 1 && event.created_at >= from);
  assert.equal(first.outcome, "complete");
  assert.equal(first.newEvents, wanted.length);
  assert.deepEqual(
    first.coverage.map(({ since, state }: { since: number; state: string }) => [
      since,
      state,
    ]),
    [[from, "closed"]],
  );
  const again = JSON.parse((await run(`${folder.path}/data`, ...args)).stdout);
  assert.equal(again.newEvents, 0);
  assert.ok(again.requests <= 8, `${again.requests} requests`);
});

Deno.test("a report says what is complete, what is not, and why, in words", async () => {
  const at = 1_700_000_500;
  const dense = generateEvents(40, { kinds: { 1: 1 }, authors: 1, bursts: [{ at, count: 30 }] });
  await using folder = await archiveFolder();
  await using relay = await startHostileRelay({ events: dense, behaviours: [cap(10)] });
  const { code, stdout } = await run(`${folder.path}/data`, "sync", relay.url);
  assert.equal(code, 0, stdout);
  assert.match(stdout, /complete but for 1 gaps/);
  assert.match(stdout, /without a break from 2023-11-14.* to /);
  assert.match(stdout, /gap .*2023-11-14.* more events in one second than the relay gives/);
  const asked = await run(`${folder.path}/data`, "query", "completeness");
  const found = /complete_since +2023-11-14 .*\ncomplete_until +20\d\d-.*\nproofs +eose_empty/;
  assert.match(asked.stdout, found);
});

Deno.test("a relay that gives nothing is told with its reason, and ends in exit code 1", async () => {
  await using folder = await archiveFolder();
  await using gone = await startHostileRelay({ behaviours: [refuses()] });
  await using shut = await startHostileRelay({ behaviours: [closedWith("restricted", "no")] });
  const { code, stdout } = await run(`${folder.path}/data`, "sync", gone.url, shut.url);
  assert.equal(code, 1);
  assert.match(stdout, /could not be reached \(tcp: refused\)/);
  assert.match(stdout, /not complete \(restricted\)/);
  assert.match(stdout, /0\.0 % of the beginning to/);
});

Deno.test("an import counts bad lines by reason and goes on", async () => {
  await using folder = await archiveFolder();
  const [a, b, c] = generated;
  assert.ok(a && b && c);
  const lines = [
    JSON.stringify(a),
    "not json",
    JSON.stringify(forgeSig(b)),
    "[1,2]",
    JSON.stringify({ ...c, id: "x" }),
    "",
    JSON.stringify(a),
    JSON.stringify(c),
  ];
  const file = await folder.write("events.jsonl", lines.join("\n"));
  const args = ["import", file, "--relay", "wss://relay.example.com", "--json"];
  const { code, stdout, stderr } = await run(`${folder.path}/data`, ...args);
  assert.equal(code, 0, stderr);
  const { elapsedMs: _elapsedMs, ...summary } = JSON.parse(stdout);
  assert.deepEqual(summary, {
    lines: 7,
    newEvents: 2,
    newSightings: 2,
    repeated: 1,
    dropped: { not_object: 1, bad_id: 1, wrong_signature: 1 },
    badLines: { not_json: 1 },
  });
  const text = await run(`${folder.path}/data`, "import", file);
  assert.match(text.stdout, /^7 lines .*: 0 new events, 3 known\n/);
  assert.match(text.stdout, / {2}1 passed over: not json\n/);
  assert.match(text.stdout, / {2}1 passed over: wrong signature\n/);
});

Deno.test("files that end in .gz are packed and unpacked, and filters choose", async () => {
  await using folder = await archiveFolder();
  const data = `${folder.path}/data`;
  const packed = `${folder.path}/in.jsonl.gz`;
  await Deno.writeFile(packed, gzipSync(jsonLines(generated)));
  assert.equal((await run(data, "import", packed)).code, 0);
  const out = `${folder.path}/out.jsonl.gz`;
  const { code, stdout } = await run(data, "export", "--out", out, "--filter", '{"kinds":[1,6]}');
  assert.equal(code, 0);
  const wanted = generated.filter((event) => event.kind === 1 || event.kind === 6);
  assert.match(stdout, new RegExp(`^${wanted.length} events written in .* to `));
  assert.equal(gunzipSync(await Deno.readFile(out)).toString(), jsonLines(wanted));
  const names = (await Array.fromAsync(Deno.readDir(folder.path))).map((entry) => entry.name);
  assert.deepEqual(names.sort(), ["data", "in.jsonl.gz", "out.jsonl.gz", "out.manifest.json"]);
  const few = await run(data, "export", "--filter", '{"limit":7}');
  assert.equal(few.stdout, jsonLines(generated).split("\n").slice(0, 7).join("\n") + "\n");
});

Deno.test("wrong words end in exit code 2 before a database is opened", async () => {
  await using folder = await tempFolder();
  const data = `${folder.path}/data`;
  for (
    const args of [
      ["sync", "ftp://relay.example.com"],
      ["sync", "relay.example.com", "--since", "yesterday"],
      ["sync", "relay.example.com", "--filter", "{"],
      ["export", "--filter", '{"kind":1}'],
      ["import", "-", "--relay", "nonsense://"],
    ]
  ) {
    const { code, stdout, stderr } = await run(data, ...args);
    assert.deepEqual([code, stdout], [2, ""], args.join(" "));
    assert.match(stderr, /^error: /);
  }
  const missing = await run(data, "import", `${folder.path}/nowhere.jsonl`);
  assert.equal(missing.code, 1);
  assert.match(missing.stderr, /nowhere\.jsonl/);
  await assert.rejects(Deno.stat(data), Deno.errors.NotFound);
});

/** Newest first, ties by id: the order of an export. */
function jsonLines(events: readonly NostrEvent[]): string {
  return events
    .toSorted((a, b) => b.created_at - a.created_at || (a.id < b.id ? -1 : 1))
    .map(({ id, pubkey, created_at, kind, tags, content, sig }) =>
      `${JSON.stringify({ id, pubkey, created_at, kind, tags, content, sig })}\n`
    )
    .join("");
}

Deno.test("a light archive gives what it keeps, refuses to be exported, and to be read as a full one", async () => {
  await using folder = await tempFolder();
  const data = `${folder.path}/data`;
  await Deno.writeTextFile(`${folder.path}/light.yaml`, "store:\n  profile: light\n");
  const light = (...argv: string[]): Promise<CliTestResult> =>
    runWith(data, jsonLines(generated), ...argv, "--config", `${folder.path}/light.yaml`);
  const imported = await light("import", "-", "--json");
  assert.equal(imported.code, 0, imported.stderr);
  assert.equal(JSON.parse(imported.stdout).newEvents, 150);

  const [event] = generated.filter(({ tags }) => tags.length > 0);
  assert.ok(event);
  const filter = JSON.stringify({ ids: [event.id] });
  const shown = await light("query", "events", "--param", `filter=${filter}`, "--json");
  assert.equal(shown.code, 0, shown.stderr);
  const { id, pubkey, created_at, kind } = event;
  const row = JSON.parse(shown.stdout).rows[0];
  assert.deepEqual({ ...row, tags: [] }, { id, pubkey, created_at, kind, tags: [] });
  const grouped = await light("query", "event_count", "--param", "group=content");
  assert.notEqual(grouped.code, 0);
  assert.match(grouped.stdout + grouped.stderr, /does not keep/);

  const exported = await light("export");
  assert.notEqual(exported.code, 0);
  assert.equal(exported.stdout, "");
  assert.match(exported.stderr, /Cannot export.*light/);
  const full = await run(data, "query", "event_stats");
  assert.notEqual(full.code, 0);
  assert.match(full.stderr, /store\.profile: light, and full is configured/);
});

function run(dataDir: string, ...args: string[]): Promise<CliTestResult> {
  return runWith(dataDir, "", ...args);
}

function runWith(dataDir: string, stdin: string, ...args: string[]): Promise<CliTestResult> {
  return runBigbrotr([...args, "--data", dataDir, "--log-level", "error"], { stdin });
}
