import assert from "node:assert/strict";
import fc from "fast-check";
import { nip11Kinds } from "../../src/nostr/nip11_kinds.ts";

Deno.test("kinds are those that retention names: kept for a time, or not at all", () => {
  const document = {
    retention: [
      { kinds: [0, 1, [5, 7], [40, 49]], time: 3600 },
      { kinds: [4], time: 0 },
      { kinds: [[1059, 1060]], count: 0 },
      { kinds: [[30000, 39999]], count: 1000 },
      { time: 3600, count: 10000 },
    ],
  };
  assert.deepEqual(nip11Kinds(document), {
    accepted: [0, 1, 5, 6, 7, 40, 41, 42, 43, 44, 45, 46, 47, 48, 49],
    rejected: [4, 1059, 1060],
  });
});

Deno.test("a kind that is named both ways says nothing", () => {
  const retention = [{ kinds: [1, 2], time: 0 }, { kinds: [2, 3], time: null }];
  assert.deepEqual(nip11Kinds({ retention }), { accepted: [3], rejected: [1] });
});

Deno.test("any value of any type gives lists of kinds, sorted and bounded", () => {
  const kind = fc.oneof(
    fc.integer(),
    fc.nat(70_000),
    fc.tuple(fc.integer(), fc.integer()),
    fc.string(),
    fc.constant(null),
  );
  const retention = fc.oneof(
    fc.anything(),
    fc.array(
      fc.oneof(fc.anything(), fc.record({ kinds: fc.array(kind), time: fc.constantFrom(0, 60) })),
    ),
  );
  fc.assert(fc.property(retention, (value) => {
    for (const list of Object.values(nip11Kinds({ retention: value }))) {
      assert.ok(list.length <= 100);
      assert.ok(list.every((one: number, i: number) => one >= 0 && one > (list[i - 1] ?? -1)));
    }
  }));
});
