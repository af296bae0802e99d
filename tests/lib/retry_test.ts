import assert from "node:assert/strict";
import fc from "fast-check";
import { backoffMs, retry } from "../../src/lib/retry.ts";
import { ManualClock } from "../support/manual_clock.ts";

Deno.test("a backoff lies between half its base and its growing ceiling, never above the maximum", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 2000 }),
      fc.integer({ min: 1, max: 100_000 }),
      fc.integer({ min: 1, max: 10_000_000 }),
      fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
      (attempt, baseMs, maxMs, roll) => {
        const ms = backoffMs(attempt, { baseMs, maxMs, random: () => roll });
        assert.ok(ms <= maxMs);
        assert.ok(ms <= baseMs * 2 ** attempt);
        assert.ok(ms >= Math.min(baseMs / 2, maxMs));
      },
    ),
  );
});

Deno.test("a backoff spreads over its whole range", () => {
  const options = { baseMs: 100, maxMs: 10_000 };
  assert.equal(backoffMs(3, { ...options, random: () => 0 }), 50);
  assert.equal(backoffMs(3, { ...options, random: () => 0.5 }), 425);
  assert.ok(backoffMs(3, { ...options, random: () => 0.999999 }) > 799);
});

Deno.test("retry tries transient errors again after a growing wait, and gives the value", async () => {
  const clock = new ManualClock();
  const delays: number[] = [];
  const tried = retry(
    (attempt) => attempt < 3 ? Promise.reject(new Error(`try ${attempt}`)) : Promise.resolve("ok"),
    {
      attempts: 5,
      baseMs: 100,
      maxMs: 300,
      isTransient: () => true,
      clock,
      random: () => 0.999999,
      onRetry: ({ delayMs }) => delays.push(Math.round(delayMs)),
    },
  );
  await clock.advance(600);
  assert.equal(await tried, "ok");
  assert.deepEqual(delays, [100, 200, 300]);
});

Deno.test("retry gives up after its last try with the last error", async () => {
  const clock = new ManualClock();
  const options = { attempts: 2, baseMs: 1, maxMs: 1, isTransient: (): boolean => true, clock };
  const tried = retry((attempt) => Promise.reject(new Error(`try ${attempt}`)), options);
  const rejected = assert.rejects(tried, /try 1/);
  await clock.untilSleeping();
  await clock.advance(1);
  await rejected;
});

Deno.test("retry does not repeat what will not pass by itself", async () => {
  let tries = 0;
  const tried = retry(() => {
    tries += 1;
    return Promise.reject(new Error("for ever"));
  }, { attempts: 5, baseMs: 1, maxMs: 1, isTransient: () => false });
  await assert.rejects(tried, /for ever/);
  assert.equal(tries, 1);
});

Deno.test("retry stops waiting when its signal aborts", async () => {
  const clock = new ManualClock();
  const controller = new AbortController();
  const tried = retry(() => Promise.reject(new Error("down")), {
    attempts: 5,
    baseMs: 1000,
    maxMs: 1000,
    isTransient: () => true,
    clock,
    signal: controller.signal,
  });
  const rejected = assert.rejects(tried, (reason) => reason === "stop");
  await clock.untilSleeping();
  controller.abort("stop");
  await rejected;
  assert.equal(clock.sleeping, 0);
});
