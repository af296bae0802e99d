// CSV as RFC 4180 has it: read back by a reader of its grammar, it is what was written.
import assert from "node:assert/strict";
import fc from "fast-check";
import { csvLine, csvText } from "../../src/lib/csv.ts";

/** A reader after the RFC's grammar; quoted and bare fields are told apart. */
function readCsv(text: string): string[][] {
  const records: string[][] = [];
  let fields: string[] = [];
  let at = 0;
  while (at < text.length) {
    let field = "";
    if (text[at] === '"') {
      for (at += 1; text[at] !== '"' || text[at + 1] === '"'; at++) {
        if (text[at] === '"') at += 1;
        field += text[at] ?? "";
        assert.ok(at < text.length, "an open quote");
      }
      at += 1;
    } else {
      for (; text[at] !== "," && text[at] !== "\r"; at++) {
        assert.ok(at < text.length && !'"\n'.includes(text[at] ?? ""), "a bare field");
        field += text[at];
      }
    }
    fields.push(field);
    if (text[at] === ",") at += 1;
    else {
      assert.equal(text.slice(at, at + 2), "\r\n");
      at += 2;
      records.push(fields);
      fields = [];
    }
  }
  return records;
}

Deno.test("what is written is read back, whatever the texts hold", () => {
  const cell = fc.oneof(fc.string({ unit: "binary" }), fc.constantFrom(",", '"', "\r\n", "\n", ""));
  const table = fc.integer({ min: 1, max: 4 }).chain((width) =>
    fc.array(fc.array(cell, { minLength: width, maxLength: width }), { minLength: 1 })
  );
  fc.assert(fc.property(table, (rows) => {
    assert.deepEqual(readCsv(rows.map(csvLine).join("")), rows);
  }));
});

Deno.test("columns are in the order asked for; lists are JSON; nothing and empty differ", () => {
  const rows = [{ b: [1, "x,y"], a: null, c: "" }, { a: 'say "hi"', b: { k: true }, c: 0.5 }];
  assert.equal(
    csvText(["a", "b", "c"], rows),
    'a,b,c\r\n,"[1,""x,y""]",""\r\n"say ""hi""","{""k"":true}",0.5\r\n',
  );
  assert.equal(csvText(["a"], []), "a\r\n");
});
