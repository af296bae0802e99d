// The live half of the stage as a process has it, for tests: started over a test's store, with short
// times, and stopped or killed.
import { createIngest } from "../../../src/ingest/ingest.ts";
import { type Clock, systemClock, unixSeconds } from "../../../src/lib/clock.ts";
import { type Counts, CycleRunner, type CycleStatus } from "../../../src/lib/cycle.ts";
import type { NostrEvent } from "../../../src/model/event.ts";
import type { RelayUrl } from "../../../src/model/relay_url.ts";
import { HostSlots } from "../../../src/net/host_slots.ts";
import { generateSecretKey, localSigner } from "../../../src/nostr/signer.ts";
import type { Store } from "../../../src/store/connect.ts";
import { insertRelays } from "../../../src/store/relays.ts";
import { PriorityList } from "../../../src/synchronizer/priority_list.ts";
import { createTails, type TailsDeps } from "../../../src/synchronizer/tail/tails.ts";
import { openVerifier } from "../../../src/verify/verifier.ts";
import { makeAuthor, signEvent } from "../../support/events.ts";
import { testConfig, testDialer } from "../../support/stages.ts";
import { eventually } from "../../support/within.ts";

/** Short times: what was followed is written down at once, and nothing has to settle. */
const SETTINGS = ["synchronizer.settle=0s", "synchronizer.tail.overlap=5s"];

const author = makeAuthor(7, 7);
let serial = 0;

/** A note of so many seconds ago. */
export function note(secondsAgo = 0, kind = 1): NostrEvent {
  const created_at = unixSeconds(systemClock) - secondsAgo;
  return signEvent(author, { kind, created_at, tags: [], content: `note ${++serial}` });
}

/** The live half at work, as a process has it. */
export interface RunningTails extends AsyncDisposable {
  readonly counts: Counts;
  readonly lags: number[];
  status(): CycleStatus;
  untilLive(relays: number): Promise<void>;
  /** Ends it without giving anything back. */
  kill(): Promise<void>;
}

/** Follows with these settings. With `clock`, its times are those of that one. */
export async function startTails(
  store: Store,
  sets: readonly string[] = [],
  { clock }: { clock?: Clock } = {},
): Promise<RunningTails> {
  const config = await testConfig(...SETTINGS, ...sets);
  const verifier = await openVerifier({ workers: 1 });
  const ingest = createIngest({ store, verifier });
  const lags: number[] = [];
  const deps: TailsDeps = {
    store,
    ingest,
    dialer: testDialer(config),
    slots: new HostSlots(),
    signer: localSigner(generateSecretKey()),
    priority: new PriorityList(config.synchronizer.priority),
    config,
    clock,
    metrics: { page: () => {}, turn: () => {}, tailLag: (seconds) => void lags.push(seconds) },
  };
  const abort = new AbortController();
  const runner = new CycleRunner(createTails(deps), {
    intervalMs: 1000,
    maxConsecutiveFailures: 1,
  });
  const running = runner.run({ signal: abort.signal });
  const stop = async (): Promise<void> => {
    abort.abort();
    await running;
    await ingest[Symbol.asyncDispose]();
    await verifier[Symbol.asyncDispose]();
  };
  let stopped: Promise<void> | undefined;
  return {
    get counts() {
      return runner.status().totals;
    },
    lags,
    status: () => runner.status(),
    untilLive: (relays) =>
      eventually(
        () => `${relays} live: ${JSON.stringify(runner.status())}`,
        () => runner.status().now?.["relays_live"] === relays,
      ),
    kill: async () => {
      // Its leases stay where they are until their time has passed.
      await (stopped ??= stop());
      await store.run(
        "as after a kill",
        (sql) =>
          sql`update relay_tail set claimed_until = ${unixSeconds(systemClock) + 2}
          where claimed_until = 0`,
      );
    },
    [Symbol.asyncDispose]: () => stopped ??= stop(),
  };
}

/** Relays that the monitor has found online. */
export async function addOnline(store: Store, ...urls: RelayUrl[]): Promise<void> {
  await insertRelays(store, urls, { at: 1 });
  await store.run(
    "online",
    async (sql) => void await sql`update relay_status set state = 'online'`,
  );
}

/** Rows of a table. */
export async function count(store: Store, table: "event" | "event_relay"): Promise<number> {
  return await store.run(
    "count",
    async (sql) =>
      (await sql<{ n: number }[]>`select count(*)::int as n from ${sql(table)}`)[0]?.n ?? 0,
  );
}

/** Seconds until each relay may be followed. */
export async function restsOf(store: Store): Promise<Map<string, number>> {
  const now = unixSeconds(systemClock);
  const rows = await store.run(
    "rests",
    (sql) =>
      sql<{ url: string; at: number }[]>`
      select r.url, t.due_at as at from relay r join relay_tail t on t.relay_id = r.id`,
  );
  return new Map(rows.map((row) => [row.url, row.at - now]));
}
