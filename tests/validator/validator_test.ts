import assert from "node:assert/strict";
import type { Config } from "../../src/config/config.ts";
import type { Counts } from "../../src/lib/cycle.ts";
import { parseRelayUrl, type RelayUrl } from "../../src/model/relay_url.ts";
import { HostSlots } from "../../src/net/host_slots.ts";
import { countCandidates, insertCandidates } from "../../src/store/candidates.ts";
import type { Store } from "../../src/store/connect.ts";
import { pageRelays } from "../../src/store/relays.ts";
import { createValidator } from "../../src/validator/validator.ts";
import {
  authWall,
  challengesOnly,
  delayMs,
  http200,
  refuses,
  silent,
  startHostileRelay,
} from "../relay/mod.ts";
import { PROXIED_TIMEOUT_MS, proxyTimersOver } from "../net/dialers.ts";
import { startSocks5Server } from "../relay/socks5_server.ts";
import { ManualClock } from "../support/manual_clock.ts";
import { runCycle, testConfig, testDialer } from "../support/stages.ts";
import { storeTest } from "../support/store.ts";

const DAY_MS = 86_400_000;

async function add(store: Store, clock: ManualClock, ...urls: RelayUrl[]): Promise<number> {
  const list = urls.map((url) => ({ url, source: "test" }));
  return await insertCandidates(store, list, { at: Math.floor(clock.nowMs() / 1000) });
}

async function validate(
  store: Store,
  clock: ManualClock,
  config: Config,
  dialer = testDialer(config),
): Promise<Counts> {
  const slots = new HostSlots();
  return await runCycle(createValidator({ store, dialer, slots, config, clock }));
}

async function relays(store: Store): Promise<RelayUrl[]> {
  return (await pageRelays(store, { limit: 1000 })).map(({ url }) => url).sort();
}

storeTest("candidates that speak Nostr become relays, the others are postponed", async (store) => {
  await using good = await startHostileRelay();
  await using walled = await startHostileRelay({ behaviours: [authWall()] });
  await using challenging = await startHostileRelay({ behaviours: [challengesOnly()] });
  await using mute = await startHostileRelay({ behaviours: [silent()] });
  await using web = await startHostileRelay({ behaviours: [http200()] });
  await using gone = await startHostileRelay({ behaviours: [refuses()] });
  const clock = new ManualClock();
  const config = await testConfig();
  await add(store, clock, good.url, walled.url, challenging.url, mute.url, web.url, gone.url);
  const counts = await validate(store, clock, config);
  assert.deepEqual(counts, {
    candidates_claimed: 6,
    candidates_promoted: 3,
    proof_eose: 2,
    proof_closed: 1,
    candidates_failed_silent: 1,
    candidates_failed_http_status: 1,
    candidates_failed_refused: 1,
  });
  assert.deepEqual(await relays(store), [good.url, walled.url, challenging.url].sort());
  // Nothing is due until the first wait has passed.
  assert.deepEqual(await validate(store, clock, config), {});
  const at = clock.nowMs() / 1000;
  assert.deepEqual(await countCandidates(store, { at }), { pending: 3, due: 0, junk: 0 });
});

storeTest(
  "a relay of the open internet that speaks plain ws becomes a relay as such",
  async (store) => {
    await using relay = await startHostileRelay();
    const clock = new ManualClock();
    const config = await testConfig();
    const url = relay.urlFor("relay.example.com");
    assert.ok(url.startsWith("ws://"));
    await add(store, clock, url);
    const dialer = testDialer(config, { resolve: () => Promise.resolve(["127.0.0.1"]) });
    assert.equal((await validate(store, clock, config, dialer))["candidates_promoted"], 1);
    const [row] = await pageRelays(store, { limit: 1 });
    assert.deepEqual([row?.url, row?.network], [url, "clearnet"]);
  },
);

storeTest("a candidate that comes up later becomes a relay then", async (store) => {
  await using relay = await startHostileRelay({ behaviours: [http200()] });
  const clock = new ManualClock();
  const config = await testConfig();
  await add(store, clock, relay.url);
  assert.equal((await validate(store, clock, config))["candidates_failed_http_status"], 1);
  relay.behave();
  await clock.advance(13 * 60_000);
  assert.equal((await validate(store, clock, config))["candidates_promoted"], 1);
  assert.deepEqual(await relays(store), [relay.url]);
});

storeTest(
  "junk stays junk, whichever list names it again, until it was left alone",
  async (store) => {
    await using web = await startHostileRelay({ behaviours: [http200()] });
    const clock = new ManualClock();
    const config = await testConfig("validator.junk_after=3");
    await add(store, clock, web.url);
    for (let failure = 1; failure <= 3; failure++) {
      const counts = await validate(store, clock, config);
      assert.equal(counts["candidates_failed_http_status"], 1);
      assert.equal(counts["candidates_junk"], failure === 3 ? 1 : undefined);
      await clock.advance(8 * 3_600_000);
    }
    assert.equal(await add(store, clock, web.url), 0, "known, so not inserted again");
    await clock.advance(7 * DAY_MS);
    assert.deepEqual(await validate(store, clock, config), {});
    assert.equal((await countCandidates(store, { at: clock.nowMs() / 1000 })).junk, 1);

    await clock.advance(30 * DAY_MS);
    web.behave();
    assert.equal((await validate(store, clock, config))["candidates_promoted"], 1);
  },
);

storeTest("junk that no list names any more is forgotten", async (store) => {
  await using web = await startHostileRelay({ behaviours: [http200()] });
  const clock = new ManualClock();
  const config = await testConfig("validator.junk_after=1", "validator.junk_rest=365d");
  await add(store, clock, web.url);
  assert.equal((await validate(store, clock, config))["candidates_junk"], 1);
  await clock.advance(89 * DAY_MS);
  assert.deepEqual(await validate(store, clock, config), {});
  await clock.advance(2 * DAY_MS);
  assert.deepEqual(await validate(store, clock, config), { junk_forgotten: 1 });
});

storeTest("candidates of a network that is off wait; they do not fail", async (store) => {
  const onion = relayUrl(`ws://${"a".repeat(56)}.onion`);
  const clock = new ManualClock();
  const config = await testConfig(
    "networks.local.enabled=false",
    "networks.clearnet.enabled=false",
  );
  await add(store, clock, onion, relayUrl("ws://127.0.0.1:9"), relayUrl("wss://relay.example.com"));
  assert.deepEqual(await validate(store, clock, config), {});
  const at = clock.nowMs() / 1000;
  assert.deepEqual(await countCandidates(store, { at }), { pending: 3, due: 3, junk: 0 });
});

storeTest("a proxy that is down costs its candidates nothing", async (store) => {
  await using nobody = await startHostileRelay({ behaviours: [refuses()] });
  const clock = new ManualClock();
  const config = await testConfig(`networks.tor.proxy_url=socks5h://127.0.0.1:${nobody.port}`);
  await add(store, clock, relayUrl(`ws://${"a".repeat(56)}.onion`));
  const counts = await validate(store, clock, config);
  assert.deepEqual(counts, {
    candidates_claimed: 1,
    candidates_not_tried: 1,
    candidates_put_off: 1,
  });
  await clock.advance(16 * 60_000);
  const at = clock.nowMs() / 1000;
  assert.deepEqual(await countCandidates(store, { at }), { pending: 1, due: 1, junk: 0 });
});

storeTest(
  "a candidate that the proxy won't dial does not keep the others waiting",
  async (store) => {
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
      "validator.max_candidates=1",
    );
    await add(store, clock, refused);
    await clock.advance(1_000);
    await add(store, clock, good);
    assert.equal((await validate(store, clock, config))["candidates_not_tried"], 1);
    await clock.advance(60_000);
    assert.equal((await validate(store, clock, config))["candidates_promoted"], 1);
    await proxy.untilNoSockets();
    await proxyTimersOver();
  },
);

storeTest("a host sees one connection at a time, however many URLs name it", async (store) => {
  await using relay = await startHostileRelay({ behaviours: [delayMs(5)] });
  const clock = new ManualClock();
  const config = await testConfig();
  const paths = Array.from({ length: 12 }, (_, i) => relay.urlFor("127.0.0.1", `/r${i}`));
  await add(store, clock, ...paths);
  assert.equal((await validate(store, clock, config))["candidates_promoted"], 12);
  assert.equal(relay.seen.connections.max, 1);
  assert.equal(relay.seen.connections.total, 12);
});

storeTest(
  "a name that leads to a private address is refused, and no packet is sent",
  async (store) => {
    await using relay = await startHostileRelay();
    const clock = new ManualClock();
    const config = await testConfig("networks.local.enabled=false", "validator.junk_after=1");
    const dialer = testDialer(config, { resolve: () => Promise.resolve(["127.0.0.1"]) });
    await add(store, clock, relay.urlFor("relay.example.com"));
    const counts = await validate(store, clock, config, dialer);
    assert.equal(counts["candidates_failed_forbidden_address"], 1);
    assert.equal(counts["candidates_junk"], 1);
    assert.equal(relay.seen.connections.total, 0);
  },
);

storeTest("a cycle that is aborted ends soon, and its candidates come back", async (store) => {
  await using relay = await startHostileRelay({ behaviours: [silent()] });
  const clock = new ManualClock();
  const config = await testConfig("validator.read_timeout=60s");
  await add(store, clock, relay.url);
  const stop = new AbortController();
  const validator = createValidator({
    store,
    dialer: testDialer(config),
    slots: new HostSlots(),
    config,
    clock,
  });
  const running = runCycle(validator, stop.signal);
  await relay.seen.until(() => relay.seen.reqs.length > 0);
  stop.abort();
  await assert.rejects(running, { name: "AbortError" });
  await clock.advance(16 * 60_000);
  const at = clock.nowMs() / 1000;
  assert.deepEqual(await countCandidates(store, { at }), { pending: 1, due: 1, junk: 0 });
});

function relayUrl(text: string): RelayUrl {
  const url = parseRelayUrl(text);
  assert.ok(url.ok);
  return url.value;
}
