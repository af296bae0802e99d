// The numbers themselves: every question over the statistics against a count of the same facts by
// hand, in both stores.
import assert from "node:assert/strict";
import { nip19 } from "nostr-tools";
import { eventClass, type NostrEvent } from "../../src/model/event.ts";
import type { RelayUrl } from "../../src/model/relay_url.ts";
import { isWithin, type Window, WINDOWS } from "../../src/model/window.ts";
import { coverage } from "../../src/queries/coverage.ts";
import { eventStats } from "../../src/queries/event_stats.ts";
import { kindCounts } from "../../src/queries/kind_counts.ts";
import { kindCountsByRelay } from "../../src/queries/kind_counts_by_relay.ts";
import { networkStats } from "../../src/queries/network_stats.ts";
import { pubkeyCounts } from "../../src/queries/pubkey_counts.ts";
import { pubkeyCountsByRelay } from "../../src/queries/pubkey_counts_by_relay.ts";
import { relay } from "../../src/queries/relay.ts";
import { relayStats } from "../../src/queries/relay_stats.ts";
import { relays } from "../../src/queries/relays.ts";
import { storeTest } from "../support/store.ts";
import { type Archive, AT, fillArchive, REFRESHED_AT, relayUrl, rowsOf, WIDE } from "./archive.ts";

/** How many events have each value. */
function tally<T>(events: readonly NostrEvent[], of: (event: NostrEvent) => T): Map<T, number> {
  const counts = new Map<T, number>();
  for (const event of events) counts.set(of(event), (counts.get(of(event)) ?? 0) + 1);
  return counts;
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function eventsOn(archive: Archive, url: RelayUrl): NostrEvent[] {
  return archive.events.filter((event) => archive.seen.get(url)?.has(event.id));
}

/** What of the archive is in a window; `all` without one. */
function windowOf(archive: Archive, window: Window = "all"): Archive {
  const within = (event: NostrEvent): boolean => isWithin(window, event.created_at, REFRESHED_AT);
  return { ...archive, events: archive.events.filter(within) };
}

storeTest("event_stats counts events, sightings, authors, kinds and classes", async (store) => {
  const archive = await fillArchive(store);
  for (const window of WINDOWS) {
    const { events, relays } = windowOf(archive, window);
    const classes = tally(events, (event) => eventClass(event.kind));
    const onRelays = relays.map(({ url }) => eventsOn({ ...archive, events }, url).length);
    assert.deepEqual(await rowsOf(store, eventStats, { window }), [{
      window,
      as_of: REFRESHED_AT,
      events: events.length,
      sightings: onRelays.reduce((sum, n) => sum + n, 0),
      pubkeys: tally(events, (event) => event.pubkey).size,
      kinds: tally(events, (event) => event.kind).size,
      relays: onRelays.filter((n) => n > 0).length,
      regular: classes.get("regular") ?? 0,
      replaceable: classes.get("replaceable") ?? 0,
      ephemeral: classes.get("ephemeral") ?? 0,
      addressable: classes.get("addressable") ?? 0,
    }]);
  }
  const [row] = await rowsOf(store, eventStats);
  assert.equal(row?.window, "all");
});

storeTest("kind_counts lists each kind once, the most frequent first", async (store) => {
  const archive = await fillArchive(store);
  const expectedOf = (window?: Window): { kind: number; class: string }[] => {
    const { events } = windowOf(archive, window);
    return [...tally(events, (event) => event.kind)]
      .sort(([a, m], [b, n]) => n - m || a - b)
      .map(([kind, n]) => ({
        kind,
        class: eventClass(kind),
        events: n,
        pubkeys: tally(events.filter((event) => event.kind === kind), (e) => e.pubkey).size,
      }));
  };
  for (const window of WINDOWS) {
    assert.deepEqual(await rowsOf(store, kindCounts, { window }), expectedOf(window));
  }
  const expected = expectedOf();
  assert.deepEqual(await rowsOf(store, kindCounts), expected);
  assert.deepEqual(
    await rowsOf(store, kindCounts, { class: "Addressable" }),
    expected.filter((row) => row.class === "addressable"),
  );
  assert.deepEqual(
    await rowsOf(store, kindCounts, { kind: "7" }),
    expected.filter((row) => row.kind === 7),
  );
});

storeTest("kind_counts_by_relay tells what a relay holds and where a kind is", async (store) => {
  const archive = await fillArchive(store);
  for (const { url } of archive.relays) {
    for (const window of WINDOWS) {
      const expected = [...tally(eventsOn(windowOf(archive, window), url), (event) => event.kind)]
        .sort(([a, m], [b, n]) => n - m || a - b)
        .map(([kind, events]) => ({ relay_url: url, kind, events }));
      assert.deepEqual(await rowsOf(store, kindCountsByRelay, { relay: url, window }), expected);
    }
  }
  const where = await rowsOf(store, kindCountsByRelay, { kind: 1 });
  assert.deepEqual(
    where.map((row) => [row.relay_url, row.events]).sort(),
    archive.relays.map((
      { url },
    ) => [url, eventsOn(archive, url).filter((e) => e.kind === 1).length])
      .filter(([, events]) => events !== 0).sort(),
  );
  const neither = await kindCountsByRelay.ask(store, {}, WIDE);
  assert.ok(!neither.ok && neither.failure.reason === "bad_params");
});

storeTest("pubkey_counts takes hex and npub, and counts by relay too", async (store) => {
  const archive = await fillArchive(store);
  for (const window of WINDOWS.slice(0, -1)) {
    const rows = await rowsOf(store, pubkeyCounts, { window });
    assert.deepEqual(
      new Map(rows.map((row) => [row.pubkey, row.events])),
      tally(windowOf(archive, window).events, (event) => event.pubkey),
    );
  }
  const counts = tally(archive.events, (event) => event.pubkey);
  const rows = await rowsOf(store, pubkeyCounts);
  assert.deepEqual(new Map(rows.map((row) => [row.pubkey, row.events])), counts);
  assert.deepEqual(
    rows.map((row) => row.events),
    [...counts.values()].sort((a, b) => b - a),
  );
  const [author = "", count] = [...counts][0] ?? [];
  const expected = [{ pubkey: author, events: count }];
  const npub = nip19.npubEncode(author);
  for (const pubkey of [author, author.toUpperCase(), npub, `nostr:${npub}`]) {
    assert.deepEqual(await rowsOf(store, pubkeyCounts, { pubkey }), expected);
  }
  const url = relayUrl("wss://beta.example.com");
  const onRelay = await rowsOf(store, pubkeyCounts, { relay: "BETA.example.com" });
  assert.deepEqual(
    new Map(onRelay.map((row) => [row.pubkey, row.events])),
    tally(eventsOn(archive, url), (event) => event.pubkey),
  );
});

storeTest(
  "pubkey_counts_by_relay tells whom a relay holds and where an author is",
  async (store) => {
    const archive = await fillArchive(store);
    for (const window of WINDOWS) {
      const some = windowOf(archive, window);
      const pairs = archive.relays.flatMap(({ url }) =>
        [...tally(eventsOn(some, url), (event) => event.pubkey)]
          .map(([pubkey, events]) => ({ relay_url: url, pubkey, events }))
      ).sort((a, b) =>
        b.events - a.events || compare(a.relay_url, b.relay_url) || compare(a.pubkey, b.pubkey)
      );
      for (const relay of archive.relays.map(({ url }) => url)) {
        assert.deepEqual(
          await rowsOf(store, pubkeyCountsByRelay, { relay, window }),
          pairs.filter((pair) => pair.relay_url === relay),
        );
      }
      const pubkey = archive.events[0]?.pubkey;
      assert.deepEqual(
        await rowsOf(store, pubkeyCountsByRelay, { pubkey, window }),
        pairs.filter((pair) => pair.pubkey === pubkey),
      );
    }
    const neither = await pubkeyCountsByRelay.ask(store, {}, WIDE);
    assert.ok(!neither.ok && neither.failure.reason === "bad_params");
  },
);

storeTest("relay_stats and network_stats add up, empty relays included", async (store) => {
  const archive = await fillArchive(store);
  for (const window of WINDOWS) {
    const some = windowOf(archive, window);
    const expected = archive.relays.map(({ url, network }) => {
      const events = eventsOn(some, url);
      return {
        relay_url: url,
        network,
        events: events.length,
        pubkeys: tally(events, (event) => event.pubkey).size,
        kinds: tally(events, (event) => event.kind).size,
      };
    }).sort((a, b) => b.events - a.events || compare(a.relay_url, b.relay_url));
    assert.deepEqual(await rowsOf(store, relayStats, { window }), expected);
    const onTor = expected.filter((row) => row.network === "tor");
    assert.deepEqual(await rowsOf(store, relayStats, { network: "tor", window }), onTor);
    const clearnet = expected.filter((row) => row.network === "clearnet");
    const sum = (rows: typeof expected): number => rows.reduce((n, row) => n + row.events, 0);
    assert.deepEqual(await rowsOf(store, networkStats, { window }), [
      {
        network: "clearnet",
        relays: 4,
        online: 2,
        unreachable: 0,
        dead: 1,
        unknown: 1,
        sightings: sum(clearnet),
      },
      {
        network: "tor",
        relays: 1,
        online: 0,
        unreachable: 1,
        dead: 0,
        unknown: 0,
        sightings: sum(onTor),
      },
    ]);
  }
});

storeTest("relays are found by state, network, NIP, software, text and speed", async (store) => {
  await fillArchive(store, 50);
  const found = async (given: Record<string, unknown>): Promise<unknown[]> =>
    (await rowsOf(store, relays, given)).map((row) => row.url);
  const alpha = "wss://alpha.example.com/";
  const beta = "wss://beta.example.com/";
  assert.deepEqual(await found({ state: "online" }), [alpha, beta]);
  assert.deepEqual((await found({ network: "tor" })).length, 1);
  assert.deepEqual(await found({ nip: "11" }), [alpha, beta]);
  assert.deepEqual(await found({ nip: ["11", "77"] }), [beta]);
  assert.deepEqual(await found({ nip: "1,42" }), [alpha]);
  assert.deepEqual(await found({ software: "STRFRY" }), [alpha]);
  assert.deepEqual(await found({ text: "quiet" }), [beta]);
  assert.deepEqual(await found({ text: "%" }), []);
  assert.deepEqual(await found({ max_rtt: 50 }), [alpha]);
  assert.deepEqual((await found({ sort: "rtt" })).slice(0, 2), [alpha, beta]);
  const [row] = await rowsOf(store, relays, { text: "alpha" });
  assert.equal(row?.rtt_open_ms, 50);
  assert.deepEqual(row?.nips, [1, 11, 42]);
  const [odd] = await rowsOf(store, relays, { text: "gamma" });
  assert.deepEqual(odd?.nips, []);
  assert.equal(odd?.name, null);
});

storeTest("relay tells everything on one relay, in any spelling", async (store) => {
  const archive = await fillArchive(store);
  const [row] = await rowsOf(store, relay, { relay: "HTTPS://alpha.example.com:443" });
  const events = eventsOn(archive, relayUrl("wss://alpha.example.com"));
  assert.equal(row?.url, "wss://alpha.example.com/");
  assert.equal(row?.state, "online");
  assert.equal(row?.rtt_open_ms, 50);
  assert.deepEqual(
    (row?.checks as { checked_at: number }[]).map((check) => check.checked_at),
    [AT, AT - 3_600, AT - 7_200],
  );
  assert.equal((row?.nip11 as { name: string }).name, "Alpha");
  assert.deepEqual(row?.coverage, [
    {
      filter: "{}",
      closed_seconds: 1_000,
      open_spans: 1,
      gaps: 1,
      missing: 7,
      since: 1_000,
      until: 2_500,
    },
    {
      filter: '{"kinds":[1]}',
      closed_seconds: 5_001,
      open_spans: 0,
      gaps: 0,
      missing: 0,
      since: 0,
      until: 5_000,
    },
  ]);
  assert.equal(row?.events, events.length);
  const [top] = row?.kinds as { kind: number; events: number }[];
  assert.equal(top?.events, Math.max(...tally(events, (event) => event.kind).values()));
  assert.deepEqual(await rowsOf(store, relay, { relay: "wss://nobody.example.com" }), []);
});

storeTest("coverage lists the ledger, newest span first", async (store) => {
  await fillArchive(store, 10);
  const rows = await rowsOf(store, coverage, { relay: "alpha.example.com" });
  assert.deepEqual(rows.map((row) => [row.filter, row.since, row.state, row.missing]), [
    ["{}", 2_001, "open", null],
    ["{}", 2_000, "gap", 7],
    ["{}", 1_000, "closed", null],
    ['{"kinds":[1]}', 0, "closed", null],
  ]);
  const gaps = await rowsOf(store, coverage, { state: "gap" });
  assert.deepEqual(gaps.map((row) => row.relay_url), [
    "wss://alpha.example.com/",
    "wss://beta.example.com/",
  ]);
});
