// Seconds with more events than a page: all that kinds and authors can separate is had, at little
// more than its own transfer, and nothing is called complete that is not.
import assert from "node:assert/strict";
import fc from "fast-check";
import type { NostrEvent } from "../../../src/model/event.ts";
import { PartPlan } from "../../../src/synchronizer/walk/part_plan.ts";
import { cap, startHostileRelay, supportsCount } from "../../relay/mod.ts";
import { generateEvents, REGULAR_KINDS } from "../../support/events.ts";
import { storeTest } from "../../support/store.ts";
import { ALL_CLOSED, NEWEST, openArchive, words } from "../archive.ts";

const AT = 1_705_000_000;
const KINDS = { kinds: REGULAR_KINDS };
/** No relay here is silent, however busy the machine. */
const PATIENT = { idleMs: 20_000 };

storeTest("two bursts of three pages cost a page each, beyond their events", async (store) => {
  const bursts = [{ at: AT, count: 1_500 }, { at: AT + 5000, count: 1_500 }];
  const events = generateEvents(6_000, { ...KINDS, bursts });
  await using archive = await openArchive(store);
  await using relay = await startHostileRelay({ events, behaviours: [cap(500)] });
  const report = await archive.sync(relay.url, {}, PATIENT);
  assert.deepEqual(await archive.idsOf(report.relayId), new Set(events.map(({ id }) => id)));
  assert.deepEqual(words(report.coverage), [
    `0..${AT - 1} closed eose_empty`,
    `${AT}..${AT} gap dense_second`,
    `${AT + 1}..${AT + 4999} closed eose_empty`,
    `${AT + 5000}..${AT + 5000} gap dense_second`,
    `${AT + 5001}..${NEWEST} closed eose_empty`,
  ]);
  // Of 100,000 events with these bursts it would be 1.2 %.
  const extra = report.received - events.length;
  assert.ok(extra <= 1_100, `${extra} events came twice`);
  assert.ok(report.requests <= 12 + 10 + 16, `${report.requests} requests`);
}, { kinds: ["pglite"] });

storeTest("a crowded second that fits a page is closed with the rest", async (store) => {
  await using archive = await openArchive(store);
  for (const [i, count] of [60, 110, 140].entries()) {
    // The newest 75 fill half of the first page; the crowd fills its end.
    const newest = generateEvents(75, { ...KINDS, seed: 2, since: AT + 10, until: AT + 9_000 });
    const crowd = generateEvents(count, { ...KINDS, seed: 3, bursts: [{ at: AT, count }] });
    const oldest = generateEvents(300, { ...KINDS, seed: 4, until: AT - 10 });
    const events = [...newest, ...crowd, ...oldest];
    await using relay = await startHostileRelay({ events, behaviours: [cap(150)] });
    const report = await archive.sync(relay.urlFor("127.0.0.1", `/crowd-${i}`), {}, PATIENT);
    const all = new Set(events.map(({ id }) => id));
    assert.deepEqual(await archive.idsOf(report.relayId), all);
    assert.deepEqual(words(report.coverage), ALL_CLOSED);
  }
}, { kinds: ["pglite"] });

storeTest("many dense seconds are split on the way, and none is forgotten", async (store) => {
  const bursts = Array.from({ length: 50 }, (_, i) => ({ at: AT + 100 * i, count: 30 }));
  const events = generateEvents(1_600, { ...KINDS, textLength: 5, bursts });
  await using archive = await openArchive(store);
  await using relay = await startHostileRelay({ events, behaviours: [cap(20), supportsCount()] });
  const report = await archive.sync(relay.url, {}, { ...PATIENT, splitRequests: 10_000 });
  assert.deepEqual(words(report.coverage), ALL_CLOSED);
  assert.equal((await archive.idsOf(report.relayId)).size, events.length);
  const asked = relay.seen.reqs.map(({ filters: [filter = {}] }) => filter);
  const split = asked.findIndex(({ kinds }) => kinds !== undefined);
  const later = asked.slice(split).filter(({ since, until }) => since === undefined && until);
  assert.ok(split > 0 && later.length > 20, "the walk goes on afterwards");
}, { kinds: ["pglite"] });

storeTest("with the kinds and authors named, a dense second is closed", async (store) => {
  await using archive = await openArchive(store);
  const events = generateEvents(900, { ...KINDS, bursts: [{ at: AT, count: 400 }] });
  const filter = {
    kinds: Object.keys(REGULAR_KINDS).map(Number),
    authors: [...new Set(events.map(({ pubkey }) => pubkey))],
  };
  await using relay = await startHostileRelay({ events, behaviours: [cap(120)] });
  const report = await archive.sync(relay.url, { filter }, PATIENT);
  assert.equal((await archive.idsOf(report.relayId)).size, events.length);
  assert.deepEqual(words(report.coverage), ALL_CLOSED);
}, { kinds: ["pglite"] });

interface Shape {
  events: { kind: number; author: number }[];
  /** Per cent of the events that were seen before. */
  shown: number;
  cap: number;
}

const shapes: fc.Arbitrary<Shape> = fc.record({
  events: fc.array(fc.record({ kind: fc.nat({ max: 6 }), author: fc.nat({ max: 12 }) }), {
    minLength: 1,
    maxLength: 400,
  }),
  shown: fc.nat({ max: 100 }),
  cap: fc.integer({ min: 5, max: 120 }),
});

Deno.test("a plan has all that can be separated, and comes to an end", () => {
  fc.assert(
    fc.property(shapes, ({ events, shown, cap }) => {
      const made = events.map(({ kind, author }, i) => ({ id: i, kind, pubkey: `${author}` }));
      const kinds = new Map<number, number>();
      const authors = new Map<string, number>();
      for (const { kind, pubkey } of made) {
        kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
        authors.set(pubkey, (authors.get(pubkey) ?? 0) + 1);
      }
      const sample = made.filter((_, i) => i % 100 < shown)
        .map(({ kind, pubkey }): Pick<NostrEvent, "kind" | "pubkey"> => ({ kind, pubkey }));
      const plan = new PartPlan({}, { kinds, authors }, sample, cap);
      const had = new Set<number>();
      let stuck = 0;
      let asked = 0;
      for (let part = plan.next(); part !== undefined; part = plan.next()) {
        const found = made.filter(({ kind, pubkey }) =>
          (part.kinds?.includes(kind) ?? true) && (part.authors?.includes(pubkey) ?? true)
        );
        const given = found.slice(0, cap);
        for (const { id } of given) had.add(id);
        if (given.length < found.length && part.authors?.length === 1) stuck += 1;
        plan.answered(given.length === found.length, given.length);
        assert.ok(++asked < 1_000, "no end");
      }
      const separable = [...Map.groupBy(made, ({ kind, pubkey }) => `${kind} ${pubkey}`).values()]
        .flatMap((list) => list.slice(0, cap));
      assert.ok(had.size >= separable.length);
      assert.equal(had.size === made.length, stuck === 0);
      assert.equal(plan.separates, false, "no filter has named all kinds");
    }),
    { numRuns: 100 },
  );
});

Deno.test("from a fair sample the parts fit, and none is asked for twice", () => {
  const weights = [...Array<number>(60).fill(1), ...Array<number>(25).fill(7), 6, 6, 6, 6, 16, 16];
  const made = Array.from({ length: 1_500 }, (_, i) => ({
    kind: weights[i % weights.length] ?? 1,
    pubkey: `${(i * 7) % 19}`,
  }));
  const kinds = new Map(weights.map((kind) => [kind, 100]));
  const authors = new Map(made.map(({ pubkey }) => [pubkey, 10]));
  const plan = new PartPlan({}, { kinds, authors }, made.slice(0, 400), 500);
  let got = 0;
  let asked = 0;
  for (let part = plan.next(); part !== undefined; part = plan.next()) {
    const found = made.filter(({ kind, pubkey }) =>
      (part.kinds?.includes(kind) ?? true) && (part.authors?.includes(pubkey) ?? true)
    ).length;
    assert.ok(found < 500, `${found} events in one part`);
    got += found;
    asked += 1;
    plan.answered(true, found);
  }
  assert.equal(got, made.length);
  assert.ok(asked <= 7, `${asked} parts`);
});
