import assert from "node:assert/strict";
import { systemClock } from "../../src/lib/clock.ts";
import { PageExchange } from "../../src/nostr/page.ts";
import type { SubscriptionItem } from "../../src/nostr/relay_connection.ts";
import { closedWith, disconnectsAfter, floods, silent, startHostileRelay } from "../relay/mod.ts";
import { generateEvents, makeAuthor, REGULAR_KINDS, signEvent } from "../support/events.ts";
import { connected, LONG_MS, SHORT_MS } from "./loopback.ts";

const events = generateEvents(20, { kinds: REGULAR_KINDS });

function note(content: string): ReturnType<typeof signEvent> {
  return signEvent(makeAuthor(9, 1), { kind: 1, created_at: 1_700_000_000, tags: [], content });
}

Deno.test("a subscription brings stored events, EOSE and then live ones, in order", async () => {
  await using relay = await startHostileRelay({ events });
  await using connection = await connected(relay.url);
  const subscription = connection.subscribe([{ kinds: [1] }], { idleMs: LONG_MS });
  const stored = relay.events.query([{ kinds: [1] }]).events;
  const items: SubscriptionItem[] = [];
  const live = note("live");
  for await (const item of subscription) {
    items.push(item);
    if (item.type === "eose") relay.inject(live);
    if (items.length === stored.length + 2) break;
  }
  assert.deepEqual(items.map((item) => item.type === "event" ? item.event : "eose"), [
    ...stored,
    "eose",
    live,
  ]);
  // Leaving the loop ended it and told the relay.
  assert.deepEqual(subscription.end, { reason: "aborted" });
  await relay.seen.until((seen) => seen.closes.length === 1);
});

Deno.test("a question that finds the connection lost as it is sent leaves no timer behind", async () => {
  const page = new PageExchange(
    {
      send: () => page.disconnect({ reason: "disconnected" }),
      release: () => undefined,
      paused: false,
      resumedAtMs: 0,
      noticeGraceMs: 0,
    },
    "a",
    { limit: 1 },
    { idleMs: LONG_MS },
  );
  page.open();
  assert.deepEqual((await page.result).end, { reason: "disconnected" });
  assert.equal(page.waiting, false);
});

Deno.test("silence after EOSE is no end, silence before it is", async () => {
  await using relay = await startHostileRelay({ events });
  await using connection = await connected(relay.url);
  await using quiet = connection.subscribe([{}], { idleMs: SHORT_MS });
  for await (const item of quiet) {
    if (item.type === "eose") {
      await systemClock.sleep(3 * SHORT_MS);
      relay.inject(note("at last"));
    } else if (JSON.stringify(item.event).includes("at last")) break;
  }
  relay.behave(silent());
  await using dead = connection.subscribe([{}], { idleMs: SHORT_MS });
  for await (const _ of dead) assert.fail("nothing can come");
  assert.deepEqual(dead.end, { reason: "idle" });
});

Deno.test("what came before the end is read after it, unless it was aborted", async () => {
  await using relay = await startHostileRelay({ events, behaviours: [disconnectsAfter(7)] });
  await using connection = await connected(relay.url);
  const subscription = connection.subscribe([{}], { idleMs: LONG_MS });
  await connection.closed;
  let read = 0;
  for await (const _ of subscription) read++;
  assert.equal(read, 7);
  assert.equal(subscription.end?.reason, "disconnected");

  relay.behave();
  await using second = await connected(relay.url);
  const abort = new AbortController();
  const aborted = second.subscribe([{}], { idleMs: LONG_MS, signal: abort.signal });
  let readAborted = 0;
  for await (const _ of aborted) {
    readAborted++;
    // By now the others wait in the queue.
    await relay.seen.until((seen) => seen.reqs.length === 2);
    await second.request({ ids: [] }, { idleMs: LONG_MS });
    abort.abort();
  }
  assert.equal(readAborted, 1);
  assert.deepEqual(aborted.end, { reason: "aborted" });
});

Deno.test("a subscription that the relay refuses ends with its words and gets no CLOSE", async () => {
  await using relay = await startHostileRelay({ behaviours: [closedWith("restricted", "no")] });
  await using connection = await connected(relay.url);
  const subscription = connection.subscribe([{}], { idleMs: LONG_MS });
  for await (const _ of subscription) assert.fail("nothing can come");
  assert.deepEqual(subscription.end, {
    reason: "closed",
    prefix: "restricted",
    message: "restricted: no",
  });
  relay.behave();
  await connection.request({}, { idleMs: LONG_MS });
  await relay.seen.until((seen) => seen.closes.length > 0);
  assert.equal(relay.seen.closes.length, 1);
});

Deno.test("a slow consumer slows the relay, and neither loses a frame nor fills the memory", async () => {
  const count = 20_000;
  await using relay = await startHostileRelay({ behaviours: [floods({ bytes: 2_000, count })] });
  for (const bounds of [{ inboxItems: 50 }, { inboxBytes: 100_000 }]) {
    await using connection = await connected(relay.url, bounds);
    await using subscription = connection.subscribe([{}], { idleMs: LONG_MS });
    let read = 0;
    let bytes = 0;
    let most = 0;
    for await (const item of subscription) {
      if (item.type === "eose") break;
      read++;
      bytes += item.bytes;
      // What was received and not read waits in the inbox.
      most = Math.max(most, connection.bytesReceived - bytes);
      if (read % 100 === 0) await systemClock.sleep(0);
    }
    assert.equal(read, count);
    assert.equal(connection.lateFrames + connection.invalidFrames, 0);
    // 100 kB, and what one read of the socket may add to it; the whole flood is 42 MB.
    assert.ok(most < 500_000, `${most} bytes waited`);
  }
});

Deno.test("while a slow consumer has the socket stopped, the relay's silence does not count", async () => {
  await using relay = await startHostileRelay({
    behaviours: [floods({ bytes: 2_000, count: 1_000 })],
  });
  await using connection = await connected(relay.url, { inboxItems: 10, keepAliveMs: SHORT_MS });
  await using subscription = connection.subscribe([{}], { idleMs: SHORT_MS });
  let read = 0;
  for await (const item of subscription) {
    if (item.type === "eose") break;
    if (++read === 1) await systemClock.sleep(5 * SHORT_MS);
  }
  assert.equal(read, 1_000);
});

Deno.test("subscriptions with their own ids run side by side; an id in use is refused", async () => {
  await using relay = await startHostileRelay({ events });
  await using connection = await connected(relay.url);
  await using one = connection.subscribe([{ kinds: [1] }], { idleMs: LONG_MS, id: "one" });
  await using two = connection.subscribe([{ kinds: [7] }], { idleMs: LONG_MS, id: "two" });
  assert.throws(() => connection.subscribe([{}], { idleMs: LONG_MS, id: "one" }), /in use/);
  for (const [subscription, kind] of [[one, 1], [two, 7]] as const) {
    for await (const item of subscription) {
      if (item.type === "eose") break;
      assert.equal((item.event as { kind: number }).kind, kind);
    }
  }
});
