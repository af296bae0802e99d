// Parameters from texts, lists and JSON values: what they take, and what they say when they don't.
import assert from "node:assert/strict";
import fc from "fast-check";
import { nip19 } from "nostr-tools";
import {
  choiceParam,
  integerListParam,
  integerParam,
  type Param,
  paramInfo,
  pubkeyParam,
  relayListParam,
  relayParam,
  textParam,
} from "../../src/queries/params.ts";

/** The value, or the problem's phrase. */
function read<T>(param: Param<T>, given: unknown): T | string {
  const result = param.safeParse(given);
  return result.success ? result.data : result.error.issues[0]?.message ?? "";
}

Deno.test("numbers come as texts, as numbers and in lists of one", () => {
  const param = integerParam("a number", 1, 10);
  for (const given of ["7", " 7 ", 7, ["7"], [7], "+7"]) assert.equal(read(param, given), 7);
  for (const given of ["", "7.5", "11", 0, "1e1", "0x7", null, {}, ["7", "8"], true]) {
    assert.match(String(read(param, given)), /^(must be|takes one)/, String(given));
  }
  assert.equal(read(param, undefined), "is required");
});

Deno.test("lists come with commas, repeated, or as JSON lists, and name the bad item", () => {
  const param = integerListParam("numbers", 0, 99);
  for (const given of ["1,2,3", "1, 2 ,3", ["1", "2", "3"], [1, 2, 3], ["1,2", "3"]]) {
    assert.deepEqual(read(param, given), [1, 2, 3]);
  }
  assert.equal(read(param, "1,two,3"), "must be a whole number, 0 to 99 (two)");
  assert.equal(read(param, ","), "must not be empty");
  assert.match(String(read(param, Array(201).fill(1))), /at most 200/);
});

Deno.test("choices are words in any case; a slip gets a hint", () => {
  const param = choiceParam("a word", ["events", "kinds"]);
  assert.equal(read(param, "EVENTS"), "events");
  assert.match(String(read(param, "event")), /one of events, kinds; did you mean events\?/);
  assert.doesNotMatch(String(read(param, "zzzzzzzzzz")), /did you mean/);
  assert.deepEqual(paramInfo(param.optional()).values, ["events", "kinds"]);
});

Deno.test("public keys come as hex of either case, npub or nprofile; a secret key is told off", () => {
  const param = pubkeyParam("an author");
  const hex = "7e7e9c42a91bfef19fa929e5fda1b72e0ebc1a4c1141673e2794234d86addf4e";
  const npub = nip19.npubEncode(hex);
  const nprofile = nip19.nprofileEncode({ pubkey: hex, relays: ["wss://relay.example.com"] });
  for (const given of [hex, hex.toUpperCase(), npub, `nostr:${npub}`, ` ${nprofile} `]) {
    assert.equal(read(param, given), hex);
  }
  const nsec = nip19.nsecEncode(new Uint8Array(32).fill(7));
  const problem = String(read(param, nsec));
  assert.match(problem, /secret key/);
  assert.ok(!problem.includes(nsec.slice(5, 20)));
  assert.match(String(read(param, `${npub}x`)), /public key/);
});

Deno.test("relays come in any spelling and leave in one", () => {
  const url = "wss://relay.example.com/";
  for (
    const given of ["relay.example.com", "WSS://Relay.Example.com:443", "https://relay.example.com"]
  ) {
    assert.equal(read(relayParam("a relay"), given), url);
  }
  assert.match(String(read(relayParam("a relay"), "ftp://x.example")), /relay URL.*bad_scheme/);
  const list = relayListParam("relays");
  assert.deepEqual(read(list, "a.example.com, b.example.com c.example.com"), [
    "wss://a.example.com/",
    "wss://b.example.com/",
    "wss://c.example.com/",
  ]);
});

Deno.test("texts are bounded, and hold nothing that can't be stored", () => {
  const param = textParam("a text", 5);
  assert.equal(read(param, "  abc "), "abc");
  assert.match(String(read(param, "abcdef")), /at most 5/);
  assert.match(String(read(param, "a\0b")), /well-formed/);
  assert.match(String(read(param, "a\ud800")), /well-formed/);
  fc.assert(fc.property(fc.anything(), (given) => {
    const result = param.safeParse(given);
    return result.success ? result.data.length <= 5 : result.error.issues.length === 1;
  }));
});
