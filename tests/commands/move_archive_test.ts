// A whole archive on its way to another place: exported with its sightings, checked, imported into an
// empty store of the other kind, equal row for row; and what was changed on the way is refused.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { gunzipSync, zstdDecompressSync } from "node:zlib";
import { parseRelayUrl, type RelayUrl } from "../../src/model/relay_url.ts";
import { openStore, type Store, type StoreOptions } from "../../src/store/connect.ts";
import { writeBatch } from "../../src/store/events.ts";
import { insertRelays, relaysByUrl } from "../../src/store/relays.ts";
import { generateEvents } from "../support/events.ts";
import { postgresMissing, postgresNote } from "../support/postgres_server.ts";
import { freshStore, type StoreKind } from "../support/store.ts";
import { type TempFolder, tempFolder } from "../support/temp_folder.ts";
import { type CliTestResult, runBigbrotr } from "../support/test_io.ts";

const RELAYS = ["wss://a.example.com", "wss://b.example.com/inbox", "ws://c.example.com:8080"]
  .map(relayUrl);
const EVENTS = generateEvents(700, { seed: 21, oddShare: 0.3 });

/** Runs a command on the data of a store that is closed. */
function run({ dataDir, databaseUrl }: StoreOptions, ...args: string[]): Promise<CliTestResult> {
  const env = typeof databaseUrl === "string" ? { DATABASE_URL: databaseUrl } : {};
  return runBigbrotr([...args, "--data", dataDir, "--log-level", "error"], { env });
}

/** Most events on some relays, some on none. */
async function fill(store: Store): Promise<void> {
  await insertRelays(store, RELAYS, { at: 1_600_000_000 });
  const ids = await relaysByUrl(store, RELAYS);
  await writeBatch(store, {
    events: EVENTS,
    sightings: EVENTS.flatMap(({ id }, i) =>
      RELAYS.flatMap((url, r) =>
        (i + r) % 3 === 0 || i % 7 === 0
          ? []
          : [{ eventId: id, relayId: ids.get(url) ?? 0, seenAt: 1_700_000_000 + i * 10 + r }]
      )
    ),
  });
}

/** Every event but for its place in the archive, and every sighting, by their text keys. */
function rows(store: Store): Promise<unknown> {
  return store.run("rows", async (sql) => ({
    events: (await sql`select * from event_view order by id`).map(({ seq: _seq, ...row }) => row),
    sightings: [...await sql`select * from event_relay_view order by event_id, relay_url`],
  }));
}

async function filesIn(folder: TempFolder): Promise<string[]> {
  const entries = await Array.fromAsync(Deno.readDir(folder.path));
  return entries.filter((entry) => entry.isFile).map((entry) => entry.name).sort();
}

for (const [from, to] of [["pglite", "postgres"], ["postgres", "pglite"]] as const) {
  Deno.test({
    name: `an archive of ${from} is moved to ${to}, event for event and sighting for sighting` +
      postgresNote,
    ignore: postgresMissing,
    fn: async () => {
      await using folder = await tempFolder();
      await using source = await freshStore(from);
      await fill(source.store);
      const before = await rows(source.store);
      await source.store[Symbol.asyncDispose]();
      const out = `${folder.path}/archive.jsonl.${from === "pglite" ? "gz" : "zst"}`;
      const exported = await run(
        source.options,
        ...["export", "--out", out, "--with-sightings", "--split", "100KiB"],
      );
      assert.equal(exported.code, 0, exported.stderr);
      const names = await filesIn(folder);
      assert.ok(names.filter((name) => /^archive\.\d{4}\.jsonl\./.test(name)).length > 1);
      assert.ok(names.some((name) => name.startsWith("archive.sightings.0001.jsonl.")));
      const manifest = JSON.parse(await Deno.readTextFile(`${folder.path}/archive.manifest.json`));
      assert.equal(manifest.events, EVENTS.length);
      for (const file of manifest.files) {
        const bytes = await Deno.readFile(`${folder.path}/${file.name}`);
        assert.equal(bytes.length, file.bytes);
        assert.equal(createHash("sha256").update(bytes).digest("hex"), file.sha256);
        const text = (from === "pglite" ? gunzipSync : zstdDecompressSync)(bytes).toString();
        assert.equal(text.split("\n").length - 1, file.lines);
      }

      await using target = await freshStore(to);
      await target.store[Symbol.asyncDispose]();
      const args = ["import", `${folder.path}/archive.manifest.json`, "--json"];
      const imported = await run(target.options, ...args);
      assert.equal(imported.code, 0, imported.stderr);
      const summary = JSON.parse(imported.stdout);
      assert.equal(summary.newEvents, EVENTS.length);
      assert.deepEqual(summary.sightings, {
        lines: manifest.sightings,
        newSightings: manifest.sightings,
        unknownEvents: 0,
        bad: 0,
      });
      await using reopened = await openStore(target.options);
      assert.deepEqual(await rows(reopened), before);
    },
  });
}

Deno.test("a file that is not what the manifest says is refused before anything is imported", async () => {
  await using folder = await tempFolder();
  const own: StoreOptions = { dataDir: `${folder.path}/data` };
  await withStore("pglite", own, fill);
  const out = `${folder.path}/a.jsonl`;
  assert.equal((await run(own, "export", "--out", out, "--with-sightings")).code, 0);
  assert.deepEqual(await filesIn(folder), ["a.jsonl", "a.manifest.json", "a.sightings.jsonl"]);
  const path = `${folder.path}/a.manifest.json`;
  const whole = await Deno.readTextFile(path);
  const [events, sightings] = [out, `${folder.path}/a.sightings.jsonl`];
  const kept = await Deno.readFile(sightings);
  const other: StoreOptions = { dataDir: `${folder.path}/other` };
  async function assertRefused(why: RegExp): Promise<void> {
    const { code, stderr, stdout } = await run(other, "import", path);
    assert.deepEqual([code, stdout], [1, ""]);
    assert.match(stderr, why);
    await assert.rejects(Deno.stat(other.dataDir), Deno.errors.NotFound);
  }
  const flipped = kept.slice();
  flipped[100] = (flipped[100] ?? 0) ^ 1;
  await Deno.writeFile(sightings, flipped);
  await assertRefused(/a\.sightings\.jsonl has another SHA-256 .*nothing was imported/);
  await Deno.writeFile(sightings, kept.slice(0, -1));
  await assertRefused(/a\.sightings\.jsonl has \d+ bytes and not \d+/);
  await Deno.writeFile(sightings, kept);
  await Deno.rename(events, `${events}.away`);
  await assertRefused(/Cannot read .*a\.jsonl/);
  await Deno.rename(`${events}.away`, events);
  await Deno.writeTextFile(path, whole.replace('"name": "a.jsonl"', '"name": "../a.jsonl"'));
  await assertRefused(/no manifest of an export: files\.0\.name/);
  await Deno.writeTextFile(path, "{");
  await assertRefused(/is not JSON/);
  await Deno.writeTextFile(path, whole);
  assert.equal((await run(other, "import", path)).code, 0);
});

Deno.test("an export that fails leaves no file behind", async () => {
  await using folder = await tempFolder();
  const own: StoreOptions = { dataDir: `${folder.path}/data` };
  await withStore("pglite", own, fill);
  const { code } = await run(own, "export", "--out", `${folder.path}/nowhere/a.jsonl.gz`);
  assert.equal(code, 1);
  assert.deepEqual(await filesIn(folder), []);
});

/** A store in a folder that stays, filled and closed. */
async function withStore(
  kind: StoreKind,
  options: StoreOptions,
  fn: (store: Store) => Promise<void>,
): Promise<void> {
  await using own = await freshStore(kind, { dataDir: options.dataDir });
  await fn(own.store);
}

function relayUrl(text: string): RelayUrl {
  const url = parseRelayUrl(text);
  assert.ok(url.ok);
  return url.value;
}
