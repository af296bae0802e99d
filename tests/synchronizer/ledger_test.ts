import assert from "node:assert/strict";
import fc from "fast-check";
import { coverageInsert, type CoverageInterval } from "../../src/model/coverage.ts";
import { Ledger, type LedgerOptions } from "../../src/synchronizer/ledger.ts";
import { words } from "./archive.ts";

const OPTIONS: LedgerOptions = {
  now: 1000,
  overlapSeconds: 10,
  gapRetrySeconds: 100,
  proveSeconds: 200,
};

function ledgerOf(...stored: Partial<CoverageInterval>[]): Ledger {
  const list = stored.map((interval) => ({ at: 990, ...interval } as CoverageInterval))
    .reduce<CoverageInterval[]>((all, next) => coverageInsert(all, next), []);
  return new Ledger(list, OPTIONS);
}

const closed = { state: "closed", proof: "eose_empty" } as const;
const paged = { state: "open", reason: "paged" } as const;

Deno.test("paged ground is not asked for again, open ground is", () => {
  const ledger = ledgerOf(
    { since: 50, until: 99, state: "open", reason: "idle" },
    { since: 100, until: 199, ...paged },
    { since: 300, until: 399, ...closed },
  );
  assert.deepEqual(ledger.todo({ since: 0, until: 500 }), [
    { since: 390, until: 500 },
    { since: 190, until: 299 },
    { since: 0, until: 99 },
  ]);
});

Deno.test("what continues settled ground reaches back by the overlap, never out of the window", () => {
  const ledger = ledgerOf({ since: 0, until: 95, ...closed });
  assert.deepEqual(ledger.todo({ since: 0, until: 200 }), [{ since: 86, until: 200 }]);
  assert.deepEqual(ledger.todo({ since: 90, until: 200 }), [{ since: 90, until: 200 }]);
  assert.deepEqual(ledger.todo({ since: 0, until: 95 }), []);
  // What is left of a walk that was cut off, and a second of its own.
  const cut = ledgerOf(
    { since: 0, until: 99, ...closed },
    { since: 100, until: 149, state: "open", reason: "time_up" },
    { since: 150, until: 199, ...paged },
    { since: 200, until: 200, state: "open", reason: "dense_second" },
    { since: 201, until: 300, ...paged },
  );
  assert.deepEqual(cut.todo({ since: 0, until: 300 }), [
    { since: 200, until: 200 },
    { since: 100, until: 149 },
  ]);
  // Nobody has asked there: the process was killed.
  const killed = ledgerOf(
    { since: 0, until: 99, ...closed },
    { since: 150, until: 300, ...paged },
  );
  assert.deepEqual(killed.todo({ since: 0, until: 300 }), [{ since: 90, until: 149 }]);
});

Deno.test("an attempt in vain leaves what is known of single seconds and events", () => {
  const ledger = ledgerOf(
    { since: 10, until: 20, state: "open", reason: "undelivered", at: 100 },
    { since: 50, until: 50, state: "open", reason: "dense_second" },
  );
  ledger.open({ since: 0, until: 99 }, "unreachable");
  assert.deepEqual(words(ledger.intervals), [
    "0..9 open unreachable",
    "10..20 open undelivered",
    "21..49 open unreachable",
    "50..50 open dense_second",
    "51..99 open unreachable",
  ]);
  assert.equal(ledger.hasUndelivered({ since: 0, until: 99 }), true);
});

Deno.test("closing takes the paged ground above along, and stops at what is not", () => {
  const ledger = ledgerOf(
    { since: 100, until: 199, ...paged },
    { since: 200, until: 299, state: "open", reason: "idle" },
    { since: 300, until: 399, ...paged },
  );
  ledger.paged({ since: 40, until: 99 });
  ledger.close({ since: 0, until: 99 }, "eose_empty");
  assert.deepEqual(words(ledger.intervals), [
    "0..199 closed eose_empty",
    "200..299 open idle",
    "300..399 open paged",
  ]);
});

Deno.test("nothing closes over gaps and dense seconds, until they are filled or old", () => {
  const ledger = ledgerOf(
    { since: 20, until: 20, state: "gap", reason: "dense_second", at: 100 },
    { since: 50, until: 50, state: "gap", reason: "dense_second" },
  );
  ledger.dense(60);
  ledger.dense(61);
  ledger.close({ since: 0, until: 99 }, "eose_empty");
  assert.deepEqual(words(ledger.intervals), [
    "0..49 closed eose_empty",
    "50..50 gap dense_second",
    "51..59 closed eose_empty",
    "60..61 open dense_second",
    "62..99 closed eose_empty",
  ]);
  ledger.fill(60, "eose_empty");
  ledger.gap(61, 7);
  assert.deepEqual(words(ledger.intervals).slice(2), [
    "51..60 closed eose_empty",
    "61..61 gap dense_second missing 7",
    "62..99 closed eose_empty",
  ]);
});

Deno.test("a lie doubts what was paged, not what was proven", () => {
  const ledger = ledgerOf(
    { since: 0, until: 99, ...closed },
    { since: 100, until: 199, ...paged },
    { since: 200, until: 200, state: "gap", reason: "dense_second" },
    { since: 201, until: 299, ...paged },
  );
  ledger.doubt("unsorted");
  assert.deepEqual(words(ledger.intervals), [
    "0..99 closed eose_empty",
    "100..199 open unsorted",
    "200..200 gap dense_second",
    "201..299 open unsorted",
  ]);
});

Deno.test("a failed turn opens what it was to look through for late events, once", () => {
  const ledger = ledgerOf(
    { since: 0, until: 99, ...closed },
    { since: 100, until: 199, ...paged },
  );
  const window = { since: 0, until: 300 };
  for (let turn = 0; turn < 3; turn++) {
    for (const hole of ledger.todo(window)) ledger.open(hole, "unreachable");
    assert.deepEqual(words(ledger.intervals), [
      "0..88 closed eose_empty",
      "89..99 open unreachable",
      "100..189 open paged",
      "190..300 open unreachable",
    ]);
  }
});

Deno.test("the ledger stays sorted and whole; only what was asked in vain opens again", () => {
  const second = fc.nat({ max: 60 });
  const window = fc.tuple(second, second).map(([a, b]) => ({
    since: Math.min(a, b),
    until: Math.max(a, b),
  }));
  const action = fc.oneof(
    window.map((at) => (ledger: Ledger) => ledger.paged(at)),
    window.map((at) => (ledger: Ledger) => {
      ledger.open(at, "idle");
      return at;
    }),
    window.map((at) => (ledger: Ledger) => ledger.close(at, "eose_empty")),
    second.map((at) => (ledger: Ledger) => ledger.dense(at)),
    second.map((at) => (ledger: Ledger) => ledger.gap(at, undefined)),
    fc.constant((ledger: Ledger) => ledger.doubt("unsorted")),
  );
  fc.assert(fc.property(fc.array(action, { maxLength: 30 }), (actions) => {
    const ledger = ledgerOf();
    for (const act of actions) {
      const before = closedSeconds(ledger);
      const inVain = act(ledger) ?? { since: Infinity, until: -Infinity };
      const after = closedSeconds(ledger);
      for (const one of before) {
        assert.ok(after.has(one) || (one >= inVain.since && one <= inVain.until));
      }
      let last = -1;
      for (const { since, until } of ledger.intervals) {
        assert.ok(since > last && until >= since);
        last = until;
      }
      for (const { since, until } of ledger.todo({ since: 0, until: 60 })) {
        assert.ok(since >= 0 && until <= 60 && since <= until);
      }
    }
  }));
});

function closedSeconds(ledger: Ledger): Set<number> {
  const seconds = new Set<number>();
  for (const held of ledger.intervals) {
    if (held.state !== "closed") continue;
    for (let second = held.since; second <= held.until; second++) seconds.add(second);
  }
  return seconds;
}

Deno.test("paged ground that no walk would come to the end of is asked for at its end", () => {
  const window = { since: 0, until: 300 };
  const ledger = ledgerOf({ since: 0, until: 99, ...closed }, { since: 100, until: 300, ...paged });
  assert.deepEqual(ledger.todo(window), [{ since: 89, until: 99 }]);
  ledger.close({ since: 89, until: 99 }, "eose_empty");
  assert.deepEqual(words(ledger.intervals), ["0..300 closed eose_empty"]);
  const narrower = ledgerOf({ since: 100, until: 300, ...paged });
  assert.deepEqual(narrower.todo({ since: 200, until: 300 }), [{ since: 200, until: 200 }]);
  narrower.close({ since: 200, until: 200 }, "eose_empty");
  assert.deepEqual(words(narrower.intervals), [
    "100..199 open paged",
    "200..300 closed eose_empty",
  ]);
});
