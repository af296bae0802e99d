import assert from "node:assert/strict";
import type { Config } from "../../src/config/config.ts";
import type { RelayUrl } from "../../src/model/relay_url.ts";
import { openPublisher, type Publisher } from "../../src/nostr/publisher.ts";
import { parseDelta, type RelayDelta } from "../../src/nostr/relay_delta.ts";
import {
  type HostileRelay,
  nip11,
  noOk,
  okFalse,
  refuses,
  startHostileRelay,
} from "../relay/mod.ts";
import { ManualClock } from "../support/manual_clock.ts";
import { runCycle, testConfig, testDialer } from "../support/stages.ts";
import { storeTest } from "../support/store.ts";
import { addRelays, makeDue, monitorOf, signer } from "./support.ts";

const DAY_MS = 86_400_000;

function configFor(board: RelayUrl, ...sets: string[]): Promise<Config> {
  return testConfig(
    `monitor.publish.relays=[${board}]`,
    "monitor.publish.deltas=true",
    "monitor.checks.nip11=true",
    ...sets,
  );
}

function publisherFor(config: Config): Publisher {
  return openPublisher({
    dialer: testDialer(config),
    relays: config.monitor.publish.relays,
    signer,
    pacingMs: 0,
    timeoutMs: 500,
    attempts: 1,
  });
}

function clockAtNow(): ManualClock {
  return new ManualClock(Math.floor(Date.now() / 1000) * 1000 - 30 * DAY_MS);
}

function deltas(board: HostileRelay): RelayDelta[] {
  return board.seen.events.filter(({ kind }) => kind === 1066).map((event) => {
    const parsed = parseDelta(event);
    assert.ok(parsed.ok);
    return parsed.value;
  });
}

storeTest(
  "what becomes of a relay is told once each: first seen, changed, down, up",
  async (store) => {
    await using board = await startHostileRelay();
    const first = await startHostileRelay({
      behaviours: [nip11({ name: "one", supported_nips: [1, 11] })],
    });
    const { url, port } = first;
    // Others that stay, so that a failure is not taken for our own.
    await using steady = await startHostileRelay();
    const clock = clockAtNow();
    const config = await configFor(board.url, "monitor.control.minimum=3");
    await using publisher = publisherFor(config);
    const monitor = monitorOf(store, config, clock, { publisher });
    await addRelays(store, url, steady.url);
    const cycle = async (): Promise<RelayDelta[]> => {
      const before = deltas(board).length;
      await clock.advance(60_000);
      await makeDue(store);
      await runCycle(monitor);
      return deltas(board).slice(before).filter((delta) => delta.url === url);
    };

    const [init] = await cycle();
    assert.equal(init?.status, "init");
    assert.ok((init?.rttOpenMs ?? 0) >= 1);
    const told = init?.changes.map(({ field, type, value }) => `${type} ${field} ${value}`) ?? [];
    assert.deepEqual(told, [
      "added name one",
      "added supported_nips 1",
      "added supported_nips 11",
    ]);

    assert.deepEqual(await cycle(), [], "nothing changed");

    first.behave(nip11({ name: "two", supported_nips: [1, 11, 50] }));
    const [changed, ...none] = await cycle();
    assert.deepEqual(none, []);
    assert.equal(changed?.status, undefined);
    assert.deepEqual(changed?.changes, [
      { field: "name", type: "changed", value: "two" },
      { field: "supported_nips", type: "added", value: "50" },
    ]);

    await first[Symbol.asyncDispose]();
    assert.deepEqual(await cycle(), [], "one bad cycle");
    assert.deepEqual(await cycle(), [{ url, status: "down", retry: 2, changes: [] }]);
    assert.deepEqual(await cycle(), [], "still down");

    await using _back = await startHostileRelay({
      port,
      behaviours: [nip11({ name: "two", supported_nips: [1, 11] })],
    });
    const [up] = await cycle();
    assert.equal(up?.status, "up");
    assert.deepEqual(up?.changes, [{ field: "supported_nips", type: "removed", value: "50" }]);
  },
);

storeTest("unless they are wanted, no changes are published", async (store) => {
  await using board = await startHostileRelay();
  await using relay = await startHostileRelay();
  const clock = clockAtNow();
  const config = await configFor(board.url, "monitor.publish.deltas=false");
  await using publisher = publisherFor(config);
  await addRelays(store, relay.url);
  const counts = await runCycle(monitorOf(store, config, clock, { publisher }));
  assert.equal(counts["reports_published"], 1);
  assert.deepEqual(deltas(board), []);
});

storeTest("a relay that never was online does not go down", async (store) => {
  await using board = await startHostileRelay();
  await using gone = await startHostileRelay({ behaviours: [refuses()] });
  const clock = clockAtNow();
  const config = await configFor(board.url);
  await using publisher = publisherFor(config);
  const monitor = monitorOf(store, config, clock, { publisher });
  await addRelays(store, gone.url);
  for (let cycle = 0; cycle < 7; cycle++) {
    await runCycle(monitor);
    await clock.advance(8 * DAY_MS / 2);
    await makeDue(store);
  }
  assert.deepEqual(deltas(board), []);
});

for (
  const [what, behaviour] of [["refused", okFalse("blocked")], ["not answered", noOk()]] as const
) {
  storeTest(`changes and reports that are ${what} cost no check`, async (store) => {
    await using board = await startHostileRelay({ behaviours: [behaviour] });
    await using relay = await startHostileRelay();
    const clock = clockAtNow();
    const config = await configFor(board.url);
    await using publisher = publisherFor(config);
    await addRelays(store, relay.url);
    const counts = await runCycle(monitorOf(store, config, clock, { publisher }));
    assert.deepEqual([counts["checks_done"], counts["deltas_failed"]], [1, 1]);
    const reason = what === "refused" ? "blocked" : "timeout";
    assert.equal(counts[`delta_refused_${reason}`], 1);
  });
}

storeTest("a key that can't sign costs no finished check", async (store) => {
  await using board = await startHostileRelay();
  await using relay = await startHostileRelay();
  const clock = clockAtNow();
  const config = await configFor(board.url);
  await using publisher = publisherFor(config);
  await addRelays(store, relay.url);
  const broken = {
    ...signer,
    pubkey: signer.pubkey,
    sign: () => Promise.reject(new Error("no key")),
  };
  const monitor = monitorOf(store, config, clock, { publisher, signer: broken });
  await assert.rejects(runCycle(monitor), /no key/);
  const [row] = await store.run("test", async (sql) => [
    ...await sql<{ n: number }[]>`select count(*)::int as n from relay_check where ok`,
  ]);
  assert.equal(row?.n, 1);
});
