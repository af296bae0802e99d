import assert from "node:assert/strict";
import fc from "fast-check";
import { nip19 } from "nostr-tools";
import { extractRelayUrls } from "../../src/finder/extract.ts";
import { parseEvent } from "../../src/model/event.ts";
import { readRealEvents, sharedDataMissing, sharedDataNote } from "../support/shared_data.ts";

const LIMITS = { maxUrlsPerEvent: 100, maxTokensPerEvent: 5, maxContentChars: 100_000 };
const ID = "ab".repeat(32);

function found(
  event: { kind: number; tags?: string[][]; content?: string },
  limits = LIMITS,
): string[] {
  return [...extractRelayUrls({ tags: [], content: "", ...event }, limits).urls];
}

Deno.test("a relay list (10002) gives its r tags", () => {
  const tags = [["r", "wss://a.example.com"], ["r", "b.example.com/", "read"], ["r"], ["x", "y"]];
  assert.deepEqual(found({ kind: 10002, tags }), ["wss://a.example.com/", "wss://b.example.com/"]);
  assert.deepEqual(found({ kind: 1, tags }), [], "an r tag elsewhere is a web page");
});

Deno.test("kind 2 gives its content, kind 3 the keys of its content", () => {
  assert.deepEqual(found({ kind: 2, content: "wss://a.example.com" }), ["wss://a.example.com/"]);
  const content = JSON.stringify({ "wss://b.example.com": { read: true }, "not a url": {} });
  assert.deepEqual(found({ kind: 3, content }), ["wss://b.example.com/"]);
  assert.deepEqual(found({ kind: 3, content: "{broken" }), []);
  assert.deepEqual(found({ kind: 3, content: "[1]" }), []);
  assert.deepEqual(found({ kind: 3, content: "" }), []);
});

Deno.test("lists with relay tags give them", () => {
  const tags = [["relay", "wss://a.example.com"], ["relay"]];
  for (const kind of [10006, 10007, 10012, 10050, 10086, 10166, 30002]) {
    assert.deepEqual(found({ kind, tags }), ["wss://a.example.com/"], String(kind));
  }
  assert.deepEqual(found({ kind: 1, tags }), []);
});

Deno.test("another monitor's report (30166) gives the relay it is about, unless that is a key", () => {
  assert.deepEqual(found({ kind: 30166, tags: [["d", "wss://a.example.com/"]] }), [
    "wss://a.example.com/",
  ]);
  assert.deepEqual(found({ kind: 30166, tags: [["d", ID]] }), []);
});

Deno.test("e, p, a and q tags give their hints; petnames and blanks are none", () => {
  const tags = [
    ["e", ID, "wss://e.example.com"],
    ["p", ID, "ws://p.example.com", "petname"],
    ["a", `30023:${ID}:x`, " wss://a.example.com"],
    ["q", ID, "wss://q.example.com/"],
    ["p", ID, "alice.example.com"],
    ["e", ID, ""],
    ["t", ID, "wss://t.example.com"],
  ];
  assert.deepEqual(found({ kind: 1, tags }), [
    "wss://e.example.com/",
    "ws://p.example.com/",
    "wss://a.example.com/",
    "wss://q.example.com/",
  ]);
});

Deno.test("nprofile, nevent and naddr in a text give their relays, as many as are allowed", () => {
  const profile = nip19.nprofileEncode({ pubkey: ID, relays: ["wss://profile.example.com"] });
  const event = nip19.neventEncode({ id: ID, relays: ["wss://event.example.com/x"] });
  const address = nip19.naddrEncode({
    identifier: "d",
    pubkey: ID,
    kind: 30023,
    relays: ["wss://address.example.com"],
  });
  const content = `see nostr:${profile}, ${event}\n(nostr:${address}) nostr:${
    profile.slice(0, -3)
  }xyz`;
  assert.deepEqual(found({ kind: 1, content }), [
    "wss://profile.example.com/",
    "wss://event.example.com/x",
    "wss://address.example.com/",
  ]);
  assert.deepEqual(found({ kind: 1, content }, { ...LIMITS, maxTokensPerEvent: 1 }), [
    "wss://profile.example.com/",
  ]);
});

Deno.test("one event gives no more relays than it may", () => {
  const tags = Array.from({ length: 50 }, (_, i) => ["r", `wss://r${i}.example.com`]);
  assert.equal(found({ kind: 10002, tags }, { ...LIMITS, maxUrlsPerEvent: 7 }).length, 7);
});

Deno.test("an event of rubbish is not read to its end", () => {
  const content = JSON.stringify(Object.fromEntries(
    Array.from({ length: 3_000 }, (_, i) => [`a${i}..example.com`, 0]),
  ));
  const { urls, bad } = extractRelayUrls({ kind: 3, tags: [], content }, LIMITS);
  assert.equal(urls.size, 0);
  assert.equal([...bad.values()].reduce((sum, n) => sum + n, 0), 10 * LIMITS.maxUrlsPerEvent);
  const deep = `{"wss://a.example.com":${"[".repeat(1_000)}${"]".repeat(1_000)}}`;
  assert.deepEqual(found({ kind: 3, content: deep }), []);
});

Deno.test("what is no relay URL is counted by its problem", () => {
  const tags = [["r", "ftp://x.example.com"], ["r", ""], ["r", "https//broken"], ["r", ""]];
  const { urls, bad } = extractRelayUrls({ kind: 10002, tags, content: "" }, LIMITS);
  assert.equal(urls.size, 0);
  assert.equal([...bad.values()].reduce((sum, n) => sum + n, 0), 4);
  assert.equal(bad.get("empty"), 2);
  assert.equal(bad.get("bad_scheme"), 1);
});

Deno.test("no event makes the extraction throw or exceed its bounds", () => {
  const event = fc.record({
    kind: fc.constantFrom(1, 2, 3, 10002, 30166, 30002, 10086),
    tags: fc.array(fc.array(fc.oneof(fc.string(), fc.constantFrom("r", "relay", "d", "e", "p")))),
    content: fc.oneof(fc.string(), fc.json()),
  });
  fc.assert(fc.property(event, (one) => {
    assert.ok(extractRelayUrls(one, { ...LIMITS, maxUrlsPerEvent: 3 }).urls.size <= 3);
  }));
});

Deno.test({
  name: `real events name many relays, and all are in normal form${sharedDataNote}`,
  ignore: sharedDataMissing,
  fn: () => {
    const urls = new Set<string>();
    for (const raw of readRealEvents()) {
      const event = parseEvent(raw);
      assert.ok(event.ok);
      for (const url of extractRelayUrls(event.value, LIMITS).urls) urls.add(url);
    }
    assert.ok(urls.size > 100, `only ${urls.size}`);
    assert.ok(urls.has("wss://relay.damus.io/"));
  },
});
