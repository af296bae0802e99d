import assert from "node:assert/strict";
import type { Config } from "../../src/config/config.ts";
import type { Counts } from "../../src/lib/cycle.ts";
import { parseRelayUrl, type RelayUrl } from "../../src/model/relay_url.ts";
import { BlockSource } from "../../src/net/block_source.ts";
import type { Dialer } from "../../src/net/dialer.ts";
import { HostSlots } from "../../src/net/host_slots.ts";
import { insertCandidates } from "../../src/store/candidates.ts";
import type { Store } from "../../src/store/connect.ts";
import { insertChecks } from "../../src/store/relay_checks.ts";
import { insertRelays, pageRelays, relaysByUrl } from "../../src/store/relays.ts";
import { createValidator } from "../../src/validator/validator.ts";
import { http429, startHostileRelay } from "../relay/mod.ts";
import { ManualClock } from "../support/manual_clock.ts";
import { runCycle, testConfig, testDialer } from "../support/stages.ts";
import { storeTest } from "../support/store.ts";

async function add(store: Store, clock: ManualClock, ...urls: RelayUrl[]): Promise<void> {
  const list = urls.map((url) => ({ url, source: "test" }));
  await insertCandidates(store, list, { at: Math.floor(clock.nowMs() / 1000) });
}

async function validate(
  store: Store,
  clock: ManualClock,
  config: Config,
  dialer: Dialer = testDialer(config),
): Promise<Counts> {
  const blocks = new BlockSource(config.monitor.block, { clock });
  const slots = new HostSlots();
  return await runCycle(createValidator({ store, dialer, slots, config, clock, blocks }));
}

interface Row {
  url: string;
  attempts: number;
  wait: number;
  claimed: boolean;
}

/** What is left to try, by how long it waits from now. */
async function waiting(store: Store, clock: ManualClock): Promise<Row[]> {
  const at = Math.floor(clock.nowMs() / 1000);
  return await store.run("test", async (sql) => [
    ...await sql<Row[]>`select url, attempts, next_attempt_at - ${at}::bigint as wait,
      claimed_until > 0 as claimed from candidate order by next_attempt_at, url`,
  ]);
}

storeTest("who is to be left alone is not asked, and not counted against", async (store) => {
  await using relay = await startHostileRelay();
  await using other = await startHostileRelay();
  const clock = new ManualClock();
  const config = await testConfig(
    `monitor.block.rules=[.blocked.example, ${relay.urlFor("127.0.0.1", "/x")}, 127.7.7.0/24]`,
  );
  const dialer = testDialer(config, { resolve: () => Promise.resolve(["127.7.7.7"]) });
  const blocked = [
    relay.urlFor("a.blocked.example"),
    relay.urlFor("127.0.0.1", "/x"),
    relay.urlFor("leads.there.example"),
  ];
  await add(store, clock, ...blocked, other.url);
  const counts = await validate(store, clock, config, dialer);
  assert.deepEqual(counts, {
    candidates_claimed: 2,
    candidates_promoted: 1,
    proof_eose: 1,
    candidates_blocked_suffix: 1,
    candidates_blocked_url: 1,
    candidates_blocked_address: 1,
  });
  assert.equal(relay.seen.connections.total, 0);
  for (const { attempts, wait, claimed } of await waiting(store, clock)) {
    assert.deepEqual([attempts, claimed], [0, false]);
    assert.ok(wait >= 3_600 && wait <= 7_200, `${wait} s`);
  }
  // Taken off the list, they are tried as if nothing had been.
  await clock.advance(7_200_000);
  const free = await testConfig();
  const anywhere = testDialer(free, { resolve: () => Promise.resolve(["127.0.0.1"]) });
  assert.equal((await validate(store, clock, free, anywhere))["candidates_promoted"], 3);
});

storeTest("a host with many candidates gets a few a cycle, the others in time", async (store) => {
  await using relay = await startHostileRelay();
  const clock = new ManualClock();
  const config = await testConfig("validator.max_per_host=2", "validator.interval=5m");
  const paths = Array.from({ length: 7 }, (_, i) => relay.urlFor("127.0.0.1", `/r${i}`));
  await add(store, clock, ...paths);
  const counts = await validate(store, clock, config);
  assert.deepEqual(counts, {
    candidates_claimed: 2,
    candidates_promoted: 2,
    proof_eose: 2,
    candidates_put_off: 5,
  });
  const waits = (await waiting(store, clock)).map(({ wait }) => wait);
  assert.deepEqual(waits, [300, 300, 600, 600, 900]);
  for (const done of [2, 2, 1]) {
    await clock.advance(300_000);
    assert.equal((await validate(store, clock, config))["candidates_promoted"], done);
  }
});

storeTest("a host that says 429 is not asked for its other URLs", async (store) => {
  await using relay = await startHostileRelay({ behaviours: [http429(1800)] });
  const clock = new ManualClock();
  const config = await testConfig();
  const paths = Array.from({ length: 4 }, (_, i) => relay.urlFor("127.0.0.1", `/r${i}`));
  await add(store, clock, ...paths);
  const counts = await validate(store, clock, config);
  assert.equal(counts["candidates_failed_http_status"], 1);
  assert.equal(counts["candidates_put_off"], 3);
  const rows = await waiting(store, clock);
  assert.deepEqual(rows.map(({ attempts }) => attempts).sort(), [0, 0, 0, 1]);
  for (const { wait } of rows) assert.ok(wait >= 1_800, `${wait} s`);
});

storeTest("URLs of a host that is not there share one look-up and its verdict", async (store) => {
  const clock = new ManualClock();
  const config = await testConfig();
  let asked = 0;
  const dialer = testDialer(config, {
    resolve: () => {
      asked++;
      return Promise.reject(Object.assign(new Error("no such name"), { code: "ENOTFOUND" }));
    },
  });
  await add(store, clock, ...["/a", "/b", "/c"].map((path) => url(`wss://gone.example${path}`)));
  const counts = await validate(store, clock, config, dialer);
  assert.equal(counts["candidates_failed_name_not_found"], 3);
  assert.equal(asked, 1);
});

/** Relays behind names that stop to resolve when the network does. */
class Names {
  down = false;
  readonly resolve = (): Promise<string[]> => {
    if (!this.down) return Promise.resolve(["127.0.0.1"]);
    return Promise.reject(Object.assign(new Error("no such name"), { code: "ENOTFOUND" }));
  };
}

async function addKnownGood(store: Store, clock: ManualClock, urls: RelayUrl[]): Promise<void> {
  const checkedAt = Math.floor(clock.nowMs() / 1000);
  await insertRelays(store, urls, { at: 1 });
  const rows = [...await relaysByUrl(store, urls)].map(([, relayId]) => ({
    relayId,
    checkedAt,
    ok: true,
    state: "online" as const,
    failures: 0,
    nextCheckAt: checkedAt + 3_600,
  }));
  await insertChecks(store, rows);
}

storeTest("while our own network is down, candidates are let go as they were", async (store) => {
  await using relay = await startHostileRelay();
  const clock = new ManualClock();
  const config = await testConfig("validator.control.minimum=10", "validator.junk_after=1");
  const names = new Names();
  const dialer = testDialer(config, names);
  const good = Array.from({ length: 3 }, (_, i) => relay.urlFor(`good${i}.example`));
  const candidates = Array.from({ length: 30 }, (_, i) => relay.urlFor(`new${i}.example`));
  await addKnownGood(store, clock, good);
  await add(store, clock, ...candidates);
  const validator = createValidator({ store, dialer, slots: new HostSlots(), config, clock });

  names.down = true;
  for (let cycle = 0; cycle < 3; cycle++) {
    const counts = await runCycle(validator);
    assert.equal(counts["own_outages"], 1);
    assert.ok((counts["candidates_thrown_away"] ?? 0) > 0);
    assert.equal(counts["candidates_junk"], undefined);
    assert.equal(counts["candidates_failed_name_not_found"], undefined);
    for (const { attempts, wait, claimed } of await waiting(store, clock)) {
      assert.deepEqual([attempts, claimed], [0, false]);
      assert.ok(wait <= 0, "due at once");
    }
    await clock.advance(300_000);
  }
  names.down = false;
  assert.equal((await runCycle(validator))["candidates_promoted"], 30);
  assert.equal((await pageRelays(store, { limit: 100 })).length, 33);
});

storeTest("dead candidates are believed when relays known to be good answer", async (store) => {
  await using relay = await startHostileRelay();
  const clock = new ManualClock();
  const config = await testConfig("validator.control.minimum=10", "validator.junk_after=1");
  const dialer = testDialer(config, {
    resolve: (host) =>
      host.startsWith("good") ? Promise.resolve(["127.0.0.1"]) : Promise.reject(
        Object.assign(new Error("no such name"), { code: "ENOTFOUND" }),
      ),
  });
  await addKnownGood(store, clock, [relay.urlFor("good0.example"), relay.urlFor("good1.example")]);
  await add(store, clock, ...Array.from({ length: 30 }, (_, i) => relay.urlFor(`new${i}.example`)));
  const counts = await validate(store, clock, config, dialer);
  assert.equal(counts["candidates_junk"], 30);
  assert.equal(counts["own_outages"], undefined);
  assert.equal(relay.seen.connections.total, 2, "each witness once");
});

storeTest("candidates of a cycle that is aborted are due again at once", async (store) => {
  const clock = new ManualClock();
  const config = await testConfig();
  const stop = new AbortController();
  const dialer = testDialer(config, {
    resolve: (_host, { signal }) => {
      stop.abort();
      return new Promise((_resolve, reject) => {
        signal?.addEventListener("abort", () => reject(signal.reason));
      });
    },
  });
  await add(store, clock, url("wss://a.example"), url("wss://b.example"));
  const slots = new HostSlots();
  const running = runCycle(createValidator({ store, dialer, slots, config, clock }), stop.signal);
  await assert.rejects(running, { name: "AbortError" });
  const rows = await waiting(store, clock);
  assert.deepEqual(rows.map(({ attempts, wait, claimed }) => [attempts, wait, claimed]), [
    [0, 0, false],
    [0, 0, false],
  ]);
});

function url(text: string): RelayUrl {
  const parsed = parseRelayUrl(text);
  assert.ok(parsed.ok);
  return parsed.value;
}
