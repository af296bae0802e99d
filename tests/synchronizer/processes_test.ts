// Several processes on one database: relays are shared by leases, and what a killed one had begun is
// finished by another, with nothing lost and nothing counted twice.
import assert from "node:assert/strict";
import { createIngest } from "../../src/ingest/ingest.ts";
import { type Clock, systemClock } from "../../src/lib/clock.ts";
import { type Counts, CycleRunner } from "../../src/lib/cycle.ts";
import type { RelayUrl } from "../../src/model/relay_url.ts";
import { HostSlots } from "../../src/net/host_slots.ts";
import { generateSecretKey, localSigner } from "../../src/nostr/signer.ts";
import { openStore, type Store } from "../../src/store/connect.ts";
import { insertRelays } from "../../src/store/relays.ts";
import { createSynchronizer } from "../../src/synchronizer/synchronizer.ts";
import { openVerifier } from "../../src/verify/verifier.ts";
import { cap, delayMs, type HostileRelay, startHostileRelay } from "../relay/mod.ts";
import { generateEvents, REGULAR_KINDS } from "../support/events.ts";
import { postgresMissing, postgresNote } from "../support/postgres_server.ts";
import { testConfig, testDialer } from "../support/stages.ts";
import { freshStore, type OwnedStore } from "../support/store.ts";

const RELAYS = 6;
const events = generateEvents(300, { kinds: REGULAR_KINDS });

Deno.test({
  name: `two processes share the relays, and finish a killed one's work${postgresNote}`,
  ignore: postgresMissing,
  fn: async () => {
    await using owned = await freshStore("postgres");
    await using stack = new AsyncDisposableStack();
    const relays: HostileRelay[] = [];
    for (let i = 0; i < RELAYS; i++) {
      relays.push(
        stack.use(await startHostileRelay({ events, behaviours: [cap(20), delayMs(5)] })),
      );
    }
    await addOnline(owned.store, relays.map((relay) => relay.url));

    // The first one is killed in the middle: no lease is given back, no ledger written any more.
    const killed = await startProcess(owned);
    await until(() => (killed.counts()["events_received"] ?? 0) > 100);
    await killed.kill();
    const [leased] = await owned.store.run(
      "leased",
      (sql) =>
        sql<{ n: number }[]>`select count(*)::int as n from relay_status
          where sync_claimed_until > 0`,
    );
    assert.ok((leased?.n ?? 0) > 0, "it had leases");

    // Two more at the same time: at first what is free, then, when its leases are over, the rest.
    for (const laterSeconds of [0, 200]) {
      const clock: Clock = {
        ...systemClock,
        nowMs: () => systemClock.nowMs() + laterSeconds * 1000,
      };
      const both = await Promise.all([startProcess(owned, clock), startProcess(owned, clock)]);
      await Promise.all(both.map((process) => process.done()));
    }
    const [row] = await owned.store.run(
      "totals",
      (sql) =>
        sql<{ events: number; sightings: number; closed: number; open: number }[]>`select
        (select count(*)::int from event) as events,
        (select count(*)::int from event_relay) as sightings,
        (select count(*)::int from coverage where state = 'closed' and since = 0) as closed,
        (select count(*)::int from coverage where state <> 'closed') as open`,
    );
    assert.deepEqual({ ...row }, {
      events: events.length,
      sightings: RELAYS * events.length,
      closed: RELAYS,
      open: 0,
    });
    // Never two connections of turns to one relay at a time.
    for (const relay of relays) assert.equal(relay.seen.connections.max, 1);
  },
});

interface Process {
  counts(): Counts;
  /** Resolves at the end of its cycle. */
  done(): Promise<void>;
  /** Its connections to the database are gone, and nothing is given back. */
  kill(): Promise<void>;
}

async function startProcess(owned: OwnedStore, clock: Clock = systemClock): Promise<Process> {
  const store = await openStore(owned.options);
  const verifier = await openVerifier({ workers: 1 });
  const ingest = createIngest({ store, verifier });
  const config = await testConfig("networks.local.max_tasks=3");
  const task = createSynchronizer({
    store,
    ingest,
    dialer: testDialer(config),
    slots: new HostSlots(),
    signer: localSigner(generateSecretKey()),
    config,
    clock,
  });
  const runner = new CycleRunner(task, { intervalMs: 60_000, maxConsecutiveFailures: 1 });
  const abort = new AbortController();
  const running = runner.runOnce({ signal: abort.signal }).then(() => undefined, (error) => error);
  const close = async (): Promise<void> => {
    await ingest[Symbol.asyncDispose]();
    await verifier[Symbol.asyncDispose]();
    await store[Symbol.asyncDispose]();
  };
  return {
    counts: () => runner.status().totals,
    done: async () => {
      const error = await running;
      await close();
      if (error !== undefined) throw error;
    },
    kill: async () => {
      await store[Symbol.asyncDispose]();
      abort.abort();
      await running;
      await close();
    },
  };
}

async function addOnline(store: Store, urls: readonly RelayUrl[]): Promise<void> {
  await insertRelays(store, urls, { at: 1 });
  await store.run(
    "online",
    async (sql) => void await sql`update relay_status set state = 'online'`,
  );
}

async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await systemClock.sleep(5);
}
