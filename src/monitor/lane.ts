// One network's share of a cycle: checks its due relays in bounded concurrency, one host after
// itself, and writes what is believed. In: claims. Out: rows, documents, and finished checks for the
// reporter. Lanes know nothing of each other, so slow
// overlay networks hold up nobody.
import type { Clock } from "../lib/clock.ts";
import { unixSeconds } from "../lib/clock.ts";
import type { Count } from "../lib/cycle.ts";
import { deadline } from "../lib/deadline.ts";
import { logger } from "../lib/log.ts";
import { mapConcurrent } from "../lib/pool.ts";
import { spreadOf } from "../lib/spread.ts";
import { errorText } from "../lib/text.ts";
import { type Check, readMsOf, writeMsOf } from "../model/check.ts";
import type { Network } from "../model/network.ts";
import { isOurFault } from "../net/failure.ts";
import type { RelayUrl } from "../model/relay_url.ts";
import type { Store } from "../store/connect.ts";
import { putRelayMetadata, type RelayDocument } from "../store/metadata.ts";
import { type CheckClaim, insertChecks, onlineRelays } from "../store/relay_checks.ts";
import { type CheckDeps, checkRelay } from "./check_relay.ts";
import { checkRow } from "./check_row.ts";
import type { Claims } from "./claims.ts";
import type { ControlConfig, RecentlyAlive } from "./control_set.ts";
import { type Finished, Judgement } from "./judgement.ts";
import type { DeltaPublisher } from "./deltas.ts";
import { type PartIntervals, skippedParts } from "./due.ts";
import { documentsOf } from "./kept.ts";
import type { CheckMoment, NextStanding } from "./ladder.ts";
import { type RateLimitConfig, rateLimitOf, standingAfter, wasTurnedAway } from "./rate_limit.ts";
import type { Reporter } from "./reporter.ts";
import { onlyOpening } from "./settings.ts";
import type { SilentReads } from "./silent_reads.ts";

/** What the monitor measures beside its counts. */
export interface MonitorMetrics {
  /** One check was stored; `result` is "online" or the reason why not. */
  checked(network: Network, result: string): void;
  /** How long a part took that was answered. */
  rtt(network: Network, part: "open" | "read" | "write" | "nip11", ms: number): void;
}

/** What a lane works with. */
export interface LaneDeps extends CheckDeps {
  store: Store;
  network: Network;
  /** Checks at a time. */
  maxTasks: number;
  ladder: RateLimitConfig;
  claims: Claims;
  control: ControlConfig;
  alive: RecentlyAlive;
  intervals: PartIntervals;
  silentReads: SilentReads;
  clock: Clock;
  random: () => number;
  reporter: Reporter | undefined;
  deltas: DeltaPublisher | undefined;
  metrics: MonitorMetrics | undefined;
  count: Count;
}

const WRITE_BATCH = 100;
const WRITE_EVERY_MS = 2_000;
/** Of documents in one batch: what is written at once is one text, made in one turn of the loop. */
const WRITE_BYTES = 2 * 1024 * 1024;
/** How long a lane that ends may take to give its claims back. */
const RELEASE_MS = 5_000;
/** How long a relay waits that our proxy did not reach; it may be this one that it won't dial. */
const NOT_MADE_REST_SECONDS = 5 * 60;
/** Phases in which a dial fails for all URLs of a host and port alike. */
const BEFORE_URL: ReadonlySet<string | undefined> = new Set(["dns", "tcp"]);

const log = logger("monitor");

/** Checks what is due, until nothing is or the budget is spent. */
export async function runLane(deps: LaneDeps, signal: AbortSignal): Promise<void> {
  const lane = new Lane(deps, signal);
  try {
    await lane.run();
  } finally {
    await lane.close();
  }
}

class Lane {
  readonly #deps: LaneDeps;
  readonly #signal: AbortSignal;
  readonly #judgement: Judgement;
  #believed: Finished[] = [];
  #believedBytes = 0;
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
      knownGood: (limit) => this.#knownGood(limit),
      opens: (url) => this.#opens(url),
      nowMs: () => clock.monotonicMs(),
    });
  }

  async run(): Promise<void> {
    const { maxTasks, claims, count } = this.#deps;
    const work = mapConcurrent(
      claims.groups({ signal: this.#signal, isStopped: () => this.#stopped }),
      maxTasks,
      (host, signal) => this.#checkHost(host, signal),
      { signal: this.#signal },
    );
    // Run to its end even when the lane stops early: breaking out would leave a claim under way.
    for await (const finished of work) {
      for (const one of finished) await this.#take(one);
      if (this.#judgement.isDue) await this.#settle();
      await this.#write(WRITE_BATCH);
    }
    await this.#settle();
    await this.#write(1);
    if (this.#stopped) count("own_outages");
  }

  /** Gives back what was not checked; also when the lane failed or was aborted. */
  async close(): Promise<void> {
    using limit = deadline(RELEASE_MS);
    try {
      await this.#deps.claims.close({ signal: limit.signal });
    } catch (error) {
      // The leases end by themselves; what ended the lane is the error to be seen.
      log.warn("Relays were not given back: {error}", { error: errorText(error) });
    }
  }

  async #checkHost(claims: readonly CheckClaim[], signal: AbortSignal): Promise<Finished[]> {
    const finished: Finished[] = [];
    let unreached: Check | undefined;
    for (const [index, claim] of claims.entries()) {
      if (this.#stopped || !this.#deps.claims.hasTime(claim)) break;
      // Nobody answered at this host and port a moment ago: its other URLs are asked no more.
      const check = unreached === undefined
        ? await this.#check(claim, signal)
        : { ...unreached, url: claim.url };
      finished.push({ claim, check });
      if (!check.open.ok && BEFORE_URL.has(check.open.phase)) unreached = check;
      if (rateLimitOf(check) !== undefined) {
        const others = claims.slice(index + 1);
        if (others.length > 0) this.#deps.count("relays_put_off", others.length);
        const { nextCheckAt } = this.#standing({ claim, check }).next;
        await this.#deps.claims.putOff(others, nextCheckAt);
        break;
      }
    }
    return finished;
  }

  async #check(claim: CheckClaim, signal: AbortSignal): Promise<Check> {
    const { clock, intervals, silentReads } = this.#deps;
    const now = unixSeconds(clock);
    const skip = skippedParts(claim, now, intervals);
    if (silentReads.rests(claim.url, now)) skip.add("read");
    const check = await checkRelay(claim.url, this.#deps, { signal, skip });
    silentReads.learn(check);
    return check;
  }

  async #take(finished: Finished): Promise<void> {
    const { open } = finished.check;
    if (!open.ok && open.reason === "blocked") {
      return await this.#deps.claims.leaveAlone(finished.claim);
    }
    if (wasTurnedAway(finished.claim, finished.check)) return await this.#turnedAway(finished);
    if (!open.ok && isOurFault(open.reason)) {
      return await this.#notMade(finished.claim);
    }
    const proven = this.#judgement.add(finished);
    if (proven === undefined) return;
    this.#believed.push(proven);
    const { nip11 } = proven.check;
    if (nip11?.ok) this.#believedBytes += nip11.bytes;
  }

  /** The next cycle begins with others, or one that the proxy refuses would be the end of each. */
  async #notMade(claim: CheckClaim): Promise<void> {
    const { network, count, claims, clock, random } = this.#deps;
    count("checks_not_made");
    if (!this.#stopped) log.warn("{network} can't be dialled now; its relays wait", { network });
    this.#stopped = true;
    const restSeconds = Math.ceil(NOT_MADE_REST_SECONDS * (1 + random() / 4));
    await claims.putOff([claim], unixSeconds(clock) + restSeconds);
  }

  /** It answered, so the fault is not ours either; what it is like we could not see. */
  async #turnedAway(finished: Finished): Promise<void> {
    const { claims, count, metrics, network } = this.#deps;
    count("checks_rate_limited");
    metrics?.checked(network, "rate_limited");
    await claims.putOff([finished.claim], this.#standing(finished).next.nextCheckAt);
  }

  async #settle(): Promise<void> {
    const { believed, thrownAway } = await this.#judgement.settle();
    this.#believed.push(...believed);
    if (thrownAway > 0) this.#deps.count("checks_thrown_away", thrownAway);
    this.#stopped ||= this.#judgement.ownOutage;
  }

  /** Writes once there are so many, or some have waited long enough. */
  async #write(atLeast: number): Promise<void> {
    const { store, clock, reporter, deltas, claims } = this.#deps;
    const waited = clock.monotonicMs() - this.#writtenAtMs >= WRITE_EVERY_MS;
    const isMuch = this.#believed.length >= atLeast || this.#believedBytes >= WRITE_BYTES;
    if (this.#believed.length === 0 || (!isMuch && !waited)) return;
    const batch = this.#believed;
    this.#believed = [];
    this.#believedBytes = 0;
    this.#writtenAtMs = clock.monotonicMs();
    const standings = batch.map((one) => this.#standing(one));
    const ids = batch.map(({ claim }) => claim.id);
    const before = await deltas?.before(ids, { signal: this.#signal });
    await insertChecks(
      store,
      standings.map(({ claim, check, next }) => {
        return checkRow(claim.id, check, next);
      }),
    );
    claims.settle(ids);
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
      deltas?.offer({ claim, check, next }, before?.get(claim.id) ?? []);
    }
  }

  #standing({ claim, check }: Finished): Finished & { next: NextStanding } {
    const { ladder, random, signer } = this.#deps;
    const moment: CheckMoment = {
      at: check.checkedAt,
      // With our key in it: other monitors should not come at the same moments.
      phase: spreadOf(`${claim.url} ${signer?.pubkey ?? ""}`),
      random,
    };
    const next = standingAfter(claim, check, ladder, moment);
    return { claim, check, next };
  }

  #countCheck(claim: CheckClaim, check: Check, next: NextStanding): void {
    const { count, metrics } = this.#deps;
    const result = check.open.ok ? "online" : check.open.reason;
    count("checks_done");
    count(check.open.ok ? "relays_online" : `checks_failed_${result}`);
    if (next.state !== claim.state) count(`relays_became_${next.state}`);
    metrics?.checked(claim.network, result);
    const parts = {
      open: check.open.ok ? check.open.openMs : undefined,
      read: readMsOf(check),
      write: writeMsOf(check),
      nip11: check.nip11?.ok ? check.nip11.nip11Ms : undefined,
    } as const;
    for (const [part, ms] of Object.entries(parts) as [keyof typeof parts, number | undefined][]) {
      if (ms !== undefined) metrics?.rtt(claim.network, part, ms);
    }
  }

  async #knownGood(limit: number): Promise<RelayUrl[]> {
    const { store, network, blocked } = this.#deps;
    const urls = await onlineRelays(store, { network, limit, signal: this.#signal });
    return urls.filter((url) => blocked?.kindFor(url) === undefined);
  }

  /** A witness's answer: the handshake alone. */
  async #opens(url: RelayUrl): Promise<boolean> {
    const settings = onlyOpening(this.#deps.settings);
    const check = await checkRelay(url, { ...this.#deps, settings }, { signal: this.#signal });
    return check.open.ok || rateLimitOf(check) !== undefined;
  }
}
