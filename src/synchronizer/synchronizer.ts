// The stage: relay -> events, sightings, coverage. In: relays that are online and whose turn it is,
// claimed by a lease so that several processes can share them. Out: what they hold, and a ledger of
// what is complete. Each network has its own places, so that slow ones hold up nobody; each relay
// has a turn of bounded length, so that a large one starves nobody.
// Never checks a relay's health, and never publishes.
import { systemClock, unixSeconds } from "../lib/clock.ts";
import type { CycleContext, CycleTask } from "../lib/cycle.ts";
import { mapConcurrent } from "../lib/pool.ts";
import { TaskGroup } from "../lib/task_group.ts";
import { type Network, NETWORKS } from "../model/network.ts";
import type { RelayUrl } from "../model/relay_url.ts";
import { claimRelaysForSync, type SyncClaim } from "../store/relay_sync.ts";
import { LEASE_SECONDS } from "./lease.ts";
import { giveBack, giveTurn, preparation, type SynchronizerDeps, type TurnGiver } from "./turns.ts";

export type { SynchronizerDeps, SynchronizerMetrics } from "./turns.ts";

/** Relays claimed at a time and network: few, for a claim that waits is a lease that runs. */
const CLAIM_BATCH = 5;
/**
 * The stage. A cycle gives turns until no relay is due, but no longer than its interval, nor more
 * than `max_relays`: what has much to give gets turn after turn, between those of the others.
 */
export function createSynchronizer(deps: SynchronizerDeps): CycleTask {
  const owner = deps.owner ?? crypto.randomUUID();
  const prepare = preparation(deps);
  return {
    name: "synchronizer",
    cycle: async (context) => {
      await prepare(context.signal);
      await cycle(deps, owner, context);
    },
  };
}

async function cycle(
  deps: SynchronizerDeps,
  owner: string,
  { signal, count }: CycleContext,
): Promise<void> {
  const { maxRelays, intervalMs, retryRestMs } = deps.config.synchronizer;
  const { clock = systemClock } = deps;
  const budget = { left: maxRelays, endsAtMs: clock.monotonicMs() + intervalMs };
  const blocked = await deps.blocks?.current();
  const named = await deps.priority?.current() ?? [];
  const giver = { deps, owner, blocked, count, intervalMs, retryRestMs };
  await using group = new TaskGroup({ signal });
  for (const network of NETWORKS) {
    if (!deps.dialer.reaches(network)) continue;
    group.spawn(network, (inner) => serve({ ...giver, network, budget, named }, inner));
  }
  await group.join();
  signal.throwIfAborted();
}

/** One network's share of a cycle. */
interface Lane extends TurnGiver {
  network: Network;
  /** Turns that the cycle may still give, shared by its lanes, and until when. */
  budget: { left: number; endsAtMs: number };
  /** Relays that have turns of their own. */
  named: readonly RelayUrl[];
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
    for await (const report of turns) unfinished ||= report?.reason === "time_up";
  }
}

async function* claims(lane: Lane, signal: AbortSignal): AsyncGenerator<SyncClaim> {
  const { deps: { store, clock = systemClock }, owner, network, budget, named } = lane;
  while (budget.left > 0 && clock.monotonicMs() < budget.endsAtMs) {
    const claimed = await claimRelaysForSync(store, {
      limit: Math.min(CLAIM_BATCH, budget.left),
      at: unixSeconds(clock),
      leaseSeconds: LEASE_SECONDS,
      networks: [network],
      named,
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
      for (const claim of claimed.slice(served)) await giveBack(lane, claim, claim.nextSyncAt);
    }
  }
}
