import assert from "node:assert/strict";
import fc from "fast-check";
import {
  nip11Contact,
  nip11Description,
  nip11Languages,
  nip11Limitation,
  nip11Name,
  nip11Pubkey,
  nip11Software,
  nip11SupportedNips,
  nip11Topics,
  nip11Version,
  parseNip11,
} from "../../src/nostr/nip11.ts";

const readers = [
  nip11Contact,
  nip11Description,
  nip11Languages,
  nip11Limitation,
  nip11Name,
  nip11Pubkey,
  nip11Software,
  nip11SupportedNips,
  nip11Topics,
  nip11Version,
];

Deno.test("a full document is read field by field", () => {
  const pubkey = "52b4a076bcbbbdc3a1aefa3735816cf74993b1b8db202b01c883c58be7fad8bd";
  const document = {
    name: " nostr.land ",
    description: "family of relays",
    pubkey: pubkey.toUpperCase(),
    contact: "mailto:a@example.com",
    supported_nips: [11, 1, "42", 9.5, -1, "7D", null, 1, 4],
    software: "git+https://github.com/hoytech/strfry.git",
    version: 1.2,
    relay_countries: ["ca", "US", "*", "United States", 4],
    language_tags: ["en", "en-419", "*", "e"],
    tags: ["sfw-only", "", 3, "sfw-only"],
    posting_policy: "https://example.com/policy",
    payments_url: "javascript:alert(1)",
    icon: "http://example.com/i.png",
    limitation: {
      max_message_length: 65535,
      max_subscriptions: 20.7,
      max_limit: "500",
      min_pow_difficulty: -3,
      created_at_upper_limit: 1e300,
      auth_required: false,
      payment_required: "yes",
      restricted_writes: true,
      unknown: 3,
    },
  };
  assert.equal(nip11Name(document), "nostr.land");
  assert.equal(nip11Description(document), "family of relays");
  assert.equal(nip11Pubkey(document), pubkey);
  assert.equal(nip11Contact(document), "mailto:a@example.com");
  assert.equal(nip11Software(document), "git+https://github.com/hoytech/strfry.git");
  assert.equal(nip11Version(document), "1.2");
  assert.deepEqual(nip11SupportedNips(document), [1, 4, 11, 42]);
  assert.deepEqual(nip11Languages(document), ["en", "en-419"]);
  assert.deepEqual(nip11Topics(document), ["sfw-only"]);
  assert.deepEqual(nip11Limitation(document), {
    maxMessageLength: 65535,
    maxSubscriptions: 20,
    authRequired: false,
    restrictedWrites: true,
  });
});

Deno.test("no document of any shape makes a reader throw or gives an unbounded text", () => {
  const names = [
    "name",
    "description",
    "pubkey",
    "supported_nips",
    "limitation",
    "tags",
    "relay_countries",
    "payments_url",
    "version",
  ];
  const document = fc.dictionary(
    fc.oneof(fc.constantFrom(...names), fc.string()),
    fc.oneof(fc.jsonValue(), fc.constant("x".repeat(100_000)), fc.array(fc.jsonValue())),
  );
  fc.assert(fc.property(document, (document) => {
    for (const read of readers) {
      assert.ok((JSON.stringify(read(document)) ?? "").length < 60_000);
    }
  }));
});

Deno.test("unknown fields and wrong types stay in the document", () => {
  const text = '{"name":7,"x":{"y":[null]},"limitation":"none"}';
  assert.deepEqual(parseNip11(text), {
    ok: true,
    value: { name: 7, x: { y: [null] }, limitation: "none" },
  });
});

Deno.test("what is not a JSON object is told apart", () => {
  const reason = (text: string): string => {
    const parsed = parseNip11(text);
    return parsed.ok ? "ok" : parsed.failure.reason;
  };
  assert.equal(reason("<html>"), "not_json");
  assert.equal(reason(""), "not_json");
  assert.equal(reason("[]"), "not_an_object");
  assert.equal(reason("null"), "not_an_object");
  assert.equal(reason("7"), "not_an_object");
  assert.equal(reason(`{"a":${"[".repeat(1_000)}`), "too_deep");
  assert.equal(reason("{}"), "ok");
});
