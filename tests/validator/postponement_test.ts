import assert from "node:assert/strict";
import fc from "fast-check";
import { postpone, type PostponementConfig } from "../../src/validator/postponement.ts";
import type { ProofReason } from "../../src/validator/proof.ts";

const CONFIG: PostponementConfig = {
  retryDelaysMs: [600_000, 3_600_000, 86_400_000],
  junkAfter: 3,
  giveUpAfter: 6,
  junkRestMs: 30 * 86_400_000,
};
const middle = { at: 1_000_000, random: () => 0.5 };

function waits(reason: ProofReason, httpStatus?: number): [seconds: number, junk: boolean][] {
  const failure = httpStatus === undefined ? { reason } : { reason, httpStatus };
  return Array.from({ length: 6 }, (_, attempts) => {
    const next = postpone(failure, attempts, CONFIG, middle);
    return [next.nextAttemptAt - middle.at, next.junk];
  });
}

Deno.test("what may pass by itself climbs the whole ladder before it is junk", () => {
  const climbs = [
    [600, false],
    [3_600, false],
    [86_400, false],
    [86_400, false],
    [86_400, false],
    [30 * 86_400, true],
  ];
  assert.deepEqual(waits("timeout"), climbs);
  assert.deepEqual(waits("silent"), climbs);
  assert.deepEqual(waits("http_status", 429), climbs);
  assert.deepEqual(waits("http_status", 503), climbs);
});

Deno.test("what does not pass by itself is junk after a few failures", () => {
  const lasting: [ProofReason, number?][] = [
    ["name_not_found"],
    ["not_nostr"],
    ["not_websocket"],
    ["forbidden_address"],
    ["http_status", 404],
  ];
  for (const [reason, status] of lasting) {
    const junk = waits(reason, status).map(([, isJunk]) => isJunk);
    assert.deepEqual(junk, [false, false, true, true, true, true], reason);
  }
});

Deno.test("a server that names its Retry-After is left alone for so long at least", () => {
  const failure = { reason: "http_status" as const, httpStatus: 429, retryAfterMs: 7_200_000 };
  assert.equal(postpone(failure, 0, CONFIG, middle).nextAttemptAt, middle.at + 7_200);
});

Deno.test("waits are jittered around the ladder, and never in the past", () => {
  const random = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
  fc.assert(fc.property(fc.nat(20), random, (attempts, drawn) => {
    const next = postpone({ reason: "timeout" }, attempts, { ...CONFIG, giveUpAfter: 100 }, {
      at: 0,
      random: () => drawn,
    });
    const step = (CONFIG.retryDelaysMs[Math.min(attempts, 2)] ?? 0) / 1000;
    assert.ok(next.nextAttemptAt >= step * 0.8 && next.nextAttemptAt <= step * 1.2 + 1);
  }));
});
