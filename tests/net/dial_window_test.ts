// Who may begin to dial: so many at once, more while the loop keeps up, none for ever.
import assert from "node:assert/strict";
import { systemClock } from "../../src/lib/clock.ts";
import { DialWindow } from "../../src/net/dial_window.ts";

/** Takes all the places there are. */
async function fill(window: DialWindow): Promise<Disposable[]> {
  return await Promise.all(Array.from({ length: window.size }, () => window.enter()));
}

/** Whether it is settled already, after what is due at once. */
async function isSettled(promise: Promise<unknown>): Promise<boolean> {
  let settled = false;
  promise.then(() => settled = true);
  for (let turn = 0; turn < 5; turn++) await Promise.resolve();
  return settled;
}

Deno.test("the next in line begins when one is over, in order of arrival", async () => {
  const window = new DialWindow({ nowMs: () => 0 });
  const [first, second, ...others] = await fill(window);
  const order: string[] = [];
  const a = window.enter().then((leave) => (order.push("a"), leave));
  const b = window.enter().then((leave) => (order.push("b"), leave));
  assert.equal(await isSettled(a), false);
  first?.[Symbol.dispose]();
  first?.[Symbol.dispose]();
  assert.equal(await isSettled(a), true);
  assert.equal(await isSettled(b), false, "giving leave back twice makes no second place");
  second?.[Symbol.dispose]();
  for (const leave of [await a, await b, ...others]) leave[Symbol.dispose]();
  assert.deepEqual(order, ["a", "b"]);
});

Deno.test("dials that last hold nobody up", async () => {
  const window = new DialWindow();
  await fill(window);
  for (let i = 0; i < 50; i++) await window.enter();
});

Deno.test("while the loop keeps up, more may begin than at first", async () => {
  const window = new DialWindow({ nowMs: () => 0 });
  const places = await fill(window);
  await window.enter();
  assert.equal(window.size, places.length + 1);
});

Deno.test("while the loop is held up, fewer may begin, but always some", async () => {
  let nowMs = 0;
  const window = new DialWindow({ nowMs: () => nowMs });
  const atFirst = window.size;
  const all = Promise.all(Array.from({ length: 300 }, () => window.enter()));
  const sizes = new Set<number>();
  while (!await isSettled(all)) {
    nowMs += 2;
    await systemClock.sleep(2);
    sizes.add(window.size);
  }
  assert.ok(Math.min(...sizes) < atFirst);
  assert.ok(sizes.has(4) && !sizes.has(3), [...sizes].join());
});

Deno.test("who gives up waits no longer, and takes no place", async () => {
  const window = new DialWindow({ nowMs: () => 0 });
  const [first] = await fill(window);
  const stop = new AbortController();
  const given = window.enter({ signal: stop.signal });
  const next = window.enter();
  stop.abort();
  assert.equal(await isSettled(given), true);
  assert.equal(await isSettled(next), false);
  first?.[Symbol.dispose]();
  assert.equal(await isSettled(next), true);
  await window.enter({ signal: AbortSignal.abort() });
  await next;
});
