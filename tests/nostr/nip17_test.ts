import assert from "node:assert/strict";
import fc from "fast-check";
import { nip17, nip59, verifyEvent } from "nostr-tools";
import type { NostrEvent } from "../../src/model/event.ts";
import type { RelayUrl } from "../../src/model/relay_url.ts";
import { findMessageRelays } from "../../src/nostr/message_relays.ts";
import { parseMessageRelays, wrapMessage } from "../../src/nostr/nip17.ts";
import { localSigner } from "../../src/nostr/signer.ts";
import { type Behaviour, noEose, refuses, startHostileRelay } from "../relay/mod.ts";
import { makeAuthor } from "../support/events.ts";
import { testConfig, testDialer } from "../support/stages.ts";

const us = localSigner(makeAuthor(1, 1).secretKey);
const operator = makeAuthor(1, 2);
const them = localSigner(operator.secretKey);
const AT = 1_760_000_000;

async function wrapped(text: string, subject?: string): Promise<NostrEvent> {
  const message = { recipient: them.pubkey, text, ...(subject === undefined ? {} : { subject }) };
  const wrap = await wrapMessage(message, { signer: us, at: AT });
  assert.ok(wrap.ok);
  return wrap.value;
}

Deno.test("another library opens the message, and finds who wrote it, when and what", async () => {
  const wrap = await wrapped("your relay is down\n☠", "wss://relay.example.com/");
  const rumor = nip17.unwrapEvent(wrap, operator.secretKey);
  assert.equal(rumor.kind, 14);
  assert.equal(rumor.pubkey, us.pubkey);
  assert.equal(rumor.created_at, AT);
  assert.equal(rumor.content, "your relay is down\n☠");
  assert.deepEqual(rumor.tags, [["p", them.pubkey], ["subject", "wss://relay.example.com/"]]);
  assert.equal("sig" in rumor, false, "a signed message could be shown around");
});

Deno.test("relays see a stranger's event that says nothing of us", async () => {
  const wraps = await Promise.all([wrapped("a"), wrapped("b")]);
  for (const wrap of wraps) {
    assert.ok(verifyEvent({ ...wrap }));
    assert.equal(wrap.kind, 1059);
    assert.deepEqual(wrap.tags, [["p", them.pubkey]]);
    assert.ok(wrap.created_at <= AT && wrap.created_at > AT - 2 * 86_400);
    assert.equal(JSON.stringify(wrap).includes(us.pubkey), false);
  }
  assert.notEqual(wraps[0]?.pubkey, wraps[1]?.pubkey);
});

Deno.test("the seal is signed by us, and dated apart from the message", async () => {
  const draws = [0.25, 0.75];
  const wrap = await wrapMessage({ recipient: them.pubkey, text: "x" }, {
    signer: us,
    at: AT,
    random: () => draws.shift() ?? 0,
  });
  assert.ok(wrap.ok);
  assert.equal(wrap.value.created_at, AT - 0.75 * 2 * 86_400);
  const opened = await them.nip44Decrypt(wrap.value.pubkey, wrap.value.content);
  assert.ok(opened.ok);
  const seal: NostrEvent = JSON.parse(opened.value);
  assert.ok(verifyEvent({ ...seal }));
  assert.deepEqual([seal.kind, seal.pubkey, seal.tags], [13, us.pubkey, []]);
  assert.equal(seal.created_at, AT - 0.25 * 2 * 86_400);
});

Deno.test("what nobody can be sent is a value, not an exception", async () => {
  const offCurve = "f".repeat(64);
  const bad = await wrapMessage({ recipient: offCurve, text: "x" }, { signer: us, at: AT });
  assert.ok(!bad.ok && bad.failure !== "");
  const long = "x".repeat(70_000);
  const tooLong = await wrapMessage({ recipient: them.pubkey, text: long }, { signer: us, at: AT });
  if (tooLong.ok) {
    assert.equal(nip59.unwrapEvent(tooLong.value, operator.secretKey).content.length, 70_000);
  } else assert.notEqual(tooLong.failure, "");
});

Deno.test("any text arrives as it was", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.string({ unit: "grapheme", minLength: 1, maxLength: 300 }),
      async (text) => {
        const rumor = nip59.unwrapEvent(await wrapped(text), operator.secretKey);
        assert.equal(rumor.content, text);
      },
    ),
    { numRuns: 20 },
  );
});

Deno.test("lists of relays for messages are read without their junk, and bounded", () => {
  const tags = [
    ["relay"],
    ["relay", "no relay"],
    ["r", "wss://other.example"],
    ["relay", "WSS://A.example"],
    ["relay", "wss://a.example/"],
    ...Array.from({ length: 100 }, (_, i) => ["relay", `wss://r${i}.example`]),
  ];
  const urls = parseMessageRelays({ tags });
  assert.equal(urls.length, 10);
  assert.deepEqual(urls.slice(0, 2), ["wss://a.example/", "wss://r0.example/"]);
});

async function list(created_at: number, url: string, author = them): Promise<NostrEvent> {
  return await author.sign({ kind: 10050, created_at, tags: [["relay", url]], content: "" });
}

async function find(relays: readonly RelayUrl[], known?: NostrEvent): Promise<RelayUrl[]> {
  const dialer = testDialer(await testConfig());
  return await findMessageRelays(them.pubkey, { dialer, relays, timeoutMs: 500, known });
}

Deno.test("the newest list wins, whoever has it, and the dead cost nothing", async () => {
  await using old = await startHostileRelay({ events: [await list(AT, "wss://old.example")] });
  await using fresh = await startHostileRelay({
    events: [await list(AT + 5, "wss://new.example")],
    behaviours: [noEose()],
  });
  await using gone = await startHostileRelay({ behaviours: [refuses()] });
  const relays = [old.url, gone.url, fresh.url];
  assert.deepEqual(await find(relays), ["wss://new.example/"]);
  const known = await list(AT + 9, "wss://known.example");
  assert.deepEqual(await find(relays, known), ["wss://known.example/"]);
  assert.deepEqual(await find([gone.url]), []);
});

Deno.test("a list that its owner did not sign is none", async () => {
  const forged = {
    ...await list(AT, "wss://real.example"),
    tags: [["relay", "wss://evil.example"]],
  };
  const foreign = await list(AT, "wss://foreign.example", us);
  for (const event of [forged, foreign]) {
    const gives: Behaviour = {
      name: "gives",
      answer: () => [{ do: "event", event }, { do: "eose" }],
    };
    await using relay = await startHostileRelay({ behaviours: [gives] });
    assert.deepEqual(await find([relay.url]), []);
  }
});
