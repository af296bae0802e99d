// What the tests of the synchronizer share: an archive over a test's store, a clock that stands
// still at NOW, and the ledger in words.
import { createIngest } from "../../src/ingest/ingest.ts";
import { type Clock, systemClock } from "../../src/lib/clock.ts";
import type { CoverageInterval } from "../../src/model/coverage.ts";
import type { Filter } from "../../src/model/filter.ts";
import type { RetentionRule } from "../../src/model/retention.ts";
import type { RelayUrl } from "../../src/model/relay_url.ts";
import { createDialer } from "../../src/net/dialer.ts";
import type { Signer } from "../../src/nostr/signer.ts";
import type { Store } from "../../src/store/connect.ts";
import type {
  SyncDeps,
  SyncLimits,
  SyncReport,
  SyncRequest,
} from "../../src/synchronizer/sync_relay.ts";
import { syncRelay } from "../../src/synchronizer/sync_relay.ts";
import { openVerifier, type Verifier } from "../../src/verify/verifier.ts";

/** The tests' present, Unix seconds; generated events are older. */
export const NOW = 1_750_000_000;
/** The newest second of a whole window: the last 30 are left to settle. */
export const NEWEST = NOW - 30;

/** Stands still at NOW; waits really wait. */
export const STILL: Clock = { ...systemClock, nowMs: () => NOW * 1000 };

/** Short enough to wait for where silence is what is tested. */
const TEST_LIMITS: Partial<SyncLimits> = { idleMs: 300, nip11TimeoutMs: 2000, reconnects: 2 };

/** An archive to sync into. */
export interface Archive extends AsyncDisposable {
  readonly deps: SyncDeps;
  readonly verifier: Verifier;
  sync(url: RelayUrl, request?: SyncRequest, limits?: Partial<SyncLimits>): Promise<SyncReport>;
  /** Ids of the events that were seen on the relay, and of no others. */
  idsOf(relayId: number): Promise<Set<string>>;
}

/** Opens an archive over the store; the store stays the caller's. */
export async function openArchive(
  store: Store,
  options: { signer?: Signer; clock?: Clock; retention?: readonly RetentionRule[] } = {},
): Promise<Archive> {
  const verifier = await openVerifier({ workers: 1 });
  const { clock = STILL, retention } = options;
  const ingest = createIngest({ store, verifier, clock, retention });
  const off = { enabled: false, timeoutMs: 5000, maxTasks: 1 };
  const dialer = createDialer({
    networks: { clearnet: off, tor: off, i2p: off, loki: off, local: { ...off, enabled: true } },
    userAgent: "bigbrotr-test",
  });
  const deps: SyncDeps = { store, ingest, dialer, clock, random: () => 0, signer: options.signer };
  return {
    deps,
    verifier,
    sync: (url, request = {}, limits = {}) =>
      syncRelay(url, { ...deps, limits: { ...TEST_LIMITS, ...limits } }, {
        retention,
        ...request,
      }),
    idsOf: (relayId) =>
      store.run("ids_of", async (sql) => {
        const rows = await sql<{ id: string }[]>`
          select encode(e.id, 'hex') as id from event e
          join event_relay s on s.event_seq = e.seq where s.relay_id = ${relayId}`;
        return new Set(rows.map((row) => row.id));
      }),
    async [Symbol.asyncDispose](): Promise<void> {
      await ingest[Symbol.asyncDispose]();
      await verifier[Symbol.asyncDispose]();
    },
  };
}

/** The ledger as a person reads it: `0..99 closed eose_empty`. */
export function words(coverage: readonly CoverageInterval[]): string[] {
  return coverage.map((held) => {
    const why = held.state === "closed" ? held.proof : held.reason;
    const missing = held.missing === undefined ? "" : ` missing ${held.missing}`;
    return `${held.since}..${held.until} ${held.state} ${why}${missing}`;
  });
}

/** One line for a whole window that is closed. */
export const ALL_CLOSED: readonly string[] = [`0..${NEWEST} closed eose_empty`];

/** A filter as it is sent, for looking through a relay's log. */
export type WireFilter = Filter & Record<string, unknown>;
