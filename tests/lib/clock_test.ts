import assert from "node:assert/strict";
import { systemClock, unixSeconds } from "../../src/lib/clock.ts";
import { ManualClock } from "../support/manual_clock.ts";

Deno.test("the system clock sleeps, and counts wall time in whole Unix seconds", async () => {
  const before = systemClock.monotonicMs();
  await systemClock.sleep(5);
  assert.ok(systemClock.monotonicMs() > before);
  assert.equal(unixSeconds({ ...systemClock, nowMs: () => 1_767_225_600_999 }), 1_767_225_600);
});

Deno.test("a sleep that is aborted rejects with the reason and leaves no timer behind", async () => {
  const controller = new AbortController();
  const sleeping = systemClock.sleep(60_000, { signal: controller.signal });
  controller.abort("enough");
  await assert.rejects(sleeping, (reason) => reason === "enough");
});

Deno.test("a sleep under a signal that has aborted already does not start", async () => {
  const signal = AbortSignal.abort("too late");
  await assert.rejects(systemClock.sleep(60_000, { signal }), (reason) => reason === "too late");
});

Deno.test("a sleep longer than a timer can hold does not end at once", async () => {
  const controller = new AbortController();
  const sleeping = systemClock.sleep(2 ** 31 + 1000, { signal: controller.signal });
  const first = await Promise.race([sleeping.then(() => "woke"), systemClock.sleep(20)]);
  assert.equal(first, undefined);
  controller.abort("enough");
  await assert.rejects(sleeping, (reason) => reason === "enough");
});

Deno.test("the manual clock wakes sleepers in order, each at its own moment", async () => {
  const clock = new ManualClock(0);
  const woken: [string, number][] = [];
  const sleeper = async (name: string, ms: number): Promise<void> => {
    await clock.sleep(ms);
    woken.push([name, clock.nowMs()]);
  };
  const all = Promise.all([sleeper("late", 30), sleeper("early", 10), sleeper("later", 99)]);
  await clock.advance(50);
  assert.deepEqual(woken, [["early", 10], ["late", 30]]);
  await clock.advance(50);
  await all;
  assert.equal(clock.nowMs(), 100);
});
