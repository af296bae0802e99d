import assert from "node:assert/strict";
import fc from "fast-check";
import { Channel, ChannelClosed } from "../../src/lib/channel.ts";
import { systemClock } from "../../src/lib/clock.ts";

/** Lets promises that can settle do so. */
function settle(): Promise<void> {
  return systemClock.sleep(0);
}

Deno.test("a channel gives values in the order they were sent", async () => {
  const channel = new Channel<number>(3);
  await channel.send(1);
  assert.equal(channel.trySend(2), true);
  assert.equal(channel.length, 2);
  assert.equal(await channel.receive(), 1);
  assert.equal(await channel.receive(), 2);
});

Deno.test("a full channel makes its sender wait until a value is taken", async () => {
  const channel = new Channel<number>(1);
  await channel.send(1);
  let sent = false;
  const second = channel.send(2).then(() => sent = true);
  await settle();
  assert.equal(sent, false);
  assert.equal(channel.trySend(3), false);
  assert.equal(channel.length, 1);
  assert.equal(await channel.receive(), 1);
  await second;
  assert.equal(await channel.receive(), 2);
});

Deno.test("an empty channel makes its receiver wait, and each value goes to one of them", async () => {
  const channel = new Channel<string>(1);
  const receivers = [channel.receive(), channel.receive()];
  await channel.send("a");
  await channel.send("b");
  assert.deepEqual(await Promise.all(receivers), ["a", "b"]);
  assert.equal(channel.length, 0);
});

Deno.test("a closed channel can be drained, refuses new values and frees all who wait", async () => {
  const channel = new Channel<number>(1);
  await channel.send(1);
  const blocked = assert.rejects(channel.send(2), ChannelClosed);
  channel.close();
  channel.close();
  await blocked;
  await assert.rejects(channel.send(3), ChannelClosed);
  assert.equal(channel.trySend(3), false);
  assert.equal(await channel.receive(), 1);
  assert.equal(await channel.receive(), undefined);

  const empty = new Channel<number>(1);
  const waiting = empty.receive();
  empty.close();
  assert.equal(await waiting, undefined);
});

Deno.test("a receiver that is aborted takes no value with it", async () => {
  const channel = new Channel<number>(1);
  const controller = new AbortController();
  const waiting = channel.receive({ signal: controller.signal });
  controller.abort("stop");
  await assert.rejects(waiting, (reason) => reason === "stop");
  await channel.send(1);
  assert.equal(await channel.receive(), 1);
  await assert.rejects(channel.receive({ signal: controller.signal }));
});

Deno.test("a sender that is aborted leaves no value behind", async () => {
  const channel = new Channel<number>(1);
  const controller = new AbortController();
  await channel.send(1);
  const blocked = channel.send(2, { signal: controller.signal });
  const patient = channel.send(3);
  controller.abort("stop");
  await assert.rejects(blocked, (reason) => reason === "stop");
  assert.equal(await channel.receive(), 1);
  await patient;
  assert.equal(await channel.receive(), 3);
  await assert.rejects(channel.send(4, { signal: controller.signal }));
  assert.equal(channel.length, 0);
});

Deno.test("iterating a channel ends when it is closed and drained", async () => {
  const channel = new Channel<number>(2);
  const produce = async (): Promise<void> => {
    for (let i = 0; i < 100; i++) await channel.send(i);
    channel.close();
  };
  const seen: number[] = [];
  const producing = produce();
  for await (const value of channel) seen.push(value);
  await producing;
  assert.deepEqual(seen, Array.from({ length: 100 }, (_, i) => i));
});

Deno.test("a channel without a whole capacity of at least 1 can't be made", () => {
  for (const capacity of [0, -1, 1.5, NaN, Infinity]) {
    assert.throws(() => new Channel(capacity), RangeError);
  }
});

type Step = "send" | "trySend" | "receive" | "abortSend" | "abortReceive" | "close";
const steps = fc.array(
  fc.constantFrom<Step>(
    "send",
    "send",
    "trySend",
    "receive",
    "receive",
    "abortSend",
    "abortReceive",
  ),
  { maxLength: 60 },
);

Deno.test("a channel does what a plain queue does, whatever the order of calls", async () => {
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 1, max: 40 }), steps, async (capacity, order) => {
      const channel = new Channel<number>(capacity);
      // The dumb twin: all values that were taken or wait to be, in order of sending.
      const expected: number[] = [];
      const received: (number | undefined)[] = [];
      const pending: Promise<unknown>[] = [];
      let next = 0;
      let receivers = 0;
      for (const step of [...order, "close" as const]) {
        if (step === "send") {
          const value = next++;
          const accepted = expected.length - receivers < capacity;
          pending.push(
            channel.send(value).catch((error) => {
              assert.ok(error instanceof ChannelClosed);
              assert.equal(accepted, false);
              expected.splice(expected.indexOf(value), 1);
            }),
          );
          expected.push(value);
        } else if (step === "trySend") {
          const fits = expected.length - receivers < capacity;
          assert.equal(channel.trySend(next), fits);
          if (fits) expected.push(next);
          next += 1;
        } else if (step === "receive") {
          const slot = received.push(undefined) - 1;
          receivers += 1;
          pending.push(channel.receive().then((value) => received[slot] = value));
        } else if (step === "close") {
          channel.close();
        } else {
          const controller = new AbortController();
          const full = expected.length - receivers >= capacity;
          const empty = expected.length <= receivers;
          // Only calls that must wait are aborted; the others would succeed at once.
          if (step === "abortSend" && full) {
            const sending = channel.send(-1, { signal: controller.signal });
            controller.abort("stop");
            await assert.rejects(sending, (reason) => reason === "stop");
          } else if (step === "abortReceive" && empty) {
            const receiving = channel.receive({ signal: controller.signal });
            controller.abort("stop");
            await assert.rejects(receiving, (reason) => reason === "stop");
          }
        }
        assert.ok(channel.length <= capacity);
      }
      await Promise.all(pending);
      const drained: number[] = [];
      for await (const value of channel) drained.push(value);
      const got = [...received.filter((value) => value !== undefined), ...drained];
      assert.deepEqual(got, expected);
    }),
    { numRuns: 300 },
  );
});

Deno.test("many producers and consumers lose nothing and give nothing twice", async () => {
  const channel = new Channel<string>(7);
  const seen: string[] = [];
  const consumers = Array.from({ length: 5 }, async () => {
    for await (const value of channel) seen.push(value);
  });
  const producers = Array.from({ length: 9 }, async (_, p) => {
    for (let i = 0; i < 200; i++) await channel.send(`${p}:${i}`);
  });
  await Promise.all(producers);
  channel.close();
  await Promise.all(consumers);
  assert.equal(seen.length, 1800);
  assert.equal(new Set(seen).size, 1800);
});
