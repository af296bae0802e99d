import assert from "node:assert/strict";
import { createSeeder } from "../../src/seeder/seeder.ts";
import { parseSeeds } from "../../src/seeder/seed_file.ts";
import { countCandidates } from "../../src/store/candidates.ts";
import { runCycle, testConfig } from "../support/stages.ts";
import { storeTest } from "../support/store.ts";
import { tempFolder } from "../support/temp_folder.ts";

const LATER = 4_000_000_000;

storeTest("the built-in list becomes candidates, once", async (store) => {
  const config = (await testConfig()).seeder;
  const seeder = createSeeder({ store, config });
  const counts = await runCycle(seeder);
  assert.ok((counts["seeds_read"] ?? 0) >= 90, `only ${counts["seeds_read"]} seeds`);
  assert.equal(counts["candidates_inserted"], counts["seeds_read"]);
  assert.equal((await countCandidates(store, { at: LATER })).due, counts["seeds_read"]);
  assert.equal((await runCycle(seeder))["candidates_inserted"], 0);
});

storeTest(
  "the operator's file and URLs become candidates, bad lines are counted",
  async (store) => {
    await using folder = await tempFolder();
    const path = await folder.write(
      "seeds.txt",
      "wss://a.example.com\nnonsense\nwss://b.example.com",
    );
    const { seeder: config } = await testConfig(
      `seeder.file=${path}`,
      "seeder.batch_size=1",
      'seeder.relays=["wss://b.example.com", "wss://c.example.com"]',
    );
    const counts = await runCycle(createSeeder({ store, config }));
    assert.deepEqual(counts, { seeds_read: 3, seeds_bad_not_a_url: 1, candidates_inserted: 3 });
  },
);

storeTest("a file that is too large, or none at all, fails the cycle", async (store) => {
  await using folder = await tempFolder();
  const path = await folder.write("seeds.txt", "wss://a.example.com\n".repeat(100));
  const tooLarge = (await testConfig(`seeder.file=${path}`, "seeder.max_file_size=1KiB")).seeder;
  await assert.rejects(runCycle(createSeeder({ store, config: tooLarge })), /seed file/);
  const absent = (await testConfig(`seeder.file=${path}.absent`)).seeder;
  await assert.rejects(runCycle(createSeeder({ store, config: absent })), /seed file/);
  const folderItself = (await testConfig(`seeder.file=${folder.path}`)).seeder;
  await assert.rejects(runCycle(createSeeder({ store, config: folderItself })), /seed file/);
  assert.equal((await countCandidates(store, { at: LATER })).pending, 0);
});

Deno.test("every line of the built-in list is a relay URL in normal form", async () => {
  const path = new URL("../../config/seed_relays.txt", import.meta.url);
  const text = await Deno.readTextFile(path);
  const { urls, bad, repeated } = parseSeeds(text);
  assert.deepEqual(bad, []);
  assert.equal(repeated, 0);
  assert.deepEqual(urls, text.split("\n").filter((line) => line.startsWith("ws")));
});
