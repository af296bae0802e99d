import assert from "node:assert/strict";
import fc from "fast-check";
import { eventClass, type NostrEvent } from "../../src/model/event.ts";
import { parseRelayUrl, type RelayUrl } from "../../src/model/relay_url.ts";
import type { Store } from "../../src/store/connect.ts";
import { deleteEvents, knownEvents, writeBatch } from "../../src/store/events.ts";
import { insertRelays, relaysByUrl } from "../../src/store/relays.ts";
import {
  readEventStats,
  readKindCounts,
  readPubkeyCounts,
  readRelayStats,
  rebuildStatistics,
  refreshStatistics,
} from "../../src/store/statistics.ts";
import { anyEvent, hexOf } from "../support/arbitrary_events.ts";
import { generateEvents } from "../support/events.ts";
import { emptyStore, storeTest } from "../support/store.ts";

const RELAYS = Array.from({ length: 4 }, (_, i): RelayUrl => {
  const url = parseRelayUrl(`wss://relay${i}.example.com`);
  assert.ok(url.ok);
  return url.value;
});

/** The statistics tables as they stand, without the point they have been counted up to. */
function tables(store: Store): Promise<Record<string, unknown>> {
  return store.run("tables", async (sql) => ({
    total: [...await sql`select events, sightings, pubkeys from stat_total`],
    kind: [...await sql`select * from stat_kind order by kind`],
    pubkey: [
      ...await sql`
      select encode(pubkey, 'hex') as pubkey, events from stat_pubkey order by 1`,
    ],
    relay: [...await sql`select * from stat_relay order by relay_id`],
    kindRelay: [...await sql`select * from stat_kind_relay order by relay_id, kind`],
    pubkeyRelay: [
      ...await sql`
      select relay_id, encode(pubkey, 'hex') as pubkey, sightings
      from stat_pubkey_relay order by 1, 2`,
    ],
  }));
}

/** The same, counted one by one from the rows themselves. */
async function bruteForce(store: Store): Promise<Record<string, unknown>> {
  const { events, sightings } = await store.run("rows", async (sql) => ({
    events: await sql<{ seq: number; kind: number; pubkey: string }[]>`
      select seq, kind, encode(pubkey, 'hex') as pubkey from event`,
    sightings: await sql<{ event_seq: number; relay_id: number }[]>`
      select event_seq, relay_id from event_relay`,
  }));
  const bySeq = new Map(events.map((event) => [event.seq, event]));
  const count = <K>(keys: Iterable<K>): Map<K, number> => {
    const counts = new Map<K, number>();
    for (const key of keys) counts.set(key, (counts.get(key) ?? 0) + 1);
    return counts;
  };
  const pairs = sightings.map(({ event_seq, relay_id }) => {
    const event = bySeq.get(event_seq);
    assert.ok(event, "a sighting of an event that is not there");
    return { relay_id, kind: event.kind, pubkey: event.pubkey };
  });
  const kinds = count(events.map((event) => event.kind));
  const pubkeys = count(events.map((event) => event.pubkey));
  const relays = count(pairs.map((pair) => pair.relay_id));
  const kindRelay = count(pairs.map((pair) => `${pair.relay_id} ${pair.kind}`));
  const pubkeyRelay = count(pairs.map((pair) => `${pair.relay_id} ${pair.pubkey}`));
  const split = (key: string): [number, string] => {
    const [relay = "", rest = ""] = key.split(" ");
    return [Number(relay), rest];
  };
  const pubkeysOf = (relayId: number): number =>
    [...pubkeyRelay.keys()].filter((key) => split(key)[0] === relayId).length;
  return {
    total: [{ events: events.length, sightings: sightings.length, pubkeys: pubkeys.size }],
    kind: [...kinds].map(([kind, n]) => ({ kind, events: n })).sort((a, b) => a.kind - b.kind),
    pubkey: [...pubkeys].map(([pubkey, n]) => ({ pubkey, events: n }))
      .sort((a, b) => a.pubkey < b.pubkey ? -1 : 1),
    relay: [...relays].map(([relay_id, n]) => ({
      relay_id,
      sightings: n,
      pubkeys: pubkeysOf(relay_id),
    })).sort((a, b) => a.relay_id - b.relay_id),
    kindRelay: [...kindRelay].map(([key, n]) => {
      const [relay_id, kind] = split(key);
      return { relay_id, kind: Number(kind), sightings: n };
    }).sort((a, b) => a.relay_id - b.relay_id || a.kind - b.kind),
    pubkeyRelay: [...pubkeyRelay].map(([key, n]) => {
      const [relay_id, pubkey] = split(key);
      return { relay_id, pubkey, sightings: n };
    }).sort((a, b) => a.relay_id - b.relay_id || (a.pubkey < b.pubkey ? -1 : 1)),
  };
}

async function relayIds(store: Store): Promise<number[]> {
  await insertRelays(store, RELAYS, { at: 1 });
  return [...(await relaysByUrl(store, RELAYS)).values()].sort((a, b) => a - b);
}

async function refreshAll(store: Store, maxRows: number): Promise<void> {
  for (;;) if ((await refreshStatistics(store, { maxRows })).behind === 0) return;
}

async function write(
  store: Store,
  events: readonly NostrEvent[],
  relayId: number,
): Promise<void> {
  const sightings = events.map((event) => ({ eventId: event.id, relayId, seenAt: 1_700_000_000 }));
  await writeBatch(store, { events, sightings });
}

type Step =
  | { do: "write"; events: NostrEvent[]; relay: number }
  | { do: "delete"; ids: number[] }
  | { do: "refresh"; maxRows: number }
  | { do: "rebuild" };

const IDS = 40;
const anyStep: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant("write" as const),
      events: fc.array(anyEvent({ ids: IDS }), { minLength: 1, maxLength: 8 }),
      relay: fc.nat({ max: RELAYS.length - 1 }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant("delete" as const),
      ids: fc.array(fc.integer({ min: 1, max: IDS }), { minLength: 1, maxLength: 6 }),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant("refresh" as const),
      maxRows: fc.integer({ min: 1, max: 12 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("rebuild" as const) }) },
);

storeTest(
  "whatever was written, deleted and refreshed, the counts are those of the rows",
  async (store) => {
    await fc.assert(
      fc.asyncProperty(fc.array(anyStep, { maxLength: 14 }), async (steps) => {
        await emptyStore(store);
        const relays = await relayIds(store);
        for (const step of steps) {
          if (step.do === "write") await write(store, step.events, relays[step.relay] ?? 1);
          else if (step.do === "refresh") await refreshStatistics(store, step);
          else if (step.do === "rebuild") await rebuildStatistics(store);
          else {
            const known = await knownEvents(store, step.ids.map((n) => hexOf(n)));
            await deleteEvents(store, [...known.values()]);
          }
        }
        await refreshAll(store, 7);
        const counted = await tables(store);
        assert.deepEqual(counted, await bruteForce(store));
        await rebuildStatistics(store);
        assert.deepEqual(await tables(store), counted);
      }),
      { numRuns: 30 },
    );
  },
);

storeTest(
  "writers, deleters and refreshers at the same time count nothing twice and miss nothing",
  async (store) => {
    const relays = await relayIds(store);
    const events = generateEvents(600, { seed: 11, authors: 15 });
    let writing = true;
    const writers = relays.map(async (relayId, i) => {
      const from = i * 100;
      const mine = events.slice(from, from + 300);
      for (let at = 0; at < mine.length; at += 20) {
        await write(store, mine.slice(at, at + 20), relayId);
      }
    });
    const refreshers = [5, 400].map(async (maxRows) => {
      while (writing) await refreshStatistics(store, { maxRows });
    });
    const deleter = (async (): Promise<void> => {
      for (let at = 0; writing; at = (at + 37) % events.length) {
        const known = await knownEvents(store, events.slice(at, at + 3).map((event) => event.id));
        await deleteEvents(store, [...known.values()]);
      }
    })();
    try {
      await Promise.all(writers);
    } finally {
      writing = false;
      await Promise.all([...refreshers, deleter]);
    }
    await refreshAll(store, 1000);
    const counted = await tables(store);
    assert.deepEqual(counted, await bruteForce(store));
    await rebuildStatistics(store);
    assert.deepEqual(await tables(store), counted);
  },
);

storeTest("a refresh that fails counts nothing, and the next one counts all", async (store) => {
  const [relay = 1] = await relayIds(store);
  await write(store, generateEvents(30, { seed: 12 }), relay);
  await store.run("refuse", (sql) => sql`alter table stat_relay add constraint no check (false)`);
  await assert.rejects(refreshStatistics(store, { maxRows: 1000 }));
  await store.run("allow", (sql) => sql`alter table stat_relay drop constraint no`);
  assert.equal((await readEventStats(store)).events, 0);
  const done = await refreshStatistics(store, { maxRows: 1000 });
  assert.deepEqual(done, { events: 30, sightings: 30, behind: 0 });
  assert.deepEqual(await refreshStatistics(store, { maxRows: 1000 }), {
    events: 0,
    sightings: 0,
    behind: 0,
  });
});

storeTest("readers page through the counts, of the archive and of one relay", async (store) => {
  const relays = await relayIds(store);
  const events = generateEvents(200, { seed: 13, authors: 9 });
  await write(store, events, relays[0] ?? 1);
  await write(store, events.slice(0, 50), relays[1] ?? 1);
  await refreshAll(store, 1000);

  const classes = (name: string): number =>
    events.filter((event) => eventClass(event.kind) === name).length;
  assert.deepEqual(await readEventStats(store), {
    events: 200,
    sightings: 250,
    pubkeys: new Set(events.map((event) => event.pubkey)).size,
    kinds: new Set(events.map((event) => event.kind)).size,
    regular: classes("regular"),
    replaceable: classes("replaceable"),
    ephemeral: 0,
    addressable: classes("addressable"),
  });

  const some = events.slice(0, 50);
  const [second] = await readRelayStats(store, { relayUrl: RELAYS[1] ?? "", limit: 5 });
  assert.deepEqual(second, {
    relayUrl: RELAYS[1],
    network: "clearnet",
    events: 50,
    pubkeys: new Set(some.map((event) => event.pubkey)).size,
    kinds: new Set(some.map((event) => event.kind)).size,
  });
  const all = await readRelayStats(store, { limit: 10 });
  assert.deepEqual(all.map((row) => row.relayUrl), RELAYS);
  assert.deepEqual(
    await readRelayStats(store, { afterUrl: RELAYS[1] ?? "", limit: 10 }),
    all.slice(2),
  );

  const relayUrl = RELAYS[1] ?? "";
  const kinds = await readKindCounts(store, { relayUrl, limit: 100 });
  assert.equal(kinds.reduce((sum, row) => sum + row.events, 0), 50);
  assert.deepEqual(
    await readKindCounts(store, { relayUrl, afterKind: kinds[0]?.kind ?? 0, limit: 2 }),
    kinds.slice(1, 3),
  );
  for (const scope of [{}, { relayUrl }]) {
    const authors = await readPubkeyCounts(store, { ...scope, limit: 100 });
    const paged = [];
    for (;;) {
      const after = paged.at(-1);
      const page = await readPubkeyCounts(store, {
        ...scope,
        limit: 2,
        ...(after ? { after } : {}),
      });
      paged.push(...page);
      if (page.length < 2) break;
    }
    assert.deepEqual(paged, authors);
  }
});
