// What a later turn asks for: only what is not covered, and a little of the newest edge again.
import assert from "node:assert/strict";
import { type Clock, systemClock } from "../../src/lib/clock.ts";
import { type Behaviour, cap, rateLimitsAfter, startHostileRelay } from "../relay/mod.ts";
import { generateEvents, REGULAR_KINDS } from "../support/events.ts";
import { storeTest } from "../support/store.ts";
import { ALL_CLOSED, NEWEST, NOW, openArchive, words } from "./archive.ts";

const events = generateEvents(200, { kinds: REGULAR_KINDS });

storeTest("closed ground is not asked for again", async (store) => {
  await using archive = await openArchive(store);
  await using relay = await startHostileRelay({ events, behaviours: [cap(50)] });
  await archive.sync(relay.url);
  const asked = relay.seen.reqs.length;
  const again = await archive.sync(relay.url);
  assert.equal(again.outcome, "complete");
  assert.equal(relay.seen.reqs.length, asked);
  assert.equal(again.requests, 0);
});

storeTest("new ground is asked for with a small overlap", async (store) => {
  let now = NOW;
  const clock: Clock = { ...systemClock, nowMs: () => now * 1000 };
  await using archive = await openArchive(store, { clock });
  await using relay = await startHostileRelay({ events, behaviours: [cap(50)] });
  await archive.sync(relay.url);
  const asked = relay.seen.reqs.length;
  const [late] = generateEvents(1, { seed: 7, since: NOW - 100, until: NOW - 100 });
  assert.ok(late);
  relay.inject(late);
  now += 600;
  const again = await archive.sync(relay.url, {}, { overlapSeconds: 300 });
  assert.equal(again.newEvents, 1);
  assert.deepEqual(words(again.coverage), [`0..${NEWEST + 600} closed eose_empty`]);
  const filters = relay.seen.reqs.slice(asked).flatMap((req) => req.filters)
    .filter((filter) => filter["until"] !== undefined);
  assert.ok(filters.length > 0);
  for (const { since, limit } of filters) {
    // But for one or two events, by which the relay's habits are tried.
    if (Number(limit) > 2) assert.ok(Number(since) >= NEWEST + 1 - 300);
  }
});

storeTest("an interrupted walk goes on where it was, and closes the whole", async (store) => {
  await using archive = await openArchive(store);
  await using relay = await startHostileRelay({
    events,
    behaviours: [cap(20), rateLimitsAfter(5)],
  });
  const first = await archive.sync(relay.url);
  assert.equal(first.reason, "rate_limited");
  const [open, paged] = first.coverage;
  assert.equal(open?.reason, "rate_limited");
  assert.equal(paged?.reason, "paged");
  relay.behave(cap(20));
  const asked = relay.seen.reqs.length;
  const second = await archive.sync(relay.url);
  assert.deepEqual(words(second.coverage), ALL_CLOSED);
  const untils = relay.seen.reqs.slice(asked).flatMap((req) => req.filters)
    .flatMap(({ until }) => typeof until === "number" ? [until] : []);
  assert.ok(Math.max(...untils) <= (open?.until ?? 0), "walked ground is not asked for again");
  assert.equal((await archive.idsOf(second.relayId)).size, events.length);
});

storeTest("a turn ends when its time is up, and the next one goes on", async (store) => {
  await using archive = await openArchive(store);
  await using relay = await startHostileRelay({ events, behaviours: [cap(20)] });
  let turns = 0;
  for (;;) {
    turns++;
    const report = await archive.sync(relay.url, {}, { maxRelayMs: 1 });
    if (report.outcome === "complete") break;
    assert.equal(report.reason, "time_up");
    assert.ok(turns < 50);
  }
  assert.ok(turns > 2);
});

storeTest("a lie takes back what earlier turns had only walked", async (store) => {
  await using archive = await openArchive(store);
  await using relay = await startHostileRelay({
    events,
    behaviours: [cap(20), rateLimitsAfter(5)],
  });
  await archive.sync(relay.url);
  relay.behave(cap(20), byId);
  const report = await archive.sync(relay.url);
  assert.deepEqual(words(report.coverage), [`0..${NEWEST} open unsorted`]);
  relay.behave(cap(20));
  assert.deepEqual(words((await archive.sync(relay.url)).coverage), ALL_CLOSED);
});

storeTest("a gap is tried again when it is old", async (store) => {
  const at = 1_700_000_500;
  const dense = generateEvents(40, { kinds: { 1: 1 }, authors: 1, bursts: [{ at, count: 30 }] });
  let now = NOW;
  await using archive = await openArchive(store, {
    clock: { ...systemClock, nowMs: () => now * 1000 },
  });
  await using relay = await startHostileRelay({ events: dense, behaviours: [cap(10)] });
  const first = await archive.sync(relay.url);
  assert.deepEqual(first.gaps.map((gap) => gap.since), [at]);
  relay.behave(cap(100));
  now += 3600;
  assert.deepEqual((await archive.sync(relay.url)).gaps.map((gap) => gap.since), [at]);
  now += 86_400;
  const later = await archive.sync(relay.url);
  assert.equal(later.outcome, "complete");
  assert.equal((await archive.idsOf(later.relayId)).size, 40);
});

storeTest("filters have ledgers of their own", async (store) => {
  await using archive = await openArchive(store);
  await using relay = await startHostileRelay({ events });
  const notes = await archive.sync(relay.url, { filter: { kinds: [1] } });
  assert.equal(notes.newEvents, events.filter((event) => event.kind === 1).length);
  const others = await archive.sync(relay.url, { filter: { kinds: [7, 6] } });
  assert.equal(others.newEvents, events.filter((event) => [6, 7].includes(event.kind)).length);
  assert.equal((await archive.sync(relay.url, { filter: { kinds: [6, 7, 6] } })).requests, 0);
});

storeTest("a window is walked alone", async (store) => {
  await using archive = await openArchive(store);
  await using relay = await startHostileRelay({ events, behaviours: [cap(20)] });
  const [since, until] = [1_702_000_000, 1_705_000_000];
  const report = await archive.sync(relay.url, { since, until });
  assert.deepEqual(words(report.coverage), [`${since}..${until} closed eose_empty`]);
  const inside = events.filter((event) => event.created_at >= since && event.created_at <= until);
  assert.equal((await archive.idsOf(report.relayId)).size, inside.length);
});

storeTest("an archive of 2,000 events costs little more than its pages", async (store) => {
  const many = generateEvents(2000, { kinds: REGULAR_KINDS, textLength: 20 });
  await using archive = await openArchive(store);
  await using relay = await startHostileRelay({ events: many, behaviours: [cap(100)] });
  const report = await archive.sync(relay.url);
  assert.equal(report.outcome, "complete");
  // The end is asked for twice: each answer that ends it is heard out for events behind its EOSE.
  assert.ok(report.requests <= 1.1 * (many.length / 100) + 6, `${report.requests} requests`);
  assert.ok(report.received <= 1.02 * many.length, `${report.received} events`);
}, { kinds: ["pglite"] });

/** Sends its page by id, as `unsorted` does. */
const byId: Behaviour = {
  name: "byId",
  answer: (steps) => {
    const all = [...steps];
    const idOf = (step: (typeof all)[number]): string =>
      step.do === "event" ? (step.event as { id: string }).id : "~";
    return all.sort((a, b) => idOf(a) < idOf(b) ? -1 : 1);
  },
};
