import assert from "node:assert/strict";
import { systemClock } from "../../src/lib/clock.ts";
import { Metrics } from "../../src/metrics.ts";
import { diskRoom, keepFigures } from "../../src/metrics/figure_keeper.ts";
import { parseRelayUrl } from "../../src/model/relay_url.ts";
import { insertRelays } from "../../src/store/relays.ts";
import { storeTest } from "../support/store.ts";
import { tempFolder } from "../support/temp_folder.ts";

storeTest("figures are read at once and again, and a scrape asks nothing itself", async (store) => {
  await using folder = await tempFolder();
  using metrics = new Metrics();
  const url = parseRelayUrl("wss://a.example.com");
  assert.ok(url.ok);
  const stop = new AbortController();
  const keeping = keepFigures(
    { store, dataDir: folder.path, metrics, intervalMs: 10, clock: systemClock },
    stop.signal,
  );
  const until = async (series: RegExp): Promise<void> => {
    const endMs = performance.now() + 30_000;
    while (!series.test(await metrics.text())) {
      assert.ok(performance.now() < endMs, `${series}`);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  };
  await until(/^bigbrotr_store_size_bytes [1-9]/m);
  assert.match(await metrics.text(), /^bigbrotr_disk_free_bytes\{folder="data"\} [1-9]/m);
  await insertRelays(store, [url.value], { at: 1 });
  await until(/^bigbrotr_relays\{network="clearnet",state="unknown"\} 1$/m);
  stop.abort();
  await assert.rejects(keeping, { name: "AbortError" });
  const { queries } = store.stats();
  await metrics.text();
  assert.equal(store.stats().queries, queries);
});

Deno.test("a folder that is not there has no room to tell of", async () => {
  await using folder = await tempFolder();
  assert.equal(await diskRoom(`${folder.path}/absent`), undefined);
  const room = await diskRoom(folder.path);
  assert.ok(room !== undefined && room.freeBytes > 0 && room.sizeBytes >= room.freeBytes);
});
