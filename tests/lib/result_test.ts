import assert from "node:assert/strict";
import { fail, ok, type Result } from "../../src/lib/result.ts";

Deno.test("a result is either a value or a failure, told apart by ok", () => {
  const halve = (n: number): Result<number, "odd"> => n % 2 === 0 ? ok(n / 2) : fail("odd");
  const even = halve(4);
  const odd = halve(3);
  assert.deepEqual(even, { ok: true, value: 2 });
  assert.deepEqual(odd, { ok: false, failure: "odd" });
});
