import assert from "node:assert/strict";
import { memoized } from "../../src/lib/memoized.ts";

Deno.test("an answer is found once while it is remembered, and only so many are", () => {
  const asked: string[] = [];
  const length = memoized((text) => {
    asked.push(text);
    return text.length;
  }, 2);
  for (const text of ["", "a", "a", "", "bb", "bb", ""]) assert.equal(length(text), text.length);
  assert.deepEqual(asked, ["", "a", "bb", ""]);
});
