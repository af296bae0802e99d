// The synchronizer: relay -> events, sightings, coverage. In: relays that are online and whose turn
// it is, claimed with leases, so that several processes share them. Out: their events in the
// archive, and a ledger of what is complete. Each relay has a turn of bounded length, so that a
// large one never holds up the others.
// Never decides that a relay is dead, and closes no ground itself: sync_relay.ts does.
import type { Config } from "../config/config.ts";
import type { SynchronizerConfig } from "../config/synchronizer.ts";
import type { Ingest } from "../ingest/ingest.ts";
import { type Clock, systemClock, unixSeconds } from "../lib/clock.ts";
import type { Count, CycleContext, CycleTask } from "../lib/cycle.ts";
import { logger } from "../lib/log.ts";
import { mapConcurrent } from "../lib/pool.ts";
import { TaskGroup } from "../lib/task_group.ts";
import type { Filter } from "../model/filter.ts";
import { type Network, NETWORKS } from "../model/network.ts";
import type { Dialer } from "../net/dialer.ts";
import type { HostSlots } from "../net/host_slots.ts";
import { byHost } from "../net/turn.ts";
import type { Signer } from "../nostr/signer.ts";
import type { Store } from "../store/connect.ts";
import {
  claimRelaysForSync,
  extendSync,
  releaseSync,
  type SyncClaim,
} from "../store/relay_sync.ts";
import { type SyncLimits, syncRelay, type SyncReport } from "./sync_relay.ts";
import { nextTurnSeconds } from "./turns.ts";

/** What the synchronizer works with. */
export interface SynchronizerDeps {
  store: Store;
  ingest: Ingest;
  dialer: Dialer;
  slots: HostSlots;
  /** Logs in where a relay demands it. */
  signer?: Signer | undefined;
  config: Pick<Config, "synchronizer" | "networks" | "limits" | "monitor">;
  /** Names this process in its leases; made up unless told. */
  owner?: string | undefined;
  clock?: Clock | undefined;
  random?: (() => number) | undefined;
}

/** A killed process's relays come back after this; a working one prolongs its leases. */
const LEASE_SECONDS = 5 * 60;
const RENEW_MS = 60_000;
const CLAIM_BATCH = 5;

const log = logger("synchronizer");

/** The stage. A cycle gives every relay that is due its turn. */
export function createSynchronizer(deps: SynchronizerDeps): CycleTask {
  const owner = deps.owner ?? crypto.randomUUID();
  return {
    name: "synchronizer",
    async cycle(context): Promise<void> {
      const { networks, synchronizer } = deps.config;
      const budget = { left: synchronizer.maxRelays };
      // Networks apart: slow overlay networks hold up nobody.
      await using lanes = new TaskGroup({ signal: context.signal });
      for (const network of NETWORKS.filter((name) => networks[name].enabled)) {
        lanes.spawn(
          network,
          (signal) => runLane({ ...deps, network, owner, budget }, { ...context, signal }),
        );
      }
      await lanes.join();
      context.signal.throwIfAborted();
    },
  };
}

interface Lane extends SynchronizerDeps {
  network: Network;
  owner: string;
  /** Relays that the cycle may still take up, shared by its lanes. */
  budget: { left: number };
}

/** One network's share of a cycle. */
async function runLane(lane: Lane, { signal, count }: CycleContext): Promise<void> {
  const { maxTasks } = lane.config.networks[lane.network];
  const turns = mapConcurrent(
    claimedHosts(lane, signal, count),
    maxTasks,
    (claims, inner) => takeTurns(lane, claims, inner, count),
    { signal },
  );
  for await (const _done of turns) signal.throwIfAborted();
}

/** Claimed relays, those of one host together; each relay once in a cycle. */
async function* claimedHosts(
  lane: Lane,
  signal: AbortSignal,
  count: Count,
): AsyncGenerator<SyncClaim[]> {
  const { store, network, owner, budget, clock = systemClock } = lane;
  // Turns that ended early are due again at once; they are for the next cycle.
  const startedAt = unixSeconds(clock);
  while (budget.left > 0) {
    const claims = await claimRelaysForSync(store, {
      // Few at a time: what waits here for a free task holds a lease that nobody prolongs.
      limit: Math.min(budget.left, CLAIM_BATCH),
      at: startedAt,
      leaseSeconds: LEASE_SECONDS + unixSeconds(clock) - startedAt,
      networks: [network],
      owner,
      signal,
    });
    if (claims.length === 0) return;
    budget.left -= claims.length;
    count("relays_claimed", claims.length);
    yield* byHost(claims, ({ url }) => url);
  }
}

async function takeTurns(
  lane: Lane,
  claims: readonly SyncClaim[],
  signal: AbortSignal,
  count: Count,
): Promise<void> {
  for (const claim of claims) {
    const report = await underLease(
      lane,
      claims,
      signal,
      (inner) => turn(lane, claim, inner, count),
    );
    if (report === undefined) {
      count("leases_lost");
      continue;
    }
    tell(report, count);
    const { store, owner, config, clock = systemClock, random = Math.random } = lane;
    const waitSeconds = nextTurnSeconds(report, config.synchronizer, random);
    await releaseSync(store, claim.id, {
      // One second on, or a relay with much to give would be claimed again in this very cycle.
      nextSyncAt: unixSeconds(clock) + Math.max(1, Math.round(waitSeconds)),
      owner,
      signal,
    });
  }
}

/** Works while the leases of `claims` are prolonged; undefined when another process took one over. */
async function underLease<T>(
  lane: Lane,
  claims: readonly SyncClaim[],
  signal: AbortSignal,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T | undefined> {
  const { store, owner, clock = systemClock } = lane;
  const lost = Symbol("lease lost");
  const ending = new AbortController();
  let result: T | undefined;
  await using group = new TaskGroup({ signal });
  group.spawn("lease", async (inner) => {
    const either = AbortSignal.any([inner, ending.signal]);
    while (!ending.signal.aborted) {
      await clock.sleep(RENEW_MS, { signal: either }).catch((error) => {
        if (!ending.signal.aborted) throw error;
      });
      if (ending.signal.aborted) return;
      const until = unixSeconds(clock) + LEASE_SECONDS;
      const kept = await Promise.all(
        claims.map(({ id }) => extendSync(store, id, { until, owner, signal: inner })),
      );
      if (kept.every((one) => !one)) throw lost;
    }
  });
  group.spawn("turn", async (inner) => {
    try {
      result = await work(inner);
    } finally {
      ending.abort();
    }
  });
  try {
    await group.join();
  } catch (error) {
    if (error !== lost) throw error;
    return undefined;
  }
  signal.throwIfAborted();
  return result;
}

function turn(
  lane: Lane,
  claim: SyncClaim,
  signal: AbortSignal,
  count: Count,
): Promise<SyncReport> {
  const { filter, since, until, limits } = requestFor(claim, lane.config);
  return syncRelay(claim.url, { ...lane, limits }, {
    filter,
    since,
    until,
    signal,
    onProgress: (_progress, page) => {
      count("events_received", page.received);
      if (page.newEvents > 0) count("events_new", page.newEvents);
      if (page.newSightings > 0) count("sightings_new", page.newSightings);
      if (page.repeated > 0) count("events_repeated", page.repeated);
      for (const [reason, n] of Object.entries(page.dropped)) {
        if (n > 0) count(`events_dropped_${reason}`, n);
      }
    },
  });
}

/** What the configuration wants of this relay. */
function requestFor(
  { url, network }: SyncClaim,
  config: SynchronizerDeps["config"],
): { filter: Filter; since: number; until: number | undefined; limits: Partial<SyncLimits> } {
  const { synchronizer, limits, networks, monitor } = config;
  const own = overrideOf(url, synchronizer);
  const kinds = own?.kinds ?? [];
  return {
    filter: kinds.length === 0
      ? synchronizer.filter
      : { ...synchronizer.filter, kinds: [...kinds] },
    since: own?.since ?? synchronizer.since,
    until: own?.until ?? synchronizer.until,
    limits: {
      pageSize: own?.pageSize ?? synchronizer.pageSize,
      maxRelayMs: own?.maxRelayTimeMs ?? synchronizer.maxRelayTimeMs,
      idleMs: synchronizer.idleTimeoutMs,
      maxPayloadBytes: limits.maxFrameBytes,
      inboxItems: limits.inboxItems,
      inboxBytes: limits.inboxBytes,
      nip11TimeoutMs: networks[network].timeoutMs,
      maxNip11Bytes: monitor.maxNip11Bytes,
    },
  };
}

function overrideOf(
  url: string,
  config: SynchronizerConfig,
): SynchronizerConfig["overrides"][number] | undefined {
  return config.overrides.find((override) => override.url === url);
}

function tell(report: SyncReport, count: Count): void {
  const { url, outcome, reason, gaps, newEvents, requests, elapsedMs } = report;
  count(`relays_${outcome}`);
  if (reason !== undefined) count(`relays_open_${reason}`);
  if (gaps.length > 0) count("gaps", gaps.length);
  log.debug("{relay}: {outcome}, {newEvents} new events in {requests} requests", {
    relay: url,
    outcome,
    reason,
    newEvents,
    requests,
    elapsedMs: Math.round(elapsedMs),
  });
}
