import assert from "node:assert/strict";
import fc from "fast-check";
import type { Filter } from "../../src/model/filter.ts";
import {
  type ClientMessage,
  encodeClientMessage,
  parseClientMessage,
} from "../../src/nostr/client_message.ts";
import { anyText, compact, event, hex, maybe, record, seconds } from "./arbitraries.ts";

const id = fc.string({ minLength: 1, maxLength: 64 });
const filter: fc.Arbitrary<Filter> = record({
  ids: maybe(fc.array(hex(32), { maxLength: 3 })),
  authors: maybe(fc.array(hex(32), { maxLength: 3 })),
  kinds: maybe(fc.array(fc.nat({ max: 65_535 }), { maxLength: 3 })),
  since: maybe(seconds),
  until: maybe(seconds),
  limit: maybe(fc.nat()),
  tags: maybe(
    record({ e: fc.array(hex(32), { maxLength: 2 }), T: fc.array(anyText, { maxLength: 2 }) }),
  ),
  search: maybe(anyText),
}).map((value) => compact(value));
const message: fc.Arbitrary<ClientMessage> = fc.oneof(
  record({ type: fc.constantFrom("event" as const, "auth" as const), event }),
  record({
    type: fc.constantFrom("req" as const, "count" as const),
    subscriptionId: id,
    filters: fc.array(filter, { minLength: 1, maxLength: 3 }),
  }),
  record({
    type: fc.constantFrom("close" as const, "neg_close" as const),
    subscriptionId: id,
  }),
  record({ type: fc.constant("neg_open" as const), subscriptionId: id, filter, payload: hex(8) }),
  record({ type: fc.constant("neg_msg" as const), subscriptionId: id, payload: hex(8) }),
);

Deno.test("every client message comes back from its own frame", () => {
  fc.assert(fc.property(message, (message) => {
    const parsed = parseClientMessage(encodeClientMessage(message));
    assert.ok(parsed.ok);
    assert.deepEqual(parsed.value, message);
  }));
});

Deno.test("any client text gives a value and never an exception", () => {
  const verbs = fc.constantFrom("EVENT", "AUTH", "REQ", "COUNT", "CLOSE", "NEG-OPEN", "NEG-MSG");
  const frame = fc.oneof(
    anyText,
    fc.json(),
    fc.tuple(verbs, fc.array(fc.jsonValue({ maxDepth: 3 }), { maxLength: 4 }))
      .map(([verb, rest]) => JSON.stringify([verb, ...rest])),
  );
  fc.assert(fc.property(frame, (text) => {
    assert.equal(typeof parseClientMessage(text).ok, "boolean");
  }));
});

Deno.test("a bad filter is named with its subscription, so that it can be answered", () => {
  assert.deepEqual(parseClientMessage('["REQ","a",{"kinds":["1"]}]'), {
    ok: false,
    failure: {
      problem: "bad_filter",
      subscriptionId: "a",
      detail: "kinds[0]: must be an integer, 0 to 65535",
    },
  });
});

Deno.test("malformed requests are refused by their shape", () => {
  const problem = (frame: string): unknown => {
    const parsed = parseClientMessage(frame);
    return parsed.ok ? parsed.value.type : parsed.failure.problem;
  };
  assert.equal(problem('["REQ"]'), "bad_subscription_id");
  assert.equal(problem('["REQ","a"]'), "malformed");
  assert.equal(problem(JSON.stringify(["REQ", "a", ...new Array(65).fill({})])), "malformed");
  assert.equal(problem('["EVENT",[]]'), "malformed");
  assert.equal(problem('["AUTH","challenge"]'), "malformed");
  assert.equal(problem('["NEG-OPEN","a",{}]'), "malformed");
  assert.equal(problem('["NEG-OPEN","a",[{}],"61"]'), "bad_filter");
  assert.equal(problem('["NEG-MSG","a"]'), "malformed");
  assert.equal(problem('["PING"]'), "unknown_type");
});
