import assert from "node:assert/strict";
import { nip19 } from "nostr-tools";
import { npub, parseEventId, parsePubkey } from "../../src/nostr/nip19.ts";

const key = "7e7e9c42a91bfef19fa929e5fda1b72e0ebc1a4c1141673e2794234d86addf4e";

Deno.test("a public key is read in every spelling that people paste", () => {
  const relays = ["wss://relay.example/"];
  for (
    const text of [
      key,
      key.toUpperCase(),
      ` ${key} `,
      nip19.npubEncode(key),
      `nostr:${nip19.npubEncode(key)}`,
      nip19.npubEncode(key).toUpperCase(),
      nip19.nprofileEncode({ pubkey: key, relays }),
    ]
  ) assert.deepEqual(parsePubkey(text), { ok: true, value: key }, text);
  assert.equal(npub(key), nip19.npubEncode(key));
});

Deno.test("what is no public key is told so, and a secret key is recognised as one", () => {
  for (
    const text of ["", "alice", key.slice(2), nip19.noteEncode(key), "npub1" + "q".repeat(5_000)]
  ) {
    const parsed = parsePubkey(text);
    assert.ok(!parsed.ok && parsed.failure.startsWith("must be a public key"), text);
  }
  const secret = parsePubkey(nip19.nsecEncode(new Uint8Array(32).fill(1)));
  assert.ok(!secret.ok && secret.failure.includes("secret key"));
});

Deno.test("an event id is read in every spelling", () => {
  for (const text of [key, nip19.noteEncode(key), nip19.neventEncode({ id: key })]) {
    assert.deepEqual(parseEventId(text), { ok: true, value: key });
  }
  assert.equal(parseEventId(nip19.npubEncode(key)).ok, false);
});
