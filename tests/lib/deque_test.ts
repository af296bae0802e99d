import assert from "node:assert/strict";
import fc from "fast-check";
import { Deque } from "../../src/lib/deque.ts";

Deno.test("a deque does what an array with push and shift does", () => {
  fc.assert(
    fc.property(fc.array(fc.option(fc.integer()), { maxLength: 200 }), (steps) => {
      const deque = new Deque<number>();
      const twin: number[] = [];
      for (const step of steps) {
        if (step === null) assert.equal(deque.shift(), twin.shift());
        else {
          deque.push(step);
          twin.push(step);
        }
        assert.equal(deque.length, twin.length);
      }
    }),
  );
});
