// The promise of the ledger: whatever a relay does, what is called closed is truly all there.
// Random relays (caps, bursts, lies, disconnects), several turns, a live tail that says of any ground
// that it followed it, and a brute-force comparison with what the relay holds.
import assert from "node:assert/strict";
import fc from "fast-check";
import type { NostrEvent } from "../../src/model/event.ts";
import { canonicalFilter, type Filter, matchesFilter } from "../../src/model/filter.ts";
import type { RelayUrl } from "../../src/model/relay_url.ts";
import { ensureRelay } from "../../src/store/relays.ts";
import {
  type Behaviour,
  cap,
  disconnectsAfter,
  duplicates,
  earlyEose,
  eoseWithoutId,
  finishHint,
  forged,
  type HostileRelay,
  ignoresUntil,
  junkText,
  maxSubscriptions,
  noEose,
  nonMatching,
  rateLimitsAfter,
  stallsAfter,
  startHostileRelay,
  supportsCount,
  unsorted,
} from "../relay/mod.ts";
import { generateEvents, seededRandom } from "../support/events.ts";
import { storeTest } from "../support/store.ts";
import { type Archive, NEWEST, NOW, openArchive, words } from "./archive.ts";

const START = 1_700_000_000;

const SECONDS = 150;
const PER_SECOND = 12;

/** Twelve events on each of 150 seconds, in groups of four neighbours; signed once. */
const POOL: readonly (readonly NostrEvent[])[] = groupsOf(
  generateEvents(SECONDS * PER_SECOND, {
    kinds: { 1: 5, 6: 2, 7: 2, 9735: 1 },
    authors: 6,
    textLength: 5,
    bursts: Array.from({ length: SECONDS }, (_, i) => ({
      at: START + i + 10 * Math.floor(i / 4),
      count: PER_SECOND,
    })),
  }),
  PER_SECOND,
);

/** In the seconds that are left to settle, soon, and in years. */
const FUTURE = generateEvents(12, {
  seed: 2,
  bursts: [{ at: NOW - 5, count: 4 }, { at: NOW + 60, count: 4 }, { at: NOW + 1e8, count: 4 }],
});

interface Shape {
  /** The first second. */
  from: number;
  /** How many events each second has. */
  seconds: readonly number[];
  cap: number | undefined;
  pageSize: number;
  lies: readonly number[];
  filter: Filter;
  turns: readonly number[];
  /** What a live tail claims to have followed before each turn: pairs of seconds after the first. */
  followed: readonly (readonly [number, number])[];
  /** Whether it holds events that are newer than any window. */
  hasFuture: boolean;
}

/** Ways to misbehave; each may be put on or not. `n` varies the amount. */
const MISBEHAVIOURS: readonly ((n: number) => Behaviour)[] = [
  () => ignoresUntil(),
  () => noEose(),
  (n) => earlyEose(n),
  () => unsorted(),
  () => duplicates(),
  (n) => forged({ every: 1 + n }),
  (n) => nonMatching(1 + n),
  (n) => disconnectsAfter(n, { times: 1 + n }),
  (n) => rateLimitsAfter(2 + n),
  (n) => stallsAfter(5 + n),
  () => eoseWithoutId(),
  () => maxSubscriptions(1, "closed"),
  () => junkText(),
  () => finishHint(),
  () => supportsCount(),
  () => exclusiveUntil(),
  (n) => shuffledTies(n),
  (n) => flickeringEose(n),
  (n) => supportsCount({ claim: (count) => Math.min(count, 2 + 4 * n) }),
];
const EARLY_EOSE = 2;
const UNSORTED = 3;
const NON_MATCHING = 6;
const FINISH = 13;
const EXCLUSIVE_UNTIL = 15;
const FLICKERING_EOSE = 17;

const shapes: fc.Arbitrary<Shape> = fc.record({
  from: fc.nat({ max: SECONDS - 1 }),
  seconds: fc.array(fc.integer({ min: 1, max: 12 }), { maxLength: 20 }),
  cap: fc.option(fc.integer({ min: 2, max: 15 }), { nil: undefined }),
  pageSize: fc.constantFrom(10, 12, 20, 500),
  lies: fc.uniqueArray(fc.nat({ max: MISBEHAVIOURS.length - 1 }), { maxLength: 3 }),
  filter: fc.constantFrom<Filter>({}, {}, { kinds: [1, 7] }, { kinds: [1] }),
  turns: fc.array(fc.nat({ max: 4 }), { minLength: 1, maxLength: 3 }),
  followed: fc.array(
    fc.tuple(fc.integer({ min: -5, max: 60 }), fc.integer({ min: -5, max: 60 })),
    { maxLength: 4 },
  ),
  hasFuture: fc.boolean(),
}).filter(({ lies }) =>
  // Nobody can see these through: a page of one random event is in order, NIP-67's word is the
  // relay's own, and events beside its own reading of `until` look like those of that very second.
  !(lies.some((lie) => lie === EARLY_EOSE || lie === FLICKERING_EOSE) &&
    (lies.includes(UNSORTED) || lies.includes(FINISH))) &&
  !(lies.includes(NON_MATCHING) && lies.includes(EXCLUSIVE_UNTIL))
);

storeTest("what the ledger calls closed is all there, whatever the relay does", async (store) => {
  await using archive = await openArchive(store);
  await fc.assert(
    fc.asyncProperty(shapes, (shape) => holdsFor(archive, shape)),
    { numRuns: Number(Deno.env.get("HONESTY_RUNS") ?? 30), endOnFailure: true },
  );
});

storeTest("an honest relay is closed but for dense seconds, in few requests", async (store) => {
  await using archive = await openArchive(store);
  await fc.assert(
    fc.asyncProperty(shapes, async (shape) => {
      const events = eventsOf(shape);
      const pageSize = Math.min(shape.pageSize, shape.cap ?? Infinity);
      await using relay = await startHostileRelay({
        events,
        behaviours: shape.cap === undefined ? [] : [cap(shape.cap)],
      });
      const report = await archive.sync(freshUrl(relay), { filter: shape.filter }, {
        pageSize: shape.pageSize,
      });
      const matching = events.filter((event) => matchesFilter(event, shape.filter));
      const ids = await archive.idsOf(report.relayId);
      const told = words(report.coverage).join("\n");
      for (const gap of report.gaps) {
        const dense = matching.filter((event) => event.created_at === gap.since);
        assert.ok(dense.length >= Math.min(2, pageSize - 1), told);
      }
      assert.notEqual(report.outcome, "incomplete", told);
      for (const event of matching) {
        const inGap = report.gaps.some((gap) => gap.since === event.created_at);
        assert.ok(inGap || ids.has(event.id), told);
      }
    }),
    { numRuns: Number(Deno.env.get("HONESTY_RUNS") ?? 20), endOnFailure: true },
  );
});

async function holdsFor(archive: Archive, shape: Shape): Promise<void> {
  const events = [...eventsOf(shape), ...(shape.hasFuture ? FUTURE : [])];
  await using relay = await startHostileRelay({ events });
  const url = freshUrl(relay);
  for (const turn of shape.turns) {
    relay.behave(...behavioursOf(shape, turn));
    await claimFollowed(archive, url, shape);
    const report = await archive.sync(url, { filter: shape.filter }, {
      // Believed for years, or proven at once.
      proveSeconds: turn % 2 === 0 ? 1e9 : 0,
      pageSize: shape.pageSize,
      idleMs: 40,
      splitRequests: 30,
      gapRetrySeconds: turn % 2 === 0 ? 0 : 86_400,
    });
    const ids = await archive.idsOf(report.relayId);
    const closed = report.coverage.filter((held) => held.state === "closed");
    const missing = events.filter((event) =>
      matchesFilter(event, shape.filter) && !ids.has(event.id) &&
      closed.some((held) => event.created_at >= held.since && event.created_at <= held.until)
    );
    assert.deepEqual(
      missing.map((event) => event.created_at),
      [],
      `${behavioursOf(shape, turn).map((each) => each.name)}\n${words(report.coverage).join("\n")}`,
    );
    assert.ok(report.coverage.every((held) => held.until <= NEWEST));
  }
}

/** Writes down what a tail would, true or not: some of it in the present. */
async function claimFollowed(archive: Archive, url: RelayUrl, shape: Shape): Promise<void> {
  const { store } = archive.deps;
  const relayId = await ensureRelay(store, url, { at: NOW });
  const first = START + shape.from + 10 * Math.floor(shape.from / 4);
  const spans = shape.followed.map(([a, b], i) => [
    first + Math.min(a, b),
    i === 3 ? NOW : first + Math.max(a, b),
  ]).sort(([a = 0], [b = 0]) => a - b);
  const filter = canonicalFilter(shape.filter);
  await store.run("followed", async (sql) => {
    await sql`insert into relay_tail (relay_id, filter, spans)
      values (${relayId}, ${filter}, ${JSON.stringify(spans)}::text::jsonb)
      on conflict (relay_id) do update set filter = excluded.filter, spans = excluded.spans`;
  });
}

let runs = 0;

/** Ports come round again: a path of its own keeps each run's relay apart from earlier ones. */
function freshUrl(relay: HostileRelay): RelayUrl {
  return relay.urlFor("127.0.0.1", `/run-${++runs}`);
}

/** The first turn has all its lies, later ones may have fewer: relays get better, too. */
function behavioursOf(shape: Shape, turn: number): Behaviour[] {
  const lies = shape.lies.slice(0, Math.max(0, shape.lies.length - Math.floor(turn / 3)));
  return [
    ...(shape.cap === undefined ? [] : [cap(shape.cap)]),
    ...lies.map((lie) => MISBEHAVIOURS[lie]?.(turn) ?? duplicates()),
  ];
}

function eventsOf({ from, seconds }: Shape): NostrEvent[] {
  return seconds.flatMap((count, i) => (POOL[(from + i) % SECONDS] ?? []).slice(0, count));
}

function groupsOf<T>(list: readonly T[], size: number): T[][] {
  return Array.from(
    { length: Math.ceil(list.length / size) },
    (_, i) => list.slice(i * size, (i + 1) * size),
  );
}

function exclusiveUntil(): Behaviour {
  return {
    name: "exclusiveUntil",
    rewriteFilter: (filter) =>
      typeof filter["until"] === "number" ? { ...filter, until: filter["until"] - 1 } : filter,
  };
}

/** Serves the events of one second in another order each time. */
function shuffledTies(n: number): Behaviour {
  let turn = n;
  return {
    name: "shuffledTies",
    answer: (steps) => {
      const all = [...steps];
      const events = all.flatMap((step) => step.do === "event" ? [step] : []);
      turn++;
      const key = (event: NostrEvent): number =>
        parseInt(event.id.slice(turn % 60, turn % 60 + 4), 16);
      events.sort((a, b) => {
        const [x, y] = [a.event as NostrEvent, b.event as NostrEvent];
        return y.created_at - x.created_at || key(x) - key(y);
      });
      return [...events, ...all.filter((step) => step.do !== "event")];
    },
  };
}

/** Sends EOSE somewhere among its events, each time elsewhere. */
function flickeringEose(seed: number): Behaviour {
  const random = seededRandom(seed);
  return {
    name: "flickeringEose",
    answer: (steps) => {
      const all = [...steps];
      const others = all.filter((step) => step.do !== "eose");
      const eose = all.filter((step) => step.do === "eose");
      const at = Math.floor(random() * (others.length + 1));
      return [...others.slice(0, at), ...eose, ...others.slice(at)];
    },
  };
}
