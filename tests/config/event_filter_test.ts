// A filter as a setting: what it can't say is refused, not left out.
import assert from "node:assert/strict";
import { loadConfig } from "../../src/config/load.ts";
import { formatProblems } from "../../src/config/problem.ts";

async function problems(...sets: string[]): Promise<string> {
  const config = await loadConfig({ env: () => undefined, sets });
  return config.ok ? "" : formatProblems(config.failure);
}

Deno.test("a time within the filter is refused, with the setting that is meant", async () => {
  const general = await problems("synchronizer.filter={kinds: [1], since: 5}");
  assert.match(general, /synchronizer\.filter.*can't have since \(a setting beside it\)/);
  const own = "{url: wss://relay.example.com, filter: {limit: 5}}";
  assert.match(
    await problems(`synchronizer.overrides=[${own}]`),
    /overrides.*filter.*can't have limit/,
  );
  assert.match(
    await problems("synchronizer.filter={search: nostr}"),
    /can't have search \(each relay judges by itself/,
  );
});

Deno.test("a filter by kinds, authors and tags stands, for all relays and for one", async () => {
  const filter = `{kinds: [1], authors: ["${"a".repeat(64)}"], "#t": [nostr]}`;
  assert.equal(await problems(`synchronizer.filter=${filter}`), "");
  assert.equal(
    await problems(`synchronizer.overrides=[{url: wss://relay.example.com, filter: ${filter}}]`),
    "",
  );
});
