import assert from "node:assert/strict";
import fc from "fast-check";
import { cut, errorText } from "../../src/lib/text.ts";

Deno.test("a short text comes out as it is, a long one ends in an ellipsis", () => {
  assert.equal(cut("hello"), "hello");
  assert.equal(cut("hello", 5), "hello");
  assert.equal(cut("hello!", 5), "hell…");
  assert.equal(cut("x".repeat(1000)).length, 200);
  assert.equal(cut("", 5), "");
});

Deno.test("a text is cut between code points, never inside one", () => {
  assert.equal(cut("🦩🦩🦩", 3), "🦩🦩🦩");
  assert.equal(cut("🦩🦩🦩🦩", 3), "🦩🦩…");
});

Deno.test("characters that break lines, move cursors or hide come out escaped", () => {
  assert.equal(cut("a\nb\r\tc"), "a\\nb\\r\\tc");
  assert.equal(cut("\x1b[31mred\x00"), "\\u001b[31mred\\u0000");
  assert.equal(cut("\u2028\u202e\ufeff"), "\\u2028\\u202e\\ufeff");
  assert.equal(cut("\ud800"), "\\ud800");
});

Deno.test("a cut text is one printable line of at most the asked length", () => {
  fc.assert(
    fc.property(
      fc.string({ unit: "binary", maxLength: 60 }),
      fc.integer({ min: 1, max: 50 }),
      (text, max) => {
        const result = cut(text, max);
        assert.ok([...result].length <= max);
        assert.ok(result.isWellFormed());
        assert.doesNotMatch(result, /[\p{Cc}\p{Zl}\p{Zp}]/u);
      },
    ),
  );
});

Deno.test("an error's text tells its causes too, each once", () => {
  const inner = new Error("connection refused");
  const outer = new Error("cannot connect", { cause: inner });
  assert.equal(errorText(outer), "cannot connect: connection refused");
  assert.equal(
    errorText(new Error("failed: connection refused", { cause: inner })),
    "failed: connection refused",
  );
  assert.equal(
    errorText(new AggregateError([inner], "all failed")),
    "all failed: connection refused",
  );
  assert.equal(errorText(new TypeError()), "TypeError");
});

Deno.test("anything that can be thrown has a text, and circles of causes end", () => {
  assert.equal(errorText("plain"), "plain");
  assert.equal(errorText(undefined), "undefined");
  assert.equal(errorText(Object.create(null)), "object");
  const circle = new Error("round");
  circle.cause = circle;
  assert.equal(errorText(circle), "round");
  assert.equal(errorText(new Error("a\nb")), "a\\nb");
});
