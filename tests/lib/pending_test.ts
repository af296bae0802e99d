import assert from "node:assert/strict";
import { Pending } from "../../src/lib/pending.ts";

Deno.test("who waits is told when the last piece is done, and not before", async () => {
  const pending = new Pending();
  await pending.idle();
  pending.add();
  pending.add(2);
  let idle = false;
  const waiting = Promise.all([pending.idle(), pending.idle()]).then(() => idle = true);
  pending.done(2);
  await Promise.resolve();
  assert.deepEqual([pending.count, idle], [1, false]);
  pending.done();
  await waiting;
  pending.add();
  assert.equal(pending.count, 1);
  pending.done();
  await pending.idle();
});

Deno.test("what was never begun can't be done", () => {
  const pending = new Pending();
  pending.add();
  assert.throws(() => pending.done(2), RangeError);
});
