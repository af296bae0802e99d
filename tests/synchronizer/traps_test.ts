// What relays do to archivers, each as a named behaviour: which events end up archived, and the
// exact words of the ledger.
import assert from "node:assert/strict";
import type { NostrEvent } from "../../src/model/event.ts";
import { generateSecretKey, localSigner } from "../../src/nostr/signer.ts";
import type { SyncLimits, SyncReport } from "../../src/synchronizer/sync_relay.ts";
import {
  authThenRestricted,
  authWall,
  type Behaviour,
  cap,
  closedWith,
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
  noticeInsteadOfClosed,
  oversizedFrame,
  rateLimitsAfter,
  silent,
  stallsAfter,
  startHostileRelay,
  supportsCount,
  unsorted,
} from "../relay/mod.ts";
import { type EventOptions, generateEvents, REGULAR_KINDS } from "../support/events.ts";
import { storeTest } from "../support/store.ts";
import { ALL_CLOSED, type Archive, NEWEST, openArchive, words } from "./archive.ts";

const KINDS: EventOptions = { kinds: REGULAR_KINDS };

interface Trap {
  events?: readonly NostrEvent[];
  behaviours: readonly Behaviour[];
  limits?: Partial<SyncLimits>;
}

/** Syncs once from a relay with these behaviours, on an embedded store. */
function trapTest(
  name: string,
  trap: Trap,
  check: (found: Found) => Promise<void> | void,
): void {
  storeTest(name, async (store) => {
    const events = trap.events ?? generateEvents(120, KINDS);
    await using archive = await openArchive(store, { signer: localSigner(generateSecretKey()) });
    await using relay = await startHostileRelay({ events, behaviours: trap.behaviours });
    const report = await archive.sync(relay.url, {}, trap.limits);
    const ids = await archive.idsOf(report.relayId);
    await check({ archive, relay, report, events, ids });
  }, { kinds: ["pglite"] });
}

interface Found {
  archive: Archive;
  relay: HostileRelay;
  report: SyncReport;
  events: readonly NostrEvent[];
  ids: Set<string>;
}

trapTest("a good relay is archived whole and closed", { behaviours: [] }, (found) => {
  assertAll(found);
  assert.deepEqual(words(found.report.coverage), ALL_CLOSED);
  assert.equal(found.report.outcome, "complete");
});

trapTest("a relay without events is closed by its empty page", { events: [], behaviours: [] }, (
  { report },
) => assert.deepEqual(words(report.coverage), ALL_CLOSED));

trapTest("a silent cap costs pages, and no event", { behaviours: [cap(7)] }, (found) => {
  assertAll(found);
  assert.deepEqual(words(found.report.coverage), ALL_CLOSED);
});

trapTest(
  "siblings of a page's oldest second are not lost",
  {
    // Twelve seconds with five events each, and a cap that cuts through them.
    events: generateEvents(60, { ...KINDS, since: 1_700_000_000, until: 1_700_000_011 }),
    behaviours: [cap(20)],
  },
  (found) => {
    assertAll(found);
    assert.deepEqual(words(found.report.coverage), ALL_CLOSED);
  },
);

const BURST_AT = 1_705_000_000;
const burst = generateEvents(150, { ...KINDS, authors: 12, bursts: [{ at: BURST_AT, count: 60 }] });

trapTest(
  "a second denser than the cap is split by kinds and authors, and declared",
  { events: burst, behaviours: [cap(20)] },
  (found) => {
    assertAll(found);
    assert.deepEqual(words(found.report.coverage), [
      `0..${BURST_AT - 1} closed eose_empty`,
      `${BURST_AT}..${BURST_AT} gap dense_second`,
      `${BURST_AT + 1}..${NEWEST} closed eose_empty`,
    ]);
    assert.equal(found.report.outcome, "gaps");
  },
);

trapTest(
  "a dense second is closed when the relay counts what we hold",
  { events: burst, behaviours: [cap(20), supportsCount()] },
  (found) => {
    assertAll(found);
    assert.deepEqual(words(found.report.coverage), ALL_CLOSED);
  },
);

const oneAuthor = generateEvents(50, {
  kinds: { 1: 1 },
  authors: 1,
  bursts: [{ at: BURST_AT, count: 30 }],
});

trapTest(
  "what nothing separates is a gap that says how much is missing",
  { events: oneAuthor, behaviours: [cap(10), supportsCount()] },
  ({ report, ids }) => {
    assert.deepEqual(words(report.coverage), [
      `0..${BURST_AT - 1} closed eose_empty`,
      `${BURST_AT}..${BURST_AT} gap dense_second missing 20`,
      `${BURST_AT + 1}..${NEWEST} closed eose_empty`,
    ]);
    assert.equal(ids.size, 30);
  },
);

trapTest(
  "a relay that ignores until can't be paged, and says nothing of older events",
  { behaviours: [cap(30), ignoresUntil()] },
  ({ report, ids, events }) => {
    const newest = events.toSorted((a, b) => b.created_at - a.created_at).slice(0, 30);
    assert.deepEqual(ids, idsOf(newest));
    const oldest = newest.at(-1)?.created_at ?? 0;
    assert.deepEqual(words(report.coverage), [
      `0..${oldest} open ignores_until`,
      `${oldest + 1}..${NEWEST} open paged`,
    ]);
  },
);

trapTest("without EOSE nothing is closed", { behaviours: [noEose()] }, (found) => {
  assertAll(found);
  const { report } = found;
  assert.equal(report.reason, "idle");
  assert.ok(report.coverage.every((held) => held.state === "open"));
});

trapTest("an EOSE before the events is noticed", { behaviours: [earlyEose(0)] }, (found) => {
  assertAll(found);
  assert.deepEqual(words(found.report.coverage), [`0..${NEWEST} open early_eose`]);
});

trapTest(
  "an EOSE in the middle of a page is a short page",
  { behaviours: [earlyEose(15)] },
  (found) => {
    assertAll(found);
    assert.deepEqual(words(found.report.coverage), ALL_CLOSED);
  },
);

trapTest("an EOSE without an id is an EOSE", { behaviours: [eoseWithoutId()] }, (found) => {
  assertAll(found);
  assert.deepEqual(words(found.report.coverage), ALL_CLOSED);
});

trapTest("silence is no end of data", { behaviours: [silent()] }, ({ report, ids }) => {
  assert.equal(ids.size, 0);
  assert.deepEqual(words(report.coverage), [`0..${NEWEST} open idle`]);
});

trapTest("a relay that stalls in each page is walked in smaller ones", {
  behaviours: [stallsAfter(30)],
}, (found) => {
  assertAll(found);
  assert.equal(found.report.reason, "idle");
});

trapTest("CLOSED is no end of data", { behaviours: [closedWith("error")] }, ({ report, ids }) => {
  assert.equal(ids.size, 0);
  assert.deepEqual(words(report.coverage), [`0..${NEWEST} open closed`]);
});

trapTest("a NOTICE in place of an answer is no end of data", {
  behaviours: [noticeInsteadOfClosed()],
}, ({ report }) => {
  assert.deepEqual(words(report.coverage), [`0..${NEWEST} open notice`]);
});

trapTest("a restricted relay is not an empty one", {
  behaviours: [closedWith("restricted")],
}, ({ report }) => assert.deepEqual(words(report.coverage), [`0..${NEWEST} open restricted`]));

trapTest("a rate limit ends the turn where it stands", {
  behaviours: [cap(20), rateLimitsAfter(4)],
}, ({ report, ids }) => {
  assert.equal(report.reason, "rate_limited");
  assert.ok(ids.size >= 60 && ids.size < 120);
  assert.deepEqual(report.coverage.map((held) => `${held.state} ${held.reason}`), [
    "open rate_limited",
    "open paged",
  ]);
});

trapTest("a wall is passed by logging in", { behaviours: [authWall()] }, (found) => {
  assertAll(found);
  assert.deepEqual(words(found.report.coverage), ALL_CLOSED);
});

trapTest("a wall that stays shut is a wall", { behaviours: [authThenRestricted()] }, (found) => {
  assert.deepEqual(words(found.report.coverage), [`0..${NEWEST} open restricted`]);
});

trapTest("a disconnect repeats the page", {
  behaviours: [disconnectsAfter(9, { times: 2 })],
}, (found) => {
  assertAll(found);
  assert.deepEqual(words(found.report.coverage), ALL_CLOSED);
});

trapTest("a relay that always disconnects is never closed", {
  behaviours: [disconnectsAfter(15)],
}, ({ report, ids }) => {
  assert.ok(ids.size > 0);
  assert.equal(report.reason, "disconnected");
  assert.ok(report.coverage.every((held) => held.state === "open"));
});

trapTest("unsorted pages are archived, and prove nothing", {
  behaviours: [cap(50), unsorted()],
}, ({ report, ids }) => {
  assert.ok(ids.size >= 50);
  assert.deepEqual(words(report.coverage), [`0..${NEWEST} open unsorted`]);
});

trapTest("duplicates count for nothing", { behaviours: [cap(25), duplicates()] }, (found) => {
  assertAll(found);
  assert.deepEqual(words(found.report.coverage), ALL_CLOSED);
});

trapTest("forged events are dropped, and move no cursor", {
  behaviours: [cap(25), forged({ every: 3 })],
}, (found) => {
  assertAll(found);
  assert.ok((found.report.dropped.wrong_signature ?? 0) > 0);
  assert.ok((found.report.dropped.wrong_id ?? 0) > 0);
  assert.deepEqual(words(found.report.coverage), ALL_CLOSED);
});

trapTest("a relay of forged events only has its ground left open", {
  behaviours: [cap(25), forged({ every: 1, instead: true })],
}, ({ report, ids, events }) => {
  assert.equal(ids.size, 0);
  const oldest = Math.min(...events.map((event) => event.created_at));
  assert.deepEqual(words(report.coverage), [
    `0..${oldest - 1} closed eose_empty`,
    `${oldest}..${NEWEST} open all_dropped`,
  ]);
});

trapTest("events that were not asked for are dropped, and hide no others", {
  behaviours: [cap(25), nonMatching(3)],
}, (found) => {
  assertAll(found);
  assert.ok((found.report.dropped.not_matching ?? 0) === 0);
  assert.deepEqual(words(found.report.coverage), ALL_CLOSED);
});

trapTest("junk frames hide no events", { behaviours: [cap(25), junkText()] }, (found) => {
  assertAll(found);
});

trapTest("an oversized frame ends the connection, not the process", {
  behaviours: [oversizedFrame(2_000_000)],
  limits: { maxPayloadBytes: 1_000_000 },
}, ({ report }) => {
  assert.equal(report.outcome, "incomplete");
  assert.ok(report.coverage.every((held) => held.state === "open"));
});

trapTest("a relay with room for one subscription is closed too", {
  behaviours: [cap(25), maxSubscriptions(1, "closed")],
}, (found) => {
  assertAll(found);
  assert.deepEqual(words(found.report.coverage), ALL_CLOSED);
});

trapTest("NIP-67's finish closes without another page", {
  behaviours: [cap(50), finishHint()],
}, (found) => {
  assertAll(found);
  assert.deepEqual(words(found.report.coverage), [`0..${NEWEST} closed eose_finish`]);
  const pages = found.relay.seen.reqs.filter(({ filters }) => filters[0]?.["ids"] === undefined);
  assert.equal(pages.length, 3);
});

trapTest("an exclusive until is noticed", {
  events: generateEvents(60, { ...KINDS, since: 1_700_000_000, until: 1_700_000_019 }),
  behaviours: [cap(25), {
    name: "exclusiveUntil",
    rewriteFilter: (filter) => ({ ...filter, until: Number(filter["until"]) - 1 }),
  }],
}, ({ report }) => assert.deepEqual(words(report.coverage), [`0..${NEWEST} open until_exclusive`]));

function assertAll({ ids, events }: Found): void {
  assert.deepEqual(ids, idsOf(events));
}

function idsOf(events: readonly NostrEvent[]): Set<string> {
  return new Set(events.map((event) => event.id));
}
