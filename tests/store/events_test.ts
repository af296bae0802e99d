import assert from "node:assert/strict";
import fc from "fast-check";
import { type NostrEvent, parseEvent } from "../../src/model/event.ts";
import type { Store } from "../../src/store/connect.ts";
import { insertSightings, sightingsOf } from "../../src/store/event_relays.ts";
import {
  deleteEvents,
  deleteOrphanEvents,
  knownEvents,
  readEvents,
  scanEvents,
  settledEventSeq,
  type StoredEvent,
  writeBatch,
} from "../../src/store/events.ts";
import { ensureRelay, insertRelays, relaysByUrl } from "../../src/store/relays.ts";
import { tagKey } from "../../src/store/tag_key.ts";
import { parseRelayUrl, type RelayUrl } from "../../src/model/relay_url.ts";
import { anyEvent, anyText, hexOf } from "../support/arbitrary_events.ts";
import { generateEvents } from "../support/events.ts";
import { readRealEvents, sharedDataMissing, sharedDataNote } from "../support/shared_data.ts";
import { emptyStore, storeTest } from "../support/store.ts";

function relayUrl(text: string): RelayUrl {
  const url = parseRelayUrl(text);
  assert.ok(url.ok);
  return url.value;
}

function bare({ seq: _seq, ...event }: StoredEvent): NostrEvent {
  return event;
}

async function readAll(store: Store): Promise<Map<string, NostrEvent>> {
  const all = new Map<string, NostrEvent>();
  let after: Parameters<typeof readEvents>[1]["after"];
  do {
    const page = await readEvents(store, { limit: 700, ...(after === undefined ? {} : { after }) });
    for (const event of page.events) all.set(event.id, bare(event));
    after = page.next;
  } while (after !== undefined);
  return all;
}

function first(events: readonly NostrEvent[]): Map<string, NostrEvent> {
  // Of several with one id the last of the batch is written: ids are of contents, so they agree.
  return new Map(events.map((event) => [event.id, event]));
}

storeTest("any text in content and tags comes back to the last unit", async (store) => {
  await fc.assert(
    fc.asyncProperty(fc.array(anyEvent({ ids: 1e9 }), { maxLength: 12 }), async (events) => {
      await emptyStore(store);
      const result = await writeBatch(store, { events, sightings: [] });
      assert.deepEqual(result.rejected, []);
      const stored = await readAll(store);
      for (const [id, event] of first(events)) {
        assert.equal(JSON.stringify(stored.get(id)), JSON.stringify(event));
      }
      assert.equal(stored.size, result.newEvents);
    }),
    { numRuns: 40 },
  );
});

storeTest("every real event comes back byte for byte", async (store) => {
  const events: NostrEvent[] = [];
  for (const value of readRealEvents()) {
    const event = parseEvent(value);
    assert.ok(event.ok);
    events.push(event.value);
  }
  for (let i = 0; i < events.length; i += 500) {
    const batch = events.slice(i, i + 500);
    const { newEvents } = await writeBatch(store, { events: batch, sightings: [] });
    assert.equal(newEvents, batch.length);
  }
  const stored = await readAll(store);
  assert.equal(stored.size, events.length);
  for (const event of events) {
    assert.equal(JSON.stringify(stored.get(event.id)), JSON.stringify(event));
  }
}, { ignore: sharedDataMissing, note: sharedDataNote });

storeTest(
  "known events and sightings are counted once, and the first copy stays",
  async (store) => {
    const [a, b, c] = generateEvents(3);
    assert.ok(a && b && c);
    const relay = await ensureRelay(store, relayUrl("wss://one.example.com"), { at: 1 });
    const other = await ensureRelay(store, relayUrl("wss://two.example.com"), { at: 1 });
    const sight = (event: NostrEvent, relayId: number, seenAt: number): {
      eventId: string;
      relayId: number;
      seenAt: number;
    } => ({ eventId: event.id, relayId, seenAt });

    const one = await writeBatch(store, {
      events: [a, b, a],
      sightings: [sight(a, relay, 1_700_000_000), sight(b, relay, 1_700_000_001)],
    });
    assert.deepEqual([one.newEvents, one.newSightings], [2, 2]);
    const two = await writeBatch(store, {
      events: [b, c, { ...a, content: "another" }],
      // Of the batch, of the archive, and of nothing that is known.
      sightings: [
        sight(b, relay, 1_700_000_009),
        sight(c, other, 1_700_000_002),
        sight(a, other, 1_700_000_003),
        { eventId: hexOf(1), relayId: relay, seenAt: 5 },
      ],
    });
    assert.deepEqual([two.newEvents, two.newSightings], [1, 2]);
    assert.equal(two.seqs.get(b.id), one.seqs.get(b.id));
    assert.equal(two.seqs.get(a.id), one.seqs.get(a.id));
    assert.equal((await readAll(store)).get(a.id)?.content, a.content);
    assert.deepEqual(await sightingsOf(store, a.id), [
      { relayUrl: "wss://one.example.com/", seenAt: 1_700_000_000 },
      { relayUrl: "wss://two.example.com/", seenAt: 1_700_000_003 },
    ]);
    assert.deepEqual((await sightingsOf(store, b.id)).map((seen) => seen.seenAt), [1_700_000_001]);

    const known = await knownEvents(store, [c.id, hexOf(9), a.id]);
    assert.deepEqual([...known.keys()].sort(), [a.id, c.id].sort());
    assert.equal(known.get(c.id), two.seqs.get(c.id));
    const seq = known.get(c.id) ?? 0;
    const rows = [{ seq, relayId: relay, seenAt: 1_700_000_005 }];
    assert.equal(await insertSightings(store, rows), 1);
    assert.equal(await insertSightings(store, rows), 0);
    assert.equal(await insertSightings(store, []), 0);
  },
);

storeTest("what can't be stored is rejected alone, with its reason", async (store) => {
  const good = generateEvents(40, { seed: 3 });
  const [sample] = good;
  assert.ok(sample);
  const bad: NostrEvent[] = [
    { ...sample, id: hexOf(1), created_at: 1e300 },
    { ...sample, id: hexOf(2), created_at: 0.5 },
    { ...sample, id: hexOf(3), kind: 2 ** 31 },
    { ...sample, id: hexOf(4), pubkey: "zz" },
    { ...sample, id: hexOf(5), sig: "0" },
    { ...sample, id: "short" },
  ];
  const events = [...bad.slice(0, 3), ...good, ...bad.slice(3)];
  const relayId = await ensureRelay(store, relayUrl("wss://one.example.com"), { at: 1 });
  const sightings = events.map((event) => ({ eventId: event.id, relayId, seenAt: 1_700_000_000 }));
  const result = await writeBatch(store, { events, sightings });
  assert.deepEqual([result.newEvents, result.newSightings], [good.length, good.length]);
  assert.deepEqual(
    result.rejected.map(({ eventId, reason }) => [eventId, reason]),
    [
      [hexOf(1), "bad_created_at"],
      [hexOf(2), "bad_created_at"],
      [hexOf(3), "bad_kind"],
      [hexOf(4), "bad_pubkey"],
      [hexOf(5), "bad_sig"],
      ["short", "bad_id"],
    ],
  );
});

storeTest("rows that the database refuses are found among the good ones", async (store) => {
  await store.run(
    "refuse",
    (sql) => sql`alter table event add constraint refused check (kind <> 666)`,
  );
  try {
    const good = generateEvents(60, { seed: 4 });
    const bad = good.slice(0, 3).map((event, i) => ({ ...event, id: hexOf(i + 1), kind: 666 }));
    const events = [...good.slice(0, 20), ...bad, ...good.slice(20)];
    const result = await writeBatch(store, { events, sightings: [] });
    assert.equal(result.newEvents, good.length);
    assert.deepEqual(
      result.rejected.sort((a, b) => a.eventId < b.eventId ? -1 : 1),
      bad.map((event) => ({ eventId: event.id, reason: "refused_by_database" })),
    );
    assert.equal((await readAll(store)).size, good.length);
  } finally {
    await store.run("allow", (sql) => sql`alter table event drop constraint refused`);
  }
});

storeTest("writers of the same events at the same time agree on one row each", async (store) => {
  const events = generateEvents(400, { seed: 5 });
  const urls = Array.from({ length: 6 }, (_, i) => relayUrl(`wss://r${i}.example.com`));
  await insertRelays(store, urls, { at: 1 });
  const relays = [...(await relaysByUrl(store, urls)).values()];
  const results = await Promise.all(relays.map(async (relayId, i) => {
    // Everyone in an order of their own, in batches that overlap.
    const mine = i % 2 === 0 ? events : events.toReversed();
    const seqs = new Map<string, number>();
    let [fresh, sightings] = [0, 0];
    for (let at = 0; at < mine.length; at += 50) {
      const batch = mine.slice(at, at + 50);
      const seen = batch.map((event) => ({ eventId: event.id, relayId, seenAt: 1_700_000_000 }));
      const result = await writeBatch(store, { events: batch, sightings: seen });
      fresh += result.newEvents;
      sightings += result.newSightings;
      for (const [id, seq] of result.seqs) seqs.set(id, seq);
    }
    return { fresh, sightings, seqs };
  }));
  assert.equal(results.reduce((sum, result) => sum + result.fresh, 0), events.length);
  for (const { sightings, seqs } of results) {
    assert.equal(sightings, events.length);
    assert.deepEqual(seqs, results[0]?.seqs);
    assert.equal(seqs.size, events.length);
  }
  const known = await knownEvents(store, events.map((event) => event.id));
  assert.deepEqual(new Map([...known].sort()), new Map([...results[0]?.seqs ?? []].sort()));
});

storeTest(
  "pages are newest first with ties by id, and the next one starts where it ended",
  async (store) => {
    const events = generateEvents(300, { seed: 6, since: 1000, until: 1020 });
    await writeBatch(store, { events, sightings: [] });
    const expected = events.toSorted((a, b) =>
      b.created_at - a.created_at || (a.id < b.id ? -1 : 1)
    ).map((event) => event.id);
    const pages: string[] = [];
    let after: Parameters<typeof readEvents>[1]["after"];
    do {
      const page = await readEvents(store, {
        limit: 47,
        ...(after === undefined ? {} : { after }),
      });
      pages.push(...page.events.map((event) => event.id));
      after = page.next;
    } while (after !== undefined);
    assert.deepEqual(pages, expected);
  },
);

storeTest("a scan meets each event once, in the order of its archiving", async (store) => {
  const events = generateEvents(120, { seed: 7 });
  await writeBatch(store, { events: events.slice(0, 50), sightings: [] });
  await writeBatch(store, { events: events.slice(50), sightings: [] });
  const settled = await settledEventSeq(store);
  const seen: StoredEvent[] = [];
  for (let afterSeq = 0;;) {
    const page = await scanEvents(store, { afterSeq, limit: 33 });
    if (page.length === 0) break;
    seen.push(...page);
    afterSeq = page.at(-1)?.seq ?? afterSeq;
  }
  assert.deepEqual(seen.map((event) => event.id).sort(), events.map((event) => event.id).sort());
  assert.deepEqual(
    seen.map((event) => event.seq),
    seen.map((event) => event.seq).toSorted((a, b) => a - b),
  );
  assert.equal(seen.at(-1)?.seq, settled);
  const notes = await scanEvents(store, { afterSeq: 0, kinds: [1], limit: 1000 });
  assert.deepEqual(
    notes.map((event) => event.id).sort(),
    events.filter((event) => event.kind === 1).map((event) => event.id).sort(),
  );
});

storeTest("a scan is bounded by bytes, too, and always brings an event", async (store) => {
  // Each about 100 kB; of the tags, of the content, and of what the column can't hold as it is.
  const events = generateEvents(12, { seed: 9 }).map((event, i) => ({
    ...event,
    tags: i % 3 === 0 ? [["alt", "x".repeat(100_000)]] : [],
    content: i % 3 === 0 ? "" : i % 3 === 1 ? "y".repeat(100_000) : "\0".repeat(15_000),
  }));
  await writeBatch(store, { events, sightings: [] });
  const sizes: number[] = [];
  const seen: string[] = [];
  for (let afterSeq = 0;;) {
    const page = await scanEvents(store, { afterSeq, limit: 5, maxBytes: 250_000 });
    sizes.push(page.length);
    if (page.length === 0) break;
    seen.push(...page.map(({ id }) => id));
    afterSeq = page.at(-1)?.seq ?? afterSeq;
  }
  assert.deepEqual(sizes, [3, 3, 3, 3, 0]);
  assert.deepEqual(seen.sort(), events.map(({ id }) => id).sort());
  assert.equal((await scanEvents(store, { afterSeq: 0, limit: 5, maxBytes: 1 })).length, 1);
  assert.equal((await scanEvents(store, { afterSeq: 0, limit: 5 })).length, 5);
});

storeTest("deleted events are gone with their sightings", async (store) => {
  const events = generateEvents(10, { seed: 8 });
  const relayId = await ensureRelay(store, relayUrl("wss://one.example.com"), { at: 1 });
  const { seqs } = await writeBatch(store, {
    events,
    sightings: events.map((event) => ({ eventId: event.id, relayId, seenAt: 1_700_000_000 })),
  });
  const gone = [...seqs.values()].slice(0, 4);
  assert.equal(await deleteEvents(store, gone), 4);
  assert.equal(await deleteEvents(store, gone), 0);
  const [row] = await store.run(
    "left",
    (sql) => sql<{ n: number }[]>`select count(*) as n from event_relay`,
  );
  assert.equal(row?.n, 6);
  // A writer that looked the event up before it was deleted leaves no sighting of nothing.
  assert.equal(await insertSightings(store, gone.map((seq) => ({ seq, relayId, seenAt: 1 }))), 0);
});

storeTest("events that no relay was seen to hold are found batch by batch", async (store) => {
  const events = generateEvents(30, { seed: 10 });
  const relayId = await ensureRelay(store, relayUrl("wss://one.example.com"), { at: 1 });
  const held = events.filter((_, i) => i % 3 === 0);
  const sightings = held.map((event) => ({ eventId: event.id, relayId, seenAt: 1_700_000_000 }));
  await writeBatch(store, { events, sightings });
  const end = await settledEventSeq(store);
  let deleted = 0;
  for (let afterSeq = 0; afterSeq < end; afterSeq += 7) {
    deleted += await deleteOrphanEvents(store, { afterSeq, limit: 7 });
  }
  assert.equal(deleted, 20);
  assert.deepEqual([...(await readAll(store)).keys()].sort(), held.map((event) => event.id).sort());
});

storeTest("a tag has the same key in SQL as here", async (store) => {
  const storable = anyText.map((text) => text.toWellFormed().replaceAll("\0", ""));
  const value = fc.oneof(storable, fc.constantFrom(hexOf(7), hexOf(7).toUpperCase(), "a", ""));
  await fc.assert(
    fc.asyncProperty(fc.constantFrom("e", "t", "Z"), value, async (letter, text) => {
      const [row] = await store.run(
        "key",
        (sql) => sql<{ key: string }[]>`select tag_key(${letter}, ${text})::text as key`,
      );
      assert.equal(row?.key, String(tagKey(letter, text)));
    }),
    { numRuns: 40 },
  );
});

storeTest("the views show text keys, and tags and contents that hold anything", async (store) => {
  const [event] = generateEvents(1, { seed: 9, oddShare: 1 });
  assert.ok(event);
  const relayId = await ensureRelay(store, relayUrl("wss://one.example.com"), { at: 1 });
  await writeBatch(store, {
    events: [event],
    sightings: [{ eventId: event.id, relayId, seenAt: 1_700_000_000 }],
  });
  const [row] = await store.run(
    "view",
    (sql) =>
      sql<(NostrEvent & { content_json: string | null })[]>`
      select id, pubkey, created_at, kind, tags, content, content_json, sig from event_view`,
  );
  assert.ok(row);
  const { content_json, ...columns } = row;
  assert.deepEqual({ ...columns, content: content_json ?? columns.content }, event);
  const [seen] = await store.run("view", (sql) => sql`select * from event_relay_view`);
  assert.deepEqual({ ...seen }, {
    event_id: event.id,
    relay_url: "wss://one.example.com/",
    seen_at: 1_700_000_000,
  });
});
