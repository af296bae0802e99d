import assert from "node:assert/strict";
import { fetchRelayList, readRelayList } from "../../src/finder/json_list.ts";
import { toHttpUrl } from "../../src/model/relay_url.ts";
import {
  type Behaviour,
  nip11Endless,
  nip11GzipBomb,
  nip11RedirectsTo,
  nip11Stalls,
  nip11Status,
  nip11Text,
  refuses,
  startHostileRelay,
} from "../relay/mod.ts";
import { testConfig, testDialer } from "../support/stages.ts";

function urls(text: string, expression: string, max = 100): string[] | string {
  const list = readRelayList(text, expression, max);
  return list.ok ? list.value.urls : list.failure.reason;
}

Deno.test("a JMESPath expression finds the URLs in a list of any shape", () => {
  assert.deepEqual(urls('["wss://a.example.com","wss://b.example.com"]', "[*]"), [
    "wss://a.example.com/",
    "wss://b.example.com/",
  ]);
  const nested = JSON.stringify({ relays: [{ url: "a.example.com" }, { url: 7 }, {}] });
  assert.deepEqual(urls(nested, "relays[].url"), ["wss://a.example.com/"]);
  assert.deepEqual(urls('{"wss://a.example.com":{}}', "keys(@)"), ["wss://a.example.com/"]);
  assert.deepEqual(urls('[["wss://a.example.com"],["wss://b.example.com"]]', "@"), [
    "wss://a.example.com/",
    "wss://b.example.com/",
  ]);
});

Deno.test("a list that holds no URL, or is no JSON, is a failure with its reason", () => {
  assert.equal(urls("<html>", "[*]"), "not_json");
  assert.equal(urls("[]", "[*]"), "no_urls");
  assert.equal(urls('{"a":1}', "b"), "no_urls");
  assert.equal(urls('["a"]', "[*"), "expression_failed");
  assert.equal(urls('["a"]', "abs(@)"), "expression_failed");
  assert.equal(urls("[".repeat(1000) + "]".repeat(1000), "@"), "too_deep");
});

Deno.test("bad entries are counted by problem, and a long list is cut where it says", () => {
  const list = readRelayList('["wss://a.example.com","ftp://b","","x"]', "[*]", 100);
  assert.ok(list.ok);
  assert.deepEqual([...list.value.bad.keys()].sort(), ["bad_scheme", "empty", "not_a_url"]);
  assert.equal(list.value.cut, false);
  const many = JSON.stringify(Array.from({ length: 10 }, (_, i) => `wss://r${i}.example.com`));
  const cut = readRelayList(many, "[*]", 4);
  assert.ok(cut.ok);
  assert.equal(cut.value.urls.length, 4);
  assert.equal(cut.value.cut, true);
});

const cases: [string, readonly Behaviour[], string][] = [
  ["does not answer", [nip11Stalls()], "timeout"],
  ["never ends", [nip11Endless()], "body_too_large"],
  ["is a gzip bomb", [nip11GzipBomb(50)], "body_too_large"],
  ["is not there", [nip11Status(404)], "http_status"],
  ["leads into another network", [nip11RedirectsTo("http://relay.loki/")], "network_disabled"],
  ["is at nobody's port", [refuses()], "refused"],
];
for (const [what, behaviours, reason] of cases) {
  Deno.test(`a list whose server ${what} fails with ${reason}, bounded in time and size`, async () => {
    await using relay = await startHostileRelay({ behaviours });
    const dialer = testDialer(await testConfig());
    const list = await fetchRelayList({ url: toHttpUrl(relay.url), expression: "[*]" }, {
      maxBytes: 100_000,
      timeoutMs: 700,
      maxResults: 10,
    }, { dialer });
    assert.ok(!list.ok);
    assert.equal(list.failure.reason, reason);
  });
}

Deno.test("a list is fetched over HTTP and read", async () => {
  await using relay = await startHostileRelay({
    behaviours: [nip11Text('{"relays":["wss://a.example.com"]}', "text/plain")],
  });
  const dialer = testDialer(await testConfig());
  const list = await fetchRelayList({ url: toHttpUrl(relay.url), expression: "relays" }, {
    maxBytes: 1000,
    timeoutMs: 2000,
    maxResults: 10,
  }, { dialer });
  assert.ok(list.ok);
  assert.deepEqual(list.value.urls, ["wss://a.example.com/"]);
});
