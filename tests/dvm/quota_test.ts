// Quotas: a burst is fine, a flood is not, and one customer's flood is not everybody's.
import assert from "node:assert/strict";
import { Quota, type QuotaVerdict } from "../../src/dvm/quota.ts";
import { ManualClock } from "../support/manual_clock.ts";

function take(quota: Quota, pubkey: string, times: number): Record<QuotaVerdict, number> {
  const verdicts = { ok: 0, refuse: 0, silent: 0 };
  for (let i = 0; i < times; i++) verdicts[quota.take(pubkey)] += 1;
  return verdicts;
}

Deno.test("a thousand jobs of one key: a burst is taken, a few are told off, the rest is silence", () => {
  const quota = new Quota({ perPubkey: 30, total: 600, refusals: 5, clock: new ManualClock() });
  assert.deepEqual(take(quota, "flood", 1_000), { ok: 30, refuse: 5, silent: 965 });
  assert.deepEqual(take(quota, "other", 1), { ok: 1, refuse: 0, silent: 0 });
});

Deno.test("a thousand jobs of a thousand keys: all together have a quota, and each is told", () => {
  const quota = new Quota({ perPubkey: 30, total: 600, refusals: 5, clock: new ManualClock() });
  const verdicts = Array.from({ length: 1_000 }, (_, i) => quota.take(`key ${i}`));
  assert.equal(verdicts.filter((verdict) => verdict === "ok").length, 600);
  assert.equal(verdicts.filter((verdict) => verdict === "refuse").length, 400);
  // Each refusal is a row, a signature and an event: of keys made up by the thousand, no more.
  const more = Array.from({ length: 10_000 }, (_, i) => quota.take(`another ${i}`));
  assert.equal(more.filter((verdict) => verdict === "refuse").length, 200);
  assert.equal(more.filter((verdict) => verdict === "silent").length, 9_800);
});

Deno.test("what was used comes back evenly over a minute", async () => {
  const clock = new ManualClock();
  const quota = new Quota({ perPubkey: 30, total: 600, refusals: 5, clock });
  take(quota, "a", 100);
  await clock.advance(10_000);
  assert.deepEqual(take(quota, "a", 10), { ok: 5, refuse: 0, silent: 5 });
  await clock.advance(3_600_000);
  assert.deepEqual(take(quota, "a", 40), { ok: 30, refuse: 5, silent: 5 });
});
