import assert from "node:assert/strict";
import fc from "fast-check";
import { formatDuration, parseDuration } from "../../src/lib/duration.ts";

Deno.test("durations are read as people write them", () => {
  const cases: [string, number][] = [
    ["250ms", 250],
    ["30s", 30_000],
    ["5m", 300_000],
    ["2h", 7_200_000],
    ["7d", 604_800_000],
    ["1.5h", 5_400_000],
    ["1h30m", 5_400_000],
    [" 0s ", 0],
  ];
  for (const [text, ms] of cases) assert.equal(parseDuration(text), ms, text);
});

Deno.test("what is no duration is refused, a number without a unit included", () => {
  const bad = ["", "30", "s", "-5s", "5 s", "1w", "1e3s", "5S", "1..5s", "9".repeat(15) + "d"];
  for (const text of bad) assert.equal(parseDuration(text), undefined, text);
});

Deno.test("a duration that is written can be read back exactly", () => {
  fc.assert(fc.property(fc.integer({ min: 0, max: 10 ** 14 }), (ms) => {
    assert.equal(parseDuration(formatDuration(ms)), ms);
  }));
  assert.equal(formatDuration(86_400_000), "1d");
  assert.equal(formatDuration(90_000), "90s");
  assert.equal(formatDuration(0), "0s");
});
