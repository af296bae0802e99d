import assert from "node:assert/strict";
import { parseRelayUrl, type RelayUrl } from "../../src/model/relay_url.ts";
import { HostQuota } from "../../src/net/host_quota.ts";

function url(text: string): RelayUrl {
  const parsed = parseRelayUrl(text);
  assert.ok(parsed.ok);
  return parsed.value;
}

Deno.test("a few of a host go now, the others wait for cycles to come, a few for each", () => {
  const quota = new HostQuota({ perCycle: 3, spacingMs: 60_000 });
  const waits = Array.from({ length: 8 }, (_, i) => quota.waitMs(url(`wss://a.example/${i}`)));
  assert.deepEqual(waits, [0, 0, 0, 60_000, 60_000, 60_000, 120_000, 120_000]);
  assert.equal(quota.waitMs(url("wss://b.example")), 0);
  assert.equal(quota.waitMs(url("ws://a.example:7777")), 120_000, "whatever port it is");
});

Deno.test("ports of one's own network are hosts of their own", () => {
  const quota = new HostQuota({ perCycle: 1, spacingMs: 60_000 });
  assert.equal(quota.waitMs(url("ws://127.0.0.1:7777")), 0);
  assert.equal(quota.waitMs(url("ws://127.0.0.1:7778")), 0);
  assert.equal(quota.waitMs(url("ws://127.0.0.1:7777/path")), 60_000);
});

Deno.test("nobody is put off for more than a week", () => {
  const quota = new HostQuota({ perCycle: 1, spacingMs: 86_400_000 });
  let longest = 0;
  for (let i = 0; i < 100; i++) longest = quota.waitMs(url("wss://a.example"));
  assert.equal(longest, 7 * 86_400_000);
});
