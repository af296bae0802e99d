// The validator: candidate -> relay. In: candidates that are due, on networks that are on. Out:
// relays that proved to speak Nostr; the others postponed by a ladder, and junk under a tombstone.
// Candidates of a network that is off wait; they do not fail. Keeps nothing of what a relay sends.
import type { Config } from "../config/config.ts";
import { type Clock, systemClock, unixSeconds } from "../lib/clock.ts";
import type { CycleContext, CycleTask } from "../lib/cycle.ts";
import { TaskGroup } from "../lib/task_group.ts";
import { EMPTY_BLOCK_LIST } from "../model/block_list.ts";
import { type Network, NETWORKS } from "../model/network.ts";
import type { RelayUrl } from "../model/relay_url.ts";
import type { BlockSource } from "../net/block_source.ts";
import type { Dialer } from "../net/dialer.ts";
import type { HostSlots } from "../net/host_slots.ts";
import { deleteForgottenCandidates } from "../store/candidates.ts";
import type { Store } from "../store/connect.ts";
import { onlineRelays } from "../store/relay_checks.ts";
import { Claims } from "./claims.ts";
import { runLane, tryCandidate, type TryDeps, type ValidatorMetrics } from "./lane.ts";
import { isUnreached, OwnOutage } from "./own_outage.ts";

export type { ValidatorMetrics } from "./lane.ts";

/** What the validator works with. */
export interface ValidatorDeps {
  store: Store;
  dialer: Dialer;
  /** The stage's own: a host sees one connection of it at a time. */
  slots: HostSlots;
  config: Pick<Config, "validator" | "networks" | "limits">;
  /** Who is left alone; nobody unless given. */
  blocks?: BlockSource | undefined;
  clock?: Clock | undefined;
  random?: (() => number) | undefined;
  metrics?: ValidatorMetrics | undefined;
}

/** A proof asks for nothing, so it takes less at a time than an archive does. */
const MAX_FRAME_BYTES = 1024 * 1024;

/** The stage. A cycle tries every candidate that is due, up to the bound. */
export function createValidator(deps: ValidatorDeps): CycleTask {
  const guards = new Map<Network, OwnOutage>();
  return { name: "validator", cycle: (context) => cycle(deps, guards, context) };
}

async function cycle(
  deps: ValidatorDeps,
  guards: Map<Network, OwnOutage>,
  { signal, count }: CycleContext,
): Promise<void> {
  const { store, config, clock = systemClock, random = Math.random } = deps;
  const { validator, networks, limits } = config;
  const budget = { left: validator.maxCandidates };
  const blocked = await deps.blocks?.current() ?? EMPTY_BLOCK_LIST;
  const asking: TryDeps = {
    dialer: deps.dialer,
    slots: deps.slots,
    blocked,
    readTimeoutMs: validator.readTimeoutMs,
    maxPayloadBytes: Math.min(limits.maxFrameBytes, MAX_FRAME_BYTES),
    clock,
    random,
  };
  await using lanes = new TaskGroup({ signal });
  for (const network of NETWORKS.filter((name) => networks[name].enabled)) {
    lanes.spawn(network, async (inner) => {
      const { maxTasks } = networks[network];
      const claims = new Claims({
        store,
        network,
        batch: Math.max(20, 2 * maxTasks),
        budget,
        blocked,
        maxPerHost: validator.maxPerHost,
        intervalMs: validator.intervalMs,
        clock,
        random,
        count,
      });
      const outage = guards.get(network) ??
        new OwnOutage({ network, config: validator.control, clock });
      guards.set(network, outage);
      await runLane({
        ...asking,
        store,
        network,
        maxTasks,
        postponement: validator,
        claims,
        outage,
        witnesses: {
          knownGood: async (limit) => {
            const urls = await onlineRelays(store, { network, limit, signal: inner });
            return urls.filter((url) => blocked.kindFor(url) === undefined);
          },
          answers: (url) => answers(url, asking, inner),
        },
        metrics: deps.metrics,
        count,
      }, inner);
    });
  }
  await lanes.join();
  signal.throwIfAborted();
  const before = unixSeconds(clock) - Math.floor(validator.junkRetentionMs / 1000);
  const forgotten = await deleteForgottenCandidates(store, { before, signal });
  if (forgotten > 0) count("junk_forgotten", forgotten);
}

/** Any answer will do, a refusal too: it came through our network. */
async function answers(url: RelayUrl, deps: TryDeps, signal: AbortSignal): Promise<boolean> {
  const result = await tryCandidate(url, deps, signal);
  return result.ok || !isUnreached(result.failure);
}
