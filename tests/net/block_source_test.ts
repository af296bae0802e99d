import assert from "node:assert/strict";
import type { BlockConfig } from "../../src/config/block.ts";
import { parseRelayUrl, type RelayUrl } from "../../src/model/relay_url.ts";
import { BlockSource } from "../../src/net/block_source.ts";
import { ManualClock } from "../support/manual_clock.ts";
import { tempFolder } from "../support/temp_folder.ts";

const MINUTE_MS = 60_000;
const a = relayUrl("wss://a.example");
const b = relayUrl("wss://b.example");

function config(file?: string): BlockConfig {
  const rules = [{ kind: "host" as const, value: "a.example" }];
  return { rules, maxRules: 100, ...(file === undefined ? {} : { file }) };
}

Deno.test("without a file the rules of the configuration hold", async () => {
  const list = await new BlockSource(config()).current();
  assert.equal(list.kindFor(a), "host");
  assert.equal(list.kindFor(b), undefined);
});

Deno.test("a changed file holds soon, without a restart; a lost one takes nobody off", async () => {
  await using folder = await tempFolder();
  const clock = new ManualClock();
  const file = await folder.write("block.txt", "# nobody yet\n");
  const source = new BlockSource(config(file), { clock });
  const kinds = async (): Promise<(string | undefined)[]> => {
    const list = await source.current();
    return [list.kindFor(a), list.kindFor(b)];
  };
  assert.deepEqual(await kinds(), ["host", undefined]);

  await folder.write("block.txt", ".example\n");
  assert.deepEqual(await kinds(), ["host", undefined], "not looked at for every question");
  await clock.advance(MINUTE_MS);
  assert.deepEqual(await kinds(), ["host", "suffix"]);

  await Deno.remove(file);
  await clock.advance(MINUTE_MS);
  assert.deepEqual(await kinds(), ["host", "suffix"]);

  await folder.write("block.txt", "b.example\nno rule at all\n");
  await clock.advance(MINUTE_MS);
  assert.deepEqual(await kinds(), ["host", "host"], "one bad line does not cost the others");

  await folder.write("block.txt", "c.example\n");
  await clock.advance(MINUTE_MS);
  assert.deepEqual(await kinds(), ["host", undefined], "who is taken out is asked again");
});

Deno.test("many who ask at once read the file once", async () => {
  await using folder = await tempFolder();
  const file = await folder.write("block.txt", "b.example\n");
  const source = new BlockSource(config(file));
  const lists = await Promise.all(Array.from({ length: 20 }, () => source.current()));
  assert.equal(new Set(lists).size, 1);
  assert.equal(lists[0]?.kindFor(b), "host");
});

function relayUrl(text: string): RelayUrl {
  const url = parseRelayUrl(text);
  assert.ok(url.ok);
  return url.value;
}
