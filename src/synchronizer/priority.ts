// Turns for the relays that the operator names: places and intervals of their own, so that a crawl of
// thousands, however slow, never starves the few that matter. In: the list of priority_list.ts. Out:
// turns, like those of the stage. A named relay that nobody knows yet becomes one: the operator's
// word is enough, and the monitor's verdict keeps no named relay from its turn.
import { systemClock, unixSeconds } from "../lib/clock.ts";
import type { CycleContext, CycleTask } from "../lib/cycle.ts";
import { mapConcurrent } from "../lib/pool.ts";
import { RELAY_STATES } from "../model/check.ts";
import { NETWORKS } from "../model/network.ts";
import type { RelayUrl } from "../model/relay_url.ts";
import { claimRelaysForSync, type SyncClaim } from "../store/relay_sync.ts";
import { insertRelays } from "../store/relays.ts";
import { LEASE_SECONDS } from "./lease.ts";
import type { PriorityList } from "./priority_list.ts";
import { giveTurn, preparation, type SynchronizerDeps, type TurnGiver } from "./turns.ts";

/** What the turns of named relays need. */
export interface PriorityDeps extends SynchronizerDeps {
  priority: PriorityList;
}

/** How soon another one may have come due while turns are running. */
const LOOK_EVERY_MS = 1_000;
/** A named relay that was cut off is tried again after so long, at the latest. */
const RETRY_REST_MS = 300_000;

/** The task. A cycle ends when no named relay is due and no turn runs any more. */
export function createPriority(deps: PriorityDeps): CycleTask {
  const owner = deps.owner ?? crypto.randomUUID();
  const prepare = preparation(deps);
  return {
    name: "priority",
    cycle: async (context) => {
      await prepare(context.signal);
      await cycle(deps, owner, context);
    },
  };
}

async function cycle(
  deps: PriorityDeps,
  owner: string,
  { signal, count }: CycleContext,
): Promise<void> {
  const { store, priority, config, clock = systemClock } = deps;
  const named = await priority.current();
  if (named.length === 0) return;
  const added = await insertRelays(store, named, { at: unixSeconds(clock) });
  if (added > 0) count("relays_added", added);
  const { slots, intervalMs } = config.synchronizer.priority;
  const giver: TurnGiver = {
    deps,
    owner,
    blocked: await deps.blocks?.current(),
    count,
    intervalMs,
    retryRestMs: Math.min(RETRY_REST_MS, config.synchronizer.retryRestMs),
  };
  const running = { turns: 0 };
  const turns = mapConcurrent(
    claims(giver, named, running, signal),
    slots,
    async (claim, inner) => {
      try {
        await giveTurn(giver, claim, inner);
      } finally {
        running.turns -= 1;
      }
    },
    { signal },
  );
  for await (const _ of turns);
  signal.throwIfAborted();
}

/** One relay at a time: a claim that waits for a place is a lease that runs. */
async function* claims(
  { deps, owner }: TurnGiver,
  named: readonly RelayUrl[],
  running: { turns: number },
  signal: AbortSignal,
): AsyncGenerator<SyncClaim> {
  const { store, dialer, clock = systemClock } = deps;
  const networks = NETWORKS.filter((network) => dialer.reaches(network));
  for (;;) {
    const [claim] = await claimRelaysForSync(store, {
      limit: 1,
      at: unixSeconds(clock),
      leaseSeconds: LEASE_SECONDS,
      networks,
      states: RELAY_STATES,
      owner,
      named,
      namedOnly: true,
      signal,
    });
    if (claim !== undefined) {
      running.turns += 1;
      yield claim;
    } else if (running.turns === 0) return;
    else await clock.sleep(LOOK_EVERY_MS, { signal });
  }
}
