// A relay that was archived is compared once more: by sums, and id by id only where they differ.
import assert from "node:assert/strict";
import fc from "fast-check";
import { type Clock, systemClock } from "../../../src/lib/clock.ts";
import type { NostrEvent } from "../../../src/model/event.ts";
import { deleteEvents, knownEvents } from "../../../src/store/events.ts";
import type { Store } from "../../../src/store/connect.ts";
import type { SyncReport } from "../../../src/synchronizer/sync_relay.ts";
import { cap, type HostileRelay, startHostileRelay, supportsNegentropy } from "../../relay/mod.ts";
import { generateEvents, REGULAR_KINDS } from "../../support/events.ts";
import { storeTest } from "../../support/store.ts";
import { type Archive, NEWEST, NOW, openArchive, words } from "../archive.ts";

const HOUR = 3600;
/** No relay here is silent, however busy the machine. */
const PATIENT = { idleMs: 20_000 };
const many = generateEvents(9_000, { kinds: REGULAR_KINDS });
const first = many.slice(0, 6_000);
const later = many.slice(6_000);

interface Scene extends AsyncDisposable {
  readonly archive: Archive;
  readonly relay: HostileRelay;
  /** A turn, an hour after the last one. */
  again(): Promise<SyncReport>;
}

/** A relay with 6,000 events, archived and compared once. */
async function scene(store: Store): Promise<Scene> {
  let now = NOW;
  const clock: Clock = { ...systemClock, nowMs: () => now * 1000 };
  await using stack = new AsyncDisposableStack();
  const archive = stack.use(await openArchive(store, { clock }));
  const relay = stack.use(
    await startHostileRelay({ events: first, behaviours: [cap(500), supportsNegentropy()] }),
  );
  const report = await archive.sync(relay.url, {}, PATIENT);
  assert.equal(report.newEvents, first.length);
  const resources = stack.move();
  return {
    archive,
    relay,
    again: async () => {
      now += HOUR;
      const turn = await archive.sync(relay.url, {}, { ...PATIENT, recheckSeconds: 0 });
      assert.deepEqual(words(turn.coverage), [`0..${NEWEST + now - NOW} closed reconciled`]);
      return turn;
    },
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  };
}

function idsOf(list: readonly NostrEvent[]): Set<string> {
  return new Set(list.map(({ id }) => id));
}

storeTest("with nothing new one question is asked, and no page", async (store) => {
  await using stage = await scene(store);
  const { relay } = stage;
  for (let turn = 0; turn < 2; turn++) {
    const opens = relay.seen.negOpens.length;
    const report = await stage.again();
    assert.equal(relay.seen.negOpens.length - opens, 1);
    assert.equal(report.requests, 0);
    assert.ok(report.bytes < 100, `${report.bytes} bytes`);
  }
});

storeTest("what came late, new or old, is found among thousands", async (store) => {
  await using stage = await scene(store);
  const { relay, archive } = stage;
  const [one, ...rest] = later;
  assert.ok(one);
  relay.inject(one);
  const report = await stage.again();
  assert.equal(report.newEvents, 1);
  assert.equal(report.requests, 1);
  assert.ok(report.bytes < 10_000, `${report.bytes} bytes`);
  for (const event of rest) relay.inject(event);
  const flood = await stage.again();
  assert.equal(flood.newEvents, rest.length);
  assert.deepEqual(await archive.idsOf(report.relayId), idsOf(many));
  assert.equal((await stage.again()).received, 0);
});

storeTest("what was deleted from the archive is missed, and had again", async (store) => {
  await using stage = await scene(store);
  const gone = first.filter((_, i) => i % 500 === 7);
  const seqs = await knownEvents(store, gone.map(({ id }) => id));
  assert.equal(await deleteEvents(store, [...seqs.values()]), gone.length);
  stage.archive.deps.ingest.forget(seqs.keys());
  const report = await stage.again();
  assert.equal(report.newEvents, gone.length);
  assert.deepEqual(await stage.archive.idsOf(report.relayId), idsOf(first));
  assert.equal((await stage.again()).received, 0);
});

storeTest("sightings of what a relay has dropped stay, and hinder nothing", async (store) => {
  await using stage = await scene(store);
  await using smaller = await startHostileRelay({
    events: [...first.slice(30), ...later.slice(0, 5)],
    behaviours: [cap(500), supportsNegentropy()],
    port: await freed(stage.relay),
  });
  const report = await stage.again();
  assert.equal(report.newEvents, 5);
  const ids = await stage.archive.idsOf(report.relayId);
  assert.deepEqual(ids, idsOf([...first, ...later.slice(0, 5)]));
  assert.ok(smaller.seen.negOpens.length < 60, `${smaller.seen.negOpens.length} sessions`);
});

storeTest("a relay that takes fewer in one go is asked for halves", async (store) => {
  await using stage = await scene(store);
  const { relay } = stage;
  relay.behave(cap(500), supportsNegentropy({ maxRecords: 2_000 }));
  const [one] = later;
  assert.ok(one);
  relay.inject(one);
  const report = await stage.again();
  assert.equal(report.newEvents, 1);
  assert.ok(report.bytes < 20_000, `${report.bytes} bytes`);
});

storeTest("whatever is added and deleted on either side, all of it is found", async (store) => {
  await using stage = await scene(store);
  const { relay, archive } = stage;
  const waiting = [...later];
  const held = [...first];
  const step = fc.record({ adds: fc.nat({ max: 40 }), deletes: fc.nat({ max: 15 }) });
  await fc.assert(
    fc.asyncProperty(step, async ({ adds, deletes }) => {
      for (const event of waiting.splice(0, adds)) {
        relay.inject(event);
        held.push(event);
      }
      const gone = held.filter((_, i) => i % 400 < deletes).slice(0, deletes);
      const seqs = await knownEvents(store, gone.map(({ id }) => id));
      await deleteEvents(store, [...seqs.values()]);
      archive.deps.ingest.forget(seqs.keys());
      const { relayId } = await stage.again();
      assert.deepEqual(await archive.idsOf(relayId), idsOf(held));
    }),
    { numRuns: 8 },
  );
});

/** The relay's port, when it no longer listens there. */
async function freed(relay: HostileRelay): Promise<number> {
  const { port } = relay;
  await relay[Symbol.asyncDispose]();
  return port;
}
