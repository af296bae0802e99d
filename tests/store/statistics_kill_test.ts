import assert from "node:assert/strict";
import { openStore } from "../../src/store/connect.ts";
import { rebuildStatistics, refreshStatistics } from "../../src/store/statistics.ts";
import { freshStore } from "../support/store.ts";
import { assertExact, storedCounts } from "./statistics_tables.ts";

const WRITER = new URL("./statistics_writer.ts", import.meta.url).pathname;

Deno.test("kill -9 of the embedded database in mid-refresh counts nothing twice", async () => {
  await using own = await freshStore("pglite");
  const { template: _template, ...options } = own.options;
  await own.store[Symbol.asyncDispose]();
  const process = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-prompt", "--quiet", WRITER, options.dataDir],
    stdout: "piped",
  }).spawn();
  let seen = "";
  for await (const chunk of process.stdout.pipeThrough(new TextDecoderStream())) {
    seen += chunk;
    if (seen.split("\n").length > 25) break;
  }
  process.kill("SIGKILL");
  await process.status;
  await using store = await openStore(options);
  const { event_seq, at } = await assertExact(store);
  assert.ok(event_seq > 0);
  while ((await refreshStatistics(store, { maxRows: 100, at })).behind > 0);
  await assertExact(store);
  const counted = await storedCounts(store);
  await rebuildStatistics(store, { at });
  assert.deepEqual(await storedCounts(store), counted);
});
