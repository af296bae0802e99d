// Cursors: what goes in comes out, and anything else is refused by the schema of its query.
import assert from "node:assert/strict";
import fc from "fast-check";
import { z } from "zod";
import { decodeCursor, encodeCursor, keyInteger, keyText } from "../../src/queries/cursor.ts";

const schema = z.tuple([keyInteger, keyText]);

Deno.test("a cursor of a query gives its key back, safe in URLs and tags", () => {
  const text = fc.string({ unit: "grapheme" }).filter((value) => !value.includes("\0"));
  fc.assert(fc.property(fc.maxSafeInteger(), text, (number, name) => {
    const cursor = encodeCursor("relays url", [number, name]);
    assert.match(cursor, /^[A-Za-z0-9_-]+$/);
    const decoded = decodeCursor("relays url", cursor, schema);
    assert.deepEqual(decoded, { ok: true, value: [number, name] });
  }));
});

Deno.test("a cursor of another query, of another shape or of nothing is refused", () => {
  const good = encodeCursor("relays url", [1, "a"]);
  const refused = [
    encodeCursor("relays rtt", [1, "a"]),
    encodeCursor("relays url", ["a", 1]),
    encodeCursor("relays url", [1]),
    encodeCursor("relays url", [1, "a", 2]),
    encodeCursor("relays url", [1, "a\0"]),
    encodeCursor("relays url", [1.5, "a"]),
    good.slice(0, -2),
    `${good}!`,
    "",
    "e30",
    "A".repeat(5_000),
  ];
  for (const cursor of refused) {
    const decoded = decodeCursor("relays url", cursor, schema);
    assert.ok(!decoded.ok, cursor);
    assert.match(decoded.failure, /first page/);
  }
});
