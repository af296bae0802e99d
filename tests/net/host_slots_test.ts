import assert from "node:assert/strict";
import { HostSlots, type SlotKey } from "../../src/net/host_slots.ts";

const A: SlotKey = { host: "a.example.com", port: 443 };

/** Whether a promise has settled once all work at hand is done. */
async function isSettled(promise: Promise<unknown>): Promise<boolean> {
  let settled = false;
  const note = (): void => {
    settled = true;
  };
  promise.then(note, note);
  await new Promise((resolve) => setTimeout(resolve, 0));
  return settled;
}

Deno.test("one slot per host and port; the next waits for it", async () => {
  const slots = new HostSlots();
  const first = await slots.acquire(A);
  const second = slots.acquire(A);
  using _otherPort = await slots.acquire({ ...A, port: 80 });
  using _otherHost = await slots.acquire({ ...A, host: "b.example.com" });
  assert.equal(await isSettled(second), false);
  first[Symbol.dispose]();
  (await second)[Symbol.dispose]();
});

Deno.test("waiters are served in the order they came", async () => {
  const slots = new HostSlots();
  const order: number[] = [];
  const first = await slots.acquire(A);
  const waiters = [1, 2, 3].map(async (number) => {
    using _slot = await slots.acquire(A);
    order.push(number);
  });
  first[Symbol.dispose]();
  // Who comes now is behind those who wait, though the slot was just given back.
  using _last = await slots.acquire(A);
  order.push(4);
  await Promise.all(waiters);
  assert.deepEqual(order, [1, 2, 3, 4]);
});

Deno.test("hosts of one /24 or /48 share a cap", async () => {
  const slots = new HostSlots({ perPrefix: 2 });
  const held = await Promise.all(
    ["198.51.100.1", "198.51.100.2"].map((ip) => slots.acquire({ host: ip, port: 443, ip })),
  );
  const third = slots.acquire({ host: "c", port: 443, ip: "198.51.100.3" });
  using _elsewhere = await slots.acquire({ host: "d", port: 443, ip: "198.51.101.3" });
  assert.equal(await isSettled(third), false);
  held[0]?.[Symbol.dispose]();
  (await third)[Symbol.dispose]();
  held[1]?.[Symbol.dispose]();
});

Deno.test("an abort leaves the line and holds nothing", async () => {
  const slots = new HostSlots({ perPrefix: 1 });
  const ip = "198.51.100.1";
  const first = await slots.acquire({ ...A, ip });
  const abort = new AbortController();
  const reason = new Error("enough");
  const sameHost = slots.acquire(A, { signal: abort.signal });
  // Has its host's slot already and waits for the prefix's.
  const sameNetwork = slots.acquire({ host: "b", port: 1, ip }, { signal: abort.signal });
  const failures = Promise.allSettled([sameHost, sameNetwork]);
  await isSettled(failures);
  abort.abort(reason);
  for (const result of await failures) {
    assert.equal((result as PromiseRejectedResult).reason, reason);
  }
  await assert.rejects(slots.acquire(A, { signal: abort.signal }), reason);
  first[Symbol.dispose]();
  assert.equal(slots.size, 0);
});

Deno.test("keys vanish when idle, and giving back twice is giving back once", async () => {
  const slots = new HostSlots();
  for (let number = 0; number < 1000; number++) {
    const slot = await slots.acquire({
      host: `${number}.example.com`,
      port: 443,
      ip: "198.51.100.1",
    });
    slot[Symbol.dispose]();
    slot[Symbol.dispose]();
  }
  assert.equal(slots.size, 0);
  const first = await slots.acquire(A);
  first[Symbol.dispose]();
  const second = await slots.acquire(A);
  first[Symbol.dispose]();
  const third = slots.acquire(A);
  assert.equal(await isSettled(third), false);
  second[Symbol.dispose]();
  (await third)[Symbol.dispose]();
  assert.equal(slots.size, 0);
});
