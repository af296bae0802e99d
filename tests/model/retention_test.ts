// Retention by brute force: what is deleted, dropped and not asked for is the same set of events.
import assert from "node:assert/strict";
import fc from "fast-check";
import {
  isPastRetention,
  keptSince,
  retentionBounds,
  type RetentionRule,
  retentionSweeps,
} from "../../src/model/retention.ts";

const NOW = 1_000_000;
const KINDS = [0, 1, 2, 3, 4];

const anyRules: fc.Arbitrary<RetentionRule[]> = fc.array(
  fc.record({
    kinds: fc.array(fc.constantFrom(...KINDS), { maxLength: 3 }),
    olderThanMs: fc.integer({ min: 0, max: 1_200 }).map((hundreds) => hundreds * 1_000_000),
  }),
  { maxLength: 4 },
);

Deno.test("the first rule that names a kind decides; an empty list names the rest", () => {
  const rules: RetentionRule[] = [
    { kinds: [0, 3], olderThanMs: 500_000_000 },
    { kinds: [3, 7], olderThanMs: 1_000 },
    { kinds: [], olderThanMs: 10_000 },
    { kinds: [9], olderThanMs: 1 },
  ];
  assert.deepEqual([0, 3, 7, 1, 9].map((kind) => keptSince(rules, kind, NOW)), [
    500_000,
    500_000,
    999_999,
    999_990,
    999_990,
  ]);
  assert.deepEqual(retentionBounds(rules, {}, NOW), { since: 500_000, allSince: 999_999 });
  assert.deepEqual(retentionBounds(rules, { kinds: [7, 1] }, NOW), {
    since: 999_990,
    allSince: 999_999,
  });
  assert.deepEqual(retentionBounds([{ kinds: [7], olderThanMs: 1_000 }], {}, NOW), {
    since: 0,
    allSince: 999_999,
  });
  assert.deepEqual(retentionBounds([], {}, NOW), { since: 0, allSince: 0 });
  assert.deepEqual(retentionBounds(rules, { kinds: [] }, NOW), { since: 0, allSince: 0 });
});

Deno.test("sweeps delete what is past retention, and bounds leave out nothing else", () => {
  fc.assert(
    fc.property(
      anyRules,
      fc.option(fc.uniqueArray(fc.constantFrom(...KINDS), { minLength: 1 }), { nil: undefined }),
      fc.array(
        fc.record({
          kind: fc.constantFrom(...KINDS),
          created_at: fc.integer({ min: 0, max: NOW + 10 }),
        }),
      ),
      (rules, kinds, events) => {
        const sweeps = retentionSweeps(rules, NOW);
        const filter = kinds === undefined ? {} : { kinds };
        const { since, allSince } = retentionBounds(rules, filter, NOW);
        for (const event of events) {
          const isPast = isPastRetention(rules, event, NOW);
          const isSwept = sweeps.some(({ kind, exceptKinds, before }) =>
            event.created_at < before &&
            (kind === undefined ? !exceptKinds.includes(event.kind) : event.kind === kind)
          );
          assert.equal(isSwept, isPast);
          if (kinds?.includes(event.kind) === false) continue;
          if (event.created_at < since) assert.ok(isPast);
          if (event.created_at >= allSince) assert.ok(!isPast);
        }
      },
    ),
  );
});
