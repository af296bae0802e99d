import assert from "node:assert/strict";
import fc from "fast-check";
import { buildRelayList, parseRelayList } from "../../src/nostr/nip65.ts";
import { relayUrl } from "./arbitraries.ts";

const entries = fc.uniqueArray(
  fc.tuple(relayUrl, fc.constantFrom("both", "read", "write"))
    .map(([url, use]) => ({ url, read: use !== "write", write: use !== "read" })),
  { selector: (entry) => entry.url, maxLength: 8 },
);

Deno.test("a relay list comes back from its own event", () => {
  fc.assert(fc.property(entries, (entries) => {
    assert.deepEqual(parseRelayList(buildRelayList(entries, 1)), entries);
  }));
});

Deno.test("strangers' lists are read without their junk, merged and bounded", () => {
  const tags = [
    ["r"],
    ["r", "not a relay"],
    ["r", "wss://A.example", "read"],
    ["r", "wss://a.example/", "write"],
    ["r", "wss://b.example/", "everything"],
    ["relay", "wss://c.example/"],
    ...Array.from({ length: 500 }, (_, i) => ["r", `wss://r${i}.example`]),
  ];
  const list = parseRelayList({ tags });
  assert.equal(list.length, 200);
  assert.deepEqual(list.slice(0, 2), [
    { url: "wss://a.example/", read: true, write: true },
    { url: "wss://b.example/", read: true, write: true },
  ]);
});
