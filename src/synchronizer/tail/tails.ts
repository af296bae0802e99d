// The live half of the stage: which relays are followed, by whom. In: relays that are online, the
// named ones first, then those with the most events, claimed by leases that expire. Out: a session
// each (tail.ts), its ground written down every few seconds with the lease. What ends comes again
// after a rest; what has little to say makes room for what has more. Its cycle lasts as long as the
// process. Never checks a relay, and never closes ground.
import type { Config } from "../../config/config.ts";
import type { Ingest } from "../../ingest/ingest.ts";
import { type Clock, systemClock, unixSeconds } from "../../lib/clock.ts";
import type { Count, CycleContext, CycleTask } from "../../lib/cycle.ts";
import { logger } from "../../lib/log.ts";
import { isAbort, TaskGroup } from "../../lib/task_group.ts";
import { errorText } from "../../lib/text.ts";
import { canonicalFilter } from "../../model/filter.ts";
import { type Network, NETWORKS } from "../../model/network.ts";
import { retentionBounds } from "../../model/retention.ts";
import type { BlockSource } from "../../net/block_source.ts";
import type { Dialer } from "../../net/dialer.ts";
import type { HostSlots } from "../../net/host_slots.ts";
import type { Signer } from "../../nostr/signer.ts";
import type { Store } from "../../store/connect.ts";
import type { TailClaim } from "../../store/relay_tails.ts";
import { countPage } from "../counts.ts";
import { isInfrastructure } from "../faults.ts";
import { TailLag } from "./tail_lag.ts";
import type { PriorityList } from "../priority_list.ts";
import { relaySettings, tailLimits } from "../settings.ts";
import { Tail } from "./tail.ts";
import type { SynchronizerMetrics } from "../turns.ts";
import { TailLeases } from "./tail_leases.ts";
import type { TailEnd } from "./tail_rest.ts";

/** What the live half reports beyond its counts. */
export interface TailMetrics extends SynchronizerMetrics {
  /** From an event's date to its commit, for an event that came live. */
  tailLag(seconds: number): void;
}

/** What the live half works with. */
export interface TailsDeps {
  store: Store;
  ingest: Ingest;
  dialer: Dialer;
  /** Of its own: a turn of the same relay needs the host's slot, too. */
  slots: HostSlots;
  /** Who is left alone. Nobody unless given. */
  blocks?: BlockSource | undefined;
  signer: Signer;
  /** Relays that come first. */
  priority: PriorityList;
  config: Pick<Config, "synchronizer" | "networks" | "limits" | "monitor" | "store">;
  metrics?: TailMetrics | undefined;
  clock?: Clock | undefined;
  random?: (() => number) | undefined;
}

const SAVE_EVERY_MS = 10_000;
const TICK_MS = 500;
/** How long to wait when there was nobody to follow. */
const IDLE_CLAIM_MS = 5_000;
/** Sessions begun in one tick: connections are not all made at once. */
const CLAIM_BATCH = 10;
/** How often it is seen whether others have more to say than those that are followed. */
const REVIEW_EVERY_MS = 60_000;
/** A place is not taken from a relay for less than this times its events, */
const DISPLACE_FACTOR = 1.5;
/** nor within its first minutes. */
const SETTLED_MS = 600_000;

const log = logger("tail");

/** The task; its cycle ends with its signal, or with the failure of the store. */
export function createTails(deps: TailsDeps): CycleTask {
  let current: Tails | undefined;
  return {
    name: "tail",
    cycle: async (context) => {
      current = new Tails(deps, context);
      await current.run();
    },
    facts: () => current?.facts() ?? {},
  };
}

/** Networks that share places. */
interface Lane {
  networks: Network[];
  places: number;
}

interface Session {
  claim: TailClaim;
  tail: Tail;
  filterKey: string;
  startedMs: number;
}

class Tails {
  readonly #deps: TailsDeps;
  readonly #signal: AbortSignal;
  readonly #count: Count;
  readonly #clock: Clock;
  readonly #leases: TailLeases;
  readonly #lanes: readonly Lane[];
  readonly #sessions = new Map<number, Session>();
  readonly #lag = new TailLag();

  constructor(deps: TailsDeps, { signal, count }: CycleContext) {
    this.#deps = deps;
    this.#signal = signal;
    this.#count = count;
    this.#clock = deps.clock ?? systemClock;
    this.#lanes = lanesOf(deps);
    this.#leases = new TailLeases({ ...deps, clock: this.#clock });
  }

  /** How it stands now. */
  facts(): Record<string, number> {
    const sessions = [...this.#sessions.values()];
    const inState = (state: Tail["state"]): number =>
      sessions.filter(({ tail }) => tail.state === state).length;
    const silentMs = Math.max(0, ...sessions.map(({ tail }) => tail.silentMs ?? 0));
    return {
      relays_connecting: inState("connecting"),
      relays_catching_up: inState("catching_up"),
      relays_live: inState("live"),
      silent_seconds_max: Math.round(silentMs / 1000),
      ...this.#lag.facts(),
    };
  }

  async run(): Promise<void> {
    try {
      await using group = new TaskGroup({ signal: this.#signal });
      group.spawn("keeper", (signal) => this.#keep(group, signal));
      await group.join();
    } finally {
      await this.#leases.giveBack();
    }
    this.#signal.throwIfAborted();
  }

  async #keep(group: TaskGroup, signal: AbortSignal): Promise<void> {
    const due = { claim: 0, save: 0, review: REVIEW_EVERY_MS };
    const startMs = this.#clock.monotonicMs();
    while (!signal.aborted) {
      const nowMs = this.#clock.monotonicMs() - startMs;
      await this.#leases.release(signal);
      for (const { tail } of this.#sessions.values()) tail.checkRate();
      if (nowMs >= due.save) {
        due.save = nowMs + SAVE_EVERY_MS;
        await this.#save(signal);
      }
      if (nowMs >= due.claim || this.#leases.isOneDue()) {
        const isDry = await this.#claim(group, signal);
        due.claim = isDry ? nowMs + IDLE_CLAIM_MS : nowMs;
      }
      if (nowMs >= due.review) {
        due.review = nowMs + REVIEW_EVERY_MS;
        await this.#review(group, signal);
      }
      await this.#clock.sleep(TICK_MS, { signal });
    }
  }

  /** Fills the free places; true when nobody more is due. */
  async #claim(group: TaskGroup, signal: AbortSignal): Promise<boolean> {
    let isDry = true;
    for (const lane of this.#lanes) {
      const limit = Math.min(CLAIM_BATCH, lane.places - this.#inLane(lane).length);
      if (limit <= 0) continue;
      const claims = await this.#leases.claim(lane.networks, limit, signal);
      if (claims.length === limit) isDry = false;
      for (const claim of claims) await this.#start(claim, group);
    }
    return isDry;
  }

  /** Where all places are taken, the relay with the fewest events leaves for one with more. */
  async #review(group: TaskGroup, signal: AbortSignal): Promise<void> {
    const settledBefore = this.#clock.monotonicMs() - SETTLED_MS;
    for (const lane of this.#lanes) {
      const sessions = this.#inLane(lane);
      if (sessions.length < lane.places) continue;
      const least = sessions
        .filter(({ claim, startedMs }) => !claim.isNamed && startedMs <= settledBefore)
        .toSorted((a, b) => rateOf(a) - rateOf(b))[0];
      if (least === undefined) continue;
      const above = Math.max(1, rateOf(least) * DISPLACE_FACTOR);
      const [claim] = await this.#leases.claim(lane.networks, 1, signal, above);
      if (claim === undefined) continue;
      least.tail.stop("displaced");
      await this.#start(claim, group);
    }
  }

  async #start(claim: TailClaim, group: TaskGroup): Promise<void> {
    const { config, blocks, metrics, ...deps } = this.#deps;
    const { request } = relaySettings(claim, config);
    const { filter = {} } = request;
    // What retention would delete again is not asked for.
    const kept = retentionBounds(request.retention ?? [], filter, unixSeconds(this.#clock));
    const since = Math.max(request.since ?? 0, kept.since);
    const filterKey = canonicalFilter(filter);
    const tail = new Tail({
      ...deps,
      blocked: await blocks?.current(),
      limits: tailLimits(claim, config),
      clock: this.#clock,
      count: this.#count,
      told: (page) => {
        metrics?.page(claim.network, page);
        countPage(page, this.#count);
      },
      lag: (seconds) => {
        this.#lag.note(seconds);
        metrics?.tailLag(seconds);
      },
    }, {
      url: claim.url,
      relayId: claim.id,
      filter,
      since,
      until: request.until,
      // What was followed under another filter says nothing of this one.
      spans: claim.filter === filterKey ? claim.spans : [],
    });
    const session: Session = { claim, tail, filterKey, startedMs: this.#clock.monotonicMs() };
    this.#sessions.set(claim.id, session);
    group.spawn(claim.url, (signal) => this.#follow(session, signal));
  }

  async #follow(session: Session, signal: AbortSignal): Promise<void> {
    const { claim, tail } = session;
    let end: TailEnd = { reason: "stopped", liveMs: 0 };
    try {
      end = await tail.run({ signal });
    } catch (error) {
      if (isAbort(error, signal) || isInfrastructure(error)) throw error;
      // A fault of ours that one relay brings out must not end the others' sessions.
      log.error("Following {url} failed: {error}", { url: claim.url, error: errorText(error) });
      end = { reason: "internal", liveMs: 0 };
    } finally {
      this.#sessions.delete(claim.id);
      this.#note(session, end);
    }
  }

  /** Counts the end of a session, and has its lease given back. */
  #note({ claim, tail, filterKey }: Session, end: TailEnd): void {
    this.#count(`ended_${end.reason}`);
    log.debug("{url}: {reason} after {liveMs} ms", { url: claim.url, ...end });
    if (end.reason === "lease_lost") return;
    this.#leases.end(claim, end, { filter: filterKey, spans: tail.spans(), rate: tail.rate });
  }

  /** Prolongs the leases and writes down how far each relay was followed. */
  async #save(signal: AbortSignal): Promise<void> {
    const sessions = [...this.#sessions.values()];
    this.#count("rounds");
    const list = sessions.map(({ claim, tail, filterKey }) => ({
      relayId: claim.id,
      filter: filterKey,
      spans: tail.spans(),
    }));
    const kept = await this.#leases.save(list, signal);
    for (const { claim, tail } of sessions) if (!kept.has(claim.id)) tail.stop("lease_lost");
  }

  #inLane({ networks }: Lane): Session[] {
    return [...this.#sessions.values()].filter(({ claim }) => networks.includes(claim.network));
  }
}

function rateOf({ claim, tail }: Session): number {
  return tail.rate ?? claim.rate;
}

/** The open networks share their places; each overlay network has its own, fewer ones. */
function lanesOf({ dialer, config }: TailsDeps): Lane[] {
  const { maxRelays, maxOverlayRelays } = config.synchronizer.tail;
  const reached = NETWORKS.filter((network) => dialer.reaches(network));
  const isOpen = (network: Network): boolean => network === "clearnet" || network === "local";
  return [
    { networks: reached.filter(isOpen), places: maxRelays },
    ...reached.filter((network) => !isOpen(network))
      .map((network) => ({ networks: [network], places: maxOverlayRelays })),
  ].filter(({ networks }) => networks.length > 0);
}
