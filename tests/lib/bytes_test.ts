import assert from "node:assert/strict";
import fc from "fast-check";
import { formatBytes, parseBytes } from "../../src/lib/bytes.ts";

Deno.test("sizes are read as people write them", () => {
  const cases: [string, number][] = [
    ["128KiB", 131_072],
    ["1MiB", 1_048_576],
    ["1.5MB", 1_500_000],
    ["64 kb", 64_000],
    ["512B", 512],
    [" 2 gib ", 2 ** 31],
  ];
  for (const [text, bytes] of cases) assert.equal(parseBytes(text), bytes, text);
});

Deno.test("what is no size is refused, a number without a unit included", () => {
  for (const text of ["", "128", "MiB", "-1B", "1e3B", "1XiB", "999999999999999TiB"]) {
    assert.equal(parseBytes(text), undefined, text);
  }
});

Deno.test("a size that is written can be read back exactly", () => {
  fc.assert(fc.property(fc.integer({ min: 0, max: 2 ** 49 }), (bytes) => {
    assert.equal(parseBytes(formatBytes(bytes)), bytes);
  }));
  assert.equal(formatBytes(131_072), "128KiB");
  assert.equal(formatBytes(5_000_000), "5MB");
});
