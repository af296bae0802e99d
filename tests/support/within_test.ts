// Waits of tests end: with the value, with the promise's own failure, or with what was waited for.
import assert from "node:assert/strict";
import { eventually, within } from "./within.ts";

Deno.test("what comes in time is handed on, and so is its failure", async () => {
  assert.equal(await within("a number", Promise.resolve(7)), 7);
  await assert.rejects(within("a number", Promise.reject(new Error("broken"))), /^Error: broken$/);
  let looks = 0;
  await eventually("the third look", () => ++looks === 3);
  assert.equal(looks, 3);
});

Deno.test("what never comes fails with a sentence that names it", async () => {
  await assert.rejects(within("a letter", new Promise(() => {}), 20), /waited 20 ms for a letter$/);
  await assert.rejects(
    eventually(() => "the end", () => false, 20),
    /waited 20 ms for the end$/,
  );
});
