import assert from "node:assert/strict";
import { createFinder } from "../../src/finder/finder.ts";
import type { NostrEvent } from "../../src/model/event.ts";
import { parseRelayUrl, type RelayUrl, toHttpUrl } from "../../src/model/relay_url.ts";
import { claimCandidates } from "../../src/store/candidates.ts";
import type { Store } from "../../src/store/connect.ts";
import { settledEventSeq, writeBatch } from "../../src/store/events.ts";
import { ensureRelay, insertRelays } from "../../src/store/relays.ts";
import { deleteState, listStates } from "../../src/store/service_state.ts";
import { nip11Status, nip11Text, startHostileRelay } from "../relay/mod.ts";
import { makeAuthor, signEvent } from "../support/events.ts";
import { ManualClock } from "../support/manual_clock.ts";
import { runCycle, testConfig, testDialer } from "../support/stages.ts";
import { storeTest } from "../support/store.ts";

const author = makeAuthor(1, 1);
let made = 0;

function event(kind: number, tags: string[][], content = ""): NostrEvent {
  return signEvent(author, { kind, tags, content, created_at: 1_700_000_000 + made++ });
}

async function archive(store: Store, ...events: NostrEvent[]): Promise<void> {
  const relayId = await ensureRelay(store, relayUrl("wss://known.example.com"), { at: 1 });
  const sightings = events.map(({ id }) => ({ eventId: id, relayId, seenAt: 1_700_000_000 }));
  await writeBatch(store, { events, sightings });
}

async function candidates(store: Store): Promise<string[]> {
  const claimed = await claimCandidates(store, {
    limit: 1000,
    at: 4_000_000_000,
    leaseSeconds: 0,
    networks: ["clearnet", "tor", "i2p", "loki", "local"],
  });
  return claimed.map(({ url }) => url).sort();
}

storeTest(
  "every archived event is read once, and the relays it names become candidates",
  async (store) => {
    const config = await testConfig("finder.events.batch_size=10");
    const finder = createFinder({ store, dialer: testDialer(config), config: config.finder });
    await archive(
      store,
      event(10002, [["r", "wss://a.example.com"]]),
      event(1, [["e", "ab".repeat(32), "wss://b.example.com"]]),
      ...Array.from({ length: 30 }, (_, i) => event(1, [], `note ${i}`)),
    );
    const first = await runCycle(finder);
    assert.equal(first["events_read"], 32);
    assert.equal(first["candidates_inserted"], 2);
    assert.deepEqual(await runCycle(finder), {});

    await archive(store, event(2, [], "wss://c.example.com"));
    assert.deepEqual(await runCycle(finder), { events_read: 1, candidates_inserted: 1 });
    assert.deepEqual(await candidates(store), [
      "wss://a.example.com/",
      "wss://b.example.com/",
      "wss://c.example.com/",
    ]);
  },
);

storeTest(
  "the place in the archive outlives the process, and losing it loses nothing",
  async (store) => {
    const config = await testConfig("finder.events.max_events=1000");
    const finder = (): ReturnType<typeof createFinder> =>
      createFinder({ store, dialer: testDialer(config), config: config.finder });
    await archive(store, event(10002, [["r", "wss://a.example.com"]]));
    await runCycle(finder());
    assert.deepEqual(await runCycle(finder()), {});
    await deleteState(store, "finder", "events");
    assert.deepEqual(await runCycle(finder()), { events_read: 1 });
  },
);

storeTest("relays that are known are no candidates, and bad URLs are counted", async (store) => {
  const config = await testConfig();
  const finder = createFinder({ store, dialer: testDialer(config), config: config.finder });
  await insertRelays(store, [relayUrl("wss://a.example.com")], { at: 1 });
  await archive(store, event(10002, [["r", "wss://a.example.com"], ["r", "ftp://x"]]));
  assert.deepEqual(await runCycle(finder), { events_read: 1, urls_bad_bad_scheme: 1 });
});

storeTest("a cycle reads no more events than it may; the next one goes on", async (store) => {
  const config = await testConfig("finder.events.max_events=1000", "finder.events.batch_size=100");
  const finder = createFinder({
    store,
    dialer: testDialer(config),
    config: { ...config.finder, events: { ...config.finder.events, maxEvents: 25, batchSize: 10 } },
  });
  await archive(store, ...Array.from({ length: 40 }, (_, i) => event(1, [], `note ${i}`)));
  assert.equal((await runCycle(finder))["events_read"], 25);
  assert.equal((await runCycle(finder))["events_read"], 15);
});

storeTest(
  "events that are too large to come at once are all read, and numbers that were burned are passed",
  async (store) => {
    const config = await testConfig();
    const finder = createFinder({ store, dialer: testDialer(config), config: config.finder });
    const large = Array.from(
      { length: 12 },
      (_, i) => event(10002, [["r", `wss://r${i}.example.com`]], "x".repeat(900_000)),
    );
    await archive(store, ...large);
    await store.run("burn", (sql) => sql`select nextval('event_seq_seq')`);
    assert.deepEqual(await runCycle(finder), { events_read: 12, candidates_inserted: 12 });
    assert.deepEqual(await runCycle(finder), {});
    const [state] = await listStates(store, "finder");
    assert.deepEqual(state?.value, { seq: await settledEventSeq(store) });
  },
);

storeTest("a list on the web is fetched, and then left alone for its cooldown", async (store) => {
  await using web = await startHostileRelay({
    behaviours: [nip11Text('["wss://a.example.com","ftp://x","wss://b.example.com"]')],
  });
  const list = `{ url: "${toHttpUrl(web.url)}", expression: "[*]", cooldown: 1h }`;
  const config = await testConfig(`finder.lists=[${list}]`);
  const clock = new ManualClock();
  const finder = createFinder({ store, dialer: testDialer(config), config: config.finder, clock });
  assert.deepEqual(await runCycle(finder), {
    lists_read: 1,
    list_urls_read: 2,
    urls_bad_bad_scheme: 1,
    candidates_inserted: 2,
  });
  await clock.advance(3_599_000);
  // Another process, as after a restart.
  const restarted = createFinder({
    store,
    dialer: testDialer(config),
    config: config.finder,
    clock,
  });
  assert.deepEqual(await runCycle(restarted), { lists_cooling: 1 });
  assert.equal(web.seen.http.length, 1);
  await clock.advance(2_000);
  assert.equal((await runCycle(finder))["lists_read"], 1);
});

storeTest(
  "a list that fails costs no cycle, and is asked again before its cooldown",
  async (store) => {
    await using web = await startHostileRelay({ behaviours: [nip11Status(503)] });
    const list = `{ url: "${toHttpUrl(web.url)}", expression: "[*]", cooldown: 6h }`;
    const config = await testConfig(`finder.lists=[${list}]`);
    const clock = new ManualClock();
    const finder = createFinder({
      store,
      dialer: testDialer(config),
      config: config.finder,
      clock,
      random: () => 0.999,
    });
    await archive(store, event(10002, [["r", "wss://a.example.com"]]));
    assert.deepEqual(await runCycle(finder), {
      lists_failed_http_status: 1,
      events_read: 1,
      candidates_inserted: 1,
    });
    assert.deepEqual(await runCycle(finder), { lists_cooling: 1 });
    const [state] = (await listStates(store, "finder")).filter(({ key }) => key.startsWith("list"));
    assert.equal((state?.value as { lastReason: string }).lastReason, "http_status");
    await clock.advance(301_000);
    web.behave(nip11Text('["wss://b.example.com"]'));
    assert.equal((await runCycle(finder))["lists_read"], 1);
  },
);

storeTest("a list whose server asks for patience gets it", async (store) => {
  await using web = await startHostileRelay({
    behaviours: [nip11Status(429, { "retry-after": "7200" })],
  });
  const list = `{ url: "${toHttpUrl(web.url)}", expression: "[*]", cooldown: 6h }`;
  const config = await testConfig(`finder.lists=[${list}]`);
  const clock = new ManualClock();
  const finder = createFinder({ store, dialer: testDialer(config), config: config.finder, clock });
  assert.deepEqual(await runCycle(finder), { lists_failed_http_status: 1 });
  await clock.advance(7_199_000);
  assert.deepEqual(await runCycle(finder), { lists_cooling: 1 });
  await clock.advance(1_000);
  assert.deepEqual(await runCycle(finder), { lists_failed_http_status: 1 });
});

function relayUrl(text: string): RelayUrl {
  const url = parseRelayUrl(text);
  assert.ok(url.ok);
  return url.value;
}
