import assert from "node:assert/strict";
import type { RelayUrl } from "../../src/model/relay_url.ts";
import { closedWith, http429, refuses, startHostileRelay } from "../relay/mod.ts";
import type { Behaviour, HostileRelay } from "../relay/mod.ts";
import { ManualClock } from "../support/manual_clock.ts";
import { runCycle, testConfig, testDialer } from "../support/stages.ts";
import { insertRelays } from "../../src/store/relays.ts";
import { storeTest } from "../support/store.ts";
import { addRelays, makeDue, monitorOf, standings } from "./support.ts";

const HOUR = 3_600;
const HOUR_MS = HOUR * 1000;

function paths(relay: HostileRelay, count: number): RelayUrl[] {
  return Array.from({ length: count }, (_, i) => relay.urlFor("127.0.0.1", `/r${i}`));
}

storeTest("who is to be left alone is neither dialled nor judged, and waits", async (store) => {
  await using relay = await startHostileRelay();
  await using other = await startHostileRelay();
  const clock = new ManualClock();
  const exact = relay.urlFor("127.0.0.1", "/x");
  const config = await testConfig(
    `monitor.block.rules=[${exact}, blocked.example, .domain.example, 127.7.7.0/24]`,
  );
  const names = new Set<string>();
  const dialer = testDialer(config, {
    resolve: (host) => {
      names.add(host);
      return Promise.resolve(["127.7.7.7"]);
    },
  });
  const blocked = [
    exact,
    relay.urlFor("blocked.example"),
    relay.urlFor("a.domain.example"),
    relay.urlFor("leads.there.example"),
  ];
  await addRelays(store, ...blocked, other.url);
  const counts = await runCycle(monitorOf(store, config, clock, { dialer }));
  assert.deepEqual(counts, {
    relays_claimed: 2,
    relays_blocked_url: 1,
    relays_blocked_host: 1,
    relays_blocked_suffix: 1,
    relays_blocked_address: 1,
    checks_done: 1,
    relays_online: 1,
    relays_became_online: 1,
    documents_changed: counts["documents_changed"],
  });
  assert.equal(relay.seen.connections.total, 0);
  assert.deepEqual([...names], ["leads.there.example"]);
  const after = await standings(store, clock);
  for (const url of blocked) {
    const { wait, ...rest } = after.get(url) ?? { wait: 0 };
    assert.deepEqual(rest, { state: "unknown", failures: 0, checkedAt: null, claimed: false });
    assert.ok(wait >= HOUR && wait <= 1.25 * HOUR, `${wait} s`);
  }
  assert.deepEqual(await runCycle(monitorOf(store, config, clock, { dialer })), {});

  await clock.advance(2 * HOUR_MS);
  const free = await testConfig();
  const anywhere = testDialer(free, { resolve: () => Promise.resolve(["127.0.0.1"]) });
  const later = await runCycle(monitorOf(store, free, clock, { dialer: anywhere }));
  assert.equal(later["relays_became_online"], 4);
});

storeTest("a host with many relays gets a few visits a cycle, all in time", async (store) => {
  await using relay = await startHostileRelay();
  const clock = new ManualClock();
  const config = await testConfig("monitor.max_per_host=3", "monitor.interval=1m");
  await addRelays(store, ...paths(relay, 10));
  const monitor = monitorOf(store, config, clock);
  const counts = await runCycle(monitor);
  assert.deepEqual([counts["checks_done"], counts["relays_put_off"]], [3, 7]);
  const waits = [...(await standings(store, clock)).values()].map(({ wait }) => wait);
  assert.deepEqual(waits.filter((wait) => wait < 900), [60, 60, 60, 120, 120, 120, 180]);
  for (const done of [3, 3, 1]) {
    await clock.advance(60_000);
    assert.equal((await runCycle(monitor))["checks_done"], done);
  }
  assert.equal(relay.seen.connections.total, 10);
});

storeTest(
  "a relay that says 429 is not demoted, however often, and asked seldom",
  async (store) => {
    await using relay = await startHostileRelay();
    const clock = new ManualClock();
    const config = await testConfig("monitor.unreachable_after=2", "monitor.rate_limit_rest=1h");
    await addRelays(store, relay.url);
    const monitor = monitorOf(store, config, clock);
    await runCycle(monitor);
    relay.behave(http429(10));
    await clock.advance(HOUR_MS);
    await makeDue(store);
    const waits: number[] = [];
    for (let check = 0; check < 4; check++) {
      const before = relay.seen.http.length;
      const counts = await runCycle(monitor);
      assert.deepEqual(counts, { relays_claimed: 1, checks_rate_limited: 1 });
      assert.equal(relay.seen.http.length - before, 1, "no second request behind the refusal");
      const { state, failures, wait = 0 } = (await standings(store, clock)).get(relay.url) ?? {};
      assert.deepEqual([state, failures], ["online", 0]);
      waits.push(wait / HOUR);
      await clock.advance(wait * 1000);
    }
    for (const [i, wait] of waits.entries()) {
      const last = waits[i - 1];
      if (last === undefined) assert.ok(wait >= 1 && wait <= 1.3, `${wait} h`);
      else assert.ok(wait > 1.9 * last && wait < 2.6 * last, `${last} h, then ${wait} h`);
    }
  },
);

storeTest(
  "a relay that says 429 from the first time on is asked ever more seldom, too",
  async (store) => {
    await using relay = await startHostileRelay({ behaviours: [http429(10)] });
    const clock = new ManualClock();
    const config = await testConfig("monitor.rate_limit_rest=1h");
    await insertRelays(store, [relay.url], { at: Math.floor(clock.nowMs() / 1000) });
    const monitor = monitorOf(store, config, clock);
    const waits: number[] = [];
    for (let check = 0; check < 4; check++) {
      assert.deepEqual(await runCycle(monitor), { relays_claimed: 1, checks_rate_limited: 1 });
      const { state, failures, wait = 0 } = (await standings(store, clock)).get(relay.url) ?? {};
      assert.deepEqual([state, failures], ["unknown", 0]);
      waits.push(wait / HOUR);
      await clock.advance(wait * 1000);
    }
    assert.deepEqual(waits.map(Math.round), [1, 1, 3, 5]);
  },
);

storeTest("Retry-After holds, and the host's other relays wait as long", async (store) => {
  await using relay = await startHostileRelay({ behaviours: [http429(5 * HOUR)] });
  const clock = new ManualClock();
  const config = await testConfig();
  await addRelays(store, ...paths(relay, 4));
  const counts = await runCycle(monitorOf(store, config, clock));
  assert.deepEqual([counts["checks_rate_limited"], counts["relays_put_off"]], [1, 3]);
  assert.equal(relay.seen.http.length, 1);
  for (const { wait, claimed } of (await standings(store, clock)).values()) {
    assert.ok(wait >= 5 * HOUR && !claimed, `${wait} s`);
  }
});

storeTest(
  "a relay that answers rate-limited: is online, and asked half as often",
  async (store) => {
    await using relay = await startHostileRelay({ behaviours: [closedWith("rate-limited")] });
    const clock = new ManualClock();
    const config = await testConfig();
    await addRelays(store, relay.url);
    assert.equal((await runCycle(monitorOf(store, config, clock)))["relays_online"], 1);
    const { state, wait = 0 } = (await standings(store, clock)).get(relay.url) ?? {};
    assert.equal(state, "online");
    assert.ok(wait >= 2 * HOUR, `${wait} s`);
  },
);

storeTest("URLs of a host that does not answer share its verdict", async (store) => {
  await using gone = await startHostileRelay({ behaviours: [refuses()] });
  const clock = new ManualClock();
  const config = await testConfig();
  let asked = 0;
  const dialer = testDialer(config, {
    resolve: () => {
      asked++;
      return Promise.resolve(["127.0.0.1"]);
    },
  });
  await addRelays(store, ...["/a", "/b", "/c"].map((path) => gone.urlFor("gone.example", path)));
  const counts = await runCycle(monitorOf(store, config, clock, { dialer }));
  assert.equal(counts["checks_failed_refused"], 3);
  assert.equal(asked, 1);
  for (const { failures } of (await standings(store, clock)).values()) assert.equal(failures, 1);
});

storeTest("a name that got no answer is asked for again within the check", async (store) => {
  await using relay = await startHostileRelay();
  const clock = new ManualClock();
  const config = await testConfig();
  let asked = 0;
  const dialer = testDialer(config, {
    resolve: () =>
      asked++ === 0
        ? Promise.reject(Object.assign(new Error("try again"), { code: "EAI_AGAIN" }))
        : Promise.resolve(["127.0.0.1"]),
  });
  await addRelays(store, relay.urlFor("shaky.example"));
  const running = runCycle(monitorOf(store, config, clock, { dialer }));
  await clock.untilSleeping();
  await clock.advance(1_000);
  assert.equal((await running)["relays_online"], 1);
});

/** Lets time pass while somebody waits for an answer. */
function takes(clock: ManualClock, ms: number): Behaviour {
  return { name: "takes", delayMs: 50, connected: () => void clock.advance(ms) };
}

storeTest("nothing is checked twice in one cycle, however long it lasts", async (store) => {
  const clock = new ManualClock();
  await using gone = await startHostileRelay({ behaviours: [refuses()] });
  await using slow = await startHostileRelay({ behaviours: [takes(clock, 8 * 60_000)] });
  const config = await testConfig("monitor.retry_delays=[10s]", "networks.local.max_tasks=1");
  await addRelays(store, gone.url);
  await addRelays(store, slow.url);
  const counts = await runCycle(monitorOf(store, config, clock));
  assert.deepEqual([counts["checks_done"], counts["checks_failed_refused"]], [2, 1]);
  const { state, failures, wait = 0 } = (await standings(store, clock)).get(gone.url) ?? {};
  assert.deepEqual([state, failures], ["unknown", 1]);
  assert.ok(wait < 0, "due again for the next cycle");
});

storeTest("a check that might outlast its lease is not begun", async (store) => {
  const clock = new ManualClock();
  await using slow = await startHostileRelay({ behaviours: [takes(clock, 11 * 60_000)] });
  const config = await testConfig();
  const [first, second] = paths(slow, 2);
  assert.ok(first !== undefined && second !== undefined);
  await addRelays(store, first, second);
  assert.equal((await runCycle(monitorOf(store, config, clock)))["checks_done"], 1);
  const after = (await standings(store, clock)).get(second);
  assert.deepEqual([after?.checkedAt, after?.claimed], [null, false]);
  slow.behave();
  assert.equal((await runCycle(monitorOf(store, config, clock)))["checks_done"], 1);
});

storeTest("relays of a cycle that is aborted are due again at once", async (store) => {
  await using relay = await startHostileRelay();
  const clock = new ManualClock();
  const config = await testConfig("networks.local.max_tasks=1");
  const stop = new AbortController();
  relay.behave({ name: "stops us", connected: () => stop.abort() });
  await addRelays(store, ...paths(relay, 5));
  await assert.rejects(runCycle(monitorOf(store, config, clock), stop.signal), {
    name: "AbortError",
  });
  for (const { wait, claimed } of (await standings(store, clock)).values()) {
    assert.ok(wait <= 0 && !claimed);
  }
  relay.behave();
  assert.equal((await runCycle(monitorOf(store, config, clock)))["checks_done"], 5);
});

storeTest("right after a start, relays known from before speak for us", async (store) => {
  await using relay = await startHostileRelay();
  const clock = new ManualClock();
  const config = await testConfig("monitor.control.minimum=4");
  const names = new Set<string>();
  const dialer = testDialer(config, {
    resolve: (host) =>
      names.has(host)
        ? Promise.reject(Object.assign(new Error("gone"), { code: "ENOTFOUND" }))
        : Promise.resolve(["127.0.0.1"]),
  });
  const hosts = Array.from({ length: 8 }, (_, i) => `r${i}.example`);
  const urls = hosts.map((host) => relay.urlFor(host));
  await addRelays(store, ...urls);
  await runCycle(monitorOf(store, config, clock, { dialer }));

  // Two are gone and due; a process that has just begun has only the database to ask for others.
  for (const host of hosts.slice(0, 2)) names.add(host);
  await clock.advance(60_000);
  await makeDue(store, ...urls.slice(0, 2));
  const believed = await runCycle(monitorOf(store, config, clock, { dialer }));
  assert.equal(believed["checks_failed_name_not_found"], 2);

  for (const host of hosts) names.add(host);
  await clock.advance(60_000);
  await makeDue(store, ...urls.slice(2, 4));
  const thrown = await runCycle(monitorOf(store, config, clock, { dialer }));
  assert.deepEqual(thrown, { relays_claimed: 2, own_outages: 1, checks_thrown_away: 2 });
  const after = await standings(store, clock);
  for (const url of urls.slice(2, 4)) {
    const { failures, wait = 1, claimed } = after.get(url) ?? {};
    assert.deepEqual([failures, claimed], [0, false]);
    assert.ok(wait <= 0, "due at once");
  }
});
