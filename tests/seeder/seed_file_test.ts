import assert from "node:assert/strict";
import { parseSeeds } from "../../src/seeder/seed_file.ts";

Deno.test("a seed file gives each relay once, in normal form, and passes over comments", () => {
  const seeds = parseSeeds(
    "\ufeff# a list\r\nwss://Relay.Example.com\r\n\r\n  wss://relay.example.com/  # the same\n" +
      "relay.example.org\nwss://nos.lol/#fragment\n",
  );
  assert.deepEqual(seeds.urls, [
    "wss://relay.example.com/",
    "wss://relay.example.org/",
    "wss://nos.lol/",
  ]);
  assert.equal(seeds.repeated, 1);
  assert.deepEqual(seeds.bad, []);
});

Deno.test("a line that names no relay is told with its number and what is wrong with it", () => {
  const seeds = parseSeeds(`# one\nwss://ok.example.com\nftp://x.example.com\n${"a".repeat(5000)}`);
  assert.deepEqual(seeds.urls, ["wss://ok.example.com/"]);
  assert.deepEqual(seeds.bad.map(({ line, problem }) => [line, problem]), [
    [3, "bad_scheme"],
    [4, "too_long"],
  ]);
  assert.ok(seeds.bad.every(({ text }) => text.length <= 100));
});
