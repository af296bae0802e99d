import assert from "node:assert/strict";
import type { Config } from "../../src/config/config.ts";
import type { CycleTask } from "../../src/lib/cycle.ts";
import { parseRelayUrl, type RelayUrl } from "../../src/model/relay_url.ts";
import { createMonitor, type MonitorDeps } from "../../src/monitor/monitor.ts";
import { HostSlots } from "../../src/net/host_slots.ts";
import { localSigner } from "../../src/nostr/signer.ts";
import type { Store } from "../../src/store/connect.ts";
import { latestMetadata } from "../../src/store/metadata.ts";
import { insertRelays, relaysByUrl } from "../../src/store/relays.ts";
import {
  authWall,
  delayMs,
  type HostileRelay,
  nip11,
  nip11Text,
  refuses,
  silent,
  startHostileRelay,
} from "../relay/mod.ts";
import { makeAuthor } from "../support/events.ts";
import { PROXIED_TIMEOUT_MS, proxyTimersOver } from "../net/dialers.ts";
import { startSocks5Server } from "../relay/socks5_server.ts";
import { ManualClock } from "../support/manual_clock.ts";
import { runCycle, testConfig, testDialer } from "../support/stages.ts";
import { storeTest } from "../support/store.ts";

const HOUR_MS = 3_600_000;
const signer = localSigner(makeAuthor(3, 1).secretKey);

function monitorOf(
  store: Store,
  config: Config,
  clock: ManualClock,
  deps: Partial<MonitorDeps> = {},
): CycleTask {
  return createMonitor({
    store,
    dialer: testDialer(config),
    slots: new HostSlots(),
    signer,
    config,
    clock,
    random: () => 0.5,
    ...deps,
  });
}

interface Status {
  url: string;
  state: string;
  failures: number;
  next_check_at: number;
  checked_at: number | null;
}

async function statuses(store: Store): Promise<Map<string, Status>> {
  const rows = await store.run("test", async (sql) => [
    ...await sql<Status[]>`select r.url, s.state, s.failures, s.next_check_at, s.checked_at
      from relay r join relay_status s on s.relay_id = r.id`,
  ]);
  return new Map(rows.map((row) => [row.url, row]));
}

interface Row {
  url: string;
  ok: boolean;
  reason: string | null;
  rtt_open_ms: number | null;
  rtt_read_ms: number | null;
  detail: Record<string, { reason?: string; phase?: string }> | null;
}

async function checks(store: Store): Promise<Row[]> {
  return await store.run("test", async (sql) => [
    ...await sql<Row[]>`select r.url, c.ok, c.reason, c.rtt_open_ms, c.rtt_read_ms, c.detail
      from relay_check c join relay r on r.id = c.relay_id order by c.checked_at, r.url`,
  ]);
}

async function addRelays(store: Store, ...urls: RelayUrl[]): Promise<void> {
  await insertRelays(store, urls, { at: 1 });
}

async function makeDue(store: Store, ...urls: RelayUrl[]): Promise<void> {
  const ids = [...(await relaysByUrl(store, urls)).values()];
  await store.run("test", async (sql) => {
    await sql`update relay_status set next_check_at = 0
      where relay_id = any (${`{${ids.join(",")}}`}::int[])`;
  });
}

function seconds(clock: ManualClock): number {
  return Math.floor(clock.nowMs() / 1000);
}

async function startRelays(count: number): Promise<AsyncDisposable & { list: HostileRelay[] }> {
  const list = await Promise.all(Array.from({ length: count }, () => startHostileRelay()));
  return {
    list,
    [Symbol.asyncDispose]: async () => {
      for (const relay of list) await relay[Symbol.asyncDispose]();
    },
  };
}

storeTest(
  "a cycle checks what is due, keeps what it found, and says when to come back",
  async (store) => {
    await using good = await startHostileRelay({ nip11: { name: "good" } });
    await using walled = await startHostileRelay({ behaviours: [authWall()] });
    await using mute = await startHostileRelay({ behaviours: [silent()] });
    await using gone = await startHostileRelay({ behaviours: [refuses()] });
    const clock = new ManualClock();
    const config = await testConfig();
    await addRelays(store, good.url, walled.url, mute.url, gone.url);
    const monitor = monitorOf(store, config, clock);
    const counts = await runCycle(monitor);
    assert.deepEqual(counts, {
      relays_claimed: 4,
      checks_done: 4,
      relays_online: 3,
      relays_became_online: 3,
      checks_failed_refused: 1,
      documents_changed: 3,
    });

    const rows = new Map((await checks(store)).map((row) => [row.url, row]));
    const goodRow = rows.get(good.url);
    assert.ok(goodRow?.ok && goodRow.reason === null);
    assert.ok((goodRow.rtt_open_ms ?? 0) >= 1 && (goodRow.rtt_read_ms ?? 0) >= 1);
    assert.equal(rows.get(walled.url)?.reason, "walled");
    assert.ok((rows.get(walled.url)?.rtt_read_ms ?? 0) >= 1, "read after the log-in");
    assert.equal(rows.get(mute.url)?.reason, "silent");
    assert.equal(rows.get(mute.url)?.rtt_read_ms, null);
    const goneRow = rows.get(gone.url);
    assert.ok(goneRow !== undefined && !goneRow.ok && goneRow.rtt_open_ms === null);
    assert.equal(goneRow.detail?.["open"]?.phase, "tcp");

    const [document] = await latestMetadata(store, good.url);
    assert.equal((document?.data as { name: string }).name, "good");

    const now = seconds(clock);
    const after = await statuses(store);
    assert.equal(after.get(good.url)?.state, "online");
    const wait = (after.get(good.url)?.next_check_at ?? 0) - now;
    assert.ok(wait >= 900 && wait <= 4_500, `${wait} s`);
    assert.deepEqual(
      [after.get(gone.url)?.state, (after.get(gone.url)?.next_check_at ?? 0) - now],
      ["unknown", 300],
    );
    assert.deepEqual(await runCycle(monitor), {}, "nothing is due");
  },
);

storeTest(
  "a relay that fails is demoted over several checks, and back with one success",
  async (store) => {
    await using others = await startRelays(3);
    await using relay = await startHostileRelay();
    const clock = new ManualClock();
    const config = await testConfig("monitor.unreachable_after=2", "monitor.dead_after=3");
    await addRelays(store, relay.url, ...others.list.map(({ url }) => url));
    const monitor = monitorOf(store, config, clock);
    await runCycle(monitor);
    const { port } = relay;
    await relay[Symbol.asyncDispose]();
    const seen: string[] = [];
    for (let check = 0; check < 4; check++) {
      await clock.advance(7 * 86_400_000 + 1);
      await runCycle(monitor);
      seen.push((await statuses(store)).get(relay.url)?.state ?? "");
    }
    assert.deepEqual(seen, ["online", "unreachable", "dead", "dead"]);
    await using _back = await startHostileRelay({ port });
    await clock.advance(8 * 86_400_000);
    const counts = await runCycle(monitor);
    assert.equal(counts["relays_became_online"], 1);
    assert.equal((await statuses(store)).get(relay.url)?.failures, 0);
  },
);

storeTest(
  "when most known-good relays fail, the fault is ours: nothing is demoted",
  async (store) => {
    const clock = new ManualClock();
    const config = await testConfig("monitor.control.minimum=5");
    const ports: number[] = [];
    const urls: RelayUrl[] = [];
    {
      await using relays = await startRelays(6);
      for (const { url, port } of relays.list) {
        urls.push(url);
        ports.push(port);
      }
      await addRelays(store, ...urls);
      await runCycle(monitorOf(store, config, clock));
    }
    await clock.advance(2 * HOUR_MS);
    const monitor = monitorOf(store, config, clock);
    const counts = await runCycle(monitor);
    assert.equal(counts["own_outages"], 1);
    assert.equal(counts["checks_thrown_away"], 6);
    assert.equal(counts["checks_done"], undefined);
    for (const status of (await statuses(store)).values()) {
      assert.deepEqual([status.state, status.failures], ["online", 0]);
    }
    assert.equal((await checks(store)).length, 6, "those of the first cycle");

    // Back again: the relays that were let go are due at once.
    const back = await Promise.all(ports.map((port) => startHostileRelay({ port })));
    assert.equal((await runCycle(monitor))["relays_online"], 6);
    for (const relay of back) await relay[Symbol.asyncDispose]();
  },
);

storeTest("a few failures among many good relays are believed", async (store) => {
  await using good = await startRelays(5);
  await using bad = await startRelays(2);
  const clock = new ManualClock();
  const config = await testConfig();
  await addRelays(store, ...[...good.list, ...bad.list].map(({ url }) => url));
  const monitor = monitorOf(store, config, clock);
  await runCycle(monitor);
  for (const relay of bad.list) await relay[Symbol.asyncDispose]();
  await clock.advance(2 * HOUR_MS);
  const counts = await runCycle(monitor);
  assert.equal(counts["checks_failed_refused"], 2);
  assert.equal(counts["own_outages"], undefined);
});

storeTest(
  "too few known-good relays in a cycle: those that were alive a while ago are asked",
  async (store) => {
    await using witnesses = await startRelays(6);
    await using failing = await startRelays(2);
    const clock = new ManualClock();
    const config = await testConfig("monitor.control.minimum=3");
    await addRelays(store, ...failing.list.map(({ url }) => url));
    const monitor = monitorOf(store, config, clock);
    await runCycle(monitor);
    await clock.advance(60_000);
    await addRelays(store, ...witnesses.list.map(({ url }) => url));
    await runCycle(monitor);
    for (const relay of failing.list) await relay[Symbol.asyncDispose]();
    // The two that failed are due, the witnesses are not, and speak for us.
    await clock.advance(60_000);
    await makeDue(store, ...failing.list.map(({ url }) => url));
    const seen = witnesses.list.reduce((sum, relay) => sum + relay.seen.connections.total, 0);
    const counts = await runCycle(monitor);
    assert.deepEqual(counts, { relays_claimed: 2, checks_done: 2, checks_failed_refused: 2 });
    const asked = witnesses.list.reduce((sum, relay) => sum + relay.seen.connections.total, 0) -
      seen;
    assert.equal(asked, 6);
  },
);

storeTest("two processes share the relays: each is checked once", async (store) => {
  await using relays = await startRelays(20);
  const clock = new ManualClock();
  const config = await testConfig("networks.local.max_tasks=4");
  await addRelays(store, ...relays.list.map(({ url }) => url));
  const one = monitorOf(store, config, clock, { owner: "one" });
  const two = monitorOf(store, config, clock, { owner: "two" });
  const [first, second] = await Promise.all([runCycle(one), runCycle(two)]);
  assert.equal((first["checks_done"] ?? 0) + (second["checks_done"] ?? 0), 20);
  for (const relay of relays.list) assert.equal(relay.seen.connections.total, 1);
});

storeTest("relays of a network that is off wait", async (store) => {
  const clock = new ManualClock();
  const config = await testConfig();
  const onion = relayUrl(`ws://${"a".repeat(56)}.onion`);
  await addRelays(store, onion);
  assert.deepEqual(await runCycle(monitorOf(store, config, clock)), {});
  assert.equal((await statuses(store)).get(onion)?.checked_at, null);
});

storeTest("a proxy that is down costs its relays nothing", async (store) => {
  await using nobody = await startHostileRelay({ behaviours: [refuses()] });
  const clock = new ManualClock();
  const config = await testConfig(`networks.tor.proxy_url=socks5h://127.0.0.1:${nobody.port}`);
  const onion = relayUrl(`ws://${"a".repeat(56)}.onion`);
  await addRelays(store, onion);
  const counts = await runCycle(monitorOf(store, config, clock));
  assert.deepEqual(counts, { relays_claimed: 1, checks_not_made: 1, own_outages: 1 });
  assert.equal((await statuses(store)).get(onion)?.failures, 0);
});

storeTest("a relay that the proxy won't dial does not keep the others waiting", async (store) => {
  await using relay = await startHostileRelay();
  const [refused, good] = ["a", "b"].map((letter) => relayUrl(`ws://${letter.repeat(56)}.onion`));
  assert.ok(refused !== undefined && good !== undefined);
  const hosts = { [`${"b".repeat(56)}.onion`]: relay.port };
  // 2: not allowed by the proxy's rules.
  await using proxy = await startSocks5Server({ hosts, unknownReply: 2 });
  const clock = new ManualClock();
  const config = await testConfig(
    `networks.tor.proxy_url=${proxy.url}`,
    `networks.tor.timeout=${PROXIED_TIMEOUT_MS}ms`,
    "networks.tor.max_tasks=1",
    "monitor.max_relays=1",
    "monitor.checks.nip11=false",
  );
  await addRelays(store, refused, good);
  assert.equal((await runCycle(monitorOf(store, config, clock)))["checks_not_made"], 1);
  await clock.advance(60_000);
  assert.equal((await runCycle(monitorOf(store, config, clock)))["relays_online"], 1);
  const { checked_at: checkedAt, failures } = (await statuses(store)).get(refused) ?? {};
  assert.deepEqual([checkedAt, failures], [null, 0]);
  await proxy.untilNoSockets();
  await proxyTimersOver();
});

storeTest("relays of one host are checked one after another, others beside them", async (store) => {
  await using relay = await startHostileRelay({ behaviours: [delayMs(5)] });
  await using other = await startHostileRelay();
  const clock = new ManualClock();
  const config = await testConfig();
  const paths = Array.from({ length: 10 }, (_, i) => relay.urlFor("127.0.0.1", `/r${i}`));
  await addRelays(store, other.url, ...paths);
  assert.equal((await runCycle(monitorOf(store, config, clock)))["relays_online"], 11);
  assert.equal(relay.seen.connections.max, 1);
});

storeTest("a host with many relays keeps one worker busy, not all of them", async (store) => {
  await using crowded = await startHostileRelay({ behaviours: [delayMs(20)] });
  await using other = await startHostileRelay();
  const clock = new ManualClock();
  const config = await testConfig("networks.local.max_tasks=2");
  const paths = Array.from({ length: 12 }, (_, i) => crowded.urlFor("127.0.0.1", `/r${i}`));
  await addRelays(store, ...paths);
  await addRelays(store, other.url);
  const before = other.seen.until(({ connections }) => connections.total > 0)
    .then(() => crowded.seen.connections.total);
  await runCycle(monitorOf(store, config, clock));
  assert.ok(await before < 12, "the other relay waited for the whole host");
});

storeTest(
  "a document that changed is a new row in its history, an equal one is not",
  async (store) => {
    await using relay = await startHostileRelay({ behaviours: [nip11({ name: "a", x: 1 })] });
    const clock = new ManualClock();
    const config = await testConfig();
    await addRelays(store, relay.url);
    const monitor = monitorOf(store, config, clock);
    const changed: (number | undefined)[] = [];
    for (const document of [{ name: "a", x: 1 }, { x: 1, name: "a" }, { name: "b" }]) {
      relay.behave(nip11(document));
      changed.push((await runCycle(monitor))["documents_changed"]);
      await clock.advance(2 * HOUR_MS);
    }
    assert.deepEqual(changed, [1, undefined, 1]);
  },
);

storeTest(
  "a document that no database likes costs neither its relay's check nor another's",
  async (store) => {
    const poison = [
      '{"huge":1e999,"tiny":1e-999}',
      '{"nul\\u0000key":"nul\\u0000value"}',
      '{"lone\\ud800":"\\udfff"}',
      '{"__proto__":{"a":1},"constructor":null}',
      `{"deep":${"[".repeat(30)}${"]".repeat(30)}}`,
      '{"":{"":[]}}',
    ];
    const relays = await Promise.all(
      poison.map((text) => startHostileRelay({ behaviours: [nip11Text(text)] })),
    );
    const clock = new ManualClock();
    const config = await testConfig();
    await addRelays(store, ...relays.map(({ url }) => url));
    const counts = await runCycle(monitorOf(store, config, clock));
    assert.equal(counts["relays_online"], poison.length);
    assert.equal(counts["documents_changed"], poison.length);
    for (const relay of relays) await relay[Symbol.asyncDispose]();
  },
);

storeTest(
  "a cycle that is aborted ends soon; what was finished is kept or comes back",
  async (store) => {
    await using relay = await startHostileRelay({ behaviours: [silent()] });
    const clock = new ManualClock();
    const config = await testConfig("monitor.timeouts.read=60s");
    await addRelays(store, relay.url);
    const stop = new AbortController();
    const running = runCycle(monitorOf(store, config, clock), stop.signal);
    await relay.seen.until(({ reqs }) => reqs.length > 0);
    stop.abort();
    await assert.rejects(running, { name: "AbortError" });
    assert.equal((await checks(store)).length, 0);
    relay.behave();
    await clock.advance(16 * 60_000);
    assert.equal((await runCycle(monitorOf(store, config, clock)))["checks_done"], 1);
  },
);

storeTest("a cycle takes up no more relays than it may", async (store) => {
  await using relays = await startRelays(5);
  const clock = new ManualClock();
  const config = await testConfig("monitor.max_relays=2");
  await addRelays(store, ...relays.list.map(({ url }) => url));
  const monitor = monitorOf(store, config, clock);
  assert.equal((await runCycle(monitor))["checks_done"], 2);
  assert.equal((await runCycle(monitor))["checks_done"], 2);
  assert.equal((await runCycle(monitor))["checks_done"], 1);
});

function relayUrl(text: string): RelayUrl {
  const url = parseRelayUrl(text);
  assert.ok(url.ok);
  return url.value;
}
