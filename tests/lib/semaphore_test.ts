import assert from "node:assert/strict";
import { systemClock } from "../../src/lib/clock.ts";
import { Semaphore } from "../../src/lib/semaphore.ts";

Deno.test("a semaphore never lets more in than it has permits, and in the order of asking", async () => {
  const semaphore = new Semaphore(3);
  const order: number[] = [];
  let inside = 0;
  let most = 0;
  await Promise.all(Array.from({ length: 20 }, async (_, i) => {
    using _permit = await semaphore.acquire();
    order.push(i);
    inside += 1;
    most = Math.max(most, inside);
    assert.ok(semaphore.inUse <= 3);
    await systemClock.sleep(1);
    inside -= 1;
  }));
  assert.equal(most, 3);
  assert.deepEqual(order, Array.from({ length: 20 }, (_, i) => i));
  assert.equal(semaphore.inUse, 0);
});

Deno.test("a permit that is given back twice counts once", async () => {
  const semaphore = new Semaphore(1);
  const permit = await semaphore.acquire();
  permit[Symbol.dispose]();
  permit[Symbol.dispose]();
  assert.equal(semaphore.inUse, 0);
  using _first = await semaphore.acquire();
  const waiting = semaphore.acquire();
  assert.equal(semaphore.waiting, 1);
  permit[Symbol.dispose]();
  assert.equal(semaphore.waiting, 1);
  _first[Symbol.dispose]();
  (await waiting)[Symbol.dispose]();
});

Deno.test("a caller that stops waiting takes no permit with it", async () => {
  const semaphore = new Semaphore(1);
  const controller = new AbortController();
  const held = await semaphore.acquire();
  const impatient = semaphore.acquire({ signal: controller.signal });
  const patient = semaphore.acquire();
  controller.abort("stop");
  await assert.rejects(impatient, (reason) => reason === "stop");
  await assert.rejects(semaphore.acquire({ signal: controller.signal }));
  held[Symbol.dispose]();
  (await patient)[Symbol.dispose]();
  assert.equal(semaphore.inUse, 0);
});

Deno.test("a semaphore without at least one permit can't be made", () => {
  for (const permits of [0, -1, 1.5, NaN]) assert.throws(() => new Semaphore(permits), RangeError);
});
