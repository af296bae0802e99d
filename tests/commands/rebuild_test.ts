// `bigbrotr rebuild` as it is typed: figures that are wrong are right after it.
import assert from "node:assert/strict";
import { loadConfig } from "../../src/config/load.ts";
import { openConfiguredStore } from "../../src/configured_store.ts";
import type { Store } from "../../src/store/connect.ts";
import { rebuildEventMarks } from "../../src/store/event_marks.ts";
import { readEventStats } from "../../src/store/statistics.ts";
import { fillArchive } from "../queries/archive.ts";
import { tempFolder } from "../support/temp_folder.ts";
import { runBigbrotr } from "../support/test_io.ts";

async function openIn(dataDir: string): Promise<Store> {
  const config = await loadConfig({ env: () => undefined, dataDir });
  assert.ok(config.ok);
  return await openConfiguredStore(config.value);
}

function versions(store: Store): Promise<number> {
  return store.run("test", async (sql) => {
    const [row] = await sql<{ n: number }[]>`select count(*) as n from event_version`;
    return row?.n ?? 0;
  });
}

Deno.test("statistics and marks that are wrong are right after a rebuild", async () => {
  await using folder = await tempFolder();
  let right = { events: 0, sightings: 0, versions: 0 };
  {
    await using store = await openIn(folder.path);
    await fillArchive(store, 60);
    await rebuildEventMarks(store);
    const { events, sightings } = await readEventStats(store);
    right = { events, sightings, versions: await versions(store) };
    assert.ok(right.events > 0 && right.sightings > 0 && right.versions > 0);
    await store.run("test", async (sql) => {
      await sql`update stat_kind set events = events + 5`;
      await sql`update stat_relay set sightings = sightings + 5`;
      await sql`delete from event_version`;
    });
  }
  const marks = await runBigbrotr(["rebuild", "marks", "--data", folder.path]);
  assert.equal(marks.code, 0, marks.stderr);
  assert.match(marks.stdout, /^marks in [\d.]+ s\n$/);
  {
    await using store = await openIn(folder.path);
    assert.equal(await versions(store), right.versions);
    // What was not named is left alone.
    assert.notEqual((await readEventStats(store)).events, right.events);
  }
  const both = await runBigbrotr(["rebuild", "--json", "--data", folder.path]);
  assert.equal(both.code, 0, both.stderr);
  const { statistics, marks: again } = JSON.parse(both.stdout);
  assert.deepEqual(Object.keys(again), ["elapsedMs"]);
  assert.deepEqual([statistics.events, statistics.sightings], [right.events, right.sightings]);
  await using store = await openIn(folder.path);
  const { events, sightings, kinds } = await readEventStats(store);
  assert.deepEqual({ events, sightings, versions: await versions(store) }, right);
  assert.ok(kinds > 1);
  const busy = await runBigbrotr(["rebuild", "--data", folder.path]);
  assert.equal(busy.code, 1);
  assert.match(busy.stderr, /data folder/i);
});

Deno.test("a part that does not exist is bad usage, and opens nothing", async () => {
  await using folder = await tempFolder();
  const { code, stderr } = await runBigbrotr(["rebuild", "statistic", "--data", folder.path]);
  assert.equal(code, 2);
  assert.match(stderr, /no statistic to rebuild; only marks, statistics/);
  assert.deepEqual([...Deno.readDirSync(folder.path)], []);
});
