// The stage: relay -> events, sightings, coverage. In: relays that are online and whose turn it is,
// claimed by a lease so that several processes can share them. Out: what they hold, and a ledger of
// what is complete. Each network has its own places, so that slow ones hold up nobody; each relay
// has a turn of bounded length, so that a large one starves nobody.
// Never checks a relay's health, and never publishes.
import type { Config } from "../config/config.ts";
import type { Ingest } from "../ingest/ingest.ts";
import { DROP_REASONS, type DropCounts } from "../ingest/drop.ts";
import { type Clock, systemClock, unixSeconds } from "../lib/clock.ts";
import type { Count, CycleContext, CycleTask } from "../lib/cycle.ts";
import { logger } from "../lib/log.ts";
import { mapConcurrent } from "../lib/pool.ts";
import { isAbort, TaskGroup } from "../lib/task_group.ts";
import { errorText } from "../lib/text.ts";
import type { BlockList } from "../model/block_list.ts";
import type { BlockSource } from "../net/block_source.ts";
import { type Network, NETWORKS } from "../model/network.ts";
import type { Dialer } from "../net/dialer.ts";
import type { HostSlots } from "../net/host_slots.ts";
import type { Signer } from "../nostr/signer.ts";
import type { Store } from "../store/connect.ts";
import { claimRelaysForSync, releaseSync, type SyncClaim } from "../store/relay_sync.ts";
import { LEASE_SECONDS, LeaseLost, underLease } from "./lease.ts";
import { nextTurnAt } from "./rest.ts";
import { relaySettings } from "./settings.ts";
import { syncRelay, type SyncReport } from "./sync_relay.ts";

/** What the synchronizer measures beside its counts. */
export interface SynchronizerMetrics {
  /** A page of a relay is committed. */
  page(
    network: Network,
    page: { newEvents: number; repeated: number; dropped: DropCounts },
  ): void;
  /** A relay's turn is over. */
  turn(network: Network, report: { outcome: SyncReport["outcome"]; elapsedMs: number }): void;
}

/** What the synchronizer works with. */
export interface SynchronizerDeps {
  store: Store;
  ingest: Ingest;
  dialer: Dialer;
  /** One connection to a host at a time, whatever relays it carries. */
  slots: HostSlots;
  /** Who is left alone; their turns pass. Nobody unless given. */
  blocks?: BlockSource | undefined;
  /** Logs in where a relay demands it (NIP-42). */
  signer: Signer;
  config: Pick<Config, "synchronizer" | "networks" | "limits" | "monitor">;
  /** Names this process in its leases; made up unless told. */
  owner?: string | undefined;
  metrics?: SynchronizerMetrics | undefined;
  clock?: Clock | undefined;
  random?: (() => number) | undefined;
}

/** Relays claimed at a time and network: few, for a claim that waits is a lease that runs. */
const CLAIM_BATCH = 5;
/** How long a relay rests whose turn a fault of ours has ended. */
const FAULT_REST_SECONDS = 3600;

const log = logger("synchronizer");

/**
 * The stage. A cycle gives turns until no relay is due, but no longer than its interval, nor more
 * than `max_relays`: what has much to give gets turn after turn, between those of the others.
 */
export function createSynchronizer(deps: SynchronizerDeps): CycleTask {
  const owner = deps.owner ?? crypto.randomUUID();
  return { name: "synchronizer", cycle: (context) => cycle(deps, owner, context) };
}

async function cycle(
  deps: SynchronizerDeps,
  owner: string,
  { signal, count }: CycleContext,
): Promise<void> {
  const { maxRelays, intervalMs } = deps.config.synchronizer;
  const { clock = systemClock } = deps;
  const budget = { left: maxRelays, endsAtMs: clock.monotonicMs() + intervalMs };
  const blocked = await deps.blocks?.current();
  await using group = new TaskGroup({ signal });
  for (const network of NETWORKS) {
    if (!deps.dialer.reaches(network)) continue;
    group.spawn(network, (inner) => serve({ deps, owner, network, budget, blocked, count }, inner));
  }
  await group.join();
  signal.throwIfAborted();
}

/** One network's share of a cycle. */
interface Lane {
  deps: SynchronizerDeps;
  owner: string;
  network: Network;
  /** Turns that the cycle may still give, shared by its lanes, and until when. */
  budget: { left: number; endsAtMs: number };
  blocked: BlockList | undefined;
  count: Count;
}

async function serve(lane: Lane, signal: AbortSignal): Promise<void> {
  const { maxTasks } = lane.deps.config.networks[lane.network];
  let unfinished = true;
  // What still has something to give is due again at once, when all others have had their turns.
  while (unfinished) {
    unfinished = false;
    const turns = mapConcurrent(
      claims(lane, signal),
      maxTasks,
      (claim, inner) => giveTurn(lane, claim, inner),
      { signal },
    );
    for await (const report of turns) {
      if (report === undefined) continue;
      log.debug("{url}: {outcome} {reason}", described(report));
      unfinished ||= report.reason === "time_up";
    }
  }
}

async function* claims(lane: Lane, signal: AbortSignal): AsyncGenerator<SyncClaim> {
  const { deps: { store, clock = systemClock }, owner, network, budget } = lane;
  while (budget.left > 0 && clock.monotonicMs() < budget.endsAtMs) {
    const claimed = await claimRelaysForSync(store, {
      limit: Math.min(CLAIM_BATCH, budget.left),
      at: unixSeconds(clock),
      leaseSeconds: LEASE_SECONDS,
      networks: [network],
      owner,
      signal,
    });
    if (claimed.length === 0) return;
    budget.left -= claimed.length;
    let served = 0;
    try {
      for (const claim of claimed) {
        // Counted before it is handed over: from then on its turn gives the lease back.
        served++;
        yield claim;
      }
    } finally {
      for (const claim of claimed.slice(served)) await release(lane, claim, claim.nextSyncAt);
    }
  }
}

/** A relay's turn under its lease; undefined when there is nothing to tell of it. */
async function giveTurn(
  lane: Lane,
  claim: SyncClaim,
  signal: AbortSignal,
): Promise<SyncReport | undefined> {
  const { deps, owner, count } = lane;
  const { store, config, clock = systemClock, random = Math.random } = deps;
  // Unless the turn says otherwise, the relay is as due as it was.
  let nextSyncAt = claim.nextSyncAt;
  try {
    const report = await underLease(
      { store, relayId: claim.id, owner, clock },
      (inner) => turn(lane, claim, inner),
      { signal },
    );
    tell(report, count);
    deps.metrics?.turn(claim.network, report);
    const { intervalMs, retryRestMs } = config.synchronizer;
    nextSyncAt = nextTurnAt(report, { now: unixSeconds(clock), intervalMs, retryRestMs, random });
    return report;
  } catch (error) {
    if (error instanceof LeaseLost) {
      count("leases_lost");
      return undefined;
    }
    if (isAbort(error, signal) || isInfrastructure(error)) throw error;
    // A fault of ours that one relay brings out must not stop the archive of all others.
    count("failures_internal");
    log.error("Syncing {url} failed: {error}", { url: claim.url, error: errorText(error) });
    nextSyncAt = unixSeconds(clock) + FAULT_REST_SECONDS;
    return undefined;
  } finally {
    await release(lane, claim, nextSyncAt);
  }
}

function turn(lane: Lane, claim: SyncClaim, signal: AbortSignal): Promise<SyncReport> {
  const { deps, blocked, count } = lane;
  const { limits, request } = relaySettings(claim, deps.config);
  return syncRelay(claim.url, { ...deps, blocked, limits }, {
    ...request,
    signal,
    onProgress: (_progress, page) => {
      deps.metrics?.page(claim.network, page);
      if (page.received > 0) count("events_received", page.received);
      if (page.newEvents > 0) count("events_new", page.newEvents);
      if (page.newSightings > 0) count("sightings_new", page.newSightings);
      if (page.repeated > 0) count("repeated", page.repeated);
      for (const reason of DROP_REASONS) {
        const n = page.dropped[reason];
        if (n !== undefined) count(`dropped_${reason}`, n);
      }
    },
  });
}

function tell(report: SyncReport, count: Count): void {
  const { outcome, reason, failure, gaps } = report;
  if (outcome === "busy" || failure?.reason === "blocked") {
    count(outcome === "busy" ? "relays_busy" : "relays_blocked");
    return;
  }
  count(outcome === "failed" ? "relays_failed" : "relays_synced");
  if (gaps.length > 0) count("gaps", gaps.length);
  if (reason !== undefined && reason !== "time_up") count(`failures_${reason}`);
}

/** Also when the turn was aborted: the next process should not have to wait for the lease's end. */
async function release(
  { deps, owner }: Lane,
  claim: SyncClaim,
  nextSyncAt: number,
): Promise<void> {
  try {
    await releaseSync(deps.store, claim.id, { nextSyncAt, owner });
  } catch (error) {
    // The lease ends by itself; what ended the turn is the error to be seen.
    log.warn("The lease on {url} was not given back: {error}", {
      url: claim.url,
      error: errorText(error),
    });
  }
}

/** The store's and the verifier's own failures: they are the cycle's, not the relay's. */
function isInfrastructure(error: unknown): boolean {
  return error instanceof Error && INFRASTRUCTURE.has(error.name);
}

const INFRASTRUCTURE: ReadonlySet<string> = new Set([
  "StoreUnavailable",
  "CommitUnknown",
  "AcquireTimeout",
  "StatementTimeout",
  "StoreClosed",
  "VerifierError",
]);

function described(report: SyncReport): Record<string, unknown> {
  const { url, outcome, reason, failure, newEvents, requests, elapsedMs } = report;
  return {
    url,
    outcome,
    reason: failure?.reason ?? reason ?? "",
    newEvents,
    requests,
    elapsedMs: Math.round(elapsedMs),
  };
}
