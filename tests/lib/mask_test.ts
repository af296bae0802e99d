import assert from "node:assert/strict";
import fc from "fast-check";
import { isSecretKey, maskText, maskValue } from "../../src/lib/mask.ts";
import { Secret } from "../../src/lib/secret.ts";

const NSEC = "nsec1vl029mgpspedva04g90vltkh6fvh240zqtv9k0t9af8935ke9laqsnlfe5";

Deno.test("keys that name secrets are known in any spelling, others are left alone", () => {
  const secret = ["private_key", "PRIVATE_KEY", "privateKey", "password", "DB_PASSWORD", "nsec"];
  secret.push("database_url", "databaseUrl", "client-secret", "Authorization");
  for (const key of secret) assert.equal(isSecretKey(key), true, key);
  for (const key of ["relay", "pubkey", "url", "key", "kind", "proxy_url"]) {
    assert.equal(isSecretKey(key), false, key);
  }
});

Deno.test("secrets that show by their look are masked inside any text", () => {
  const text =
    `key ${NSEC}, db postgres://bob:pa:ss%40@db:5432/x?password=abc, as user=bob password=abc`;
  const masked = maskText(text, 1000);
  assert.doesNotMatch(masked, /vl029|pa:ss|abc/);
  assert.match(masked, /nsec1\*\*\*, db postgres:\/\/bob:\*\*\*@db:5432/);
  assert.doesNotMatch(maskText("nostr+walletconnect://ab?relay=x&secret=71a8", 100), /71a8/);
  assert.doesNotMatch(maskText("https://x/geo?id=1&license_key=abc&suffix=gz", 100), /abc/);
  // The place for a secret is none.
  assert.match(maskText("https://x/geo?license_key={license_key}", 100), /=\{license_key\}/);
  assert.equal(maskText("wss://relay.example:8080/a@b", 100), "wss://relay.example:8080/a@b");
});

Deno.test("a secret does not come through by being where a text is cut", () => {
  fc.assert(fc.property(fc.integer({ min: 0, max: 900 }), (pad) => {
    const masked = maskText("x".repeat(pad) + " " + NSEC, 50);
    assert.doesNotMatch(masked, /nsec1[^*…]/);
  }));
});

Deno.test("values are masked by type, by key and by look at every depth", () => {
  const masked = maskValue({
    a: new Secret("one"),
    list: [{ password: "two" }, new Map([["nsec", "three"]])],
    error: new Error(`bad key ${NSEC}`),
    url: new URL("postgres://u:four@h/d"),
  }, 500);
  const text = JSON.stringify(masked);
  assert.match(text, /^\{"a":"\*\*\*"/);
  assert.doesNotMatch(text, /one|two|three|four|vl029/);
});

Deno.test("whatever a value is, its masked form is plain, bounded JSON", () => {
  fc.assert(
    fc.property(
      fc.anything({
        withBigInt: true,
        withMap: true,
        withSet: true,
        withDate: true,
        withTypedArray: true,
        withNullPrototype: true,
        maxDepth: 6,
      }),
      (value) => {
        const text = JSON.stringify(maskValue(value, 50));
        assert.equal(typeof text, "string");
        assert.doesNotMatch(text, /\n/);
      },
    ),
  );
  const circle: Record<string, unknown> = { name: "x".repeat(900) };
  circle["self"] = circle;
  circle["wide"] = Array.from({ length: 100_000 }, (_, i) => i);
  circle["bytes"] = new Uint8Array(1 << 20);
  Object.defineProperty(circle, "trap", {
    enumerable: true,
    get: () => {
      throw new Error("no");
    },
  });
  assert.ok(JSON.stringify(maskValue(circle, 50)).length < 2500);
});
