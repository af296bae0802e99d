// The monitor: relay -> check -> rows in the database, and reports on Nostr. In: relays that are
// due, oldest first. Out: checks over time, NIP-11 documents, standings with the time of the next
// check; kinds 30166, 10166, 0 and 10002 where the operator names relays for them, and where they are
// wanted changes (1066) and messages to operators (NIP-17).
// Never promotes or forgets a relay, and publishes nothing without proof of life.
import { type Clock, systemClock } from "../lib/clock.ts";
import type { CycleContext, CycleTask } from "../lib/cycle.ts";
import { TaskGroup } from "../lib/task_group.ts";
import { EMPTY_BLOCK_LIST } from "../model/block_list.ts";
import { type Network, NETWORKS } from "../model/network.ts";
import type { BlockSource } from "../net/block_source.ts";
import type { Dialer } from "../net/dialer.ts";
import type { DnsInspector } from "../net/dns.ts";
import type { Geo } from "../net/geo.ts";
import type { HostSlots } from "../net/host_slots.ts";
import type { Publisher } from "../nostr/publisher.ts";
import type { Signer } from "../nostr/signer.ts";
import type { Store } from "../store/connect.ts";
import type { AnnouncementSections } from "./announcements.ts";
import { Claims } from "./claims.ts";
import { RecentlyAlive } from "./control_set.ts";
import { restingInspector } from "./dns_rest.ts";
import { REMEMBERED } from "./judgement.ts";
import { type MonitorMetrics, runLane } from "./lane.ts";
import { Publishing } from "./publishing.ts";
import type { CheckSettings } from "./session.ts";
import { checkSettings, enabledNetworks, withSources } from "./settings.ts";
import { SilentReads } from "./silent_reads.ts";
import { Upkeep } from "./upkeep.ts";

export type { MonitorMetrics } from "./lane.ts";

/** What the monitor works with. */
export interface MonitorDeps {
  store: Store;
  dialer: Dialer;
  /** The stage's own: a host sees one connection of it at a time. */
  slots: HostSlots;
  /** Who is left alone; nobody unless given. */
  blocks?: BlockSource | undefined;
  signer: Signer;
  /** Asked for DNS facts, where given. */
  dns?: DnsInspector | undefined;
  /** Looks addresses up, where given; brought up to date at the start of each cycle. */
  geo?: Geo | undefined;
  /** Over `monitor.publish.relays`; not used while publishing is off or names no relay. */
  publisher?: Publisher | undefined;
  config: AnnouncementSections;
  /** Names this process in its leases; made up unless told. */
  owner?: string | undefined;
  clock?: Clock | undefined;
  random?: (() => number) | undefined;
  metrics?: MonitorMetrics | undefined;
}

/** A cycle whose reports don't get out in this time ends: proofs of life that old are none. */
const MAX_CYCLE_MS = 15 * 60_000;

/** The stage. A cycle checks every relay that is due. */
export function createMonitor(deps: MonitorDeps): CycleTask {
  const alive = new Map<Network, RecentlyAlive>(
    NETWORKS.map((network) => [network, new RecentlyAlive(REMEMBERED)]),
  );
  const owner = deps.owner ?? crypto.randomUUID();
  const { store, config, clock = systemClock } = deps;
  const silentReads = new SilentReads(config.monitor);
  const dns = deps.dns === undefined ? undefined : restingInspector(deps.dns, clock);
  const upkeep = new Upkeep({ store, config: config.monitor.keep, clock });
  return {
    name: "monitor",
    cycle: async (context) => {
      await upkeep.run(context.count, context.signal);
      await cycle({ ...deps, dns }, { alive, silentReads, owner }, context);
    },
  };
}

/** What outlives a cycle. */
interface Remembered {
  alive: ReadonlyMap<Network, RecentlyAlive>;
  silentReads: SilentReads;
  /** In leases. */
  owner: string;
}

async function cycle(
  deps: MonitorDeps,
  remembered: Remembered,
  { signal, count }: CycleContext,
): Promise<void> {
  const { config, clock = systemClock, random = Math.random } = deps;
  const { monitor } = config;
  const settings = await withSources(checkSettings(config), deps);
  await using publishing = new Publishing({
    ...deps,
    publisher: deps.publisher,
    settings,
    clock,
    random,
    count,
  }, { signal });
  const round = { settings, publishing, clock, random };
  const startedMs = clock.monotonicMs();
  do {
    await checkRound(deps, remembered, round, { signal, count });
    publishing.tellOperators();
    // Reports that are still on their way are no reason to leave relays alone that are due.
    if (clock.monotonicMs() - startedMs >= MAX_CYCLE_MS) break;
  } while (await publishing.isBusyAfter(monitor.intervalMs));
  await publishing.finish();
  signal.throwIfAborted();
}

/** Checks everything that is due, once. */
async function checkRound(
  deps: MonitorDeps,
  { alive, silentReads, owner }: Remembered,
  round: { settings: CheckSettings; publishing: Publishing; clock: Clock; random: () => number },
  { signal, count }: CycleContext,
): Promise<void> {
  const { store, config } = deps;
  const { monitor } = config;
  const { clock, random, publishing } = round;
  const blocked = await deps.blocks?.current() ?? EMPTY_BLOCK_LIST;
  // Apart from publishing: what fails there must not end a check.
  await using checking = new TaskGroup({ signal });
  const { geo } = deps;
  if (geo !== undefined) {
    checking.spawn("geo", async (inner) => {
      const refreshed = await geo.refresh({ signal: inner });
      for (const { outcome } of refreshed) if (outcome !== "not_due") count(`geo_files_${outcome}`);
    });
  }
  const budget = { left: monitor.maxRelays };
  for (const network of enabledNetworks(config)) {
    const { maxTasks } = config.networks[network];
    const claims = new Claims({
      store,
      network,
      owner,
      batch: Math.max(20, 2 * maxTasks),
      budget,
      blocked,
      maxPerHost: monitor.maxPerHost,
      intervalMs: monitor.intervalMs,
      checkIntervalMs: monitor.checkIntervalMs,
      clock,
      random,
      count,
    });
    checking.spawn(network, (inner) =>
      runLane({
        ...deps,
        settings: round.settings,
        blocked,
        network,
        maxTasks,
        claims,
        ladder: monitor,
        control: monitor.control,
        alive: alive.get(network) ?? new RecentlyAlive(REMEMBERED),
        silentReads,
        intervals: { writeMs: monitor.writeIntervalMs, capabilityMs: monitor.capabilityIntervalMs },
        clock,
        random,
        reporter: publishing.reporter,
        deltas: publishing.deltas,
        metrics: deps.metrics,
        count,
      }, inner));
  }
  await checking.join();
  signal.throwIfAborted();
}
