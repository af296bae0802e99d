// Relays that the operator names: their turns come, whatever the others do.
import assert from "node:assert/strict";
import { createIngest } from "../../src/ingest/ingest.ts";
import { systemClock, unixSeconds } from "../../src/lib/clock.ts";
import { CycleRunner } from "../../src/lib/cycle.ts";
import type { RelayUrl } from "../../src/model/relay_url.ts";
import { HostSlots } from "../../src/net/host_slots.ts";
import { generateSecretKey, localSigner } from "../../src/nostr/signer.ts";
import type { Store } from "../../src/store/connect.ts";
import { insertRelays } from "../../src/store/relays.ts";
import { createPriority, type PriorityDeps } from "../../src/synchronizer/priority.ts";
import { PriorityList } from "../../src/synchronizer/priority_list.ts";
import { createSynchronizer } from "../../src/synchronizer/synchronizer.ts";
import { openVerifier } from "../../src/verify/verifier.ts";
import { type HostileRelay, silent, startHostileRelay } from "../relay/mod.ts";
import { generateEvents, REGULAR_KINDS } from "../support/events.ts";
import { runCycle, testConfig, testDialer } from "../support/stages.ts";
import { storeTest } from "../support/store.ts";
import { tempFolder } from "../support/temp_folder.ts";
import { eventually } from "../support/within.ts";

const events = generateEvents(20, { kinds: REGULAR_KINDS });

storeTest("a crawl of relays that hang does not keep a named one waiting", async (store) => {
  const hanging: HostileRelay[] = [];
  await using stack = new AsyncDisposableStack();
  for (let i = 0; i < 6; i++) {
    hanging.push(stack.use(await startHostileRelay({ behaviours: [silent()] })));
  }
  const named = stack.use(await startHostileRelay({ events }));
  await addOnline(store, ...hanging.map((relay) => relay.url), named.url);
  const tools = stack.use(
    await openTools(
      store,
      "networks.local.max_tasks=2",
      "synchronizer.idle_timeout=10m",
      `synchronizer.priority={relays: [${named.url}], interval: 1s}`,
    ),
  );
  const abort = new AbortController();
  const options = { intervalMs: 100, maxConsecutiveFailures: 1, minSpacingMs: 10 };
  const crawl = new CycleRunner(createSynchronizer(tools.deps), options);
  const first = new CycleRunner(createPriority(tools.deps), options);
  const running = [crawl.run({ signal: abort.signal }), first.run({ signal: abort.signal })];
  const turns = (): number => first.status().totals["relays_synced"] ?? 0;
  await eventually("three turns of the named one", () => turns() >= 3);
  assert.equal(first.status().totals["events_new"], events.length);
  assert.deepEqual(crawl.status().totals, {}, "the others have not had one");
  const busy = hanging.filter((relay) => relay.seen.connections.now > 0).length;
  assert.equal(busy, 2, "all places of the crawl are taken");
  abort.abort();
  await Promise.all(running);
}, { kinds: ["pglite"] });

storeTest("a named relay is archived whatever the monitor thinks of it", async (store) => {
  await using unknown = await startHostileRelay({ events: events.slice(0, 10) });
  await using dead = await startHostileRelay({ events: events.slice(10) });
  await insertRelays(store, [dead.url], { at: 1 });
  await store.run("dead", (sql) => sql`update relay_status set state = 'dead'`);
  await using tools = await openTools(
    store,
    `synchronizer.priority.relays=[${unknown.url}, ${dead.url}]`,
  );
  assert.deepEqual(await runCycle(createSynchronizer(tools.deps)), {});
  const counts = await runCycle(createPriority(tools.deps));
  assert.equal(counts["relays_added"], 1);
  assert.equal(counts["relays_synced"], 2);
  assert.equal(counts["events_new"], events.length);
});

storeTest("a named relay that is gone is tried again within minutes", async (store) => {
  const gone = await startHostileRelay();
  await gone[Symbol.asyncDispose]();
  await using tools = await openTools(store, `synchronizer.priority.relays=[${gone.url}]`);
  const counts = await runCycle(createPriority(tools.deps));
  assert.equal(counts["relays_failed"], 1);
  const [row] = await store.run(
    "rest",
    (sql) => sql<{ at: number }[]>`select next_sync_at as at from relay_status`,
  );
  const rest = (row?.at ?? 0) - unixSeconds(systemClock);
  assert.ok(rest > 60 && rest <= 375, `${rest} s`);
});

Deno.test("the file of named relays is read again when it changes", async () => {
  await using folder = await tempFolder();
  const file = await folder.write(
    "first.txt",
    "# ours\nwss://one.example # first\n\n",
  );
  const config = await testConfig(
    `synchronizer.priority={relays: [wss://zero.example], file: ${file}}`,
  );
  let ms = 0;
  const list = new PriorityList(config.synchronizer.priority, {
    clock: { ...systemClock, monotonicMs: () => ms },
  });
  assert.deepEqual(await list.current(), ["wss://zero.example/", "wss://one.example/"]);
  await Deno.writeTextFile(file, "two.example\nnonsense://\nwss://zero.example/\n");
  assert.deepEqual(await list.current(), ["wss://zero.example/", "wss://one.example/"]);
  ms += 60_000;
  assert.deepEqual(await list.current(), ["wss://zero.example/", "wss://two.example/"]);
  await Deno.remove(file);
  ms += 60_000;
  assert.deepEqual(await list.current(), ["wss://zero.example/", "wss://two.example/"]);
});

async function openTools(
  store: Store,
  ...sets: readonly string[]
): Promise<AsyncDisposable & { deps: PriorityDeps }> {
  const config = await testConfig(...sets);
  const verifier = await openVerifier({ workers: 1 });
  const ingest = createIngest({ store, verifier });
  return {
    deps: {
      store,
      ingest,
      dialer: testDialer(config),
      slots: new HostSlots(),
      priority: new PriorityList(config.synchronizer.priority),
      signer: localSigner(generateSecretKey()),
      config,
    },
    async [Symbol.asyncDispose](): Promise<void> {
      await ingest[Symbol.asyncDispose]();
      await verifier[Symbol.asyncDispose]();
    },
  };
}

async function addOnline(store: Store, ...urls: RelayUrl[]): Promise<void> {
  await insertRelays(store, urls, { at: 1 });
  await store.run(
    "online",
    async (sql) => void await sql`update relay_status set state = 'online'`,
  );
}
