import assert from "node:assert/strict";
import { Channel } from "../../src/lib/channel.ts";
import { systemClock } from "../../src/lib/clock.ts";
import { mapConcurrent } from "../../src/lib/pool.ts";

Deno.test("mapConcurrent maps every item once, and runs at most the limit at a time", async () => {
  let running = 0;
  let most = 0;
  const results: number[] = [];
  const items = Array.from({ length: 50 }, (_, i) => i);
  for await (
    const result of mapConcurrent(items, 4, async (item) => {
      running += 1;
      most = Math.max(most, running);
      await systemClock.sleep(item % 3);
      running -= 1;
      return item * 2;
    })
  ) results.push(result);
  assert.equal(most, 4);
  assert.deepEqual(results.sort((a, b) => a - b), items.map((item) => item * 2));
});

Deno.test("mapConcurrent yields in the order of finishing", async () => {
  const gates = [0, 1, 2].map(() => Promise.withResolvers<void>());
  const results = mapConcurrent([0, 1, 2], 3, async (item) => {
    await gates[item]?.promise;
    return item;
  });
  const seen: number[] = [];
  for (const item of [2, 0, 1]) {
    const next = results.next();
    gates[item]?.resolve();
    seen.push((await next).value ?? -1);
  }
  assert.deepEqual(seen, [2, 0, 1]);
  assert.equal((await results.next()).done, true);
});

Deno.test("a slow consumer keeps mapConcurrent from reading its source ahead", async () => {
  let taken = 0;
  function* endless(): Generator<number> {
    for (;;) yield taken++;
  }
  for await (const result of mapConcurrent(endless(), 2, (item) => Promise.resolve(item))) {
    await systemClock.sleep(1);
    // Two in the channel, two that wait to be sent, one here.
    assert.ok(taken - result <= 6, `${taken} taken when ${result} was consumed`);
    if (result >= 20) break;
  }
});

Deno.test("the first error aborts the other items, ends them and is thrown", async () => {
  const ended: string[] = [];
  const results = mapConcurrent(["waits", "breaks"], 2, async (item, signal) => {
    try {
      if (item === "breaks") throw new Error("broken");
      await systemClock.sleep(3_600_000, { signal });
    } finally {
      ended.push(item);
    }
  });
  await assert.rejects(results.next(), /broken/);
  assert.deepEqual(ended.sort(), ["breaks", "waits"]);
});

Deno.test("breaking out of the loop aborts what runs and closes the source", async () => {
  let closed = false;
  let aborted = 0;
  async function* source(): AsyncGenerator<number> {
    try {
      for (let i = 0;; i++) {
        await systemClock.sleep(0);
        yield i;
      }
    } finally {
      closed = true;
    }
  }
  for await (
    const _ of mapConcurrent(source(), 2, async (item, signal) => {
      if (item === 0) return item;
      try {
        await systemClock.sleep(3_600_000, { signal });
      } finally {
        aborted += 1;
      }
      return item;
    })
  ) {
    await systemClock.sleep(10);
    break;
  }
  assert.equal(aborted, 2);
  assert.equal(closed, true);
});

Deno.test("an error of the source is thrown after the items that run have ended", async () => {
  let ended = false;
  function* source(): Generator<number> {
    yield 1;
    throw new Error("bad source");
  }
  const results = mapConcurrent(source(), 2, async (item, signal) => {
    try {
      await systemClock.sleep(3_600_000, { signal });
    } finally {
      ended = true;
    }
    return item;
  });
  await assert.rejects(results.next(), /bad source/);
  assert.equal(ended, true);
});

Deno.test("an aborted signal throws its reason instead of looking like the end", async () => {
  const controller = new AbortController();
  const channel = new Channel<number>(1);
  const results = mapConcurrent(channel, 2, (item) => Promise.resolve(item), {
    signal: controller.signal,
  });
  const next = results.next();
  controller.abort("stop");
  await assert.rejects(next, (reason) => reason === "stop");
  channel.close();
  const late = mapConcurrent([1], 1, (item) => Promise.resolve(item), {
    signal: controller.signal,
  });
  await assert.rejects(late.next(), (reason) => reason === "stop");
});

Deno.test("a source that answers late, after the end, is asked for nothing more", async () => {
  const controller = new AbortController();
  let asked = 0;
  const late = Promise.withResolvers<IteratorResult<number>>();
  const source: AsyncIterable<number> = {
    [Symbol.asyncIterator]: () => ({ next: () => (asked += 1, late.promise) }),
  };
  const results = mapConcurrent(source, 3, (item) => Promise.resolve(item), {
    signal: controller.signal,
  });
  const next = results.next();
  await systemClock.sleep(0);
  controller.abort("stop");
  await assert.rejects(next, (reason) => reason === "stop");
  late.resolve({ done: false, value: 1 });
  await systemClock.sleep(0);
  assert.equal(asked, 1);
});
