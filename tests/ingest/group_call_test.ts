import assert from "node:assert/strict";
import { openGroupCall } from "../../src/ingest/group_call.ts";

Deno.test("items that arrive during a call go together into the next one", async () => {
  const calls: number[][] = [];
  const first = Promise.withResolvers<void>();
  await using group = openGroupCall<number, number>({
    capacity: 10,
    maxWeight: 100,
    weigh: () => 1,
    call: async (items) => {
      calls.push([...items]);
      if (calls.length === 1) await first.promise;
      return items.map((item) => item * 2);
    },
  });
  const answers = [group.submit(1)];
  await turn();
  answers.push(...[2, 3, 4].map((item) => group.submit(item)));
  first.resolve();
  assert.deepEqual(await Promise.all(answers), [2, 4, 6, 8]);
  assert.deepEqual(calls, [[1], [2, 3, 4]]);
});

Deno.test("a call takes no more than its weight, and at least one item", async () => {
  const calls: number[][] = [];
  const first = Promise.withResolvers<void>();
  await using group = openGroupCall<number, number>({
    capacity: 10,
    maxWeight: 10,
    weigh: (item) => item,
    call: async (items) => {
      calls.push([...items]);
      if (calls.length === 1) await first.promise;
      return [...items];
    },
  });
  const answers = [group.submit(1)];
  await turn();
  answers.push(...[6, 4, 3, 50, 2].map((item) => group.submit(item)));
  first.resolve();
  await Promise.all(answers);
  assert.deepEqual(calls, [[1], [6, 4], [3], [50], [2]]);
});

Deno.test("a failed call is for those who were in it, and the next one goes on", async () => {
  await using group = openGroupCall<number, number>({
    capacity: 10,
    maxWeight: 1,
    weigh: () => 1,
    call: (items) => items[0] === 2 ? Promise.reject(new Error("no")) : Promise.resolve([...items]),
  });
  const ends = await Promise.allSettled([1, 2, 3].map((item) => group.submit(item)));
  assert.deepEqual(ends.map((end) => end.status), ["fulfilled", "rejected", "fulfilled"]);
});

Deno.test("disposal answers what was let in, and lets no more in", async () => {
  const group = openGroupCall<number, number>({
    capacity: 10,
    maxWeight: 2,
    weigh: () => 1,
    call: async (items) => {
      await new Promise((resolve) => setTimeout(resolve, 1));
      return [...items];
    },
  });
  const answers = Promise.all([1, 2, 3, 4, 5].map((item) => group.submit(item)));
  await group[Symbol.asyncDispose]();
  assert.deepEqual(await answers, [1, 2, 3, 4, 5]);
  await assert.rejects(group.submit(6), { name: "ChannelClosed" });
});

Deno.test("an aborted caller leaves at once, and its item is worked on all the same", async () => {
  const calls: number[] = [];
  const gate = Promise.withResolvers<void>();
  await using group = openGroupCall<number, number>({
    capacity: 10,
    maxWeight: 10,
    weigh: () => 1,
    call: async (items) => {
      await gate.promise;
      calls.push(...items);
      return [...items];
    },
  });
  const abort = new AbortController();
  const answer = group.submit(1, { signal: abort.signal });
  abort.abort(new Error("enough"));
  await assert.rejects(answer, { message: "enough" });
  gate.resolve();
  assert.equal(await group.submit(2), 2);
  assert.deepEqual(calls, [1, 2]);
});

/** One turn of the event loop: everything that can go on has gone on. */
function turn(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 0));
}
