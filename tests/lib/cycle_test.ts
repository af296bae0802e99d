import assert from "node:assert/strict";
import {
  type Count,
  type CycleOptions,
  CycleRunner,
  type CycleStatus,
  TooManyFailures,
} from "../../src/lib/cycle.ts";
import { ManualClock } from "../support/manual_clock.ts";

const MINUTE = 60_000;

/** A runner over a task that does what `script` says for each cycle, and the moments it did. */
function scripted(
  script: (cycle: number, count: Count, signal: AbortSignal) => Promise<void>,
  options: Partial<CycleOptions> = {},
): { runner: CycleRunner; clock: ManualClock; starts: number[]; told: CycleStatus[] } {
  const clock = new ManualClock(0);
  const starts: number[] = [];
  const told: CycleStatus[] = [];
  const runner = new CycleRunner({
    name: "scripted",
    cycle: ({ signal, count }) => {
      starts.push(clock.nowMs());
      return script(starts.length - 1, count, signal);
    },
  }, {
    intervalMs: MINUTE,
    maxConsecutiveFailures: 3,
    clock,
    random: () => 0.5,
    onCycle: (status) => told.push(status),
    ...options,
  });
  return { runner, clock, starts, told };
}

Deno.test("a runner starts a cycle every interval, and adds up what the cycles did", async () => {
  const { runner, clock, starts, told } = scripted((cycle, count) => {
    count("seen", cycle);
    count("seen");
    return Promise.resolve();
  });
  const controller = new AbortController();
  assert.equal(runner.status().state, "starting");
  const running = runner.run({ signal: controller.signal });
  await clock.untilSleeping();
  assert.equal(runner.status().nextDueInMs, MINUTE);
  await clock.advance(2 * MINUTE);
  const status = runner.status();
  assert.deepEqual(starts, [0, MINUTE, 2 * MINUTE]);
  assert.equal(status.state, "waiting");
  assert.equal(status.cycles, 3);
  assert.equal(status.lastSuccessAt, 120);
  assert.deepEqual(status.totals, { seen: 6 });
  assert.deepEqual(told.map((one) => one.cycles), [1, 2, 3]);
  controller.abort();
  await running;
  assert.equal(runner.status().state, "stopped");
});

Deno.test("an interval is measured from start to start, and varies with the dice", async () => {
  const clock = new ManualClock(0);
  const starts: number[] = [];
  const rolls = [0, 0.999999];
  const runner = new CycleRunner({
    name: "slow",
    cycle: async ({ signal }) => {
      starts.push(clock.nowMs());
      await clock.sleep(10_000, { signal });
    },
  }, { intervalMs: MINUTE, maxConsecutiveFailures: 1, clock, random: () => rolls.shift() ?? 0.5 });
  const controller = new AbortController();
  const running = runner.run({ signal: controller.signal });
  await clock.advance(3 * MINUTE);
  assert.deepEqual(starts.slice(0, 3).map(Math.round), [0, 57_000, 120_000]);
  assert.equal(runner.status().lastDurationMs, 10_000);
  controller.abort();
  await running;
});

Deno.test("a failed cycle is tried again after a growing backoff, and a success forgets it", async () => {
  const { runner, clock, starts, told } = scripted((cycle) =>
    cycle === 0 || cycle === 1 ? Promise.reject(new Error(`bad ${cycle}`)) : Promise.resolve()
  );
  const controller = new AbortController();
  const running = runner.run({ signal: controller.signal });
  await clock.untilSleeping();
  assert.equal(runner.status().state, "failing");
  assert.equal(runner.status().lastError, "bad 0");
  // A wake does not shorten the backoff.
  runner.wake();
  assert.equal(clock.sleeping, 1);
  await clock.advance(MINUTE / 2);
  // Half of the way from baseMs / 2 to 5 s, then to 10 s.
  assert.deepEqual(starts, [0, 3_750, 10_000]);
  assert.deepEqual(told.map((one) => one.consecutiveFailures), [1, 2, 0]);
  assert.equal(runner.status().failures, 2);
  assert.equal(runner.status().lastError, "bad 1");
  controller.abort();
  await running;
});

Deno.test("too many failures in a row end the run with the last error as cause", async () => {
  const { runner, clock } = scripted((cycle) => Promise.reject(new Error(`bad ${cycle}`)));
  const running = runner.run({ signal: new AbortController().signal });
  const rejected = assert.rejects(running, (error) => {
    assert.ok(error instanceof TooManyFailures);
    assert.equal(error.failures, 3);
    assert.ok(error.cause instanceof Error);
    assert.equal(error.cause.message, "bad 2");
    return true;
  });
  await clock.advance(10 * MINUTE);
  await rejected;
  assert.equal(runner.status().state, "stopped");
});

Deno.test("a cycle that lasted is no failure in a row when it fails in the end", async () => {
  let lasts = 2 * MINUTE;
  const { runner, clock } = scripted(async (cycle) => {
    await clock.sleep(lasts);
    throw new Error(`cycle ${cycle}`);
  }, { stableMs: MINUTE });
  const controller = new AbortController();
  const running = runner.run({ signal: controller.signal });
  await clock.untilSleeping();
  await clock.advance(30 * MINUTE);
  assert.ok(runner.status().failures > 3);
  assert.equal(runner.status().consecutiveFailures, 1);
  lasts = 10;
  const ended = assert.rejects(running, TooManyFailures);
  await clock.advance(30 * MINUTE);
  await ended;
});

Deno.test("how things stand now is asked of the task", async () => {
  const runner = new CycleRunner({
    name: "standing",
    cycle: () => Promise.resolve(),
    facts: () => ({ relays_live: 2 }),
  }, { intervalMs: MINUTE, maxConsecutiveFailures: 1 });
  assert.deepEqual(runner.status().now, { relays_live: 2 });
  await runner.runOnce();
});

Deno.test("a wake starts the next cycle early, but never closer than the spacing", async () => {
  const { runner, clock, starts } = scripted(() => Promise.resolve(), { minSpacingMs: 5_000 });
  const controller = new AbortController();
  const running = runner.run({ signal: controller.signal });
  await clock.untilSleeping();
  await clock.advance(20_000);
  runner.wake();
  await clock.advance(0);
  assert.deepEqual(starts, [0, 20_000]);
  runner.wake();
  await clock.advance(4_999);
  assert.equal(starts.length, 2);
  await clock.advance(1);
  assert.deepEqual(starts, [0, 20_000, 25_000]);
  controller.abort();
  await running;
});

Deno.test("a wake during a cycle makes another one follow", async () => {
  const gate = Promise.withResolvers<void>();
  const { runner, clock, starts } = scripted(async (cycle) => {
    if (cycle === 0) await gate.promise;
  });
  const controller = new AbortController();
  const running = runner.run({ signal: controller.signal });
  assert.equal(runner.status().state, "running");
  runner.wake();
  await clock.advance(3_000);
  gate.resolve();
  await clock.advance(0);
  assert.deepEqual(starts, [0, 3_000]);
  controller.abort();
  await running;
});

Deno.test("an abort ends the run without counting the cycle it cut short", async () => {
  const { runner, clock, told } = scripted(async (_cycle, _count, signal) => {
    await clock.sleep(MINUTE, { signal });
  });
  const controller = new AbortController();
  const running = runner.run({ signal: controller.signal });
  await clock.untilSleeping();
  controller.abort("stop");
  await running;
  assert.equal(runner.status().failures, 0);
  assert.equal(told.length, 0);
  assert.equal(clock.sleeping, 0);
});

Deno.test("a cycle's counts show while it runs, and those of a failed cycle are kept", async () => {
  const { runner, clock } = scripted(async (cycle, count, signal) => {
    count("seen");
    await clock.sleep(10_000, { signal });
    count("seen");
    if (cycle === 0) throw new Error("broken");
  });
  const controller = new AbortController();
  const running = runner.run({ signal: controller.signal });
  await clock.advance(5_000);
  assert.deepEqual(runner.status().totals, { seen: 1 });
  assert.equal(runner.status().lastProgressAt, 0);
  await clock.advance(5_000);
  assert.deepEqual(runner.status().totals, { seen: 2 });
  assert.equal(runner.status().lastProgressAt, 10);
  assert.equal(runner.status().failures, 1);
  controller.abort();
  await running;
});

Deno.test("a single run gives its counts, or its error", async () => {
  const good = scripted((_cycle, count) => Promise.resolve(count("done", 2)));
  assert.deepEqual(await good.runner.runOnce(), { done: 2 });
  assert.equal(good.runner.status().cycles, 1);
  const bad = scripted(() => Promise.reject(new Error("broken")));
  await assert.rejects(bad.runner.runOnce(), /broken/);
  assert.equal(bad.told[0]?.lastError, "broken");
  const stopped = good.runner.runOnce({ signal: AbortSignal.abort("stop") });
  await assert.rejects(stopped, (reason) => reason === "stop");
});
