import assert from "node:assert/strict";
import fc from "fast-check";
import { type LadderConfig, nextStanding, type Standing } from "../../src/monitor/ladder.ts";

const CONFIG: LadderConfig = {
  checkIntervalMs: 3_600_000,
  unreachableAfter: 2,
  deadAfter: 4,
  retryDelaysMs: [300_000, 1_200_000, 3_600_000, 604_800_000],
};
const middle = { at: 1_000_000, random: () => 0.5 };

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
    assert.deepEqual(next, { state: "online", failures: 0, nextCheckAt: middle.at + 3_600 });
  }
});

Deno.test("a relay that never opened is not called unreachable after one failure", () => {
  const next = nextStanding({ state: "unknown", failures: 0 }, false, CONFIG, middle);
  assert.equal(next.state, "unknown");
});

Deno.test("new relays spread over the interval, known ones stay close to it", () => {
  const random = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
  fc.assert(fc.property(random, (drawn) => {
    const options = { at: 0, random: () => drawn };
    const first = nextStanding({ state: "unknown", failures: 0 }, true, CONFIG, options);
    assert.ok(first.nextCheckAt >= 900 && first.nextCheckAt <= 3_601);
    const later = nextStanding({ state: "online", failures: 0 }, true, CONFIG, options);
    assert.ok(later.nextCheckAt >= 3_240 && later.nextCheckAt <= 3_961);
  }));
});
