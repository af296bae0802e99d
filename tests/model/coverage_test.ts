import assert from "node:assert/strict";
import fc from "fast-check";
import {
  coverageInsert,
  type CoverageInterval,
  type CoverageState,
  coveredSeconds,
  uncovered,
} from "../../src/model/coverage.ts";

const SECONDS = 40;

function range(length = SECONDS): fc.Arbitrary<{ since: number; until: number }> {
  const second = fc.integer({ min: 0, max: length - 1 });
  return fc.tuple(second, second).map(([a, b]) => ({
    since: Math.min(a, b),
    until: Math.max(a, b),
  }));
}

const verdict = fc.oneof(
  fc.record({
    state: fc.constant("closed" as const),
    proof: fc.constantFrom("eose_empty" as const, "eose_finish" as const, "reconciled" as const),
  }),
  fc.record({ state: fc.constant("open" as const), reason: fc.constantFrom("idle", "closed") }),
  fc.record({
    state: fc.constant("gap" as const),
    reason: fc.constant("dense_second"),
    missing: fc.integer({ min: 0, max: 3 }),
  }),
  fc.record({ state: fc.constant("gap" as const), reason: fc.constant("dense_second") }),
);

const interval: fc.Arbitrary<CoverageInterval> = fc.tuple(
  range(),
  verdict,
  fc.integer({ min: 1, max: 9 }),
).map(([window, verdict, at]) => ({ ...window, ...verdict, at }));

/** What one second of the ledger says, kept second by second. */
type Cell = Omit<CoverageInterval, "since" | "until"> | undefined;

/** The same rules as coverageInsert's, one second at a time, on an array. */
function dumbInsert(cells: Cell[], next: CoverageInterval): void {
  const { since, until, ...cell } = next;
  for (let second = since; second <= until; second++) {
    const held = cells[second];
    let wins = held === undefined || cell.state === "closed" || held.state === "open";
    if (cell.state === "gap" && held?.state === "gap") wins = true;
    if (cell.state === "gap" && held?.state === "closed") {
      wins = cell.at > held.at && (cell.missing ?? 0) > 0;
    }
    if (wins) cells[second] = cell;
  }
}

function cellsOf(list: readonly CoverageInterval[]): Cell[] {
  const cells: Cell[] = new Array(SECONDS).fill(undefined);
  for (const { since, until, ...cell } of list) {
    for (let second = since; second <= until; second++) {
      assert.equal(cells[second], undefined, `second ${second} is told twice`);
      cells[second] = cell;
    }
  }
  return cells;
}

function words(cell: Cell): string {
  return cell === undefined ? "" : [cell.state, cell.proof, cell.reason].join(" ");
}

Deno.test("the ledger says of every second what an array of seconds says", () => {
  fc.assert(
    fc.property(fc.array(interval, { maxLength: 25 }), (inserts) => {
      let list: CoverageInterval[] = [];
      const cells: Cell[] = new Array(SECONDS).fill(undefined);
      // The model answers by what the ledger holds, whose merged `at` may be older than a cell's.
      for (const next of inserts) {
        const before = cellsOf(list);
        list = coverageInsert(list, next);
        dumbInsert(before, next);
        assert.deepEqual(cellsOf(list).map(words), before.map(words));
        dumbInsert(cells, next);
        for (const [second, cell] of cellsOf(list).entries()) {
          // A merge may only ever claim an older look, never a newer one, of proven ground.
          if (cell?.state === "closed" && words(cell) === words(cells[second])) {
            assert.ok(cell.at <= (cells[second]?.at ?? 0));
          }
          if (cell?.missing !== undefined) assert.equal(cell.state, "gap");
        }
      }
    }),
    { numRuns: 500 },
  );
});

Deno.test("the ledger is sorted, disjoint and merged, and its input is left alone", () => {
  fc.assert(fc.property(fc.array(interval, { maxLength: 25 }), (inserts) => {
    let list: readonly CoverageInterval[] = Object.freeze([]);
    for (const next of inserts) {
      list = Object.freeze(
        coverageInsert(list, Object.freeze({ ...next })).map(Object.freeze),
      ) as readonly CoverageInterval[];
      for (let i = 1; i < list.length; i++) {
        const [a, b] = [list[i - 1], list[i]];
        assert.ok(a !== undefined && b !== undefined && a.until < b.since && b.since <= b.until);
        const touching = a.until + 1 === b.since && a.state !== "gap";
        assert.ok(!touching || words(a) !== words(b), "equal neighbours are not merged");
      }
      // Said twice changes nothing but what a merge dated back.
      const again = coverageInsert(list, next);
      assert.deepEqual(cellsOf(again).map(words), cellsOf(list).map(words));
    }
  }));
});

Deno.test("no failed attempt and no doubt ever reopens proven ground", () => {
  fc.assert(fc.property(fc.array(interval, { maxLength: 15 }), interval, (inserts, last) => {
    let list: CoverageInterval[] = [];
    for (const next of inserts) list = coverageInsert(list, next);
    const before = cellsOf(list);
    const after = cellsOf(coverageInsert(list, { ...last, state: "open", reason: "idle" }));
    for (const [second, cell] of before.entries()) {
      if (cell?.state === "closed" || cell?.state === "gap") {
        assert.equal(words(after[second]), words(cell));
      }
    }
  }));
});

Deno.test("what is uncovered is exactly what is not settled, newest first", () => {
  const settledSets = fc.constantFrom<CoverageState[]>(["closed"], ["closed", "gap"], []);
  fc.assert(
    fc.property(fc.array(interval, { maxLength: 20 }), range(), settledSets, (all, window, set) => {
      let list: CoverageInterval[] = [];
      for (const next of all) list = coverageInsert(list, next);
      const cells = cellsOf(list);
      const expected: number[] = [];
      for (let second = window.until; second >= window.since; second--) {
        const state = cells[second]?.state;
        if (state === undefined || !set.includes(state)) expected.push(second);
      }
      const holes = uncovered(list, window, set);
      const got = holes.flatMap(({ since, until }) =>
        Array.from({ length: until - since + 1 }, (_, i) => until - i)
      );
      assert.deepEqual(got, expected);
      for (let i = 1; i < holes.length; i++) {
        // Whole holes: two never touch.
        assert.ok((holes[i]?.until ?? 0) + 1 < (holes[i - 1]?.since ?? 0));
      }
      const closed = cells.slice(window.since, window.until + 1)
        .filter((cell) => cell?.state === "closed").length;
      assert.equal(coveredSeconds(list, window), closed);
    }),
  );
});

Deno.test("a page walk closes what it proved and leaves the rest open with its reason", () => {
  let list: CoverageInterval[] = [];
  list = coverageInsert(list, { since: 0, until: 999, state: "open", reason: "idle", at: 1 });
  list = coverageInsert(list, {
    since: 500,
    until: 999,
    state: "closed",
    proof: "eose_empty",
    at: 2,
  });
  list = coverageInsert(list, {
    since: 400,
    until: 499,
    state: "closed",
    proof: "eose_empty",
    at: 3,
  });
  list = coverageInsert(list, {
    since: 450,
    until: 450,
    state: "gap",
    reason: "dense_second",
    missing: 1000,
    at: 4,
  });
  assert.deepEqual(list, [
    { since: 0, until: 399, state: "open", reason: "idle", at: 1 },
    { since: 400, until: 449, state: "closed", proof: "eose_empty", at: 2 },
    { since: 450, until: 450, state: "gap", reason: "dense_second", missing: 1000, at: 4 },
    { since: 451, until: 999, state: "closed", proof: "eose_empty", at: 2 },
  ]);
  assert.deepEqual(uncovered(list, { since: 100, until: 2000 }), [
    { since: 1000, until: 2000 },
    { since: 450, until: 450 },
    { since: 100, until: 399 },
  ]);
});

Deno.test("a gap that is cut loses its count, which no longer tells where it is", () => {
  const gap: CoverageInterval = {
    since: 10,
    until: 19,
    state: "gap",
    reason: "refused",
    missing: 5,
    at: 1,
  };
  const closed = { state: "closed", proof: "reconciled", at: 2 } as const;
  assert.deepEqual(coverageInsert([gap], { since: 15, until: 30, ...closed }), [
    { since: 10, until: 14, state: "gap", reason: "refused", at: 1 },
    { since: 15, until: 30, ...closed },
  ]);
});

Deno.test("impossible intervals are bugs, and are thrown", () => {
  const open: CoverageInterval = { since: 5, until: 4, state: "open", at: 1 };
  assert.throws(() => coverageInsert([], open), RangeError);
  assert.throws(() => coverageInsert([], { ...open, until: 5.5 }), RangeError);
  assert.throws(() => coverageInsert([], { ...open, until: 9, state: "closed" }), TypeError);
  assert.throws(() => uncovered([], { since: 2, until: 1 }), RangeError);
});
