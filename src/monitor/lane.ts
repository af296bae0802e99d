// One network's share of a cycle: claims its due relays in small batches, checks them in bounded
// concurrency, one host after itself, and writes what is believed. In: the table of relays. Out:
// rows, documents, and finished checks for the reporter. Lanes know nothing of each other, so slow
// overlay networks hold up nobody.
import type { Clock } from "../lib/clock.ts";
import { unixSeconds } from "../lib/clock.ts";
import type { Count } from "../lib/cycle.ts";
import { logger } from "../lib/log.ts";
import { mapConcurrent } from "../lib/pool.ts";
import { type Check, isOnline } from "../model/check.ts";
import type { Network } from "../model/network.ts";
import type { RelayUrl } from "../model/relay_url.ts";
import { byHost } from "../net/turn.ts";
import type { Store } from "../store/connect.ts";
import { putRelayMetadata, type RelayDocument } from "../store/metadata.ts";
import { type CheckClaim, claimRelaysForCheck, insertChecks } from "../store/relay_checks.ts";
import { type CheckDeps, checkRelay } from "./check_relay.ts";
import { checkRow } from "./check_row.ts";
import type { ControlConfig, RecentlyAlive } from "./control_set.ts";
import { type Finished, Judgement } from "./judgement.ts";
import { type PartIntervals, skippedParts } from "./due.ts";
import { documentsOf } from "./kept.ts";
import { type LadderConfig, type NextStanding, nextStanding } from "./ladder.ts";
import type { Reporter } from "./reporter.ts";
import { onlyOpening } from "./settings.ts";

/** What the monitor measures beside its counts. */
export interface MonitorMetrics {
  /** One check was stored; `result` is "online" or the reason why not. */
  checked(network: Network, result: string): void;
  rttOpen(network: Network, ms: number): void;
}

/** What a lane works with. */
export interface LaneDeps extends CheckDeps {
  store: Store;
  network: Network;
  /** Checks at a time. */
  maxTasks: number;
  ladder: LadderConfig;
  control: ControlConfig;
  alive: RecentlyAlive;
  intervals: PartIntervals;
  owner: string;
  clock: Clock;
  random: () => number;
  reporter: Reporter | undefined;
  metrics: MonitorMetrics | undefined;
  count: Count;
  /** Relays that the cycle may still take up, shared by its lanes. */
  budget: { left: number };
}

/** A claim lasts far longer than a batch; a killed process's relays come back after it. */
const LEASE_SECONDS = 15 * 60;
const WRITE_BATCH = 100;
const WRITE_EVERY_MS = 2_000;

const log = logger("monitor");

/** Checks what is due, until nothing is or the budget is spent. */
export async function runLane(deps: LaneDeps, signal: AbortSignal): Promise<void> {
  await new Lane(deps, signal).run();
}

class Lane {
  readonly #deps: LaneDeps;
  readonly #signal: AbortSignal;
  readonly #judgement: Judgement;
  #believed: Finished[] = [];
  #writtenAtMs: number;
  /** The fault is ours: nothing more is claimed or asked in this cycle. */
  #stopped = false;

  constructor(deps: LaneDeps, signal: AbortSignal) {
    const { network, control: config, alive, clock } = deps;
    this.#deps = deps;
    this.#signal = signal;
    this.#writtenAtMs = clock.monotonicMs();
    this.#judgement = new Judgement({
      network,
      config,
      alive,
      opens: (url) => this.#opens(url),
      nowMs: () => clock.monotonicMs(),
    });
  }

  async run(): Promise<void> {
    const { maxTasks, count } = this.#deps;
    const work = mapConcurrent(
      this.#claims(),
      maxTasks,
      (host, signal) => this.#checkHost(host, signal),
      { signal: this.#signal },
    );
    // Run to its end even when the lane stops early: breaking out would leave a claim under way.
    for await (const finished of work) {
      for (const one of finished) this.#take(one);
      if (this.#judgement.isDue) await this.#settle();
      await this.#write(WRITE_BATCH);
    }
    await this.#settle();
    await this.#write(1);
    if (this.#stopped) count("own_outages");
  }

  /** Claimed relays, those of one host together. */
  async *#claims(): AsyncGenerator<CheckClaim[]> {
    const { store, network, owner, clock, budget, count, maxTasks } = this.#deps;
    while (budget.left > 0 && !this.#stopped) {
      const limit = Math.min(budget.left, Math.max(20, 2 * maxTasks));
      const claims = await claimRelaysForCheck(store, {
        limit,
        at: unixSeconds(clock),
        leaseSeconds: LEASE_SECONDS,
        networks: [network],
        owner,
        signal: this.#signal,
      });
      if (claims.length === 0) return;
      budget.left -= claims.length;
      count("relays_claimed", claims.length);
      yield* byHost(claims, ({ url }) => url);
    }
  }

  async #checkHost(claims: readonly CheckClaim[], signal: AbortSignal): Promise<Finished[]> {
    const finished: Finished[] = [];
    for (const claim of claims) {
      if (this.#stopped) break;
      const { clock, intervals } = this.#deps;
      const skip = skippedParts(claim, unixSeconds(clock), intervals);
      const check = await checkRelay(claim.url, this.#deps, { signal, skip });
      finished.push({ claim, check });
    }
    return finished;
  }

  #take(finished: Finished): void {
    const { open } = finished.check;
    // Our configuration or our proxy; the relay was never asked.
    if (!open.ok && (open.reason === "proxy_failed" || open.reason === "network_disabled")) {
      const { network, count } = this.#deps;
      count("checks_not_made");
      if (!this.#stopped) log.warn("{network} can't be dialled now; its relays wait", { network });
      this.#stopped = true;
      return;
    }
    const proven = this.#judgement.add(finished);
    if (proven !== undefined) this.#believed.push(proven);
  }

  async #settle(): Promise<void> {
    const { believed, thrownAway } = await this.#judgement.settle();
    this.#believed.push(...believed);
    if (thrownAway > 0) this.#deps.count("checks_thrown_away", thrownAway);
    this.#stopped ||= this.#judgement.ownOutage;
  }

  /** Writes once there are so many, or some have waited long enough. */
  async #write(atLeast: number): Promise<void> {
    const { store, clock, reporter } = this.#deps;
    const waited = clock.monotonicMs() - this.#writtenAtMs >= WRITE_EVERY_MS;
    if (this.#believed.length === 0 || (this.#believed.length < atLeast && !waited)) return;
    const batch = this.#believed;
    this.#believed = [];
    this.#writtenAtMs = clock.monotonicMs();
    const standings = batch.map((one) => this.#standing(one));
    await insertChecks(
      store,
      standings.map(({ claim, check, next }) => {
        return checkRow(claim.id, check, next);
      }),
    );
    const documents = batch.flatMap(({ claim, check }) =>
      documentsOf(check).map((one): RelayDocument => ({
        ...one,
        relayId: claim.id,
        generatedAt: check.checkedAt,
      }))
    );
    const { changed } = await putRelayMetadata(store, documents);
    if (changed > 0) this.#deps.count("documents_changed", changed);
    for (const { claim, check, next } of standings) {
      this.#countCheck(claim, check, next);
      reporter?.offer(claim.id, check);
    }
  }

  #standing({ claim, check }: Finished): Finished & { next: NextStanding } {
    const { ladder, random } = this.#deps;
    const next = nextStanding(claim, isOnline(check), ladder, { at: check.checkedAt, random });
    return { claim, check, next };
  }

  #countCheck(claim: CheckClaim, check: Check, next: NextStanding): void {
    const { count, metrics } = this.#deps;
    const result = check.open.ok ? "online" : check.open.reason;
    count("checks_done");
    count(check.open.ok ? "relays_online" : `checks_failed_${result}`);
    if (next.state !== claim.state) count(`relays_became_${next.state}`);
    metrics?.checked(claim.network, result);
    if (check.open.ok) metrics?.rttOpen(claim.network, check.open.openMs);
  }

  /** A witness's answer: the handshake alone. */
  async #opens(url: RelayUrl): Promise<boolean> {
    const settings = onlyOpening(this.#deps.settings);
    const check = await checkRelay(url, { ...this.#deps, settings }, { signal: this.#signal });
    return check.open.ok;
  }
}
