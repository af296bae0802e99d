import assert from "node:assert/strict";
import fc from "fast-check";
import { spreadOf } from "../../src/lib/spread.ts";
import { type LadderConfig, nextStanding, type Standing } from "../../src/monitor/ladder.ts";

const CONFIG: LadderConfig = {
  checkIntervalMs: 3_600_000,
  unreachableAfter: 2,
  deadAfter: 4,
  retryDelaysMs: [300_000, 1_200_000, 3_600_000, 604_800_000],
};
const middle = { at: 1_000_000, phase: 0.5, random: () => 0.5 };

Deno.test("a relay is demoted step by step, and asked ever more seldom but always again", () => {
  let standing: Standing = { state: "online", failures: 0 };
  const steps: [string, number][] = [];
  for (let i = 0; i < 6; i++) {
    const next = nextStanding(standing, false, CONFIG, middle);
    steps.push([next.state, next.nextCheckAt - middle.at]);
    standing = next;
  }
  assert.deepEqual(steps, [
    ["online", 300],
    ["unreachable", 1_200],
    ["unreachable", 3_600],
    ["dead", 604_800],
    ["dead", 604_800],
    ["dead", 604_800],
  ]);
});

Deno.test("one success is proof of life, whatever came before", () => {
  for (const state of ["online", "unreachable", "dead"] as const) {
    const next = nextStanding({ state, failures: 9 }, true, CONFIG, middle);
    assert.deepEqual([next.state, next.failures], ["online", 0]);
    assert.ok(next.nextCheckAt > middle.at);
  }
});

Deno.test("a relay that never opened is not called unreachable after one failure", () => {
  const next = nextStanding({ state: "unknown", failures: 0 }, false, CONFIG, middle);
  assert.equal(next.state, "unknown");
});

const share = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });

Deno.test("a relay that is online is asked again within the interval, or little later", () => {
  fc.assert(fc.property(share, share, fc.nat(4_000_000_000), (phase, drawn, at) => {
    const moment = { at, phase, random: () => drawn };
    const { nextCheckAt } = nextStanding({ state: "online", failures: 0 }, true, CONFIG, moment);
    const wait = nextCheckAt - at;
    assert.ok(wait >= 900 - 73 && wait <= 4_500 + 73, `${wait} s`);
  }));
});

Deno.test("a relay keeps its moment: from the second check on the interval is the interval", () => {
  fc.assert(fc.property(share, share, share, (phase, late, drawn) => {
    let at = 1_760_000_000;
    for (let check = 0; check < 5; check++) {
      const moment = { at, phase, random: () => drawn };
      const next = nextStanding({ state: "online", failures: 0 }, true, CONFIG, moment);
      const wait = next.nextCheckAt - at;
      // Each check begins up to five minutes after it was due.
      if (check > 0) assert.ok(wait >= 3_600 - 300 - 73 && wait <= 3_600 + 73, `${wait} s`);
      at = next.nextCheckAt + Math.floor(late * 300);
    }
  }));
});

Deno.test("ten thousand that were due at once are spread evenly with their next check", () => {
  const at = 1_760_000_000;
  const bins = new Array<number>(60).fill(0);
  for (let i = 0; i < 10_000; i++) {
    // All checked within five minutes, as after a day without the process.
    const moment = { at: at + i % 300, phase: spreadOf(`wss://r${i}.example/`), random: () => 0.5 };
    const { nextCheckAt } = nextStanding({ state: "online", failures: 3 }, true, CONFIG, moment);
    const minute = Math.floor(nextCheckAt / 60) % 60;
    bins[minute] = (bins[minute] ?? 0) + 1;
  }
  for (const [minute, n] of bins.entries()) assert.ok(n > 110 && n < 230, `${n} at ${minute}`);
});

Deno.test("failures are jittered around the ladder, so that an outage's relays come apart", () => {
  fc.assert(fc.property(share, (drawn) => {
    const moment = { ...middle, random: () => drawn };
    const { nextCheckAt } = nextStanding({ state: "online", failures: 0 }, false, CONFIG, moment);
    const wait = nextCheckAt - middle.at;
    assert.ok(wait >= 270 && wait <= 331, `${wait} s`);
  }));
});
