// The archive by filter: what comes out is what matches, byte for byte, and counts are exact.
import assert from "node:assert/strict";
import { nip19 } from "nostr-tools";
import { type NostrEvent, tagValue } from "../../src/model/event.ts";
import { type Filter, filterToJson, matchesFilter } from "../../src/model/filter.ts";
import { eventCount } from "../../src/queries/event_count.ts";
import { events } from "../../src/queries/events.ts";
import { writeBatch } from "../../src/store/events.ts";
import { makeAuthor, signEvent } from "../support/events.ts";
import { storeTest } from "../support/store.ts";
import { type Archive, AT, fillArchive, relayUrl, rowsOf, WIDE } from "./archive.ts";

/** Filters of every sort over the archive's own values. */
function filtersOver(archive: Archive): Filter[] {
  const [first, second] = archive.events;
  const tagged = archive.events.find((event) => tagValue(event, "p") !== undefined);
  assert.ok(first && second && tagged);
  return [
    {},
    { ids: [first.id, "0".repeat(64)] },
    { authors: [first.pubkey, second.pubkey], kinds: [1, 7] },
    { since: first.created_at },
    { until: first.created_at, kinds: [1] },
    { tags: { p: [tagValue(tagged, "p") ?? ""] } },
    { tags: { t: ["odd"] } },
    { kinds: [] },
  ];
}

/** NIP-01's order: newest first, ties by the lowest id. */
function inOrder(list: readonly NostrEvent[]): NostrEvent[] {
  return list.toSorted((a, b) => b.created_at - a.created_at || (a.id < b.id ? -1 : 1));
}

storeTest(
  "events match as a dumb matcher says, and come out as they were signed",
  async (store) => {
    const archive = await fillArchive(store);
    for (const filter of filtersOver(archive)) {
      const expected = inOrder(archive.events.filter((event) => matchesFilter(event, filter)));
      const given = { filter: JSON.stringify(filterToJson(filter)) };
      assert.deepEqual(await rowsOf(store, events, given), expected, given.filter);
    }
  },
);

storeTest("a filter's limit is honoured, and several filters are joined by or", async (store) => {
  const archive = await fillArchive(store);
  const limited = await rowsOf(store, events, { filter: '{"kinds":[1],"limit":3}' });
  assert.deepEqual(limited, inOrder(archive.events.filter((e) => e.kind === 1)).slice(0, 3));
  const either = await rowsOf(store, events, { filter: '[{"kinds":[0]},{"kinds":[3]}]' });
  assert.deepEqual(either, inOrder(archive.events.filter((e) => e.kind === 0 || e.kind === 3)));
});

storeTest("filters take npub and note, and name what is wrong by its place", async (store) => {
  const archive = await fillArchive(store, 40);
  const [first] = archive.events;
  assert.ok(first);
  const filter = {
    authors: [nip19.npubEncode(first.pubkey)],
    ids: [nip19.noteEncode(first.id), first.id.toUpperCase()],
  };
  assert.deepEqual(await rowsOf(store, events, { filter: JSON.stringify(filter) }), [first]);
  const problems: [unknown, RegExp][] = [
    ['{"authors":["abc"]}', /authors\[0\] must be 64/],
    ['{"kinds":["1"]}', /kinds\[0\] must be an integer/],
    ['{"kindz":[1]}', /kindz is not a filter condition/],
    ['[{},{"since":-1}]', /\[1\] since must be a non-negative/],
    ["{", /is not JSON/],
    ["[]", /list is empty/],
    ['{"search":"x"}', /search is not answered/],
    ["7", /must be a NIP-01 filter/],
  ];
  for (const [given, pattern] of problems) {
    const page = await events.ask(store, { filter: given }, WIDE);
    assert.ok(!page.ok && page.failure.reason === "bad_params", String(given));
    assert.equal(page.failure.problems[0]?.field, "filter");
    assert.match(page.failure.problems[0]?.problem ?? "", pattern);
  }
});

storeTest(
  "events can be asked by relay; an unknown relay is a problem, not nothing",
  async (store) => {
    const archive = await fillArchive(store);
    const url = relayUrl("wss://gamma.example.com/inbox");
    const there = archive.events.filter((event) => archive.seen.get(url)?.has(event.id));
    const asked = { filter: "{}", relay: "wss://GAMMA.example.com/inbox/" };
    assert.deepEqual(await rowsOf(store, events, asked), inOrder(there));
    assert.deepEqual(await rowsOf(store, eventCount, asked), [{ group: [], count: there.length }]);
    const unknown = await eventCount.ask(store, { relay: "wss://nobody.example.com" }, WIDE);
    assert.ok(!unknown.ok && unknown.failure.reason === "bad_params");
    assert.match(
      unknown.failure.problems[0]?.problem ?? "",
      /not a relay that we know: wss:\/\/nobody/,
    );
  },
);

storeTest(
  "event_count agrees with a count by hand, tags and several filters included",
  async (store) => {
    const archive = await fillArchive(store);
    for (const filter of filtersOver(archive)) {
      const count = archive.events.filter((event) => matchesFilter(event, filter)).length;
      const given = { filter: JSON.stringify(filterToJson(filter)) };
      assert.deepEqual(
        await rowsOf(store, eventCount, given),
        [{ group: [], count }],
        given.filter,
      );
    }
    const both = { filter: '[{"kinds":[1]},{"kinds":[1,7]}]' };
    const count = archive.events.filter((event) => event.kind === 1 || event.kind === 7).length;
    assert.deepEqual(await rowsOf(store, eventCount, both), [{ group: [], count }]);
  },
);

storeTest(
  "event_count groups by column, by content and by tag, alone and two at a time",
  async (store) => {
    const archive = await fillArchive(store);
    const day = (event: NostrEvent): string =>
      new Date(event.created_at * 1000).toISOString().slice(0, 10);
    const groups: Record<string, (event: NostrEvent) => string | undefined> = {
      kind: (event) => String(event.kind),
      pubkey: (event) => event.pubkey,
      day,
      content: (event) => event.content,
      e: (event) => tagValue(event, "e"),
    };
    for (
      const names of [["kind"], ["pubkey"], ["day"], ["content"], ["e"], ["kind", "day"], [
        "pubkey",
        "e",
      ]]
    ) {
      const expected = new Map<string, number>();
      for (const event of archive.events) {
        const values = names.map((name) => groups[name]?.(event));
        if (values.includes(undefined)) continue;
        const key = JSON.stringify(values);
        expected.set(key, (expected.get(key) ?? 0) + 1);
      }
      const rows = await rowsOf(store, eventCount, { group: names.join(",") });
      const found = new Map(rows.map((row) => [JSON.stringify(row.group), row.count]));
      assert.deepEqual(found, expected, names.join());
    }
    const byRelay = await rowsOf(store, eventCount, { group: "relay" });
    assert.deepEqual(
      new Map(byRelay.map((row) => [(row.group as string[])[0], row.count])),
      new Map(
        [...archive.seen].filter(([, ids]) => ids.size > 0).map(([url, ids]) => [url, ids.size]),
      ),
    );
  },
);

storeTest("a tag that only shares its index key is not counted", async (store) => {
  const author = makeAuthor(1, 1);
  // The index knows 64 hex digits by their first 8 bytes, so these two are one to it.
  const wanted = `${"ab".repeat(8)}${"00".repeat(24)}`;
  const other = `${"ab".repeat(8)}${"11".repeat(24)}`;
  const list = [wanted, other, other].map((id, i) =>
    signEvent(author, { created_at: AT + i, kind: 7, tags: [["e", id]], content: "+" })
  );
  await writeBatch(store, { events: list, sightings: [] });
  const given = { filter: JSON.stringify({ "#e": [wanted] }) };
  assert.deepEqual(await rowsOf(store, eventCount, given), [{ group: [], count: 1 }]);
  assert.deepEqual(await rowsOf(store, events, { ...given, limit: 1 }), [list[0]]);
  const relayGroup = await rowsOf(store, eventCount, { ...given, group: "kind" });
  assert.deepEqual(relayGroup, [{ group: ["7"], count: 1 }]);
});

storeTest("days beyond what a date can be are still counted", async (store) => {
  const event = signEvent(makeAuthor(1, 2), {
    created_at: 9_000_000_000_000_000,
    kind: 1,
    tags: [],
    content: "far",
  });
  await writeBatch(store, { events: [event], sightings: [] });
  const [row] = await rowsOf(store, eventCount, { group: "day" });
  assert.equal(row?.count, 1);
});
