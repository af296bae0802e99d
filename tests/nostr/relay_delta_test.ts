import assert from "node:assert/strict";
import fc from "fast-check";
import { parseRelayUrl } from "../../src/model/relay_url.ts";
import { buildDelta, DELTA_STATUSES, parseDelta } from "../../src/nostr/relay_delta.ts";
import { maybe, record, relayUrl } from "./arbitraries.ts";

const url = parseRelayUrl("wss://relay.example.com");
assert.ok(url.ok);
const relay = url.value;

Deno.test("a relay that is back is told with its time and what changed meanwhile", () => {
  const template = buildDelta({
    url: relay,
    status: "up",
    rttOpenMs: 123,
    changes: [
      { field: "name", type: "changed", value: "New Relay Name" },
      { field: "supported_nips", type: "added", value: "50" },
      { field: "supported_nips", type: "removed", value: "42" },
    ],
  }, 7);
  assert.deepEqual(template, {
    kind: 1066,
    created_at: 7,
    content: "",
    tags: [
      ["r", "wss://relay.example.com/"],
      ["O", "up"],
      ["rtt-open", "123"],
      ["name", "New Relay Name"],
      ["+supported_nips", "50"],
      ["-supported_nips", "42"],
    ],
  });
});

Deno.test("a relay that is down is told with its failures alone", () => {
  const { tags } = buildDelta({ url: relay, status: "down", retry: 2, changes: [] }, 7);
  assert.deepEqual(tags, [["r", relay], ["O", "down"], ["retry", "2"]]);
});

Deno.test("a stranger's field can't pass for one of the tags that mean something", () => {
  const names = ["r", "O", "T", "rtt-open", "retry", "", "+x", "-x"];
  const { tags } = buildDelta({
    url: relay,
    changes: names.map((field) => ({ field, type: "changed", value: "evil" })),
  }, 7);
  assert.deepEqual(tags, [["r", relay]]);
});

Deno.test("a delta comes back from its own event", () => {
  const field = fc.string({ minLength: 1, maxLength: 20 })
    .filter((text) => !["r", "O", "T", "rtt-open", "retry", "client"].includes(text))
    .filter((text) => !/^[+-]/.test(text));
  const deltas = record({
    url: relayUrl,
    status: maybe(fc.constantFrom(...DELTA_STATUSES)),
    rttOpenMs: maybe(fc.integer({ min: 1, max: 100_000 })),
    retry: maybe(fc.integer({ min: 0, max: 1_000 })),
    changes: fc.array(record({
      field,
      type: fc.constantFrom("changed", "added", "removed"),
      value: fc.string(),
    })),
  });
  fc.assert(fc.property(deltas, (given) => {
    const delta = JSON.parse(JSON.stringify(given));
    const parsed = parseDelta(buildDelta(delta, 1));
    assert.ok(parsed.ok);
    assert.deepEqual(parsed.value, delta);
  }));
});

Deno.test("what is no delta is a value", () => {
  assert.equal(parseDelta({ kind: 1, tags: [["r", relay]] }).ok, false);
  assert.equal(parseDelta({ kind: 1066, tags: [["r"]] }).ok, false);
  const parsed = parseDelta({
    kind: 1066,
    tags: [["r", relay], ["O", "sideways"], ["rtt-open", "-5"], ["retry"], ["+"], ["x"]],
  });
  assert.ok(parsed.ok);
  assert.deepEqual(parsed.value, { url: relay, changes: [] });
});
