import assert from "node:assert/strict";
import fc from "fast-check";
import {
  DEFAULT_MESSAGE_LIMITS,
  encodeRelayMessage,
  machinePrefix,
  parseRelayMessage,
  type RelayMessage,
} from "../../src/nostr/message.ts";
import {
  readLines,
  RELAY_FRAMES_PATH,
  sharedDataMissing,
  sharedDataNote,
} from "../support/shared_data.ts";
import { anyText, compact, event, hex, maybe, record } from "./arbitraries.ts";

const id = fc.string({ minLength: 1, maxLength: 64 });
const text = anyText.map((message) => ({ prefix: machinePrefix(message), message }));
const relayMessage: fc.Arbitrary<RelayMessage> = fc.oneof(
  record({ type: fc.constant("event" as const), subscriptionId: id, event }),
  record({
    type: fc.constant("eose" as const),
    subscriptionId: id,
    hint: maybe(fc.constantFrom("finish" as const, "more" as const)),
  }).map(compact),
  fc.constant({ type: "eose" as const, subscriptionId: undefined }),
  fc.tuple(id, text).map(([subscriptionId, text]) => ({
    type: "closed" as const,
    subscriptionId,
    ...text,
  })),
  fc.tuple(hex(32), fc.boolean(), text).map(([eventId, accepted, text]) => ({
    type: "ok" as const,
    eventId,
    accepted,
    ...text,
  })),
  record({ type: fc.constant("notice" as const), message: anyText }),
  record({ type: fc.constant("auth" as const), challenge: fc.string({ minLength: 1 }) }),
  record({
    type: fc.constant("count" as const),
    subscriptionId: id,
    count: fc.maxSafeNat(),
    approximate: maybe(fc.boolean()),
  }).map(compact),
  record({ type: fc.constant("neg_msg" as const), subscriptionId: id, payload: hex(20) }),
  fc.tuple(id, text).map(([subscriptionId, text]) => ({
    type: "neg_err" as const,
    subscriptionId,
    ...text,
  })),
);

Deno.test("every relay message comes back from its own frame", () => {
  fc.assert(fc.property(relayMessage, (message) => {
    const parsed = parseRelayMessage(encodeRelayMessage(message));
    assert.ok(parsed.ok);
    assert.deepEqual(parsed.value, message);
  }));
});

Deno.test("any text gives a value and never an exception", () => {
  const frame = fc.oneof(
    anyText,
    fc.json(),
    fc.array(fc.jsonValue()).map((parts) => JSON.stringify(parts)),
    fc.tuple(
      fc.constantFrom(
        "EVENT",
        "EOSE",
        "OK",
        "CLOSED",
        "NOTICE",
        "AUTH",
        "COUNT",
        "NEG-MSG",
        "NEG-ERR",
      ),
      fc.array(fc.jsonValue({ maxDepth: 2 }), { maxLength: 4 }),
    ).map(([verb, rest]) => JSON.stringify([verb, ...rest])),
  );
  fc.assert(fc.property(frame, (text) => {
    const parsed = parseRelayMessage(text);
    assert.equal(typeof parsed.ok, "boolean");
  }));
});

Deno.test("junk is told apart by its problem", () => {
  const problem = (frame: string): unknown => {
    const parsed = parseRelayMessage(frame);
    return parsed.ok ? parsed.value.type : parsed.failure;
  };
  assert.equal(problem(""), "not_json");
  assert.equal(problem("hello"), "not_json");
  assert.equal(problem("{}"), "not_an_array");
  assert.equal(problem("[]"), "unknown_type");
  assert.equal(problem('["HELLO"]'), "unknown_type");
  assert.equal(problem('["EVENT"]'), "bad_subscription_id");
  assert.equal(problem('["EVENT",""]'), "bad_subscription_id");
  assert.equal(problem('["EVENT",7,{}]'), "bad_subscription_id");
  assert.equal(problem(`["EVENT","${"x".repeat(129)}",{}]`), "bad_subscription_id");
  assert.equal(problem('["EVENT","x"]'), "malformed");
  assert.equal(problem('["OK","00","true",""]'), "malformed");
  assert.equal(problem('["OK",null,true]'), "malformed");
  assert.equal(problem('["NOTICE",{}]'), "malformed");
  assert.equal(problem('["AUTH",""]'), "malformed");
  assert.equal(problem(`["AUTH","${"x".repeat(1025)}"]`), "malformed");
  assert.equal(problem('["COUNT","x",{"count":-1}]'), "malformed");
  assert.equal(problem('["COUNT","x",{"count":1.5}]'), "malformed");
  assert.equal(problem('["COUNT","x",3]'), "malformed");
  assert.equal(problem('["NEG-MSG","x",1]'), "malformed");
});

Deno.test("the spellings that relays leave incomplete are understood", () => {
  const value = (frame: string): unknown => {
    const parsed = parseRelayMessage(frame);
    assert.ok(parsed.ok, frame);
    return parsed.value;
  };
  assert.deepEqual(value('["EOSE"]'), { type: "eose", subscriptionId: undefined });
  assert.deepEqual(value('["EOSE",null]'), { type: "eose", subscriptionId: undefined });
  assert.deepEqual(value('["EOSE","a",["later","finish"]]'), {
    type: "eose",
    subscriptionId: "a",
    hint: "finish",
  });
  assert.deepEqual(value('["EOSE","a",["finish","more"]]'), {
    type: "eose",
    subscriptionId: "a",
    hint: "more",
  });
  assert.deepEqual(value('["EOSE","a",["later"]]'), { type: "eose", subscriptionId: "a" });
  assert.deepEqual(value('["EOSE","a","finish"]'), { type: "eose", subscriptionId: "a" });
  assert.deepEqual(value('["CLOSED","a"]'), {
    type: "closed",
    subscriptionId: "a",
    prefix: undefined,
    message: "",
  });
  assert.deepEqual(value('["OK","00",true]'), {
    type: "ok",
    eventId: "00",
    accepted: true,
    prefix: undefined,
    message: "",
  });
  assert.deepEqual(value('["CLOSED","a","ERROR : bad req"]'), {
    type: "closed",
    subscriptionId: "a",
    prefix: "error",
    message: "ERROR : bad req",
  });
});

Deno.test("a machine prefix is a known word before the first colon and nothing else", () => {
  assert.equal(machinePrefix("auth-required: we only serve members"), "auth-required");
  assert.equal(machinePrefix("rate-limited:slow down"), "rate-limited");
  assert.equal(machinePrefix("Blocked: no"), "blocked");
  assert.equal(machinePrefix("payment-required: 21 sats"), "payment-required");
  assert.equal(machinePrefix("replaced: have newer event"), "replaced");
  assert.equal(machinePrefix("blocked"), undefined);
  assert.equal(machinePrefix("sorry, blocked: no"), undefined);
  assert.equal(machinePrefix("see https://example.com"), undefined);
  assert.equal(machinePrefix(""), undefined);
});

Deno.test("free texts are cut to their bound", () => {
  const parsed = parseRelayMessage(JSON.stringify(["NOTICE", "x".repeat(100_000)]));
  assert.ok(parsed.ok && parsed.value.type === "notice");
  assert.equal(parsed.value.message.length, DEFAULT_MESSAGE_LIMITS.maxTextChars);
});

Deno.test("frames over the size or the depth are refused before they are parsed", () => {
  const limits = { ...DEFAULT_MESSAGE_LIMITS, maxFrameChars: 40_000 };
  const large = parseRelayMessage(JSON.stringify(["NOTICE", "x".repeat(40_000)]), limits);
  assert.deepEqual(large, { ok: false, failure: "too_large" });
  const bomb = `["EVENT","a",${"[".repeat(1_000_000)}`;
  assert.deepEqual(parseRelayMessage(bomb), { ok: false, failure: "too_deep" });
  // Brackets inside strings nest nothing.
  const brackets = JSON.stringify(["NOTICE", '["\\'.repeat(10_000)]);
  assert.ok(parseRelayMessage(brackets).ok);
});

Deno.test("of a tag list without end, as much is kept as shows that it is too long", () => {
  const tags = new Array(50_000).fill([]);
  const parsed = parseRelayMessage(JSON.stringify(["EVENT", "a", { id: "x", tags }]));
  assert.ok(parsed.ok && parsed.value.type === "event");
  const kept = (parsed.value.event as { tags: unknown[] }).tags;
  assert.equal(kept.length, DEFAULT_MESSAGE_LIMITS.maxTags + 1);
});

Deno.test({
  name: `recorded frames of a relay parse but for those cut off${sharedDataNote}`,
  ignore: sharedDataMissing,
  fn: () => {
    const counts = new Map<string, number>();
    for (const line of readLines(RELAY_FRAMES_PATH)) {
      const parsed = parseRelayMessage(line);
      const key = parsed.ok ? parsed.value.type : parsed.failure;
      counts.set(key, (counts.get(key) ?? 0) + 1);
    }
    assert.deepEqual(Object.fromEntries(counts), { event: 532, eose: 1, not_json: 5 });
  },
});
