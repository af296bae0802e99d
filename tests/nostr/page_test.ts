// Pages: what they bring, and every way in which they end.
import assert from "node:assert/strict";
import { systemClock } from "../../src/lib/clock.ts";
import type { SubscriptionEnd } from "../../src/nostr/relay_connection.ts";
import {
  cap,
  closedWith,
  disconnectsAfter,
  drips,
  earlyEose,
  eoseWithoutId,
  finishHint,
  floods,
  junkText,
  noEose,
  noticeInsteadOfClosed,
  silent,
  stallsAfter,
  startHostileRelay,
  type Step,
} from "../relay/mod.ts";
import { generateEvents, REGULAR_KINDS } from "../support/events.ts";
import { connected, LONG_MS, SHORT_MS } from "./loopback.ts";

const events = generateEvents(30, { kinds: REGULAR_KINDS });

/** What a request for everything ends with. */
async function endOf(
  behaviour: Parameters<typeof startHostileRelay>[0],
  idleMs = LONG_MS,
): Promise<SubscriptionEnd & { events: number }> {
  await using relay = await startHostileRelay({ events, ...behaviour });
  await using connection = await connected(relay.url, { noticeGraceMs: SHORT_MS });
  const page = await connection.request({}, { idleMs });
  assert.equal(page.eose, page.end.reason === "eose");
  return { ...page.end, events: page.events.length };
}

Deno.test("a page brings the stored events, ends at EOSE and is closed at the relay", async () => {
  await using relay = await startHostileRelay({ events });
  await using connection = await connected(relay.url);
  const page = await connection.request({ kinds: [1], limit: 5 }, { idleMs: LONG_MS });
  const expected = relay.events.query([{ kinds: [1], limit: 5 }]).events;
  assert.deepEqual(page.events, expected);
  assert.deepEqual(page.end, { reason: "eose" });
  assert.ok(page.eose);
  assert.ok(page.bytes > 0 && page.bytes < connection.bytesReceived);
  assert.ok((page.firstMs ?? Infinity) <= page.elapsedMs);
  await relay.seen.until((seen) => seen.closes.length === 1);
  assert.equal(relay.seen.closes[0]?.subscriptionId, relay.seen.reqs[0]?.subscriptionId);
});

Deno.test("a page that may stay open sends no CLOSE, and its id is not used again", async () => {
  await using relay = await startHostileRelay({ events });
  await using connection = await connected(relay.url);
  for (let i = 0; i < 5; i++) {
    const page = await connection.request({ limit: 1 }, { idleMs: LONG_MS, leaveOpen: true });
    assert.ok(page.eose);
  }
  await connection.request({ limit: 1 }, { idleMs: LONG_MS });
  await relay.seen.until((seen) => seen.closes.length === 1);
  assert.deepEqual(relay.seen.frames.map((frame) => frame.slice(0, 5)), [
    ...Array(6).fill('["REQ'),
    '["CLO',
  ]);
  assert.equal(new Set(relay.seen.reqs.map(({ subscriptionId }) => subscriptionId)).size, 6);
});

Deno.test("pages take turns under few ids, none of them twice in a row", async () => {
  await using relay = await startHostileRelay({ events });
  await using connection = await connected(relay.url);
  for (let i = 0; i < 6; i++) await connection.request({ limit: 1 }, { idleMs: LONG_MS });
  const ids = relay.seen.reqs.map((req) => req.subscriptionId);
  assert.equal(new Set(ids).size, 2);
  ids.forEach((id, i) => assert.notEqual(id, ids[i + 1]));
});

Deno.test("an id whose page ended without the relay's last word is never used again", async () => {
  await using relay = await startHostileRelay({ events, behaviours: [silent()] });
  await using connection = await connected(relay.url);
  for (let i = 0; i < 4; i++) await connection.request({}, { idleMs: 30 });
  const ids = relay.seen.reqs.map((req) => req.subscriptionId);
  assert.equal(new Set(ids).size, 4);
});

Deno.test("silence ends a page as idle, with what came before", async () => {
  assert.deepEqual(await endOf({ behaviours: [silent()] }, SHORT_MS), {
    reason: "idle",
    events: 0,
  });
  assert.deepEqual(await endOf({ behaviours: [stallsAfter(3)] }, SHORT_MS), {
    reason: "idle",
    events: 3,
  });
  assert.deepEqual(await endOf({ behaviours: [noEose()] }, SHORT_MS), {
    reason: "idle",
    events: 30,
  });
});

Deno.test("silence ends a page even in a loop of ours that is always late", async () => {
  await using relay = await startHostileRelay({ behaviours: [silent()] });
  await using connection = await connected(relay.url);
  let isBusy = true;
  const busy = (async () => {
    while (isBusy) {
      for (const untilMs = performance.now() + 300; performance.now() < untilMs;);
      await new Promise((resolve) => setTimeout(resolve, 0));
    }
  })();
  const asked = connection.request({}, { idleMs: SHORT_MS }).then(({ end }) => end.reason);
  const patience = new AbortController();
  const given = systemClock.sleep(LONG_MS / 2, { signal: patience.signal }).catch(() =>
    "still waiting"
  );
  assert.equal(await Promise.race([asked, given]), "idle");
  isBusy = false;
  patience.abort();
  await Promise.all([busy, given, asked]);
});

Deno.test("the idle time counts from the last event, not from the start", async () => {
  // 30 events at 20 ms take twice as long as the silence that is allowed.
  const end = await endOf({ behaviours: [drips(20)] }, 300);
  assert.deepEqual(end, { reason: "eose", events: 30 });
});

Deno.test("an early EOSE ends the page there, and what comes behind it is late", async () => {
  await using relay = await startHostileRelay({ events, behaviours: [earlyEose(4)] });
  await using connection = await connected(relay.url);
  const page = await connection.request({}, { idleMs: LONG_MS });
  assert.equal(page.events.length, 4);
  assert.ok(page.eose);
  // The next page is asked for under another id and sees none of the first one's events.
  relay.behave();
  const next = await connection.request({ ids: [] }, { idleMs: LONG_MS });
  assert.deepEqual(next.events, []);
  assert.ok(connection.lateFrames > 0);
});

Deno.test("an EOSE without an id ends the one page that waits", async () => {
  const end = await endOf({ behaviours: [eoseWithoutId()] });
  assert.deepEqual(end, { reason: "eose", events: 30 });
});

Deno.test("an EOSE without an id is nobody's where two wait", async () => {
  await using relay = await startHostileRelay({ events, behaviours: [eoseWithoutId()] });
  await using connection = await connected(relay.url);
  const pages = await Promise.all([1, 2].map(() => connection.request({}, { idleMs: SHORT_MS })));
  // The first to be given up leaves the other alone, and its EOSE has passed by then.
  assert.deepEqual(pages.map((page) => page.end.reason), ["idle", "idle"]);
});

Deno.test("NIP-67's word on completeness comes with the end", async () => {
  const whole = await endOf({ behaviours: [finishHint()] });
  assert.deepEqual(whole, { reason: "eose", hint: "finish", events: 30 });
  const part = await endOf({ behaviours: [cap(10), finishHint()] });
  assert.deepEqual(part, { reason: "eose", hint: "more", events: 10 });
});

Deno.test("CLOSED ends a page with its prefix and words, and is not answered with CLOSE", async () => {
  for (
    const prefix of ["auth-required", "restricted", "rate-limited", "blocked", "invalid", "error"]
  ) {
    const end = await endOf({ behaviours: [closedWith(prefix, "go away")] });
    assert.deepEqual(end, {
      reason: "closed",
      prefix,
      message: `${prefix}: go away`,
      events: 0,
    });
  }
  await using relay = await startHostileRelay({ events, behaviours: [closedWith("", "no")] });
  await using connection = await connected(relay.url);
  const page = await connection.request({}, { idleMs: LONG_MS });
  assert.deepEqual(page.end, { reason: "closed", message: "no" });
  relay.behave();
  await connection.request({ limit: 1 }, { idleMs: LONG_MS });
  await relay.seen.until((seen) => seen.closes.length > 0);
  assert.equal(relay.seen.closes.length, 1);
});

Deno.test("a NOTICE and then silence is a refusal in the relay's words", async () => {
  const end = await endOf({
    behaviours: [noticeInsteadOfClosed("could not\nparse: subscription")],
  });
  assert.deepEqual(end, {
    reason: "notice",
    message: "could not\\nparse: subscription",
    events: 0,
  });
});

Deno.test("a NOTICE and then a disconnect is a refusal too", async () => {
  const refuse = {
    name: "noticeThenDisconnect",
    answer: () => [
      { do: "frame" as const, frame: '["NOTICE","you are banned"]' },
      { do: "disconnect" as const, code: 1008 },
    ],
  };
  const end = await endOf({ behaviours: [refuse] });
  assert.deepEqual(end, {
    reason: "notice",
    message: "you are banned",
    closeCode: 1008,
    events: 0,
  });
});

Deno.test("a NOTICE that is followed by the answer refuses nothing", async () => {
  const welcome = {
    name: "welcome",
    answer: (steps: Iterable<Step>) => [
      { do: "frame" as const, frame: '["NOTICE","error: just kidding"]' },
      ...steps,
    ],
  };
  await using relay = await startHostileRelay({ events, behaviours: [welcome] });
  await using connection = await connected(relay.url);
  const page = await connection.request({}, { idleMs: LONG_MS });
  assert.deepEqual(page.end, { reason: "eose" });
  assert.deepEqual(connection.notices, ["error: just kidding"]);
});

Deno.test("a NOTICE before events explains no later silence", async () => {
  const complain = {
    name: "noticeEventSilence",
    answer: (steps: Iterable<Step>) => [
      { do: "frame" as const, frame: '["NOTICE","error: slow today"]' },
      ...[...steps].slice(0, 1),
      { do: "stall" as const },
    ],
  };
  assert.deepEqual(await endOf({ behaviours: [complain] }, SHORT_MS), {
    reason: "idle",
    events: 1,
  });
});

Deno.test("a disconnect in mid-page keeps the events and gives the close code", async () => {
  const abrupt = await endOf({ behaviours: [disconnectsAfter(3)] });
  assert.deepEqual(abrupt, { reason: "disconnected", closeCode: 1006, events: 3 });
  const stated = await endOf({ behaviours: [disconnectsAfter(3, { code: 1001 })] });
  assert.deepEqual(stated, { reason: "disconnected", closeCode: 1001, events: 3 });
});

Deno.test("a relay that sends more than the limit is stopped, and what it still sends is late", async () => {
  await using relay = await startHostileRelay({
    behaviours: [floods({ bytes: 300, count: 5_000 })],
  });
  await using connection = await connected(relay.url);
  const page = await connection.request({ limit: 50 }, { idleMs: LONG_MS });
  assert.deepEqual(page.end, { reason: "limit" });
  assert.equal(page.events.length, 50);
  const bytes = await connection.request({}, { idleMs: LONG_MS, maxBytes: 10_000 });
  assert.equal(bytes.end.reason, "limit");
  assert.ok(bytes.bytes <= 10_000);
  await relay.seen.until((seen) => seen.closes.length === 2);
});

Deno.test("junk between the events is counted and costs none of them", async () => {
  await using relay = await startHostileRelay({ events, behaviours: [junkText()] });
  await using connection = await connected(relay.url);
  const page = await connection.request({}, { idleMs: LONG_MS });
  assert.equal(page.end.reason, "eose");
  // Two are EVENT frames without an event: passed on, since they count towards a full page.
  assert.equal(page.events.length, 32);
  assert.equal(page.invalidFrames, connection.invalidFrames);
  assert.equal(page.invalidFrames, 12);
  assert.equal(connection.lateFrames, 1);
});

Deno.test("an abort ends the page at once and tells the relay", async () => {
  await using relay = await startHostileRelay({ events, behaviours: [stallsAfter(2)] });
  await using connection = await connected(relay.url);
  const abort = new AbortController();
  const asked = connection.request({}, { idleMs: LONG_MS, signal: abort.signal });
  await relay.seen.until((seen) => seen.reqs.length === 1);
  abort.abort();
  assert.equal((await asked).end.reason, "aborted");
  await relay.seen.until((seen) => seen.closes.length === 1);
  const late = await connection.request({}, { idleMs: LONG_MS, signal: abort.signal });
  assert.equal(late.end.reason, "aborted");
  assert.equal(relay.seen.reqs.length, 1);
});
