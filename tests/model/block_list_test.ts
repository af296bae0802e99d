import assert from "node:assert/strict";
import fc from "fast-check";
import ipaddr from "ipaddr.js";
import {
  BlockList,
  type BlockRule,
  blockRuleText,
  parseBlockRule,
} from "../../src/model/block_list.ts";
import { parseRelayUrl, type RelayUrl } from "../../src/model/relay_url.ts";

function rule(text: string): BlockRule {
  const parsed = parseBlockRule(text);
  assert.ok(parsed.ok, text);
  return parsed.value;
}

function url(text: string): RelayUrl {
  const parsed = parseRelayUrl(text);
  assert.ok(parsed.ok, text);
  return parsed.value;
}

Deno.test("a rule is read in any spelling that has a normal form", () => {
  assert.deepEqual(rule("wss://Relay.Example.com"), {
    kind: "url",
    value: "wss://relay.example.com/",
  });
  assert.deepEqual(rule(" Relay.EXAMPLE.com. "), { kind: "host", value: "relay.example.com" });
  assert.deepEqual(rule("bücher.example"), { kind: "host", value: "xn--bcher-kva.example" });
  assert.deepEqual(rule(".Example.com"), { kind: "suffix", value: "example.com" });
  assert.deepEqual(rule(".onion"), { kind: "suffix", value: "onion" });
  assert.deepEqual(rule("203.0.113.7"), { kind: "address", value: "203.0.113.7/32" });
  assert.deepEqual(rule("203.0.113.7/24"), { kind: "address", value: "203.0.113.0/24" });
  assert.deepEqual(rule("2001:DB8::/32"), { kind: "address", value: "2001:db8::/32" });
  assert.deepEqual(rule("::ffff:203.0.113.0/120"), { kind: "address", value: "203.0.113.0/24" });
});

Deno.test("what is no rule is refused with its reason", () => {
  const wrong = ["", "*", "a b", "host:1234", "1.2.3.4/33", "::/129", "1.2.3.4/", "1.2.3.4/24/8"];
  for (const text of [...wrong, "ftp://a.example", "a.example/path", "..example", "[::1]"]) {
    const parsed = parseBlockRule(text);
    assert.ok(!parsed.ok && parsed.failure !== "", text);
  }
});

Deno.test("a relay is blocked by its URL, its host, its domain or its address", () => {
  const list = new BlockList(
    [
      "wss://paths.example/one",
      "host.example",
      ".domain.example",
      "198.51.100.0/24",
      "2001:db8::/32",
    ].map(rule),
  );
  const kinds = (text: string): string | undefined => list.kindFor(url(text));
  assert.equal(kinds("wss://paths.example/one"), "url");
  assert.equal(kinds("wss://paths.example/two"), undefined);
  assert.equal(kinds("ws://host.example:7777/any"), "host");
  assert.equal(kinds("wss://sub.host.example/"), undefined);
  assert.equal(kinds("wss://domain.example/"), "suffix");
  assert.equal(kinds("wss://a.b.domain.example/"), "suffix");
  assert.equal(kinds("wss://otherdomain.example/"), undefined);
  assert.equal(kinds("ws://198.51.100.9:80/"), "address");
  assert.equal(kinds("ws://[2001:db8:1::9]/"), "address");
  assert.equal(kinds("ws://198.51.101.9/"), undefined);
  assert.equal(list.kindForAddress("::ffff:198.51.100.9"), "address");
  assert.equal(list.kindForAddress("no address"), undefined);
});

Deno.test("an empty list blocks nobody", () => {
  const list = new BlockList();
  assert.equal(list.kindFor(url("wss://relay.example")), undefined);
  assert.equal(list.kindForAddress("203.0.113.1"), undefined);
});

const octet = fc.integer({ min: 0, max: 255 });
const v4 = fc.tuple(octet, octet, octet, octet).map((bytes) => bytes.join("."));
const v6 = fc.array(octet, { minLength: 16, maxLength: 16 })
  .map((bytes) => ipaddr.fromByteArray(bytes).toString());

Deno.test("a range holds what ipaddr.js says it holds", () => {
  const range = fc.oneof(
    fc.tuple(v4, fc.integer({ min: 0, max: 32 })),
    fc.tuple(v6, fc.integer({ min: 0, max: 128 })),
  );
  fc.assert(fc.property(range, fc.oneof(v4, v6), fc.nat(15), ([ip, bits], other, flip) => {
    const list = new BlockList([rule(`${ip}/${bits}`)]);
    const base = ipaddr.process(ip);
    // Beside any address, one that differs from the range's own in a single bit.
    const near = base.toByteArray();
    const at = flip % near.length;
    near[at] = (near[at] ?? 0) ^ 1;
    for (const asked of [ip, other, ipaddr.fromByteArray(near).toString()]) {
      const address = ipaddr.process(asked);
      const expected = address.kind() === base.kind() && address.match([base, bits] as never);
      assert.equal(list.kindForAddress(asked) !== undefined, expected, `${asked} ${ip}/${bits}`);
    }
  }));
});

Deno.test("a rule's text is read back as the same rule", () => {
  const texts = ["wss://a.example/x", "a.example", ".a.example", "10.0.0.0/8", "2001:db8::/48"];
  for (const text of texts) assert.deepEqual(rule(blockRuleText(rule(text))), rule(text));
});
