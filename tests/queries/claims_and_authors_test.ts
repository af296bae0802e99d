// Questions about documents, sightings and authors, each against a count of the same data by hand.
import assert from "node:assert/strict";
import { tagValues } from "../../src/model/event.ts";
import type { NostrEvent } from "../../src/model/event.ts";
import { eventRelays } from "../../src/queries/event_relays.ts";
import { pubkey } from "../../src/queries/pubkey.ts";
import { relaySoftwareCounts } from "../../src/queries/relay_software_counts.ts";
import { supportedNipCounts } from "../../src/queries/supported_nip_counts.ts";
import { insertSightings } from "../../src/store/event_relays.ts";
import { knownEvents, writeBatch } from "../../src/store/events.ts";
import { makeAuthor, signEvent } from "../support/events.ts";
import { storeTest } from "../support/store.ts";
import { type Archive, AT, fillArchive, rowsOf } from "./archive.ts";

/** How many of these events each relay has, most first, ties by URL. */
function byRelay({ seen }: Archive, events: readonly NostrEvent[]): [string, number][] {
  return [...seen].map(([url, ids]): [string, number] => [
    url,
    events.filter(({ id }) => ids.has(id)).length,
  ]).filter(([, n]) => n > 0).sort(([a, n], [b, m]) => m - n || (a < b ? -1 : 1));
}

storeTest("an event's relays are those that gave it, the first one first", async (store) => {
  const archive = await fillArchive(store, 40);
  for (const event of archive.events) {
    const rows = await rowsOf(store, eventRelays, { event: event.id });
    const expected = archive.relays.filter(({ url }) => archive.seen.get(url)?.has(event.id))
      .map(({ url, network }) => ({ relay: url, network, seen_at: AT }))
      .sort((a, b) => a.relay < b.relay ? -1 : 1);
    assert.deepEqual(rows, expected);
  }
  const [event] = archive.events;
  const later = archive.relays.at(-1);
  assert.ok(event && later);
  const seq = (await knownEvents(store, [event.id])).get(event.id) ?? 0;
  await insertSightings(store, [{ seq, relayId: later.id, seenAt: AT + 5 }]);
  const rows = await rowsOf(store, eventRelays, { event: event.id });
  assert.deepEqual(rows.at(-1), { relay: later.url, network: later.network, seen_at: AT + 5 });
  assert.deepEqual(await rowsOf(store, eventRelays, { event: "e".repeat(64) }), []);
});

storeTest(
  "software and NIPs are counted as documents claim them, nonsense left out",
  async (store) => {
    await fillArchive(store, 10);
    assert.deepEqual(await rowsOf(store, relaySoftwareCounts), [
      { software: null, relays: 2, online: 1 },
      { software: "git+https://github.com/hoytech/strfry.git", relays: 1, online: 1 },
    ]);
    assert.deepEqual(
      await rowsOf(store, supportedNipCounts),
      [
        { nip: 11, relays: 2, online: 2 },
        { nip: 1, relays: 2, online: 2 },
        { nip: 42, relays: 1, online: 1 },
        { nip: 77, relays: 1, online: 1 },
      ].sort((a, b) => b.relays - a.relays || a.nip - b.nip),
    );
    assert.deepEqual(await rowsOf(store, supportedNipCounts, { network: "tor" }), []);
  },
);

storeTest("an author's events, kinds and relays are those of the archive", async (store) => {
  const archive = await fillArchive(store, 120);
  for (const author of new Set(archive.events.map((event) => event.pubkey))) {
    const own = archive.events.filter((event) => event.pubkey === author);
    const [row] = await rowsOf(store, pubkey, { pubkey: author });
    assert.equal(row?.events, own.length);
    assert.equal(row.latest, own.length);
    assert.equal(row.first_at, Math.min(...own.map((event) => event.created_at)));
    assert.equal(row.last_at, Math.max(...own.map((event) => event.created_at)));
    const kinds = new Map<number, number>();
    for (const { kind } of own) kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
    assert.deepEqual(
      row.kinds,
      [...kinds].sort(([a, n], [b, m]) => m - n || a - b).slice(0, 20)
        .map(([kind, events]) => ({ kind, events })),
    );
    const relays = row.relays as { url: string; events: number }[];
    assert.deepEqual(relays.map(({ url, events }) => [url, events]), byRelay(archive, own));
  }
  assert.deepEqual(await rowsOf(store, pubkey, { pubkey: "a".repeat(64) }), []);
});

storeTest("where an author's events are stands beside where its list says", async (store) => {
  const { relays } = await fillArchive(store, 10);
  const [alpha, beta] = relays;
  assert.ok(alpha && beta);
  const author = makeAuthor(21, 1);
  const list = (createdAt: number, ...tags: string[][]): NostrEvent =>
    signEvent(author, { kind: 10_002, created_at: createdAt, tags, content: "" });
  const old = list(AT, ["r", "wss://old.example.com"]);
  const newest = list(AT + 1, ["r", "wss://BETA.example.com", "read"], [
    "r",
    "wss://far.example.com",
  ]);
  const sightings = [
    { eventId: old.id, relayId: alpha.id, seenAt: AT },
    { eventId: newest.id, relayId: alpha.id, seenAt: AT },
    { eventId: newest.id, relayId: beta.id, seenAt: AT },
  ];
  await writeBatch(store, { events: [old, newest], sightings });
  const [row] = await rowsOf(store, pubkey, { pubkey: author.pubkey });
  assert.deepEqual(row?.relays, [
    { url: alpha.url, events: 2, listed: false },
    { url: beta.url, events: 1, listed: true },
  ]);
  assert.equal(row.list_at, newest.created_at);
  assert.deepEqual(row.list, [
    { url: beta.url, read: true, write: false, events: 1 },
    { url: "wss://far.example.com/", read: true, write: true, events: 0 },
  ]);
  assert.equal(tagValues(newest, "r").length, (row.list as unknown[]).length);
});
