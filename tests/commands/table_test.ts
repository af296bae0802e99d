// Rows for people: aligned, within the terminal, and safe to print.
import assert from "node:assert/strict";
import fc from "fast-check";
import { momentText, tableLines } from "../../src/commands/table.ts";

Deno.test("columns are aligned, numbers to the right, moments as dates, nothing as a dash", () => {
  const rows = [
    { url: "wss://a.example/", events: 5, checked_at: 1_760_000_000, name: null, nips: [1, 11] },
    { url: "wss://bb.example/", events: 12_345, checked_at: 0, name: "b", nips: [] },
  ];
  assert.deepEqual(tableLines(rows, undefined), [
    "url                events  checked_at           name  nips",
    "wss://a.example/        5  2025-10-09 08:53:20  -     1, 11",
    "wss://bb.example/   12345  -                    b",
  ]);
});

Deno.test("one row of many fields is a list, with lists of objects as tables set in", () => {
  const row = { a: 1, b: 2, c: 3, d: 4, e: 5, long_name: "x", checks: [{ ok: true, ms: 3 }] };
  assert.deepEqual(tableLines([row], 80), [
    "a          1",
    "b          2",
    "c          3",
    "d          4",
    "e          5",
    "long_name  x",
    "checks",
    "  ok    ms",
    "  true   3",
  ]);
});

Deno.test("no line is wider than the terminal, and no control character gets out", () => {
  const cell = fc.oneof(
    fc.string({ unit: "binary", maxLength: 120 }),
    fc.integer(),
    fc.constant(null),
  );
  const row = fc.record({ a: cell, b: cell, c: cell, d: cell });
  fc.assert(
    fc.property(
      fc.array(row, { minLength: 1, maxLength: 5 }),
      fc.integer({ min: 60, max: 120 }),
      (rows, columns) => {
        for (const line of tableLines(rows, columns)) {
          assert.ok([...line].length <= columns, `${[...line].length} > ${columns}`);
          // deno-lint-ignore no-control-regex
          assert.doesNotMatch(line, /[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e]/);
        }
      },
    ),
  );
});

Deno.test("moments beyond what a date can be are shown as they are", () => {
  assert.equal(momentText(9_000_000_000_000_000), "9000000000000000");
});

Deno.test("no rows are no lines", () => {
  assert.deepEqual(tableLines([], 80), []);
});
