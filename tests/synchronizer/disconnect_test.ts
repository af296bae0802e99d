// The connection breaks at each single message of a turn, in whatever phase it is: the turn, or the
// next one, has everything, once.
import assert from "node:assert/strict";
import { systemClock } from "../../src/lib/clock.ts";
import type { NostrEvent } from "../../src/model/event.ts";
import {
  type Behaviour,
  blocksNegentropy,
  cap,
  type HostileRelay,
  startHostileRelay,
  type Step,
  supportsNegentropy,
} from "../relay/mod.ts";
import { generateEvents, REGULAR_KINDS } from "../support/events.ts";
import { storeTest } from "../support/store.ts";
import { type Archive, NEWEST, NOW, openArchive, words } from "./archive.ts";

const KINDS = { kinds: REGULAR_KINDS };
const BURST_AT = 1_705_000_000;
/** More messages than a turn here needs. */
const ENOUGH = 60;
const TURNS = 4;

/** Stands still, and lets nobody wait. */
const HASTY = { ...systemClock, nowMs: () => NOW * 1000, sleep: () => Promise.resolve() };

/** Breaks the connection at the n-th message, before or after half of its answer; once. */
function breaksAt(n: number, midway: boolean): Behaviour & { hit: string | undefined } {
  let frames = 0;
  let armed = false;
  const behaviour: Behaviour & { hit: string | undefined } = {
    name: `breaksAt(${n})`,
    hit: undefined,
    handle: ({ type }, client) => {
      frames += 1;
      if (frames !== n) return false;
      behaviour.hit = type;
      armed = midway && type === "REQ";
      if (armed) return false;
      client.terminate();
      return true;
    },
    *answer(steps): Iterable<Step> {
      const breaks = armed;
      armed = false;
      if (!breaks) return yield* steps;
      const all = [...steps];
      yield* all.slice(0, all.length >> 1);
      yield { do: "disconnect" };
    },
  };
  return behaviour;
}

/** Turns until one is over without a break; all new sightings of them. */
async function turns(archive: Archive, relay: HostileRelay, path: string): Promise<{
  sightings: number;
  coverage: string[];
  relayId: number;
}> {
  let sightings = 0;
  for (let turn = 0;; turn++) {
    const url = relay.urlFor("127.0.0.1", path);
    const report = await archive.sync(url, {}, {
      pageSize: 60,
      idsPerRequest: 30,
      idleMs: 20_000,
    });
    sightings += report.newSightings;
    if (report.outcome !== "incomplete" && report.outcome !== "failed") {
      return { sightings, coverage: words(report.coverage), relayId: report.relayId };
    }
    assert.ok(turn < TURNS, `not over after ${turn} turns: ${words(report.coverage)}`);
  }
}

async function breakEverywhere(
  archive: Archive,
  events: readonly NostrEvent[],
  behaviours: () => Behaviour[],
  expected: (coverage: readonly string[]) => void,
): Promise<Set<string>> {
  const hits = new Set<string>();
  for (const midway of [false, true]) {
    for (let n = 1; n <= ENOUGH; n++) {
      const breaks = breaksAt(n, midway);
      await using relay = await startHostileRelay({
        events,
        behaviours: [breaks, ...behaviours()],
      });
      const told = `at message ${n}${midway ? ", midway" : ""}`;
      const found = await turns(archive, relay, `/${midway}-${n}-${events.length}`);
      if (breaks.hit === undefined) break;
      assert.ok(n < ENOUGH, "the turn has no end");
      hits.add(breaks.hit);
      expected(found.coverage);
      assert.equal(found.sightings, events.length, told);
      assert.equal((await archive.idsOf(found.relayId)).size, events.length, told);
    }
  }
  return hits;
}

storeTest("a break at any message of paging and splitting loses nothing", async (store) => {
  await using archive = await openArchive(store, { clock: HASTY });
  const events = generateEvents(190, { ...KINDS, bursts: [{ at: BURST_AT, count: 70 }] });
  const hits = await breakEverywhere(
    archive,
    events,
    () => [cap(50), blocksNegentropy()],
    (coverage) =>
      assert.deepEqual(coverage, [
        `0..${BURST_AT - 1} closed eose_empty`,
        `${BURST_AT}..${BURST_AT} gap dense_second`,
        `${BURST_AT + 1}..${NEWEST} closed eose_empty`,
      ]),
  );
  for (const type of ["REQ", "CLOSE"]) assert.ok(hits.has(type), `none at ${type}`);
}, { kinds: ["pglite"] });

storeTest("a break at any message of a reconciliation loses nothing", async (store) => {
  await using archive = await openArchive(store, { clock: HASTY });
  const events = generateEvents(280, { ...KINDS, seed: 2 });
  {
    await using elsewhere = await startHostileRelay({ events: events.slice(0, 200) });
    await archive.sync(elsewhere.url);
  }
  const behaviours = (): Behaviour[] => [cap(60), supportsNegentropy()];
  const hits = await breakEverywhere(archive, events, behaviours, (coverage) => {
    // What a break has kept from being reconciled was walked.
    assert.ok(coverage.every((line) => / closed (?:reconciled|eose_empty)$/.test(line)));
    assert.ok(coverage[0]?.startsWith("0..") && coverage.at(-1)?.includes(`..${NEWEST} `));
  });
  for (const type of ["REQ", "NEG-OPEN"]) assert.ok(hits.has(type), `none at ${type}`);
}, { kinds: ["pglite"] });
