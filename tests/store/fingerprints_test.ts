// The sums that are kept of a relay: who is late does not overwrite, and no deletion goes unseen.
import assert from "node:assert/strict";
import { deleteEvents, writeBatch } from "../../src/store/events.ts";
import {
  eachSightingSince,
  openFingerprints,
  settledSightingSeq,
  sightedIdsByRelay,
  storeFingerprints,
} from "../../src/store/fingerprints.ts";
import type { Store } from "../../src/store/connect.ts";
import { sightedIds } from "../../src/store/sighted_ids.ts";
import { ensureRelay } from "../../src/store/relays.ts";
import { parseRelayUrl } from "../../src/model/relay_url.ts";
import { generateEvents, REGULAR_KINDS } from "../support/events.ts";
import { storeTest } from "../support/store.ts";

const DAY = 86_400;
const events = generateEvents(60, { kinds: REGULAR_KINDS });
const SEGMENTS = Uint8Array.of(1, 2, 3);

async function relayId(store: Store, host: string): Promise<number> {
  const url = parseRelayUrl(`wss://${host}/`);
  assert.ok(url.ok);
  return await ensureRelay(store, url.value, { at: 0 });
}

/** Two relays: the first has seen all, the second every third. */
async function filled(store: Store): Promise<{ a: number; b: number; seqs: Map<string, number> }> {
  const a = await relayId(store, "a.example.com");
  const b = await relayId(store, "b.example.com");
  const sightings = events.flatMap(({ id }, i) => [
    { eventId: id, relayId: a, seenAt: 1_700_000_000 },
    ...(i % 3 === 0 ? [{ eventId: id, relayId: b, seenAt: 1_700_000_000 }] : []),
  ]);
  const { seqs } = await writeBatch(store, { events, sightings });
  return { a, b, seqs };
}

storeTest("sums of a version are stored once; who comes later is told", async (store) => {
  const { a } = await filled(store);
  const row = await openFingerprints(store, a, "{}");
  assert.deepEqual(
    { ...row, segments: row.segments.length },
    { filterId: row.filterId, version: 0, sightingSeq: 0, staleDays: [], segments: 0 },
  );
  const next = { ...row, sightingSeq: 7, segments: SEGMENTS };
  assert.equal(await storeFingerprints(store, a, next), true);
  assert.equal(await storeFingerprints(store, a, next), false);
  const again = await openFingerprints(store, a, "{}");
  assert.deepEqual(new Uint8Array(again.segments), SEGMENTS);
  assert.equal(again.sightingSeq, 7);
  const other = await openFingerprints(store, a, '{"kinds":[1]}');
  assert.equal(other.sightingSeq, 0, "another filter has sums of its own");
});

storeTest("a deletion makes its days stale, for the relays that had it alone", async (store) => {
  const { a, b, seqs } = await filled(store);
  for (const relay of [a, b]) {
    const row = await openFingerprints(store, relay, "{}");
    await storeFingerprints(store, relay, { ...row, sightingSeq: 9, segments: SEGMENTS });
  }
  const [shared, own] = events;
  assert.ok(shared && own);
  await deleteEvents(store, [seqs.get(own.id) ?? 0]);
  const day = (event: { created_at: number }): number => Math.floor(event.created_at / DAY);
  const ofA = await openFingerprints(store, a, "{}");
  assert.deepEqual(ofA.staleDays, [day(own)]);
  assert.deepEqual((await openFingerprints(store, b, "{}")).staleDays, []);
  await deleteEvents(store, [seqs.get(shared.id) ?? 0]);
  assert.deepEqual((await openFingerprints(store, b, "{}")).staleDays, [day(shared)]);
  const late = { ...ofA, segments: Uint8Array.of(9) };
  assert.equal(await storeFingerprints(store, a, late), false, "computed before, stored after");
  const now = await openFingerprints(store, a, "{}");
  assert.deepEqual(now.staleDays.toSorted(), [...new Set([day(own), day(shared)])].sort());
  await storeFingerprints(store, a, now);
  assert.deepEqual((await openFingerprints(store, a, "{}")).staleDays, []);
});

storeTest("sightings and events may be deleted in either order", async (store) => {
  const { a, seqs } = await filled(store);
  const [one, two] = events;
  assert.ok(one && two);
  await openFingerprints(store, a, "{}");
  await store.transaction("by_sighting", async (sql) => {
    await sql`delete from event_relay where event_seq = ${seqs.get(one.id) ?? 0}`;
    await sql`delete from event where seq = ${seqs.get(one.id) ?? 0}`;
    await sql`delete from event where seq = ${seqs.get(two.id) ?? 0}`;
    await sql`delete from event_relay where event_seq = ${seqs.get(two.id) ?? 0}`;
  });
  const { staleDays, version } = await openFingerprints(store, a, "{}");
  const days = [one, two].map((event) => Math.floor(event.created_at / DAY));
  assert.deepEqual(staleDays.toSorted(), [...new Set(days)].sort());
  assert.equal(version, 2);
});

storeTest("when very many days are stale, all sums are void", async (store) => {
  const { a } = await filled(store);
  const row = await openFingerprints(store, a, "{}");
  await storeFingerprints(store, a, { ...row, sightingSeq: 9, segments: SEGMENTS });
  await store.run("outdate", async (sql) => {
    await sql`select relay_fingerprint_outdate(
      array_agg(${a}::int), array_agg(day)) from generate_series(1, 5000) as day`;
  });
  const voided = await openFingerprints(store, a, "{}");
  assert.equal(voided.sightingSeq, 0);
  assert.equal(voided.segments.length, 0);
  assert.deepEqual(voided.staleDays, []);
});

storeTest("each sighting since is given once, of that relay and filter alone", async (store) => {
  const { a, b } = await filled(store);
  const upTo = await settledSightingSeq(store);
  const given = async (relay: number, after: number, filter = {}): Promise<string[]> => {
    const ids: string[] = [];
    await eachSightingSince(store, { relayId: relay, filter, after, upTo }, (batch) => {
      for (const { id } of batch) ids.push(id);
    });
    return ids.sort();
  };
  const third = events.filter((_, i) => i % 3 === 0);
  assert.deepEqual(await given(a, 0), events.map(({ id }) => id).sort());
  assert.deepEqual(await given(b, 0), third.map(({ id }) => id).sort());
  const notes = third.filter(({ kind }) => kind === 1);
  assert.deepEqual(await given(b, 0, { kinds: [1] }), notes.map(({ id }) => id).sort());
  assert.deepEqual(await given(a, upTo), []);
  const half = Math.floor(upTo / 2);
  const [more, all] = [await given(a, half), await given(a, 0)];
  assert.ok(more.length > 0 && more.length < all.length);
});

storeTest("by events or by sightings, the ids of a window are the same", async (store) => {
  const { b } = await filled(store);
  const times = events.map((event) => event.created_at).sort((x, y) => x - y);
  const window = { since: times[10] ?? 0, until: times[50] ?? 0 };
  const asked = { relayId: b, filter: {}, window };
  const byEvents = (await Array.fromAsync(sightedIds(store, asked))).flat();
  const bySightings = await sightedIdsByRelay(store, { ...asked, atMost: 1000 });
  assert.ok(byEvents.length > 5);
  assert.deepEqual(
    bySightings.map(({ id }) => id),
    byEvents.map(({ id }) => id),
  );
  assert.equal((await sightedIdsByRelay(store, { ...asked, atMost: 3 })).length, 3);
});
