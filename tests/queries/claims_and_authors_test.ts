// Questions about documents, sightings and authors, each against a count of the same data by hand.
import assert from "node:assert/strict";
import { tagValues } from "../../src/model/event.ts";
import type { NostrEvent } from "../../src/model/event.ts";
import { eventDailyCounts } from "../../src/queries/event_daily_counts.ts";
import { eventRelays } from "../../src/queries/event_relays.ts";
import { pubkey } from "../../src/queries/pubkey.ts";
import { readableRelays } from "../../src/queries/readable_relays.ts";
import { relaySoftwareCounts } from "../../src/queries/relay_software_counts.ts";
import { supportedNipCounts } from "../../src/queries/supported_nip_counts.ts";
import { insertSightings } from "../../src/store/event_relays.ts";
import { knownEvents, writeBatch } from "../../src/store/events.ts";
import { insertChecks } from "../../src/store/relay_checks.ts";
import { makeAuthor, signEvent } from "../support/events.ts";
import { storeTest } from "../support/store.ts";
import { type Archive, AT, fillArchive, rowsOf, WIDE } from "./archive.ts";

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

storeTest("days are counted within their span, the first and the last in part", async (store) => {
  const { events } = await fillArchive(store, 120);
  const times = events.map((event) => event.created_at).sort((a, b) => a - b);
  const since = (times[10] ?? 0) + 1;
  const until = times.findLast((at) => at < since + 365 * 86_400) ?? 0;
  for (const kind of [undefined, 1]) {
    const own = events.filter((event) =>
      event.created_at >= since && event.created_at <= until && event.kind === (kind ?? event.kind)
    );
    const days = Map.groupBy(own, (event) => Math.floor(event.created_at / 86_400));
    const expected = [...days].sort(([a], [b]) => b - a).map(([day, list]) => ({
      day: new Date(day * 86_400_000).toISOString().slice(0, 10),
      since: day * 86_400,
      events: list.length,
      pubkeys: new Set(list.map((event) => event.pubkey)).size,
    }));
    assert.ok(expected.length > 0);
    const given = { since, until, ...(kind === undefined ? {} : { kind }) };
    assert.deepEqual(await rowsOf(store, eventDailyCounts, given), expected);
  }
  for (const wrong of [{ since: 10, until: 9 }, { since: 0, until: 367 * 86_400 }]) {
    const page = await eventDailyCounts.ask(store, wrong, WIDE);
    assert.ok(!page.ok && page.failure.reason === "bad_params");
    assert.deepEqual(page.failure.problems.map(({ field }) => field), ["since"]);
  }
  assert.ok((await eventDailyCounts.ask(store, {}, WIDE)).ok);
});

storeTest(
  "readable relays are those that answered last time, the quickest first",
  async (store) => {
    const { relays } = await fillArchive(store, 10);
    const [alpha, beta] = relays;
    assert.ok(alpha && beta);
    const urls = async (): Promise<unknown[]> =>
      (await rowsOf(store, readableRelays)).map(({ relay }) => relay);
    assert.deepEqual(await urls(), [alpha.url, beta.url]);
    const check = { ok: true, state: "online", failures: 0, nextCheckAt: AT + 9_000 } as const;
    await insertChecks(store, [
      { ...check, relayId: alpha.id, checkedAt: AT + 60, rttOpenMs: 9, rttReadMs: 900 },
      // It opened, and did not answer.
      { ...check, relayId: beta.id, checkedAt: AT + 60, rttOpenMs: 9 },
    ]);
    assert.deepEqual(await urls(), [alpha.url]);
  },
);
