import assert from "node:assert/strict";
import { systemClock } from "../../src/lib/clock.ts";
import { deadline, DeadlineExceeded, withSignal } from "../../src/lib/deadline.ts";

function aborted(signal: AbortSignal): Promise<unknown> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve(signal.reason);
    else signal.addEventListener("abort", () => resolve(signal.reason), { once: true });
  });
}

Deno.test("a deadline that passes aborts its signal with DeadlineExceeded", async () => {
  using limit = deadline(5);
  const reason = await aborted(limit.signal);
  assert.ok(reason instanceof DeadlineExceeded);
  assert.equal(reason.ms, 5);
  assert.equal(limit.expired, true);
  assert.equal(limit.leftMs, 0);
});

Deno.test("a deadline tells the time that is left of it", async () => {
  using limit = deadline(60_000);
  const before = limit.leftMs;
  assert.ok(before > 0 && before <= 60_000);
  await systemClock.sleep(5);
  const after = limit.leftMs;
  assert.ok(after < before);
  limit.extend();
  assert.ok(limit.leftMs > after);
});

Deno.test("a deadline passes its parent's abort on, and has not expired then", () => {
  const parent = new AbortController();
  using limit = deadline(60_000, { signal: parent.signal });
  parent.abort("stop");
  assert.equal(limit.signal.reason, "stop");
  assert.equal(limit.expired, false);
  using late = deadline(60_000, { signal: parent.signal });
  assert.equal(late.signal.reason, "stop");
});

Deno.test("a deadline that is extended is measured from the last progress", async () => {
  using limit = deadline(40);
  const passed = aborted(limit.signal).then(() => performance.now());
  let lastProgressMs = 0;
  for (let i = 0; i < 5; i++) {
    await systemClock.sleep(15);
    // A slow machine may stretch a sleep past the deadline; then it has rightly expired.
    if (limit.expired) break;
    lastProgressMs = performance.now();
    limit.extend();
  }
  assert.ok(await passed >= lastProgressMs + 40);
  assert.equal(limit.expired, true);
});

Deno.test("a deadline that is disposed of never aborts", async () => {
  const parent = new AbortController();
  const limit = deadline(1, { signal: parent.signal });
  limit[Symbol.dispose]();
  parent.abort("stop");
  await systemClock.sleep(10);
  assert.equal(limit.signal.aborted, false);
});

Deno.test("an infinite deadline holds no timer and still hears its parent", () => {
  const parent = new AbortController();
  using limit = deadline(Infinity, { signal: parent.signal });
  parent.abort("stop");
  assert.equal(limit.signal.reason, "stop");
});

Deno.test("withSignal settles as the promise does when nothing aborts", async () => {
  const { signal } = new AbortController();
  assert.equal(await withSignal(Promise.resolve(7), signal), 7);
  await assert.rejects(withSignal(Promise.reject(new Error("broken")), signal), /broken/);
});

Deno.test("withSignal rejects on abort, and a later rejection of the promise floats nowhere", async () => {
  const controller = new AbortController();
  const { promise, reject } = Promise.withResolvers<void>();
  const waiting = withSignal(promise, controller.signal);
  controller.abort("stop");
  await assert.rejects(waiting, (reason) => reason === "stop");
  // An unhandled rejection would fail this test.
  reject(new Error("nobody waits for this"));
  await systemClock.sleep(0);
  const late = Promise.reject(new Error("nor for this"));
  await assert.rejects(withSignal(late, controller.signal), (reason) => reason === "stop");
  await systemClock.sleep(0);
});

Deno.test("a deadline that passed while our loop was held up waits for what came meanwhile", async () => {
  using limit = deadline(10);
  for (const untilMs = performance.now() + 400; performance.now() < untilMs;);
  await systemClock.sleep(0);
  assert.equal(limit.expired, false);
  await new Promise((resolve) => limit.signal.addEventListener("abort", resolve));
  assert.equal(limit.expired, true);
});
