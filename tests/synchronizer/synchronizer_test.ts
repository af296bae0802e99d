import assert from "node:assert/strict";
import { createIngest } from "../../src/ingest/ingest.ts";
import { type Clock, systemClock, unixSeconds } from "../../src/lib/clock.ts";
import type { Counts } from "../../src/lib/cycle.ts";
import type { RelayUrl } from "../../src/model/relay_url.ts";
import { BlockSource } from "../../src/net/block_source.ts";
import { HostSlots } from "../../src/net/host_slots.ts";
import { generateSecretKey, localSigner } from "../../src/nostr/signer.ts";
import type { Store } from "../../src/store/connect.ts";
import { claimRelaysForSync } from "../../src/store/relay_sync.ts";
import { insertRelays } from "../../src/store/relays.ts";
import { createSynchronizer, type SynchronizerDeps } from "../../src/synchronizer/synchronizer.ts";
import { openVerifier } from "../../src/verify/verifier.ts";
import { authWall, cap, closedWith, refuses, startHostileRelay } from "../relay/mod.ts";
import { generateEvents, REGULAR_KINDS } from "../support/events.ts";
import { runCycle, testConfig, testDialer } from "../support/stages.ts";
import { storeTest } from "../support/store.ts";

const events = generateEvents(100, { kinds: REGULAR_KINDS });

storeTest("a cycle archives every relay that is due, walls included", async (store) => {
  await using plain = await startHostileRelay({ events, behaviours: [cap(30)] });
  await using walled = await startHostileRelay({
    events: events.slice(50),
    behaviours: [authWall()],
  });
  await addOnline(store, plain.url, walled.url);
  const counts = await cycleOnce(store);
  assert.equal(counts["relays_synced"], 2);
  assert.equal(counts["events_new"], 100);
  assert.equal(counts["sightings_new"], 150);
  assert.equal(counts["repeated"], (counts["events_received"] ?? 0) - 100);
  assert.equal(await count(store, "coverage"), 2);
  assert.deepEqual(await cycleOnce(store), {}, "nobody is due right after");
});

storeTest("relays that are not online, or of a network that is off, wait", async (store) => {
  await using relay = await startHostileRelay({ events });
  await insertRelays(store, [relay.url], { at: 1 });
  assert.deepEqual(await cycleOnce(store), {});
  await addOnline(store, "wss://relay.example.com/" as RelayUrl, "ws://abc.onion/" as RelayUrl);
  const config = await testConfig(
    "networks.clearnet.enabled=false",
    "networks.local.enabled=false",
  );
  assert.deepEqual(await cycleOnce(store, { config }), {});
});

storeTest("a relay that fails rests, and says why", async (store) => {
  await using gone = await startHostileRelay({ behaviours: [refuses()] });
  await using shut = await startHostileRelay({ events, behaviours: [closedWith("restricted")] });
  await addOnline(store, gone.url, shut.url);
  const counts = await cycleOnce(store);
  assert.deepEqual(counts, {
    relays_failed: 1,
    failures_unreachable: 1,
    relays_synced: 1,
    failures_restricted: 1,
  });
  const rests = await restsOf(store);
  assert.ok((rests.get(gone.url) ?? 0) >= 3600);
  assert.ok((rests.get(shut.url) ?? 0) >= 86_400);
});

storeTest("that our proxy is down says nothing of the relays behind it", async (store) => {
  const url = "ws://2gzyxa5ihm7nsggfxnu52rck2vv4rvmdlkiu3zzui5du4xyclen53wid.onion/" as RelayUrl;
  await addOnline(store, url);
  const config = await testConfig(
    "networks.tor.enabled=true",
    "networks.tor.proxy_url=socks5h://127.0.0.1:1",
  );
  const counts = await cycleOnce(store, { config });
  assert.deepEqual(counts, { relays_failed: 1, failures_proxy_failed: 1 });
  assert.equal(await count(store, "coverage"), 0);
});

storeTest(
  "who is to be left alone is not dialled, waits, and has no gap in the ledger",
  async (store) => {
    await using named = await startHostileRelay({ events });
    await using addressed = await startHostileRelay({ events });
    const config = await testConfig(`monitor.block.rules=[${named.url}, 127.7.7.0/24]`);
    const dialer = testDialer(config, { resolve: () => Promise.resolve(["127.7.7.7"]) });
    const led = addressed.urlFor("leads.there.example");
    await addOnline(store, named.url, led);
    const blocks = new BlockSource(config.monitor.block);
    const counts = await cycleOnce(store, { config, dialer, blocks });
    assert.deepEqual(counts, { relays_blocked: 2 });
    assert.equal(named.seen.connections.total + addressed.seen.connections.total, 0);
    assert.equal(await count(store, "coverage"), 0);
    const rests = await restsOf(store);
    const intervalSeconds = config.synchronizer.intervalMs / 1000;
    for (const url of [named.url, led]) assert.ok((rests.get(url) ?? 0) >= intervalSeconds, url);
  },
);

storeTest("a large relay gets turn after turn, and is complete in the end", async (store) => {
  await using large = await startHostileRelay({ events, behaviours: [cap(10)] });
  await using small = await startHostileRelay({ events: events.slice(0, 5) });
  await addOnline(store, large.url, small.url);
  const config = await testConfig("synchronizer.max_relay_time=1s", "synchronizer.overrides=[]");
  // A clock on which everything takes long: each look at it costs a tenth of a second.
  let ms = systemClock.monotonicMs();
  const clock: Clock = { ...systemClock, monotonicMs: () => ms += 100 };
  const counts = await cycleOnce(store, { config, clock });
  assert.ok((counts["relays_synced"] ?? 0) > 2, JSON.stringify(counts));
  assert.equal(counts["events_new"], 100);
  const open = await store.run(
    "open",
    async (sql) =>
      (await sql<{ n: number }[]>`select count(*)::int as n from coverage where state <> 'closed'`)[
        0
      ],
  );
  assert.equal(open?.n, 0);
});

storeTest(
  "a relay that another process has leased is left to it, until the lease ends",
  async (store) => {
    await using relay = await startHostileRelay({ events });
    await addOnline(store, relay.url);
    const at = unixSeconds(systemClock);
    const [claim] = await claimRelaysForSync(store, {
      limit: 1,
      at,
      leaseSeconds: 300,
      networks: ["local"],
      owner: "the other",
    });
    assert.equal(claim?.url, relay.url);
    assert.deepEqual(await cycleOnce(store), {});
    const later: Clock = { ...systemClock, nowMs: () => (at + 301) * 1000 };
    assert.equal((await cycleOnce(store, { clock: later }))["relays_synced"], 1);
  },
);

storeTest("an aborted cycle gives its leases back", async (store) => {
  await using relay = await startHostileRelay({ events, behaviours: [cap(5)] });
  await addOnline(store, relay.url);
  const abort = new AbortController();
  await using tools = await openTools(store);
  const task = createSynchronizer(tools.deps);
  const stopped = task.cycle({
    signal: abort.signal,
    count: (name) => {
      if (name === "events_new") abort.abort(new Error("stop"));
    },
  });
  await assert.rejects(stopped, { message: "stop" });
  assert.equal((await cycleOnce(store))["relays_synced"], 1);
  assert.equal(await count(store, "event"), 100);
});

storeTest("a relay's own settings stand in place of the general ones", async (store) => {
  await using relay = await startHostileRelay({ events });
  await using other = await startHostileRelay({ events });
  await addOnline(store, relay.url, other.url);
  const config = await testConfig(
    "synchronizer.filter={kinds: [7]}",
    `synchronizer.overrides=[{url: "${relay.url}", kinds: [1], page_size: 20}]`,
  );
  await cycleOnce(store, { config });
  const kinds = events.filter((event) => event.kind === 1 || event.kind === 7);
  assert.equal(await count(store, "event"), kinds.length);
  const asked = relay.seen.reqs.flatMap((req) => req.filters).filter((filter) => filter["kinds"]);
  assert.ok(asked.every((filter) => filter["limit"] === 20));
});

async function addOnline(store: Store, ...urls: RelayUrl[]): Promise<void> {
  await insertRelays(store, urls, { at: 1 });
  await store.run(
    "online",
    async (sql) => void await sql`update relay_status set state = 'online'`,
  );
}

/** One cycle, as the pipeline would run it. */
async function cycleOnce(store: Store, deps: Partial<SynchronizerDeps> = {}): Promise<Counts> {
  await using tools = await openTools(store, deps);
  return await runCycle(createSynchronizer(tools.deps));
}

async function openTools(
  store: Store,
  given: Partial<SynchronizerDeps> = {},
): Promise<AsyncDisposable & { deps: SynchronizerDeps }> {
  const config = given.config ?? await testConfig();
  const verifier = await openVerifier({ workers: 1 });
  const ingest = createIngest({ store, verifier });
  const dialer = testDialer({ ...await testConfig(), ...config });
  const signer = localSigner(generateSecretKey());
  return {
    deps: { store, ingest, dialer, slots: new HostSlots(), signer, config, ...given },
    async [Symbol.asyncDispose](): Promise<void> {
      await ingest[Symbol.asyncDispose]();
      await verifier[Symbol.asyncDispose]();
    },
  };
}

async function count(store: Store, table: "event" | "coverage"): Promise<number> {
  return await store.run(
    "count",
    async (sql) =>
      (await sql<{ n: number }[]>`select count(*)::int as n from ${sql(table)}`)[0]?.n ?? 0,
  );
}

/** Seconds until each relay's next turn. */
async function restsOf(store: Store): Promise<Map<string, number>> {
  const now = unixSeconds(systemClock);
  return await store.run("rests", async (sql) => {
    const rows = await sql<{ url: string; at: number }[]>`
      select r.url, s.next_sync_at as at from relay r join relay_status s on s.relay_id = r.id`;
    return new Map(rows.map((row) => [row.url, row.at - now + 2]));
  });
}
