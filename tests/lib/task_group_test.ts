import assert from "node:assert/strict";
import { systemClock } from "../../src/lib/clock.ts";
import { configureLogging } from "../../src/lib/log.ts";
import { isAbort, TaskGroup } from "../../src/lib/task_group.ts";

const forever = (signal: AbortSignal): Promise<void> => systemClock.sleep(3_600_000, { signal });

Deno.test("join waits for every task, those that tasks have started too", async () => {
  const done: string[] = [];
  await using group = new TaskGroup();
  group.spawn("outer", async () => {
    await systemClock.sleep(2);
    group.spawn("inner", async () => {
      await systemClock.sleep(2);
      done.push("inner");
    });
    done.push("outer");
  });
  assert.equal(group.size, 1);
  await group.join();
  assert.deepEqual(done, ["outer", "inner"]);
  assert.equal(group.size, 0);
});

Deno.test("the first failure aborts the other tasks, and join rejects with it", async () => {
  await using group = new TaskGroup();
  const broken = new Error("broken");
  group.spawn("waits", forever);
  group.spawn("breaks", () => Promise.reject(broken));
  await assert.rejects(group.join(), (error) => error === broken);
  assert.equal(group.signal.reason, broken);
});

Deno.test("a task that throws before its first await fails like any other", async () => {
  await using group = new TaskGroup();
  group.spawn("throws", () => {
    throw new Error("at once");
  });
  await assert.rejects(group.join(), /at once/);
});

Deno.test("an abort is no failure: join resolves when the tasks have ended", async () => {
  await using group = new TaskGroup();
  group.spawn("waits", forever);
  group.spawn("wraps", async (signal) => {
    try {
      await forever(signal);
    } catch (error) {
      throw new Error("gave up", { cause: error });
    }
  });
  group.abort("enough");
  await group.join();
  assert.equal(group.signal.reason, "enough");
});

Deno.test("a group aborts with its parent, and starts nothing afterwards", async () => {
  const parent = new AbortController();
  await using group = new TaskGroup({ signal: parent.signal });
  group.spawn("waits", forever);
  parent.abort("stop");
  await group.join();
  let started = false;
  group.spawn("late", () => {
    started = true;
    return Promise.resolve();
  });
  await group.join();
  assert.equal(started, false);
});

Deno.test("disposal aborts and joins, so that nothing outlives the block", async () => {
  let ended = false;
  {
    await using group = new TaskGroup();
    group.spawn("cleans up", async (signal) => {
      try {
        await forever(signal);
      } finally {
        await systemClock.sleep(2);
        ended = true;
      }
    });
  }
  assert.equal(ended, true);
});

Deno.test("a failure that no join has told comes out of disposal, and only once", async () => {
  const group = new TaskGroup();
  group.spawn("breaks", () => Promise.reject(new Error("untold")));
  await systemClock.sleep(0);
  await assert.rejects(async () => await group[Symbol.asyncDispose](), /untold/);
  await group[Symbol.asyncDispose]();
});

Deno.test("a second failure, which join can't tell, is logged with its task", async () => {
  const lines: string[] = [];
  await using _logging = await configureLogging({
    level: "info",
    format: "text",
    write: (line) => lines.push(line),
  });
  await using group = new TaskGroup();
  group.spawn("first", () => Promise.reject(new Error("one")));
  group.spawn("second", () => Promise.reject(new Error("two")));
  await assert.rejects(group.join(), /one/);
  assert.equal(lines.length, 1);
  assert.match(lines[0] ?? "", /Task second failed too: two/);
});

Deno.test("an error is an abort only while the signal is aborted and it comes from there", () => {
  const controller = new AbortController();
  const abortError = new DOMException("aborted", "AbortError");
  assert.equal(isAbort(abortError, controller.signal), false);
  controller.abort("reason");
  assert.equal(isAbort(abortError, controller.signal), true);
  assert.equal(isAbort("reason", controller.signal), true);
  assert.equal(isAbort(new Error("x", { cause: "reason" }), controller.signal), true);
  assert.equal(isAbort(new Error("unrelated"), controller.signal), false);
});
