import assert from "node:assert/strict";
import { systemClock } from "../../src/lib/clock.ts";
import type { NostrEvent } from "../../src/model/event.ts";
import { openPublisher, type Publisher, type PublisherOptions } from "../../src/nostr/publisher.ts";
import { localSigner } from "../../src/nostr/signer.ts";
import {
  authWall,
  type Behaviour,
  disconnectsIn,
  type HostileRelay,
  http429,
  noOk,
  okFalse,
  powDemanded,
  refuses,
  startHostileRelay,
} from "../relay/mod.ts";
import { makeAuthor, signEvent } from "../support/events.ts";
import { ManualClock } from "../support/manual_clock.ts";
import { LONG_MS, loopbackDialer, SHORT_MS } from "./loopback.ts";

const author = makeAuthor(4, 4);
let made = 0;

function note(): NostrEvent {
  const content = `note ${made++}`;
  return signEvent(author, { kind: 1, created_at: 1_700_000_000, tags: [], content });
}

function publisherFor(
  relays: readonly HostileRelay[],
  options: Partial<PublisherOptions> = {},
): Publisher {
  return openPublisher({
    dialer: loopbackDialer(),
    relays: relays.map((relay) => relay.url),
    pacingMs: 0,
    timeoutMs: LONG_MS,
    baseMs: 5,
    maxMs: 20,
    ...options,
  });
}

/** What becomes of an event at a relay that behaves so. */
async function outcomeAt(
  behaviour: Behaviour,
  options: Partial<PublisherOptions> = {},
): Promise<Record<string, unknown>> {
  await using relay = await startHostileRelay({ behaviours: [behaviour] });
  await using publisher = publisherFor([relay], options);
  const outcome = (await publisher.publish(note())).get(relay.url);
  assert.ok(outcome);
  const { elapsedMs: _, ...timeless } = outcome;
  return timeless;
}

Deno.test("an event reaches every relay over one kept connection each, in order", async () => {
  await using one = await startHostileRelay();
  await using two = await startHostileRelay();
  await using publisher = publisherFor([one, two]);
  const events = [note(), note(), note()];
  const outcomes = await Promise.all(events.map((event) => publisher.publish(event)));
  for (const outcome of outcomes) {
    assert.deepEqual([...outcome.keys()], [one.url, two.url]);
    assert.ok([...outcome.values()].every((each) => each.ok && each.attempts === 1));
  }
  for (const relay of [one, two]) {
    assert.deepEqual(relay.seen.events.map((event) => event.id), events.map((event) => event.id));
    assert.equal(relay.seen.connections.total, 1);
  }
});

Deno.test("an event may name its own relays", async () => {
  await using usual = await startHostileRelay();
  await using named = await startHostileRelay();
  await using publisher = publisherFor([usual]);
  const outcomes = await publisher.publish(note(), { relays: [named.url, named.url] });
  assert.deepEqual([...outcomes.keys()], [named.url]);
  assert.equal(usual.seen.connections.total, 0);
  assert.equal(named.seen.events.length, 1);
});

Deno.test("a refusal is final at once, with the relay's prefix and words", async () => {
  for (const prefix of ["blocked", "invalid", "restricted", "pow", "mute"]) {
    assert.deepEqual(await outcomeAt(okFalse(prefix, "no")), {
      ok: false,
      reason: "rejected",
      prefix,
      message: `${prefix}: no`,
      attempts: 1,
    });
  }
  assert.equal((await outcomeAt(powDemanded(40)))["prefix"], "pow");
});

Deno.test("what may pass is tried again, and the last word is reported", async () => {
  const error = await outcomeAt(okFalse("error", "busy"));
  assert.deepEqual([error["reason"], error["prefix"], error["attempts"]], ["rejected", "error", 3]);
  const limited = await outcomeAt(okFalse("rate-limited"), { rateLimitMs: 5 });
  assert.deepEqual([limited["prefix"], limited["attempts"]], ["rate-limited", 3]);
  const dropped = await outcomeAt(disconnectsIn("event"));
  assert.deepEqual([dropped["reason"], dropped["attempts"]], ["disconnected", 3]);
  const silent = await outcomeAt(noOk(), { timeoutMs: SHORT_MS });
  assert.deepEqual([silent["reason"], silent["attempts"]], ["timeout", 3]);
  const refused = await outcomeAt(refuses());
  assert.deepEqual([refused["reason"], refused["attempts"]], ["unreachable", 3]);
  assert.equal((await outcomeAt(http429()))["reason"], "unreachable");
});

Deno.test("a relay that recovers between the tries takes the event", async () => {
  let left = 2;
  const flaky: Behaviour = {
    name: "flaky",
    refuse: ({ type }) => type === "EVENT" && left-- > 0 ? "error: busy" : undefined,
  };
  assert.deepEqual(await outcomeAt(flaky), { ok: true, message: "", attempts: 3 });
});

Deno.test("after rate-limited the lane rests for the longer time, with jitter", async () => {
  await using relay = await startHostileRelay({ behaviours: [okFalse("rate-limited")] });
  const clock = new ManualClock();
  await using publisher = publisherFor([relay], {
    clock,
    rateLimitMs: 10_000,
    random: () => 0.5,
    drainTimeoutMs: 0,
  });
  const published = publisher.publish(note());
  await relay.seen.until((seen) => seen.events.length === 1);
  while (clock.sleeping === 0) await new Promise((resolve) => setTimeout(resolve, 1));
  // Full jitter between half and all of it.
  assert.equal(clock.nextDueInMs, 7_500);
  relay.behave();
  await clock.advance(7_500);
  assert.ok((await published).get(relay.url)?.ok);
});

Deno.test("events to one relay are paced", async () => {
  await using relay = await startHostileRelay();
  const clock = new ManualClock();
  await using publisher = publisherFor([relay], { clock, pacingMs: 1_000 });
  await publisher.publish(note());
  const second = publisher.publish(note());
  while (clock.sleeping === 0) await new Promise((resolve) => setTimeout(resolve, 1));
  assert.equal(clock.nextDueInMs, 1_000);
  assert.equal(relay.seen.events.length, 1);
  await clock.advance(1_000);
  assert.ok((await second).get(relay.url)?.ok);
});

Deno.test("a relay that wants a log-in gets one from the signer", async () => {
  const signer = localSigner(author.secretKey);
  assert.deepEqual(await outcomeAt(authWall(), { signer }), {
    ok: true,
    message: "",
    attempts: 1,
  });
  const without = await outcomeAt(authWall());
  assert.deepEqual([without["prefix"], without["attempts"]], ["auth-required", 1]);
});

Deno.test("a dead relay does not cost each waiting event its own tries", async () => {
  await using dead = await startHostileRelay({ behaviours: [refuses()] });
  await using publisher = publisherFor([dead], { downMs: LONG_MS });
  const outcomes = await Promise.all([1, 2, 3].map(() => publisher.publish(note())));
  const tries = outcomes.map((outcome) => outcome.get(dead.url)?.attempts);
  assert.deepEqual(tries, [3, 0, 0]);
});

Deno.test("a relay that was down is tried again when its time is over", async () => {
  await using relay = await startHostileRelay({ behaviours: [disconnectsIn("upgrade")] });
  const clock = new ManualClock();
  await using publisher = publisherFor([relay], { clock, attempts: 1, downMs: 30_000 });
  const failed = (await publisher.publish(note())).get(relay.url);
  assert.ok(failed && !failed.ok && failed.reason === "unreachable");
  relay.behave();
  assert.equal((await publisher.publish(note())).get(relay.url)?.attempts, 0);
  await clock.advance(30_000);
  assert.ok((await publisher.publish(note())).get(relay.url)?.ok);
});

Deno.test("a relay that answers nothing, or asks for less, holds up nobody for long", async () => {
  for (const behaviour of [noOk(), okFalse("rate-limited")]) {
    await using relay = await startHostileRelay({ behaviours: [behaviour] });
    let nowMs = 0;
    await using publisher = publisherFor([relay], {
      clock: { ...systemClock, monotonicMs: () => nowMs, sleep: () => Promise.resolve() },
      timeoutMs: SHORT_MS,
      restMs: 60_000,
    });
    const tries = async (afterMs: number): Promise<number | undefined> => {
      nowMs += afterMs;
      return (await publisher.publish(note())).get(relay.url)?.attempts;
    };
    assert.equal(await tries(0), 3, behaviour.name);
    assert.equal(await tries(59_000), 0, "left alone");
    assert.equal(await tries(1_000), 1, "asked once whether it is better");
    assert.equal(await tries(60_000), 0, "left alone for twice as long");
    relay.behave();
    assert.equal(await tries(60_000), 1);
    assert.ok((await publisher.publish(note())).get(relay.url)?.ok);
  }
});

Deno.test("unless told otherwise, each event has its tries, whatever became of the last", async () => {
  await using relay = await startHostileRelay({ behaviours: [noOk()] });
  await using publisher = publisherFor([relay], { attempts: 1, timeoutMs: SHORT_MS });
  for (let i = 0; i < 2; i++) {
    assert.equal((await publisher.publish(note())).get(relay.url)?.attempts, 1);
  }
});

Deno.test("a full queue is an outcome, and loses nothing that is in it", async () => {
  await using relay = await startHostileRelay({ behaviours: [noOk()] });
  await using publisher = publisherFor([relay], { queueCapacity: 2, drainTimeoutMs: 0 });
  const first = publisher.publish(note());
  await relay.seen.until((seen) => seen.frames.length > 0);
  const waiting = [publisher.publish(note()), publisher.publish(note())];
  const tooMuch = (await publisher.publish(note())).get(relay.url);
  assert.ok(tooMuch && !tooMuch.ok && tooMuch.reason === "queue_full");
  assert.equal(publisher.queued, 3);
  await publisher[Symbol.asyncDispose]();
  for (const outcomes of await Promise.all([first, ...waiting])) {
    const outcome = outcomes.get(relay.url);
    assert.ok(outcome && !outcome.ok && outcome.reason === "aborted");
  }
});

Deno.test("no more relays are published to at once than allowed", async () => {
  await using one = await startHostileRelay({ behaviours: [noOk()] });
  await using two = await startHostileRelay();
  await using publisher = publisherFor([one], { maxRelays: 1, drainTimeoutMs: 0 });
  const busy = publisher.publish(note());
  const refused = (await publisher.publish(note(), { relays: [two.url] })).get(two.url);
  assert.ok(refused && !refused.ok && refused.reason === "queue_full");
  await publisher[Symbol.asyncDispose]();
  await busy;
});

Deno.test("an abort gives one event up and leaves the others", async () => {
  await using relay = await startHostileRelay({ behaviours: [noOk()] });
  await using publisher = publisherFor([relay]);
  const abort = new AbortController();
  const given = publisher.publish(note(), { signal: abort.signal });
  const other = publisher.publish(note());
  await relay.seen.until((seen) => seen.frames.length > 0);
  relay.behave();
  abort.abort();
  const outcome = (await given).get(relay.url);
  assert.ok(outcome && !outcome.ok && outcome.reason === "aborted");
  assert.ok((await other).get(relay.url)?.ok);
});

Deno.test("disposal sends what is queued, and gives up what takes too long", async () => {
  await using good = await startHostileRelay();
  await using silent = await startHostileRelay({ behaviours: [noOk()] });
  const publisher = publisherFor([good, silent], { drainTimeoutMs: 2_000 });
  const published = [1, 2, 3].map(() => publisher.publish(note()));
  await publisher[Symbol.asyncDispose]();
  assert.equal(good.seen.events.length, 3);
  for (const outcomes of await Promise.all(published)) {
    assert.ok(outcomes.get(good.url)?.ok);
    const lost = outcomes.get(silent.url);
    assert.ok(lost && !lost.ok && lost.reason === "aborted");
  }
  const late = (await publisher.publish(note())).get(good.url);
  assert.ok(late && !late.ok && late.reason === "aborted");
});

Deno.test("an idle connection is closed, and opened again for the next event", async () => {
  await using relay = await startHostileRelay();
  await using publisher = publisherFor([relay], { idleCloseMs: 20 });
  await publisher.publish(note());
  await relay.seen.until((seen) => seen.connections.now === 0);
  assert.ok((await publisher.publish(note())).get(relay.url)?.ok);
  assert.equal(relay.seen.connections.total, 2);
});

Deno.test("each outcome is told as it comes", async () => {
  await using good = await startHostileRelay();
  await using bad = await startHostileRelay({ behaviours: [okFalse("blocked")] });
  const told: string[] = [];
  await using publisher = publisherFor([good, bad], {
    onOutcome: (_event, url, outcome) => told.push(`${url} ${outcome.ok}`),
  });
  await publisher.publish(note());
  assert.deepEqual(told.sort(), [`${good.url} true`, `${bad.url} false`].sort());
});
