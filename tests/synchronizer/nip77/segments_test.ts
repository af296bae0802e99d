// Sums by segments: whatever is added in whatever order, they are the sums of exactly those ids.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import fc from "fast-check";
import {
  addSum,
  fingerprintOf,
  ID_WORDS,
  idWords,
} from "../../../src/synchronizer/nip77/id_sum.ts";
import { type SeenId, Segments } from "../../../src/synchronizer/nip77/segments.ts";

function seen(n: number, createdAt: number): SeenId {
  return { createdAt, id: createHash("sha256").update(String(n)).digest("hex") };
}

function sumOf(list: readonly SeenId[]): string {
  const sum = new Uint32Array(ID_WORDS);
  for (const { id } of list) addSum(sum, idWords(id));
  return fingerprintOf(sum, list.length).toHex();
}

/** Every group has the sum of the ids that lie in it, and together they hold `list`. */
function assertHolds(segments: Segments, list: readonly SeenId[]): void {
  const groups = segments.groups({ since: 0, until: Number.MAX_SAFE_INTEGER }, 40);
  assert.equal(groups[0]?.since, 0);
  groups.forEach(({ since, until, count, sum }, i) => {
    const inside = list.filter((one) => one.createdAt >= since && one.createdAt <= until);
    assert.equal(count, inside.length);
    assert.equal(fingerprintOf(sum, count).toHex(), sumOf(inside));
    assert.equal(groups[i + 1]?.since ?? until + 1, until + 1, "no second is left out");
  });
  assert.equal(groups.reduce((n, { count }) => n + count, 0), list.length);
}

Deno.test("a fingerprint is that of negentropy: the sum modulo 2^256, then the number", () => {
  const all = new Uint32Array(ID_WORDS).fill(0xffff_ffff);
  const one = idWords("01".padEnd(64, "0"));
  addSum(all, one);
  assert.deepEqual(all, new Uint32Array(ID_WORDS), "the carry beyond the last word is dropped");
  const expected = createHash("sha256").update(new Uint8Array(32)).update(Uint8Array.of(0x82, 0x2c))
    .digest("hex").slice(0, 32);
  assert.equal(fingerprintOf(all, 300).toHex(), expected);
});

Deno.test("sums are right for any order, second and size of what is added", () => {
  const batches = fc.array(
    fc.record({
      from: fc.nat({ max: 50_000 }),
      step: fc.constantFrom(0, 1, 7, -3),
      count: fc.nat({ max: 1_500 }),
    }),
    { maxLength: 8 },
  );
  fc.assert(
    fc.property(batches, fc.boolean(), (list, joins) => {
      const segments = new Segments();
      const all: SeenId[] = [];
      for (const { from, step, count } of list) {
        const batch = Array.from(
          { length: count },
          (_, i) => seen(all.length + i, Math.max(0, from + i * step)),
        );
        segments.add(batch);
        all.push(...batch);
        if (joins) segments.join();
      }
      segments.join();
      assertHolds(segments, all);
      const copy = Segments.decode(segments.encode());
      assert.ok(copy);
      assert.deepEqual(copy.list, segments.list);
    }),
    { numRuns: 25 },
  );
});

Deno.test("a window that cuts a segment leaves it out, unless it is empty", () => {
  const segments = new Segments();
  segments.add(Array.from({ length: 3_000 }, (_, i) => seen(i, 1_000 + i)));
  segments.join();
  const [first, second] = segments.list.filter(({ count }) => count > 0);
  assert.ok(first && second);
  const groups = segments.groups({ since: first.since + 1, until: 10_000 }, 40);
  assert.equal(groups[0]?.since, second.since);
  assert.equal(groups.at(-1)?.until, 10_000, "the empty ground on top is cut to the window");
  assert.equal(segments.countIn({ since: 1_000_000, until: 2_000_000 }), 0);
  assert.equal(segments.countIn({ since: 0, until: 999 }), 0);
});

Deno.test("stale and overgrown segments are emptied, and only those", () => {
  const segments = new Segments();
  const base = Array.from({ length: 3_000 }, (_, i) => seen(i, 1_000 + i));
  segments.add(base);
  segments.join();
  const flood = Array.from({ length: 9_000 }, (_, i) => seen(10_000 + i, 1_500));
  segments.add(flood);
  const cleared = segments.clear(({ since, until }) => since <= 3_500 && until >= 3_500);
  const lost = (one: SeenId): boolean =>
    cleared.some(({ since, until }) => one.createdAt >= since && one.createdAt <= until);
  assert.equal(cleared.length, 2);
  assert.ok(lost(seen(0, 1_500)) && lost(seen(0, 3_500)) && !lost(seen(0, 2_700)));
  const kept = [...base, ...flood].filter((one) => !lost(one));
  assertHolds(segments, kept);
  segments.add([...base, ...flood].filter(lost));
  segments.join();
  assertHolds(segments, [...base, ...flood]);
});

Deno.test("what is no list of segments is not decoded", () => {
  assert.equal(Segments.decode(Uint8Array.of(1, 2, 3)), undefined);
  assert.equal(Segments.decode(new Uint8Array(88)), undefined, "two segments that begin at once");
  assert.deepEqual(Segments.decode(new Uint8Array())?.list.map(({ count }) => count), [0]);
});

Deno.test("ten thousand small additions in order of time make few segments", () => {
  const segments = new Segments();
  for (let n = 0; n < 10_000; n += 10) {
    segments.add(Array.from({ length: 10 }, (_, i) => seen(n + i, 5_000 + n + i)));
    segments.join();
  }
  assert.ok(segments.list.length < 25, `${segments.list.length} segments`);
  assert.ok(segments.list.every(({ count }) => count <= 1_000));
});
