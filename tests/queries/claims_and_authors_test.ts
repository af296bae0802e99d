// Questions about documents, sightings and authors, each against a count of the same data by hand.
import assert from "node:assert/strict";
import { tagValues } from "../../src/model/event.ts";
import type { NostrEvent } from "../../src/model/event.ts";
import { isWithin } from "../../src/model/window.ts";
import { eventDailyCounts } from "../../src/queries/event_daily_counts.ts";
import { eventRelays } from "../../src/queries/event_relays.ts";
import { pubkey } from "../../src/queries/pubkey.ts";
import { readableRelays } from "../../src/queries/readable_relays.ts";
import { relayMetadataLatest } from "../../src/queries/relay_metadata_latest.ts";
import { relaySoftwareCounts } from "../../src/queries/relay_software_counts.ts";
import { supportedNipCounts } from "../../src/queries/supported_nip_counts.ts";
import { insertSightings } from "../../src/store/event_relays.ts";
import { knownEvents, writeBatch } from "../../src/store/events.ts";
import { putRelayMetadata } from "../../src/store/metadata.ts";
import { insertChecks } from "../../src/store/relay_checks.ts";
import { refreshStatistics } from "../../src/store/statistics.ts";
import { makeAuthor, signEvent } from "../support/events.ts";
import { storeTest } from "../support/store.ts";
import { type Archive, AT, fillArchive, REFRESHED_AT, rowsOf, WIDE } from "./archive.ts";

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
    assert.equal(
      row.events_30d,
      own.filter((event) => isWithin("30d", event.created_at, REFRESHED_AT)).length,
    );
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
  await refreshStatistics(store, { maxRows: 10_000, at: AT + 3_600 });
  const [row] = await rowsOf(store, pubkey, { pubkey: author.pubkey });
  assert.deepEqual([row?.events, row?.events_1h, row?.events_24h], [2, 1, 2]);
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

storeTest("days are counted whole, from the first one named to the last", async (store) => {
  const { events } = await fillArchive(store, 120);
  const times = events.map((event) => event.created_at).sort((a, b) => a - b);
  const since = (times[10] ?? 0) + 1;
  const until = times.at(-5) ?? 0;
  const dayOf = (at: number): number => Math.floor(at / 86_400);
  for (const kind of [undefined, 1]) {
    const own = events.filter(({ created_at, kind: its }) =>
      dayOf(created_at) >= dayOf(since) && dayOf(created_at) <= dayOf(until) &&
      its === (kind ?? its)
    );
    const days = Map.groupBy(own, (event) => dayOf(event.created_at));
    const expected = [...days].sort(([a], [b]) => b - a).map(([day, list]) => ({
      day: new Date(day * 86_400_000).toISOString().slice(0, 10),
      since: day * 86_400,
      events: list.length,
      pubkeys: new Set(list.map((event) => event.pubkey)).size,
    }));
    assert.ok(expected.length > 1);
    const given = { since, until, ...(kind === undefined ? {} : { kind }) };
    assert.deepEqual(await rowsOf(store, eventDailyCounts, given), expected);
  }
  const page = await eventDailyCounts.ask(store, { since: 10, until: 9 }, WIDE);
  assert.ok(!page.ok && page.failure.reason === "bad_params");
  assert.deepEqual(page.failure.problems.map(({ field }) => field), ["since"]);
  assert.ok((await eventDailyCounts.ask(store, {}, WIDE)).ok);
});

storeTest("the latest document of each relay and type, with what it says", async (store) => {
  const { relays: [alpha, beta] } = await fillArchive(store, 1);
  assert.ok(alpha && beta);
  const put = (
    relayId: number,
    type: string,
    data: unknown,
    generatedAt: number,
  ): Promise<unknown> => putRelayMetadata(store, [{ relayId, type, data, generatedAt }]);
  await put(alpha.id, "nip11", { name: "Renamed" }, AT);
  await put(alpha.id, "dns", { a: ["192.0.2.1"] }, AT);
  await put(beta.id, "nip11", { description: "x".repeat(40_000) }, AT);
  const rows = await rowsOf(store, relayMetadataLatest, { network: "clearnet" });
  assert.deepEqual(rows.map(({ relay_url, type, data }) => [relay_url, type, data]), [
    [alpha.url, "dns", { a: ["192.0.2.1"] }],
    [alpha.url, "nip11", { name: "Renamed" }],
    [beta.url, "nip11", null],
    ["wss://gamma.example.com/inbox", "nip11", {
      name: 7,
      software: { not: "text" },
      supported_nips: "1,2",
    }],
  ]);
  const [own] = await rowsOf(store, relayMetadataLatest, { relay: alpha.url, type: "nip11" });
  assert.deepEqual(own, rows[1]);
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
