// Where a relay's word is not enough: each of these once passed for a complete second or an end of
// data. What is not proven stays open or becomes a gap, and nobody is waited for without end.
import assert from "node:assert/strict";
import type { NostrEvent } from "../../src/model/event.ts";
import { type Behaviour, cap, startHostileRelay, supportsCount } from "../relay/mod.ts";
import { generateEvents, REGULAR_KINDS } from "../support/events.ts";
import { storeTest } from "../support/store.ts";
import { NEWEST, NOW, openArchive, words } from "./archive.ts";

const AT = 1_705_000_000;

/** So many events of this second. */
function burst(at: number, count: number, seed: number): NostrEvent[] {
  return generateEvents(count, { kinds: REGULAR_KINDS, seed, bursts: [{ at, count }] });
}

/** An event in each of so many seconds. */
function spread(from: number, count: number, seed: number): NostrEvent[] {
  const bursts = Array.from({ length: count }, (_, i) => ({ at: from + 10 * i, count: 1 }));
  return generateEvents(count, { kinds: REGULAR_KINDS, seed, bursts });
}

const exclusiveUntil: Behaviour = {
  name: "exclusiveUntil",
  rewriteFilter: ({ until, ...rest }) =>
    typeof until === "number" ? { ...rest, until: until - 1 } : rest,
};

storeTest("a COUNT that is cut like a page agrees with nothing", async (store) => {
  const events = generateEvents(50, {
    kinds: { 1: 1 },
    authors: 1,
    bursts: [{ at: AT, count: 30 }],
  });
  await using archive = await openArchive(store);
  await using relay = await startHostileRelay({
    events,
    behaviours: [cap(10), supportsCount({ claim: (count) => Math.min(count, 10) })],
  });
  const report = await archive.sync(relay.url);
  assert.deepEqual(words(report.coverage), [
    `0..${AT - 1} closed eose_empty`,
    `${AT}..${AT} gap dense_second`,
    `${AT + 1}..${NEWEST} closed eose_empty`,
  ]);
}, { kinds: ["pglite"] });

storeTest("an EOSE amidst the last second does not pass for its end", async (store) => {
  // The cap cuts the oldest second; of that second alone the relay gives three, EOSE, and two more.
  const events = [...spread(AT + 10, 20, 1), ...burst(AT, 5, 2)];
  await using archive = await openArchive(store);
  await using relay = await startHostileRelay({
    events,
    behaviours: [cap(22), {
      name: "earlyEoseOfFive",
      answer: (steps) => {
        const all = [...steps];
        const [eose] = all.filter((step) => step.do === "eose");
        const others = all.filter((step) => step.do === "event");
        if (eose === undefined || others.length !== 5) return all;
        return [...others.slice(0, 3), eose, ...others.slice(3)];
      },
    }],
  });
  const report = await archive.sync(relay.url);
  assert.deepEqual(words(report.coverage), [`0..${NEWEST} open early_eose`]);
}, { kinds: ["pglite"] });

storeTest(
  "an EOSE amidst a crowded second that fits a page does not pass for its end",
  async (store) => {
    // The newest page ends with so much of the second that it is asked for alone.
    const events = [...spread(AT + 10, 75, 1), ...burst(AT, 110, 2), ...spread(AT - 9_000, 300, 3)];
    const early: Behaviour = {
      name: "earlyEoseOfOneSecond",
      answer: (steps, { filters: [filter = {}] }) => {
        const all = [...steps];
        if (filter["since"] !== AT || filter["kinds"] !== undefined) return all;
        const eose = all.filter((step) => step.do === "eose");
        const others = all.filter((step) => step.do === "event");
        return [...others.slice(0, 90), ...eose, ...others.slice(90)];
      },
    };
    await using archive = await openArchive(store);
    await using relay = await startHostileRelay({ events, behaviours: [cap(150), early] });
    const report = await archive.sync(relay.url);
    const told = words(report.coverage);
    assert.ok(relay.seen.reqs.some(({ filters }) => filters[0]?.["since"] === AT), "asked alone");
    assert.ok(told.some((line) => line.startsWith(`${AT}..${AT} gap`)), told.join("\n"));
  },
  { kinds: ["pglite"] },
);

storeTest("an EOSE behind what we don't take does not pass for an end of data", async (store) => {
  const events = [...spread(AT + 1000, 30, 1), ...spread(AT, 10, 2)];
  const [stray] = generateEvents(1, {
    seed: 9,
    kinds: { 1: 1 },
    bursts: [{ at: AT + 5000, count: 1 }],
  });
  await using archive = await openArchive(store);
  await using relay = await startHostileRelay({
    events,
    behaviours: [cap(20), {
      name: "strayThenEose",
      // In place of an older page: an event of another time, EOSE, and then what was asked for.
      answer: (steps, { filters: [filter = {}] }) => {
        if (stray === undefined || Number(filter["until"]) > AT + 1000) return steps;
        const all = [...steps];
        const eose = all.filter((step) => step.do === "eose");
        const others = all.filter((step) => step.do !== "eose");
        return [{ do: "event" as const, event: stray }, ...eose, ...others];
      },
    }],
  });
  const report = await archive.sync(relay.url);
  assert.ok(
    report.coverage.every((held) => held.state !== "closed"),
    words(report.coverage).join(),
  );
}, { kinds: ["pglite"] });

storeTest("an exclusive until is noticed below a crowded second, too", async (store) => {
  const events = [...spread(AT + 10, 100, 1), ...burst(AT, 150, 2), ...burst(AT - 1, 3, 3)];
  await using archive = await openArchive(store);
  await using relay = await startHostileRelay({ events, behaviours: [cap(200), exclusiveUntil] });
  const report = await archive.sync(relay.url);
  assert.ok(
    report.coverage.every((held) => held.state !== "closed"),
    words(report.coverage).join(),
  );
}, { kinds: ["pglite"] });

storeTest(
  "events of this moment hide neither an exclusive until nor a small second",
  async (store) => {
    const now = [...burst(NOW - 5, 4, 8), ...burst(NOW + 60, 4, 9)];
    await using archive = await openArchive(store);
    await using exclusive = await startHostileRelay({
      events: [...now, ...spread(AT, 3, 1)],
      behaviours: [exclusiveUntil],
    });
    // Of a hole that shows nothing, its newest second alone is in doubt.
    const hole = await archive.sync(exclusive.url, { since: AT + 1, until: AT + 10 });
    assert.deepEqual(words(hole.coverage), [`${AT + 1}..${AT + 10} open until_exclusive`]);
    await using honest = await startHostileRelay({ events: [...now, ...burst(AT, 3, 2)] });
    const known = await archive.sync(honest.url);
    assert.deepEqual(words(known.coverage).length, 3, "all that it holds lies in one second");
    for (const event of spread(AT - 500, 4, 3)) honest.inject(event);
    const small = await archive.sync(honest.urlFor("127.0.0.1", "/small"), { since: AT });
    assert.deepEqual(words(small.coverage), [
      `${AT}..${AT} gap dense_second`,
      `${AT + 1}..${NEWEST} closed eose_empty`,
    ]);
  },
  { kinds: ["pglite"] },
);

storeTest(
  "a relay that is silent about parts of a second is not asked for all of them",
  async (store) => {
    await using archive = await openArchive(store);
    await using relay = await startHostileRelay({
      events: [...spread(AT + 10, 30, 1), ...burst(AT, 60, 2), ...spread(AT - 900, 30, 3)],
      behaviours: [cap(20), {
        name: "silentAboutParts",
        answer: (steps, { filters }) => filters[0]?.["kinds"] === undefined ? steps : [],
      }],
    });
    const report = await archive.sync(relay.url, {}, { idleMs: 100 });
    assert.equal(report.reason, "idle");
    const parts = relay.seen.reqs.filter(({ filters }) => filters[0]?.["kinds"] !== undefined);
    assert.equal(parts.length, 3);
    assert.ok(words(report.coverage).includes(`${AT}..${AT} open dense_second`));
  },
  { kinds: ["pglite"] },
);

storeTest("a turn's time ends the splitting of a second", async (store) => {
  let nowMs = 0;
  await using archive = await openArchive(store);
  await using relay = await startHostileRelay({
    events: [...burst(AT, 60, 2), ...spread(AT - 900, 30, 3)],
    behaviours: [cap(20), {
      name: "timeFlies",
      rewriteFilter: (filter) => {
        if (filter["kinds"] !== undefined) nowMs += 1_000_000;
        return filter;
      },
    }],
  });
  const { clock } = archive.deps;
  assert.ok(clock);
  archive.deps.clock = { ...clock, monotonicMs: () => nowMs };
  const report = await archive.sync(relay.url);
  assert.equal(report.reason, "time_up");
  const parts = relay.seen.reqs.filter(({ filters }) => filters[0]?.["kinds"] !== undefined);
  assert.equal(parts.length, 1);
}, { kinds: ["pglite"] });
