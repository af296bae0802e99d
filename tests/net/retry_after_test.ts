import assert from "node:assert/strict";
import { retryAfterMs } from "../../src/net/retry_after.ts";

Deno.test("seconds are taken as they are, up to a week", () => {
  assert.equal(retryAfterMs({ "retry-after": "120" }), 120_000);
  assert.equal(retryAfterMs({ "retry-after": "0" }), 0);
  assert.equal(retryAfterMs({ "retry-after": "999999999" }), 7 * 86_400_000);
});

Deno.test("a date counts from the answer's own date, whatever our clock says", () => {
  const date = "Fri, 31 Dec 1999 23:59:59 GMT";
  assert.equal(
    retryAfterMs({ date, "retry-after": "Sat, 01 Jan 2000 00:04:59 GMT" }),
    300_000,
  );
  assert.equal(retryAfterMs({ date, "retry-after": "Fri, 31 Dec 1999 00:00:00 GMT" }), 0);
  assert.equal(retryAfterMs({ "retry-after": "Sat, 01 Jan 2000 00:04:59 GMT" }), undefined);
});

Deno.test("what is not understood asks for nothing", () => {
  for (const given of ["", "soon", "-5", "1e3", "1.5", "1".repeat(30)]) {
    assert.equal(retryAfterMs({ date: "x", "retry-after": given }), undefined, given);
  }
  assert.equal(retryAfterMs({}), undefined);
  assert.equal(retryAfterMs(undefined), undefined);
});
