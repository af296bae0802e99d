// NIP-77 in a turn: what is compared instead of downloaded, and what a relay that lies about it
// gets closed (nothing).
import assert from "node:assert/strict";
import fc from "fast-check";
import { type Clock, systemClock } from "../../../src/lib/clock.ts";
import type { NostrEvent } from "../../../src/model/event.ts";
import type { RelayUrl } from "../../../src/model/relay_url.ts";
import type { SyncLimits, SyncReport } from "../../../src/synchronizer/sync_relay.ts";
import {
  type Behaviour,
  blocksNegentropy,
  cap,
  earlyEose,
  forged,
  type HostileRelay,
  ignoresNegentropy,
  ignoresUntil,
  rateLimitsAfter,
  startHostileRelay,
  type Step,
  supportsNegentropy,
  unsorted,
} from "../../relay/mod.ts";
import { generateEvents, REGULAR_KINDS } from "../../support/events.ts";
import { storeTest } from "../../support/store.ts";
import { ALL_CLOSED, type Archive, NEWEST, NOW, openArchive, words } from "../archive.ts";

const KINDS = { kinds: REGULAR_KINDS };
const RECONCILED: readonly string[] = [`0..${NEWEST} closed reconciled`];
const events = generateEvents(400, KINDS);

/** Two relays with mostly the same events; the first one is archived already. */
async function second(
  archive: Archive,
  relay: HostileRelay,
  limits: Partial<SyncLimits> = {},
): Promise<SyncReport> {
  return await archive.sync(relay.urlFor("127.0.0.1", "/second"), {}, { pageSize: 50, ...limits });
}

async function archived(archive: Archive, list: readonly NostrEvent[]): Promise<void> {
  await using relay = await startHostileRelay({ events: list });
  await archive.sync(relay.urlFor("127.0.0.1", "/first"));
}

storeTest("what is held from elsewhere becomes a sighting without a download", async (store) => {
  await using archive = await openArchive(store);
  await archived(archive, events.slice(0, 380));
  await using relay = await startHostileRelay({ events, behaviours: [supportsNegentropy()] });
  const report = await second(archive, relay);
  assert.deepEqual(words(report.coverage), RECONCILED);
  assert.equal(report.outcome, "complete");
  assert.equal((await archive.idsOf(report.relayId)).size, events.length);
  assert.equal(report.newEvents, 20);
  assert.equal(report.newSightings, 400);
  // The twenty that were missing, one to try NIP-77 with, and nothing else.
  assert.ok(report.received <= 22, `${report.received} events came`);
});

storeTest(
  "a relay that does not list NIP-77 is tried once a day, and used if it can",
  async (store) => {
    let now = NOW;
    const clock: Clock = { ...systemClock, nowMs: () => now * 1000 };
    await using archive = await openArchive(store, { clock });
    await archived(archive, events);
    const { nips: _nips, ...modest } = supportsNegentropy();
    await using relay = await startHostileRelay({ events, behaviours: [modest] });
    const report = await second(archive, relay);
    assert.deepEqual(words(report.coverage), RECONCILED);
    assert.ok(report.received <= 2, `${report.received} events came`);

    await using plain = await startHostileRelay({ events });
    for (let turn = 0; turn < 3; turn++, now += 3600) await archive.sync(plain.url);
    assert.equal(plain.seen.negOpens.length, 1);
    now += 86_400;
    await archive.sync(plain.url);
    assert.equal(plain.seen.negOpens.length, 2);
  },
);

storeTest("windows are narrowed where they hold more than the relay takes", async (store) => {
  await using archive = await openArchive(store);
  await archived(archive, events.slice(0, 300));
  await using relay = await startHostileRelay({
    events,
    behaviours: [cap(50), supportsNegentropy({ maxRecords: 60 })],
  });
  const report = await second(archive, relay, { idsPerRequest: 40 });
  assert.deepEqual(words(report.coverage), RECONCILED);
  assert.deepEqual(await archive.idsOf(report.relayId), idsOf(events));
  const narrowest = relay.seen.negOpens.length;
  assert.ok(narrowest < 60, `${narrowest} sessions`);
});

storeTest("windows are narrowed where they hold more than we take", async (store) => {
  await using archive = await openArchive(store);
  await archived(archive, events.slice(0, 300));
  await using relay = await startHostileRelay({ events, behaviours: [supportsNegentropy()] });
  const report = await second(archive, relay, { reconcileIds: 70 });
  assert.deepEqual(words(report.coverage), RECONCILED);
  assert.deepEqual(await archive.idsOf(report.relayId), idsOf(events));
  const again = await second(archive, relay, { reconcileIds: 70, recheckSeconds: 0 });
  assert.deepEqual(words(again.coverage), RECONCILED);
  assert.equal(again.received, 0);
});

storeTest("ids are asked for in as many as the relay gives at a time", async (store) => {
  await using archive = await openArchive(store);
  await archived(archive, events.slice(0, 200));
  await using relay = await startHostileRelay({
    events,
    behaviours: [cap(20), supportsNegentropy()],
  });
  const report = await second(archive, relay, { idsPerRequest: 100, pageSize: 100 });
  assert.deepEqual(words(report.coverage), RECONCILED);
  assert.deepEqual(await archive.idsOf(report.relayId), idsOf(events));
});

const BURST_AT = 1_705_000_000;

storeTest("seconds denser than a page are had whole, and the walk is compared", async (store) => {
  const bursts = [{ at: BURST_AT, count: 1_500 }, { at: BURST_AT + 5000, count: 1_500 }];
  const dense = generateEvents(4_000, { ...KINDS, bursts });
  await using archive = await openArchive(store);
  await using relay = await startHostileRelay({
    events: dense,
    behaviours: [cap(500), supportsNegentropy()],
  });
  const report = await archive.sync(relay.url);
  assert.deepEqual(words(report.coverage), RECONCILED);
  assert.deepEqual(await archive.idsOf(report.relayId), idsOf(dense));
});

storeTest("a comparison with nothing new, or one event, costs next to nothing", async (store) => {
  const many = generateEvents(8_001, KINDS);
  let now = NOW;
  const clock: Clock = { ...systemClock, nowMs: () => now * 1000 };
  await using archive = await openArchive(store, { clock });
  await using relay = await startHostileRelay({
    events: many.slice(1),
    behaviours: [cap(500), supportsNegentropy()],
  });
  const first = await archive.sync(relay.url);
  assert.equal(first.newEvents, 8_000);
  const held = sumOfBytes(many.slice(1));
  assert.ok(first.bytes <= 1.05 * held, `${first.bytes} bytes for ${held}`);
  assert.ok(first.requests <= 1.1 * 8_000 / 500 + 10, `${first.requests} requests`);
  const untouched = await archive.sync(relay.url);
  assert.equal(untouched.requests, 0);

  now += 86_400;
  const same = await archive.sync(relay.url);
  assert.deepEqual(words(same.coverage), [`0..${NEWEST + 86_400} closed reconciled`]);
  assert.ok(same.bytes < 10_000, `${same.bytes} bytes with nothing new`);

  now += 86_400;
  const late = many[0];
  assert.ok(late);
  relay.inject(late);
  const one = await archive.sync(relay.url);
  assert.equal(one.newEvents, 1);
  assert.deepEqual(words(one.coverage), [`0..${NEWEST + 2 * 86_400} closed reconciled`]);
  assert.ok(one.bytes < 10_000, `${one.bytes} bytes for one event`);
});

storeTest("a comparison that runs out of time goes on where it was", async (store) => {
  let ms = 0;
  let now = NOW;
  const clock: Clock = {
    ...systemClock,
    nowMs: () => now * 1000,
    monotonicMs: () => ms,
  };
  await using archive = await openArchive(store, { clock });
  await using relay = await startHostileRelay({ events, behaviours: [supportsNegentropy()] });
  await archive.sync(relay.url);
  now += 86_400;
  relay.behave({
    name: "takes time",
    handle: (frame) => {
      if (frame.type === "NEG-OPEN") ms += 400;
      return false;
    },
  }, supportsNegentropy());
  const untils: number[] = [];
  for (let turn = 0; turn < 20; turn++) {
    const before = relay.seen.negOpens.length;
    const report = await archive.sync(relay.url, {}, { reconcileIds: 50, maxRelayMs: 1000 });
    untils.push(
      ...relay.seen.negOpens.slice(before).map(({ filter }) => (filter as { until: number }).until),
    );
    if (report.reason === undefined) break;
    assert.equal(report.reason, "time_up");
  }
  const compared = untils.filter((until) => until < NEWEST);
  assert.ok(compared.length >= 6);
  assert.deepEqual(compared, compared.toSorted((a, b) => b - a), "no window was compared twice");
});

storeTest(
  "a relay that never answers NEG-OPEN is walked, and not asked for a day",
  async (store) => {
    await using archive = await openArchive(store);
    await archived(archive, events);
    await using relay = await startHostileRelay({ events, behaviours: [ignoresNegentropy()] });
    const report = await second(archive, relay);
    assert.deepEqual(words(report.coverage), ALL_CLOSED);
    assert.equal(relay.seen.negOpens.length, 1);
    await second(archive, relay, { gapRetrySeconds: 0 });
    assert.equal(relay.seen.negOpens.length, 1);
  },
);

storeTest("a refusal is no answer, and the ground is walked", async (store) => {
  await using archive = await openArchive(store);
  await archived(archive, events);
  await using relay = await startHostileRelay({ events, behaviours: [blocksNegentropy()] });
  const report = await second(archive, relay);
  assert.deepEqual(words(report.coverage), ALL_CLOSED);
  assert.deepEqual(await archive.idsOf(report.relayId), idsOf(events));
});

storeTest("a relay that can't be paged is reconciled all the same", async (store) => {
  await using archive = await openArchive(store);
  for (const [i, habit] of [ignoresUntil(), unsorted()].entries()) {
    await using relay = await startHostileRelay({
      events,
      behaviours: [cap(30), habit, supportsNegentropy()],
    });
    const url = relay.urlFor("127.0.0.1", `/habit-${i}`);
    const report = await archive.sync(url, {}, { pageSize: 500, idsPerRequest: 20 });
    assert.deepEqual(words(report.coverage), RECONCILED, habit.name);
    assert.deepEqual(await archive.idsOf(report.relayId), idsOf(events), habit.name);
  }
});

storeTest("what is listed and not given stays open, and only that", async (store) => {
  await using archive = await openArchive(store);
  await archived(archive, events.slice(0, 300));
  const withheld = events[350];
  assert.ok(withheld);
  const withholds: Behaviour = {
    name: "withholds one",
    *answer(steps): Iterable<Step> {
      for (const step of steps) {
        if (step.do === "event" && (step.event as NostrEvent).id === withheld.id) continue;
        yield step;
      }
    },
  };
  await using relay = await startHostileRelay({
    events,
    behaviours: [withholds, supportsNegentropy()],
  });
  const report = await second(archive, relay);
  assert.equal(report.reason, "undelivered");
  assert.equal(report.outcome, "incomplete");
  assert.equal((await archive.idsOf(report.relayId)).size, events.length - 1);
  const open = report.coverage.filter((held) => held.state === "open");
  assert.deepEqual(open.map(({ reason }) => reason), ["undelivered"]);
  const [part] = open;
  assert.ok(part !== undefined && part.since <= withheld.created_at);
  assert.ok(part.until >= withheld.created_at);
  assert.ok(part.until - part.since < 5_000_000, `${part.until - part.since} seconds are open`);
  assert.equal(report.coverage.filter((held) => held.proof === "reconciled").length, 2);
  // It is tried again as gaps are, and closed when it comes.
  const asked = relay.seen.reqs.length;
  await second(archive, relay);
  assert.equal(relay.seen.reqs.length, asked);
  relay.behave(supportsNegentropy());
  const healed = await second(archive, relay, { gapRetrySeconds: 0 });
  assert.deepEqual(words(healed.coverage), RECONCILED);
});

storeTest("an event that a comparison finds and can't get reopens closed ground", async (store) => {
  await using archive = await openArchive(store);
  await using relay = await startHostileRelay({
    events: events.slice(0, 399),
    behaviours: [supportsNegentropy()],
  });
  const first = await archive.sync(relay.url);
  assert.deepEqual(words(first.coverage), RECONCILED);
  const late = events[399];
  assert.ok(late);
  relay.inject({ ...late, sig: "0".repeat(128) });
  const report = await archive.sync(relay.url, {}, { recheckSeconds: 0 });
  const open = report.coverage.filter((held) => held.state === "open");
  assert.deepEqual(open.map(({ reason }) => reason), ["undelivered"]);
  assert.equal(report.dropped.wrong_signature, 1);
});

storeTest("a relay that lists what nobody has is given up after a few requests", async (store) => {
  await using archive = await openArchive(store);
  await archived(archive, events);
  await using relay = await startHostileRelay({ events, behaviours: [inventsIds(5_000)] });
  const report = await second(archive, relay, { idsPerRequest: 50 });
  assert.ok(report.requests < 40, `${report.requests} requests`);
  assert.equal(report.coverage.filter((held) => held.state === "closed").length, 0);
  assert.equal(report.reason, "undelivered");
});

storeTest("a list that is cut in silence closes nothing", async (store) => {
  await using archive = await openArchive(store);
  await archived(archive, events.slice(0, 200));
  await using relay = await startHostileRelay({ events, behaviours: [cutsLists(100)] });
  const report = await second(archive, relay);
  assert.deepEqual(words(report.coverage), ALL_CLOSED);
  assert.deepEqual(await archive.idsOf(report.relayId), idsOf(events));
});

storeTest("answers without an end, or without a sense, are walked around", async (store) => {
  await using archive = await openArchive(store);
  await archived(archive, events);
  const payloads = ["61", "6", "zz", "62", "610000", "61000002ffffffffff7f"];
  for (const [i, payload] of payloads.entries()) {
    await using relay = await startHostileRelay({ events, behaviours: [alwaysAnswers(payload)] });
    const url = relay.urlFor("127.0.0.1", `/nonsense-${i}`);
    const report = await archive.sync(url, {}, { pageSize: 50 });
    assert.deepEqual(words(report.coverage), ALL_CLOSED, payload);
    assert.equal((await archive.idsOf(report.relayId)).size, events.length, payload);
  }
});

storeTest("answers that come too slowly end when the time is up", async (store) => {
  let nowMs = 0;
  await using archive = await openArchive(store);
  await archived(archive, events.slice(0, 200));
  const honest = supportsNegentropy();
  let messages = 0;
  await using relay = await startHostileRelay({
    events,
    behaviours: [{
      name: "neverEnds",
      nips: [77],
      handle: (frame, client, held) => {
        const { since, until } = (frame.message[2] ?? {}) as { since?: number; until?: number };
        if (frame.type === "NEG-OPEN" && since === until) {
          return honest.handle?.(frame, client, held) ?? false;
        }
        if (frame.type === "NEG-OPEN" || frame.type === "NEG-MSG") {
          messages += 1;
          nowMs += 100_000;
          // A fingerprint of everything that is never ours: there is always something to ask.
          const print = messages.toString(16).padStart(32, "0");
          client.send(JSON.stringify(["NEG-MSG", frame.message[1], `61000001${print}`]));
        }
        return frame.type.startsWith("NEG-");
      },
    }],
  });
  const { clock } = archive.deps;
  assert.ok(clock);
  archive.deps.clock = { ...clock, monotonicMs: () => nowMs };
  const report = await second(archive, relay);
  assert.equal(report.reason, "time_up");
  assert.ok(messages < 30, `${messages} messages`);
}, { kinds: ["pglite"] });

storeTest("a relay that takes few ids, and few requests, gets as many", async (store) => {
  await using archive = await openArchive(store);
  await archived(archive, events.slice(0, 200));
  const open = new Set<string>();
  await using relay = await startHostileRelay({
    events,
    behaviours: [supportsNegentropy(), {
      name: "fewIds",
      handle: ({ type, message }, client) => {
        const id = `${client.number} ${message[1]}`;
        if (type === "CLOSE") open.delete(id);
        if (type !== "REQ") return false;
        const { ids = [] } = (message[2] ?? {}) as { ids?: string[] };
        if (ids.length <= 20 && open.size === 0) {
          open.add(id);
          return false;
        }
        client.send(JSON.stringify(["CLOSED", message[1], "error: too many"]));
        return true;
      },
      // Requests come while others are open.
      *answer(steps): Iterable<Step> {
        yield { do: "wait", ms: 20 };
        yield* steps;
      },
    }],
  });
  const report = await second(archive, relay, { idsPerRequest: 150, pageSize: 150 });
  assert.deepEqual(words(report.coverage), RECONCILED);
  assert.equal((await archive.idsOf(report.relayId)).size, events.length);
}, { kinds: ["pglite"] });

storeTest("a rate limit in the middle leaves the rest open", async (store) => {
  await using archive = await openArchive(store);
  await archived(archive, events.slice(0, 200));
  await using relay = await startHostileRelay({
    events,
    behaviours: [rateLimitsAfter(4), supportsNegentropy()],
  });
  const report = await second(archive, relay, { idsPerRequest: 20, idRequests: 1 });
  assert.equal(report.reason, "rate_limited");
  assert.deepEqual(words(report.coverage), [`0..${NEWEST} open rate_limited`]);
});

interface Shape {
  /** How many of each second's events the archive holds from elsewhere. */
  held: number;
  seconds: readonly number[];
  cap: number | undefined;
  maxRecords: number;
  reconcileIds: number;
  idsPerRequest: number;
  lies: readonly number[];
}

const LIES: readonly ((n: number) => Behaviour)[] = [
  () => unsorted(),
  () => ignoresUntil(),
  (n) => earlyEose(n),
  (n) => forged({ every: 2 + n }),
  (n) => rateLimitsAfter(5 + n),
];

const shapes: fc.Arbitrary<Shape> = fc.record({
  held: fc.nat({ max: 8 }),
  seconds: fc.array(fc.integer({ min: 1, max: 12 }), { minLength: 1, maxLength: 12 }),
  cap: fc.option(fc.integer({ min: 3, max: 15 }), { nil: undefined }),
  maxRecords: fc.constantFrom(5, 20, 1000),
  reconcileIds: fc.constantFrom(10, 30, 1000),
  idsPerRequest: fc.constantFrom(1, 7, 250),
  lies: fc.uniqueArray(fc.nat({ max: LIES.length - 1 }), { maxLength: 2 }),
}).filter(({ lies }) => !(lies.includes(0) && lies.includes(2)));

storeTest("what reconciling closes is all there, whatever the relay does", async (store) => {
  await using archive = await openArchive(store);
  let run = 0;
  await fc.assert(
    fc.asyncProperty(shapes, async (shape) => {
      const mine = shape.seconds.flatMap((count, i) => POOL[i]?.slice(0, count) ?? []);
      const elsewhere = shape.seconds.flatMap((count, i) =>
        POOL[i]?.slice(0, Math.min(count, shape.held)) ?? []
      );
      run += 1;
      await archived(archive, elsewhere);
      const { maxRecords, lies } = shape;
      await using relay = await startHostileRelay({
        events: mine,
        behaviours: [
          ...(shape.cap === undefined ? [] : [cap(shape.cap)]),
          ...lies.map((lie) => LIES[lie]?.(run % 5) ?? unsorted()),
          supportsNegentropy({ maxRecords }),
        ],
      });
      const url: RelayUrl = relay.urlFor("127.0.0.1", `/run-${run}`);
      for (let turn = 0; turn < 2; turn++) {
        const { reconcileIds, idsPerRequest } = shape;
        const report = await archive.sync(url, {}, {
          pageSize: 10,
          // Where the words are compared, a busy machine must not make them.
          idleMs: lies.length === 0 ? 10_000 : 100,
          nip11TimeoutMs: 10_000,
          reconcileIds,
          idsPerRequest,
          recheckSeconds: 0,
          gapRetrySeconds: 0,
        });
        const ids = await archive.idsOf(report.relayId);
        const closed = report.coverage.filter((held) => held.state === "closed");
        const missing = mine.filter((event) =>
          !ids.has(event.id) &&
          closed.some((held) => event.created_at >= held.since && event.created_at <= held.until)
        );
        assert.deepEqual(missing.map((event) => event.created_at), [], words(closed).join("\n"));
        if (lies.length === 0 && maxRecords > 12 && reconcileIds > 12) {
          assert.deepEqual(words(report.coverage), RECONCILED);
        }
      }
    }),
    { numRuns: Number(Deno.env.get("HONESTY_RUNS") ?? 20), endOnFailure: true },
  );
});

/** Twelve seconds of twelve events. */
const POOL: readonly NostrEvent[][] = Array.from({ length: 12 }, (_, i) => {
  const at = BURST_AT + i * 3;
  return generateEvents(12, { ...KINDS, seed: 100 + i, since: at, until: at });
});

function idsOf(list: readonly NostrEvent[]): Set<string> {
  return new Set(list.map((event) => event.id));
}

function sumOfBytes(list: readonly NostrEvent[]): number {
  const encoder = new TextEncoder();
  return list.reduce((sum, event) => sum + encoder.encode(JSON.stringify(event)).length + 14, 0);
}

/** Answers each message of a reconciliation with the same one. */
function alwaysAnswers(payload: string): Behaviour {
  return {
    name: `alwaysAnswers(${payload})`,
    nips: [77],
    handle: ({ type, message }, client) => {
      if (type === "NEG-OPEN" || type === "NEG-MSG") {
        client.send(JSON.stringify(["NEG-MSG", message[1], payload]));
      }
      return type.startsWith("NEG-");
    },
  };
}

/** Reconciles the second that it is tried with, and lists other ids each time for anything else. */
function inventsIds(count: number): Behaviour {
  const honest = supportsNegentropy();
  return {
    name: "inventsIds",
    nips: [77],
    handle: (frame, client, held) => {
      const filter = frame.message[2] as { since?: number; until?: number };
      if (frame.type !== "NEG-OPEN" || filter.since === filter.until) {
        return honest.handle?.(frame, client, held) ?? false;
      }
      const ids = crypto.getRandomValues(new Uint8Array(32)).toHex();
      const list = Array.from({ length: count }, (_, i) => ids.slice(8) + hex32(i)).join("");
      client.send(JSON.stringify([
        "NEG-MSG",
        frame.message[1],
        // One range up to infinity: a list of ids.
        `61000002${(count >> 7 | 0x80).toString(16)}${
          (count & 0x7f).toString(16).padStart(2, "0")
        }${list}`,
      ]));
      return true;
    },
  };
}

/** Reconciles its newest events alone, without saying so. */
function cutsLists(most: number): Behaviour {
  const honest = supportsNegentropy();
  return {
    name: "cutsLists",
    nips: [77],
    handle: (frame, client, held) => {
      const filter = frame.message[2] as { since?: number };
      if (frame.type !== "NEG-OPEN") return honest.handle?.(frame, client, held) ?? false;
      const cutAt = held.all[most - 1]?.created_at ?? 0;
      const cut = { ...filter, since: Math.max(filter.since ?? 0, cutAt) };
      const message = [frame.message[0], frame.message[1], cut, frame.message[3]];
      return honest.handle?.({ ...frame, message }, client, held) ?? false;
    },
  };
}

function hex32(value: number): string {
  return value.toString(16).padStart(8, "0");
}
