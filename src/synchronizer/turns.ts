// A claimed relay's turn: run under its lease, counted, and given back with the time of the next one.
// In: a claim. Out: a report, or nothing where there is nothing to tell. Used by the stage's lanes
// and by the places of the relays that come first; chooses no relay itself.
import type { Config } from "../config/config.ts";
import type { DropCounts } from "../ingest/drop.ts";
import type { Ingest } from "../ingest/ingest.ts";
import { type Clock, systemClock, unixSeconds } from "../lib/clock.ts";
import type { Count } from "../lib/cycle.ts";
import { logger } from "../lib/log.ts";
import { isAbort } from "../lib/task_group.ts";
import { errorText } from "../lib/text.ts";
import type { BlockList } from "../model/block_list.ts";
import type { Network } from "../model/network.ts";
import type { BlockSource } from "../net/block_source.ts";
import type { Dialer } from "../net/dialer.ts";
import type { HostSlots } from "../net/host_slots.ts";
import type { Signer } from "../nostr/signer.ts";
import type { Store } from "../store/connect.ts";
import { releaseSync, type SyncClaim } from "../store/relay_sync.ts";
import { noteTailRate } from "../store/relay_tails.ts";
import { countPage } from "./counts.ts";
import { isInfrastructure } from "./faults.ts";
import { reopenKeptLonger } from "./kept_longer.ts";
import { LeaseLost, underLease } from "./lease.ts";
import type { PriorityList } from "./priority_list.ts";
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
  /** Relays that have turns of their own. None unless given. */
  priority?: PriorityList | undefined;
  /** Logs in where a relay demands it (NIP-42). */
  signer: Signer;
  config: Pick<Config, "synchronizer" | "networks" | "limits" | "monitor" | "store">;
  /** Names this process in its leases; made up unless told. */
  owner?: string | undefined;
  metrics?: SynchronizerMetrics | undefined;
  clock?: Clock | undefined;
  random?: (() => number) | undefined;
}

/** What turns of one kind have in common. */
export interface TurnGiver {
  deps: SynchronizerDeps;
  owner: string;
  blocked: BlockList | undefined;
  count: Count;
  /** From the end of a turn to the next one, unless the relay needs more rest. */
  intervalMs: number;
  /** The least rest after a turn that was cut off; of one that a rate limit has ended, all of it. */
  retryRestMs: number;
}

/** How long a relay rests whose turn a fault of ours has ended. */
const FAULT_REST_SECONDS = 3600;

const log = logger("synchronizer");

/** What comes before the first turn of a process: to be awaited before each cycle, done once. */
export function preparation(deps: SynchronizerDeps): (signal: AbortSignal) => Promise<void> {
  const { store, config, clock = systemClock } = deps;
  let isDone = false;
  return async (signal) => {
    if (isDone) return;
    await reopenKeptLonger({ store, retention: config.store.retention, clock }, signal);
    isDone = true;
  };
}

/** A relay's turn under its lease; undefined when there is nothing to tell of it. */
export async function giveTurn(
  giver: TurnGiver,
  claim: SyncClaim,
  signal: AbortSignal,
): Promise<SyncReport | undefined> {
  const { deps, owner, count } = giver;
  const { store, clock = systemClock } = deps;
  // Unless the turn says otherwise, the relay is as due as it was.
  let nextSyncAt = claim.nextSyncAt;
  try {
    const report = await underLease(
      { store, relayId: claim.id, owner, clock },
      (inner) => turn(giver, claim, inner),
      { signal },
    );
    log.debug("{url}: {outcome} {reason}", described(report));
    tell(report, count);
    deps.metrics?.turn(claim.network, report);
    nextSyncAt = nextTurn(giver, report);
    await noteRate(deps, report, signal);
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
    await giveBack(giver, claim, nextSyncAt);
  }
}

/** Ends a lease, also when the turn was aborted: nobody should have to wait for its end. */
export async function giveBack(
  { deps, owner }: Pick<TurnGiver, "deps" | "owner">,
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

function turn(giver: TurnGiver, claim: SyncClaim, signal: AbortSignal): Promise<SyncReport> {
  const { deps, blocked, count } = giver;
  const { limits, request } = relaySettings(claim, deps.config);
  return syncRelay(claim.url, { ...deps, blocked, limits }, {
    ...request,
    signal,
    onProgress: (_progress, page) => {
      deps.metrics?.page(claim.network, page);
      countPage(page, count);
    },
  });
}

function nextTurn({ deps, intervalMs, retryRestMs }: TurnGiver, report: SyncReport): number {
  const { clock = systemClock, random = Math.random, config } = deps;
  return nextTurnAt(report, {
    now: unixSeconds(clock),
    intervalMs,
    retryRestMs: report.reason === "rate_limited" ? config.synchronizer.retryRestMs : retryRestMs,
    random,
  });
}

/** By what a relay gets a day it is decided who is followed live. */
async function noteRate(
  { store }: SynchronizerDeps,
  { relayId, eventsPerDay }: SyncReport,
  signal: AbortSignal,
): Promise<void> {
  if (eventsPerDay !== undefined) await noteTailRate(store, relayId, eventsPerDay, { signal });
}

function tell(report: SyncReport, count: Count): void {
  const { outcome, reason, failure, gaps } = report;
  if (outcome === "busy" || failure?.reason === "blocked") {
    count(outcome === "busy" ? "relays_busy" : "relays_blocked");
    return;
  }
  count(outcome === "failed" ? "relays_failed" : "relays_synced");
  if (gaps.length > 0) count("gaps", gaps.length);
  const why = reason ?? failure?.reason;
  if (why !== undefined && why !== "time_up") count(`failures_${why}`);
}

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
