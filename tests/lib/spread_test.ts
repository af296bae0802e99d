import assert from "node:assert/strict";
import fc from "fast-check";
import { spreadOf } from "../../src/lib/spread.ts";

Deno.test("a text has one place, between 0 and 1", () => {
  fc.assert(fc.property(fc.string({ unit: "binary" }), (text) => {
    const place = spreadOf(text);
    assert.ok(place >= 0 && place < 1);
    assert.equal(spreadOf(text), place);
  }));
});

Deno.test("texts that are alike are spread evenly all the same", () => {
  const bins = new Array<number>(60).fill(0);
  for (let i = 0; i < 12_000; i++) {
    const bin = Math.floor(spreadOf(`wss://relay.example.com/user${i}`) * 60);
    bins[bin] = (bins[bin] ?? 0) + 1;
  }
  for (const [bin, n] of bins.entries()) assert.ok(n > 130 && n < 280, `${n} in ${bin}`);
});
