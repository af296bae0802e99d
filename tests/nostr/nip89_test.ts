import assert from "node:assert/strict";
import fc from "fast-check";
import { buildHandler, type HandlerAnnouncement, parseHandler } from "../../src/nostr/nip89.ts";
import { anyText, compact, maybe, record } from "./arbitraries.ts";

const param = record({
  required: fc.boolean(),
  values: fc.array(anyText, { maxLength: 3 }),
  description: maybe(anyText),
}).map((value) => compact(value));
const handler: fc.Arbitrary<HandlerAnnouncement> = record({
  identifier: fc.string(),
  kinds: fc.array(fc.nat({ max: 65_535 }), { maxLength: 4 }),
  name: anyText,
  about: anyText,
  picture: maybe(fc.webUrl()),
  version: maybe(anyText),
  nip90Params: fc.array(fc.tuple(fc.stringMatching(/^[a-z][a-z_]{0,8}$/), param), { maxLength: 4 })
    .map((entries) => Object.fromEntries(entries)),
  encryptionSupported: fc.boolean(),
  topics: fc.array(anyText, { maxLength: 3 }),
}).map((value) => compact(value));

Deno.test("an announcement of a machine comes back from its own event", () => {
  fc.assert(fc.property(handler, (handler) => {
    assert.deepEqual(parseHandler(buildHandler(handler, 1)), { ok: true, value: handler });
  }));
});

Deno.test("an announcement has d, a k per kind and no web tag", () => {
  const template = buildHandler({
    identifier: "bigbrotr",
    kinds: [5400, 5410],
    name: "BigBrotr",
    about: "counts",
    nip90Params: { relay: { required: true, values: [] } },
    encryptionSupported: true,
    topics: [],
  }, 5);
  assert.deepEqual(template.tags, [["d", "bigbrotr"], ["k", "5400"], ["k", "5410"]]);
  assert.deepEqual(JSON.parse(template.content), {
    name: "BigBrotr",
    about: "counts",
    encryptionSupported: true,
    nip90Params: { relay: { required: true, values: [] } },
  });
});

Deno.test("strangers' announcements are read without trust in their types", () => {
  const tags = [["d", "x"], ["k", "5400"], ["k", "99999"], ["k", "x"], ["k"]];
  const content = JSON.stringify({ name: 7, nip90Params: { a: 1, b: { values: "x" } } });
  assert.deepEqual(parseHandler({ kind: 31990, tags, content }), {
    ok: true,
    value: {
      identifier: "x",
      kinds: [5400],
      name: "",
      about: "",
      nip90Params: { a: { required: false, values: [] }, b: { required: false, values: [] } },
      encryptionSupported: false,
      topics: [],
    },
  });
  assert.ok(parseHandler({ kind: 31990, tags, content: "" }).ok);
  const failure = (kind: number, tags: string[][], content: string): unknown => {
    const parsed = parseHandler({ kind, tags, content });
    return parsed.ok ? "ok" : parsed.failure;
  };
  assert.equal(failure(1, tags, ""), "wrong_kind");
  assert.equal(failure(31990, [], ""), "no_identifier");
  assert.equal(failure(31990, tags, "[]"), "bad_content");
  assert.equal(failure(31990, tags, "{"), "bad_content");
});
