import assert from "node:assert/strict";
import fc from "fast-check";
import { getEventHash } from "nostr-tools";
import {
  computeEventId,
  DEFAULT_EVENT_LIMITS,
  eventClass,
  type NostrEvent,
  parseEvent,
  serializeEvent,
  tagValue,
  tagValues,
} from "../../src/model/event.ts";
import { bytesToHex, hexToBytes, isHex } from "../../src/model/hex.ts";
import { generateEvents } from "../support/events.ts";
import { readRealEventLines, sharedDataMissing, sharedDataNote } from "../support/shared_data.ts";

function sample(): NostrEvent {
  return {
    id: "a".repeat(64),
    pubkey: "b".repeat(64),
    created_at: 1_700_000_000,
    kind: 1,
    tags: [["e", "x"], ["t"], []],
    content: "hello",
    sig: "c".repeat(128),
  };
}

function problem(value: unknown, limits = DEFAULT_EVENT_LIMITS): string | undefined {
  const result = parseEvent(value, limits);
  return result.ok ? undefined : result.failure;
}

Deno.test("an event keeps its seven fields and loses all others", () => {
  const result = parseEvent({ ...sample(), seen: true, __proto__: { evil: 1 } });
  assert.ok(result.ok);
  assert.deepEqual(result.value, sample());
  assert.equal(Object.getPrototypeOf(result.value), Object.prototype);
});

Deno.test("each structural fault of an event is named", () => {
  const faults: [unknown, string][] = [
    [null, "not_object"],
    ["{}", "not_object"],
    [[], "not_object"],
    [{}, "bad_id"],
    [{ ...sample(), id: "A".repeat(64) }, "bad_id"],
    [{ ...sample(), id: "a".repeat(63) }, "bad_id"],
    [{ ...sample(), id: `${"a".repeat(63)}é` }, "bad_id"],
    [{ ...sample(), id: ["a".repeat(64)] }, "bad_id"],
    [{ ...sample(), pubkey: "g".repeat(64) }, "bad_pubkey"],
    [{ ...sample(), created_at: "1" }, "bad_created_at"],
    [{ ...sample(), created_at: 1.5 }, "bad_created_at"],
    [{ ...sample(), created_at: -1 }, "bad_created_at"],
    [{ ...sample(), created_at: 2 ** 53 }, "bad_created_at"],
    [{ ...sample(), kind: 65_536 }, "bad_kind"],
    [{ ...sample(), kind: -1 }, "bad_kind"],
    [{ ...sample(), content: null }, "bad_content"],
    [{ ...sample(), sig: "c".repeat(64) }, "bad_sig"],
    [{ ...sample(), tags: {} }, "bad_tags"],
    [{ ...sample(), tags: ["e"] }, "bad_tags"],
    [{ ...sample(), tags: [["e", 1]] }, "bad_tags"],
    [{ ...sample(), tags: [["e", ["x"]]] }, "bad_tags"],
  ];
  for (const [value, expected] of faults) assert.equal(problem(value), expected);
});

Deno.test("an event is bounded in tags, tag items and bytes, to the byte", () => {
  const limits = { maxEventBytes: 10, maxTags: 2, maxTagItems: 3 };
  const with_ = (tags: string[][], content = ""): NostrEvent => ({ ...sample(), tags, content });
  assert.equal(problem(with_([[], []]), limits), undefined);
  assert.equal(problem(with_([[], [], []]), limits), "too_many_tags");
  assert.equal(problem(with_([["", ""], [""]]), limits), undefined);
  assert.equal(problem(with_([["", ""], ["", ""]]), limits), "too_many_tags");
  assert.equal(problem(with_([["e", "12"]], "1234567"), limits), undefined);
  assert.equal(problem(with_([["e", "12"]], "12345678"), limits), "too_large");
  assert.equal(problem(with_([], "ééééé"), limits), undefined);
  assert.equal(problem(with_([], "éééééé"), limits), "too_large");
  // A lone surrogate becomes the three bytes of U+FFFD.
  assert.equal(problem(with_([], "\ud800\ud800\ud800"), limits), undefined);
  assert.equal(problem(with_([], "\ud800\ud800\ud800\ud800"), limits), "too_large");
});

Deno.test("a contact list of 10,000 and a tag value of 100 kB are taken", () => {
  const tags = Array.from({ length: 10_000 }, () => ["p", "b".repeat(64), "", ""]);
  assert.equal(problem({ ...sample(), tags }), undefined);
  assert.equal(problem({ ...sample(), tags: [["x", "y".repeat(100_000)]] }), undefined);
});

Deno.test("numbers that JSON spells oddly are taken as the integers they are", () => {
  const json = JSON.stringify(sample())
    .replace("1700000000", "1.7e9").replace('"kind":1', '"kind":-0');
  const result = parseEvent(JSON.parse(json));
  assert.ok(result.ok);
  assert.ok(Object.is(result.value.kind, 0));
  assert.match(serializeEvent(result.value), /,1700000000,0,/);
});

Deno.test("generated events, odd text and all, carry the ids that nostr-tools computes", () => {
  for (const event of generateEvents(300, { oddShare: 0.5 })) {
    const again = parseEvent(JSON.parse(JSON.stringify(event)));
    assert.ok(again.ok);
    assert.deepEqual(again.value, event);
    assert.equal(computeEventId(again.value), event.id);
    assert.equal(getEventHash(event), event.id);
  }
});

Deno.test("parsing never throws and accepts only what serializes back to itself", () => {
  const field = fc.oneof(fc.jsonValue(), fc.constantFrom("a".repeat(64), "c".repeat(128), 1, [[]]));
  const eventLike = fc.record({
    id: field,
    pubkey: field,
    created_at: field,
    kind: field,
    tags: field,
    content: field,
    sig: field,
  }, { requiredKeys: [] });
  const nearEvent = fc.tuple(fc.constantFrom(...Object.keys(sample())), field)
    .map(([key, value]) => ({ ...sample(), [key]: value }));
  fc.assert(fc.property(fc.oneof(eventLike, nearEvent, fc.jsonValue()), (value) => {
    const result = parseEvent(value);
    if (!result.ok) return;
    const text = JSON.stringify(result.value);
    assert.equal(JSON.stringify(parseEvent(JSON.parse(text))), JSON.stringify(result));
  }));
});

Deno.test("any string survives the trip through JSON and keeps its id", () => {
  const unit = fc.oneof(
    fc.string({ unit: "binary" }),
    fc.constantFrom("\u0000", "\ud800", "\udc00", "\u2028", '"', "\\", "\u007f"),
  );
  fc.assert(fc.property(fc.array(fc.array(unit)), fc.array(unit), (tags, parts) => {
    const event = { ...sample(), tags, content: parts.join("") };
    const result = parseEvent(JSON.parse(JSON.stringify(event)));
    assert.ok(result.ok);
    assert.deepEqual(result.value, event);
    assert.equal(computeEventId(result.value), getEventHash(event));
  }));
});

Deno.test("a kind belongs to the class that NIP-01 gives it", () => {
  const classes: Record<number, string> = {
    0: "replaceable",
    1: "regular",
    2: "regular",
    3: "replaceable",
    4: "regular",
    44: "regular",
    1000: "regular",
    9999: "regular",
    10_000: "replaceable",
    19_999: "replaceable",
    20_000: "ephemeral",
    29_999: "ephemeral",
    30_000: "addressable",
    39_999: "addressable",
    40_000: "regular",
    65_535: "regular",
  };
  for (const [kind, expected] of Object.entries(classes)) {
    assert.equal(eventClass(Number(kind)), expected, `kind ${kind}`);
  }
});

Deno.test("tag values are read by name and tags without a value are passed over", () => {
  const event = { tags: [[], ["t"], ["t", "one"], ["u", "x"], ["t", "", "y"], ["t", "two"]] };
  assert.equal(tagValue(event, "t"), "one");
  assert.deepEqual(tagValues(event, "t"), ["one", "", "two"]);
  assert.equal(tagValue(event, "v"), undefined);
  assert.deepEqual(tagValues(event, "v"), []);
});

Deno.test("hex is lower case, of the exact length, and turns into bytes and back", () => {
  fc.assert(fc.property(fc.uint8Array(), (bytes) => {
    const hex = bytesToHex(bytes);
    assert.ok(isHex(hex, bytes.length));
    assert.deepEqual([...hexToBytes(hex)], [...bytes]);
    assert.equal(isHex(hex, bytes.length + 1), false);
    if (/[a-f]/.test(hex)) assert.equal(isHex(hex.toUpperCase(), bytes.length), false);
  }));
  assert.equal(isHex("0g", 1), false);
  assert.equal(isHex("0\u0130", 1), false);
  assert.equal(isHex(12, 1), false);
});

Deno.test({
  name: `every real event parses to itself, byte for byte, with its own id${sharedDataNote}`,
  ignore: sharedDataMissing,
  fn: () => {
    const lines = readRealEventLines();
    assert.equal(lines.length, 2842);
    for (const line of lines) {
      const value: unknown = JSON.parse(line);
      const result = parseEvent(value);
      assert.ok(result.ok, line.slice(0, 100));
      assert.deepEqual(result.value, value);
      assert.equal(computeEventId(result.value), result.value.id);
    }
  },
});
