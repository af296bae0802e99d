import assert from "node:assert/strict";
import { nip19, verifyEvent } from "nostr-tools";
import { parseEvent } from "../../src/model/event.ts";
import { buildAuth, parseAuth } from "../../src/nostr/nip42.ts";
import { generateSecretKey, localSigner, parseSecretKey } from "../../src/nostr/signer.ts";

Deno.test("a signed event has exactly the seven fields and verifies elsewhere", async () => {
  const signer = localSigner(generateSecretKey());
  const template = { kind: 1, created_at: 1_700_000_000, tags: [["t", "x"]], content: "hi \u2028" };
  const event = await signer.sign(template);
  assert.deepEqual(Object.keys(event).sort(), [
    "content",
    "created_at",
    "id",
    "kind",
    "pubkey",
    "sig",
    "tags",
  ]);
  assert.equal(Object.getOwnPropertySymbols(event).length, 0);
  assert.equal(event.pubkey, signer.pubkey);
  assert.ok(verifyEvent({ ...event }));
  assert.deepEqual(parseEvent(event), { ok: true, value: event });
  assert.deepEqual(Object.keys(template), ["kind", "created_at", "tags", "content"]);
});

Deno.test("the secret key shows in no rendering of the signer", () => {
  const secretKey = generateSecretKey();
  const signer = localSigner(secretKey);
  const hex = secretKey.toHex();
  for (const rendering of [Deno.inspect(signer), JSON.stringify(signer), String(signer)]) {
    assert.ok(!rendering.includes(hex));
    assert.ok(!rendering.includes(String(secretKey[0]) + ","));
  }
});

Deno.test("changing the caller's bytes does not change the signer", async () => {
  const secretKey = generateSecretKey();
  const signer = localSigner(secretKey);
  secretKey.fill(7);
  const event = await signer.sign({ kind: 1, created_at: 1, tags: [], content: "" });
  assert.ok(verifyEvent({ ...event }));
});

Deno.test("NIP-44 and NIP-04 texts come back to the peer and to nobody else", async () => {
  const alice = localSigner(generateSecretKey());
  const bob = localSigner(generateSecretKey());
  const eve = localSigner(generateSecretKey());
  for (const way of ["nip44", "nip04"] as const) {
    const hidden = way === "nip44"
      ? await alice.nip44Encrypt(bob.pubkey, "the answer")
      : await alice.nip04Encrypt(bob.pubkey, "the answer");
    assert.ok(hidden.ok);
    assert.deepEqual(await bob[`${way}Decrypt`](alice.pubkey, hidden.value), {
      ok: true,
      value: "the answer",
    });
    const overheard = await eve[`${way}Decrypt`](alice.pubkey, hidden.value);
    assert.ok(!overheard.ok || overheard.value !== "the answer");
  }
});

Deno.test("what cannot be encrypted or decrypted is a value", async () => {
  const signer = localSigner(generateSecretKey());
  const offCurve = "f".repeat(64);
  assert.equal((await signer.nip44Encrypt(offCurve, "x")).ok, false);
  assert.equal((await signer.nip44Decrypt(signer.pubkey, "junk")).ok, false);
  assert.equal((await signer.nip04Encrypt(offCurve, "x")).ok, false);
  assert.equal((await signer.nip04Decrypt(signer.pubkey, "junk")).ok, false);
});

Deno.test("a secret key is read from hex or nsec, and a wrong one is refused without repeating it", () => {
  const key = generateSecretKey();
  assert.deepEqual(parseSecretKey(key.toHex().toUpperCase()), { ok: true, value: key });
  assert.deepEqual(parseSecretKey(` ${nip19.nsecEncode(key)}\n`), { ok: true, value: key });
  const bad = [
    "",
    "hello",
    key.toHex().slice(1),
    "0".repeat(64),
    "f".repeat(64),
    nip19.nsecEncode(key).slice(0, -1) + "b",
    nip19.npubEncode(localSigner(key).pubkey),
  ];
  for (const text of bad) {
    const parsed = parseSecretKey(text);
    assert.ok(!parsed.ok, text);
    assert.ok(text === "" || !parsed.failure.includes(text));
  }
  assert.throws(() => localSigner(new Uint8Array(32)), RangeError);
});

Deno.test("a NIP-42 log-in carries the relay and the challenge", () => {
  const template = buildAuth("wss://relay.example/", "abc", 1_700_000_000);
  assert.deepEqual(parseAuth(template), { relay: "wss://relay.example/", challenge: "abc" });
  assert.equal(parseAuth({ ...template, kind: 1 }), undefined);
  assert.equal(parseAuth({ ...template, tags: [["relay", "wss://relay.example/"]] }), undefined);
});
