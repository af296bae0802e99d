// A connection: what is asked of it beside pages (page_test.ts), and its own end.
import assert from "node:assert/strict";
import { nip77 } from "nostr-tools";
import { localSigner } from "../../src/nostr/signer.ts";
import { systemClock } from "../../src/lib/clock.ts";
import { connectRelay } from "../../src/nostr/relay_connection.ts";
import {
  authThenRestricted,
  authWall,
  blocksNegentropy,
  closedWith,
  disconnectsIn,
  floods,
  http429,
  ignoresNegentropy,
  maxSubscriptions,
  noOk,
  okFalse,
  oversizedFrame,
  refuses,
  startHostileRelay,
  supportsCount,
  supportsNegentropy,
} from "../relay/mod.ts";
import { startTcpProxy } from "../relay/tcp_proxy.ts";
import { generateEvents, makeAuthor, REGULAR_KINDS, signEvent } from "../support/events.ts";
import { connected, LONG_MS, loopbackDialer, SHORT_MS, urlAt } from "./loopback.ts";

const events = generateEvents(30, { kinds: REGULAR_KINDS });
const signer = localSigner(makeAuthor(9, 9).secretKey);

function note(content: string): ReturnType<typeof signEvent> {
  return signEvent(makeAuthor(9, 1), { kind: 1, created_at: 1_700_000_000, tags: [], content });
}

Deno.test("a dial that fails is a value", async () => {
  await using refusing = await startHostileRelay({ behaviours: [refuses()] });
  await using limiting = await startHostileRelay({ behaviours: [http429()] });
  const dialer = loopbackDialer();
  const refused = await connectRelay(refusing.url, { dialer });
  assert.ok(!refused.ok && refused.failure.reason === "refused");
  const limited = await connectRelay(limiting.url, { dialer });
  assert.ok(!limited.ok && limited.failure.httpStatus === 429);
});

Deno.test("whatever is asked of a connection that is over ends at once", async () => {
  await using relay = await startHostileRelay({ behaviours: [disconnectsIn("open")] });
  await using connection = await connected(relay.url);
  assert.equal((await connection.closed).code, 1006);
  assert.equal(connection.isOpen, false);
  const idleMs = LONG_MS;
  const page = await connection.request({}, { idleMs });
  assert.equal(page.end.reason, "disconnected");
  assert.equal((await connection.count({}, { idleMs })).ok, false);
  const published = await connection.publish(note("x"), { timeoutMs: LONG_MS });
  assert.ok(!published.ok && published.reason === "disconnected");
  const login = await connection.authenticate(signer, { timeoutMs: LONG_MS });
  assert.ok(!login.ok && login.reason === "no_challenge");
  const session = connection.openNegentropy({}, { idleMs });
  assert.equal((await session.exchange("61")).ok, false);
  for await (const _ of connection.subscribe([{}], { idleMs })) assert.fail("nothing can come");
});

Deno.test("a frame over the size ends the connection as a breach of protocol", async () => {
  await using relay = await startHostileRelay({ events, behaviours: [oversizedFrame(200_000)] });
  await using connection = await connected(relay.url, { maxPayloadBytes: 100_000 });
  const page = await connection.request({}, { idleMs: LONG_MS });
  assert.equal(page.end.reason, "protocol_error");
  assert.equal(page.end.closeCode, 1006);
  await connection.closed;
});

Deno.test("a log-in wall is climbed once with a signer and reported without one", async () => {
  for (const challenge of ["connect", "refusal"] as const) {
    await using relay = await startHostileRelay({ events, behaviours: [authWall({ challenge })] });
    await using connection = await connected(relay.url);
    const walled = await connection.request({}, { idleMs: LONG_MS });
    assert.equal(walled.end.prefix, "auth-required");
    const page = await connection.request({}, { idleMs: LONG_MS, signer });
    assert.equal(page.end.reason, "eose");
    assert.equal(page.events.length, 30);
    assert.ok(page.login?.ok);
    assert.equal(relay.seen.auths.length, 1);
    assert.deepEqual(relay.seen.auths[0]?.tags, [
      ["relay", relay.url],
      ["challenge", connection.challenge],
    ]);
  }
});

Deno.test("a relay that takes the log-in and stays shut is asked no third time", async () => {
  await using relay = await startHostileRelay({ behaviours: [authThenRestricted()] });
  await using connection = await connected(relay.url);
  const page = await connection.request({}, { idleMs: LONG_MS, signer });
  assert.equal(page.end.prefix, "restricted");
  assert.ok(page.login?.ok);
  assert.equal(relay.seen.reqs.length, 2);
});

Deno.test("two requests at one wall share one log-in", async () => {
  await using relay = await startHostileRelay({ events, behaviours: [authWall()] });
  await using connection = await connected(relay.url);
  const pages = await Promise.all(
    [1, 2].map(() => connection.request({}, { idleMs: LONG_MS, signer })),
  );
  assert.deepEqual(pages.map((page) => page.events.length), [30, 30]);
  assert.equal(relay.seen.auths.length, 1);
});

Deno.test("a wall without a challenge is told as such", async () => {
  await using relay = await startHostileRelay({ behaviours: [closedWith("auth-required")] });
  await using connection = await connected(relay.url);
  const page = await connection.request({}, { idleMs: SHORT_MS, signer });
  assert.equal(page.end.prefix, "auth-required");
  assert.ok(page.login && !page.login.ok && page.login.reason === "no_challenge");
});

Deno.test("publishing tells what the relay said of the event", async () => {
  await using relay = await startHostileRelay();
  await using connection = await connected(relay.url);
  const event = note("hello");
  const options = { timeoutMs: LONG_MS };
  const first = await connection.publish(event, options);
  assert.ok(first.ok);
  const again = await connection.publish(event, options);
  assert.ok(again.ok && again.message.startsWith("duplicate"));
  for (const prefix of ["pow", "blocked", "rate-limited", "invalid", "restricted", "error"]) {
    relay.behave(okFalse(prefix, "no\nway"));
    const outcome = await connection.publish(event, options);
    assert.ok(!outcome.ok && outcome.reason === "rejected");
    assert.equal(outcome.prefix, prefix);
    assert.equal(outcome.message, `${prefix}: no\\nway`);
  }
});

Deno.test("an event without an answer times out, is cut off by a disconnect, or aborted", async () => {
  await using relay = await startHostileRelay({ behaviours: [noOk()] });
  await using connection = await connected(relay.url);
  const silent = await connection.publish(note("x"), { timeoutMs: SHORT_MS });
  assert.ok(!silent.ok && silent.reason === "timeout");
  const abort = new AbortController();
  const aborted = connection.publish(note("x"), { timeoutMs: LONG_MS, signal: abort.signal });
  abort.abort();
  const outcome = await aborted;
  assert.ok(!outcome.ok && outcome.reason === "aborted");
  relay.behave(disconnectsIn("event"));
  const cutOff = await connection.publish(note("x"), { timeoutMs: LONG_MS });
  assert.ok(!cutOff.ok && cutOff.reason === "disconnected");
});

Deno.test("an event refused for want of a log-in is published after one", async () => {
  await using relay = await startHostileRelay({ behaviours: [authWall()] });
  await using connection = await connected(relay.url);
  const refused = await connection.publish(note("x"), { timeoutMs: LONG_MS });
  assert.ok(!refused.ok && refused.prefix === "auth-required");
  const taken = await connection.publish(note("x"), { timeoutMs: LONG_MS, signer });
  assert.ok(taken.ok);
});

Deno.test("COUNT gives the relay's number, its refusal, or nothing", async () => {
  await using relay = await startHostileRelay({ events, behaviours: [supportsCount()] });
  await using connection = await connected(relay.url, { noticeGraceMs: SHORT_MS });
  const counted = await connection.count({}, { idleMs: LONG_MS });
  assert.ok(counted.ok && counted.count === 30 && !counted.approximate);
  relay.behave(supportsCount({ approximate: true }));
  const guessed = await connection.count({}, { idleMs: LONG_MS });
  assert.ok(guessed.ok && guessed.approximate);
  relay.behave();
  const unknown = await connection.count({}, { idleMs: LONG_MS });
  assert.ok(!unknown.ok && unknown.end.reason === "notice");
  const refuse = { name: "refusesCount", refuse: () => "unsupported: no" };
  relay.behave(refuse);
  const refused = await connection.count({}, { idleMs: LONG_MS });
  assert.ok(!refused.ok && ["closed", "notice"].includes(refused.end.reason));
});

Deno.test("a reconciliation exchanges payloads until we know what the relay has", async () => {
  await using relay = await startHostileRelay({
    events: generateEvents(2_000, { kinds: REGULAR_KINDS, authors: 3 }),
    behaviours: [supportsNegentropy({ frameSizeLimit: 8_192 })],
  });
  await using connection = await connected(relay.url);
  const storage = new nip77.NegentropyStorageVector();
  const held = relay.events.all.slice(0, 500);
  for (const event of held) storage.insert(event.created_at, event.id);
  storage.seal();
  const needed = new Set<string>();
  const engine = new nip77.Negentropy(storage);
  await using session = connection.openNegentropy({}, { idleMs: LONG_MS });
  let payload: string | null = engine.initiate();
  while (payload !== null) {
    const answer = await session.exchange(payload);
    assert.ok(answer.ok);
    payload = engine.reconcile(answer.payload, undefined, (id) => needed.add(id));
  }
  assert.equal(needed.size, relay.events.all.length - held.length);
  await session[Symbol.asyncDispose]();
  await relay.seen.until((seen) => seen.frames.some((frame) => frame.startsWith('["NEG-CLOSE"')));
  assert.ok(relay.seen.negMsgs > 0);
});

Deno.test("a relay that blocks or ignores a reconciliation is told apart", async () => {
  await using relay = await startHostileRelay({ behaviours: [blocksNegentropy("too much")] });
  await using connection = await connected(relay.url, { noticeGraceMs: SHORT_MS });
  await using blocked = connection.openNegentropy({}, { idleMs: LONG_MS });
  assert.deepEqual(await blocked.exchange("61"), {
    ok: false,
    end: { reason: "closed", prefix: "blocked", message: "blocked: too much" },
  });
  relay.behave(ignoresNegentropy());
  await using ignored = connection.openNegentropy({}, { idleMs: SHORT_MS });
  assert.deepEqual(await ignored.exchange("61"), { ok: false, end: { reason: "idle" } });
  relay.behave();
  await using unknown = connection.openNegentropy({}, { idleMs: LONG_MS });
  const answer = await unknown.exchange("61");
  assert.ok(!answer.ok && answer.end.reason === "notice");
});

Deno.test("a NOTICE is the refusal of what was asked before an answered question", async () => {
  await using relay = await startHostileRelay({ events });
  await using connection = await connected(relay.url);
  const bounds = { idleMs: LONG_MS, noticeGraceMs: LONG_MS };
  await using session = connection.openNegentropy({}, bounds);
  const asked = session.exchange("61");
  // Before the NOTICE has come there is nothing to be said.
  session.passOver();
  assert.equal(session.end, undefined);
  assert.ok((await connection.request({ limit: 1 }, { idleMs: LONG_MS })).eose);
  session.passOver();
  const answer = await asked;
  assert.ok(!answer.ok && answer.end.reason === "notice");
  // It is not closed: that would be another verb which the relay does not know.
  await session[Symbol.asyncDispose]();
  assert.ok((await connection.request({ limit: 1 }, { idleMs: LONG_MS })).eose);
  assert.equal(connection.notices.length, 1);
});

Deno.test("a refused further subscription leaves the first one alone", async () => {
  await using relay = await startHostileRelay({ events, behaviours: [maxSubscriptions(1)] });
  await using connection = await connected(relay.url);
  await using first = connection.subscribe([{}], { idleMs: LONG_MS });
  for await (const item of first) if (item.type === "eose") break;
  const second = await connection.request({}, { idleMs: LONG_MS });
  assert.equal(second.end.reason, "eose");
});

Deno.test("closing takes no longer than its bound, whatever the relay does", async () => {
  await using relay = await startHostileRelay({ events });
  await using proxy = await startTcpProxy(relay.port);
  const url = urlAt(proxy.port);
  // From now on nothing gets through, so no close frame can ever be answered.
  const connection = await connected(url, { closeTimeoutMs: SHORT_MS });
  proxy.setMode("drop");
  const asked = connection.request({}, { idleMs: LONG_MS });
  const overtime = new AbortController();
  const tooLate = systemClock.sleep(10 * SHORT_MS, { signal: overtime.signal })
    .then(() => "too late", () => "aborted");
  const first = await Promise.race([
    connection[Symbol.asyncDispose]().then(() => "closed"),
    tooLate,
  ]);
  overtime.abort();
  await tooLate;
  assert.equal(first, "closed");
  assert.equal((await connection.closed).code, 1006);
  assert.equal((await asked).end.reason, "aborted");
});

Deno.test("closing is bounded even while the relay pours", async () => {
  await using relay = await startHostileRelay({ behaviours: [floods({ bytes: 1_000 })] });
  const connection = await connected(relay.url, { closeTimeoutMs: SHORT_MS });
  await connection.request({}, { idleMs: LONG_MS, maxEvents: 10 });
  await connection[Symbol.asyncDispose]();
  assert.equal(connection.isOpen, false);
});

Deno.test("a relay that is gone without a word is found out by the keep-alive", async () => {
  await using relay = await startHostileRelay();
  await using proxy = await startTcpProxy(relay.port);
  await using connection = await connected(urlAt(proxy.port), { keepAliveMs: SHORT_MS });
  await using subscription = connection.subscribe([{}], { idleMs: LONG_MS });
  for await (const item of subscription) {
    if (item.type === "eose") proxy.setMode("drop");
  }
  assert.deepEqual(subscription.end, { reason: "idle" });
});

Deno.test("a quiet relay that answers pings stays connected", async () => {
  await using relay = await startHostileRelay();
  await using connection = await connected(relay.url, { keepAliveMs: 300 });
  const heardAtMs = connection.heardAtMs;
  // Nothing but pongs is ever heard of this relay.
  while (connection.isOpen && connection.heardAtMs < heardAtMs + 600) await systemClock.sleep(20);
  assert.ok(connection.isOpen);
});
