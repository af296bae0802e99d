/**
 * The data vending machine (NIP-90): jobs come in by live subscriptions on the configured relays,
 * and leave as signed answers. In: strangers' requests. Out: feedback and one terminal answer each,
 * over restarts and however many relays a request comes by. Parts: intake (what becomes a job), desk
 * (does jobs), outbox (sends), announcer. Never subscribes or announces while no relay is configured.
 */
import { announcements, keepAnnounced } from "./announcer.ts";
import type { DvmBase, DvmMetrics, EventPublisher } from "./deps.ts";
import { Desk } from "./desk.ts";
import { Intake } from "./intake.ts";
import { Outbox } from "./outbox.ts";
import { priceWord, unknownPrice } from "./prices.ts";
import { Quota } from "./quota.ts";
import type { DvmConfig } from "../config/dvm.ts";
import type { IdentityConfig } from "../config/identity.ts";
import { formatProblems } from "../config/problem.ts";
import { aborted } from "../lib/aborted.ts";
import { type Clock, systemClock, unixSeconds } from "../lib/clock.ts";
import type { CycleStatus } from "../lib/cycle.ts";
import { logger } from "../lib/log.ts";
import { backoffMs } from "../lib/retry.ts";
import type { Secret } from "../lib/secret.ts";
import { isAbort, TaskGroup } from "../lib/task_group.ts";
import { cut, errorText } from "../lib/text.ts";
import type { Filter } from "../model/filter.ts";
import type { RelayUrl } from "../model/relay_url.ts";
import { parseWalletUri } from "../model/wallet_uri.ts";
import type { Dialer } from "../net/dialer.ts";
import { openPublisher, type Publisher } from "../nostr/publisher.ts";
import { presenceRelayList, profileEvent } from "../nostr/presence.ts";
import type { EventTemplate, Signer } from "../nostr/signer.ts";
import { type StandingState, standingSubscription } from "../nostr/standing_subscription.ts";
import { openWallet, type Wallet } from "../nostr/wallet.ts";
import { CATALOGUE } from "../queries/catalogue.ts";
import type { Query } from "../queries/query.ts";
import type { Store } from "../store/connect.ts";
import type { Verifier } from "../verify/verifier.ts";

export type { DvmMetrics, EventPublisher } from "./deps.ts";

/** Requests of the last minute are still wanted after a start. */
const LOOK_BACK_SECONDS = 60;
/** Jobs are urgent: a lost relay is dialled again within a minute. */
const RECONNECT_MAX_MS = 60_000;
/** Sessions that break off in a row before the process is told. */
const MAX_FAILURES = 10;
/** A session that lasted so long makes the next failure the first again. */
const STABLE_MS = 600_000;
/** Longest silence before EOSE. */
const IDLE_MS = 15_000;
/** Relays that customers name, connected at one time. */
const MAX_GUEST_RELAYS = 50;
/** Refusals that one flooding customer is told in a minute. */
const TOLD_REFUSALS = 5;

/** What the machine works with. */
export interface DvmDeps {
  config: DvmConfig;
  identity: IdentityConfig;
  store: Store;
  /** Where questions are asked; `store` unless given. */
  reader?: Store | undefined;
  dialer: Dialer;
  signer: Signer;
  verifier: Verifier;
  /** Sends to our own relays; the process shares it. */
  publisher: EventPublisher;
  /** What else this key does, for kinds 10002 and 0: where it publishes, and whether it is a bot's. */
  presence: { publishing: readonly RelayUrl[]; profile: boolean } | undefined;
  /** Where invoices come from (NIP-47); without one nothing may have a price. */
  walletUri: Secret | undefined;
  metrics?: DvmMetrics | undefined;
  catalogue?: readonly Query[] | undefined;
  clock?: Clock | undefined;
  random?: (() => number) | undefined;
}

/** The machine. */
export interface Dvm {
  /** Works until the signal aborts; rejects when it breaks off too often in a row. */
  run(options: { signal: AbortSignal }): Promise<void>;
  /** How it fares, in the form of a stage. */
  status(): CycleStatus;
}

/** A machine that is not running yet. Throws where a price is for no question of the catalogue. */
export function createDvm(deps: DvmDeps): Dvm {
  const { config, catalogue = CATALOGUE } = deps;
  const problem = unknownPrice(config.prices, catalogue.map(({ name }) => name));
  if (problem !== undefined) throw new Error(formatProblems([problem]));
  return new Machine(deps);
}

class Machine implements Dvm {
  readonly #deps: DvmDeps;
  readonly #clock: Clock;
  readonly #states = new Map<RelayUrl, StandingState>();
  readonly #status: CycleStatus = {
    name: "dvm",
    state: "starting",
    cycles: 0,
    failures: 0,
    consecutiveFailures: 0,
    totals: {},
  };
  readonly #log = logger("dvm");

  constructor(deps: DvmDeps) {
    this.#deps = deps;
    this.#clock = deps.clock ?? systemClock;
    // Where money comes in, the first odd payment is to be seen as a change.
    if (deps.walletUri !== undefined) {
      for (const name of ["jobs_paid_late", "jobs_paid_unanswered"]) this.#status.totals[name] = 0;
    }
  }

  async run(options: { signal: AbortSignal }): Promise<void> {
    const { signal } = options;
    const status = this.#status;
    status.lastStartedAt = unixSeconds(this.#clock);
    try {
      if (this.#deps.config.relays.length === 0) {
        this.#log.info("no relays are configured for jobs; waiting");
        status.state = "waiting";
        await aborted(signal);
      } else {
        await this.#runAgain(signal);
      }
    } finally {
      status.state = "stopped";
    }
  }

  status(): CycleStatus {
    // It has no cycles: while it hears a relay, it is well.
    if (this.#connected() > 0) this.#status.lastSuccessAt = unixSeconds(this.#clock);
    return { ...this.#status, totals: { ...this.#status.totals } };
  }

  /** Session after session: what breaks one, such as a database that stays away, may pass. */
  async #runAgain(signal: AbortSignal): Promise<void> {
    const status = this.#status;
    for (let failures = 1;; failures++) {
      const startedMs = this.#clock.monotonicMs();
      try {
        await using guests = this.#openGuests();
        await using wallet = this.#openWallet();
        await using group = new TaskGroup({ signal });
        this.#start(group, guests, wallet);
        await group.join();
        return;
      } catch (error) {
        if (isAbort(error, signal)) return;
        if (this.#clock.monotonicMs() - startedMs > STABLE_MS) failures = 1;
        status.state = "failing";
        status.failures += 1;
        status.consecutiveFailures = failures;
        status.lastError = errorText(error);
        if (failures >= MAX_FAILURES) throw error;
        this.#log.error("broke off and begins again: {error}", { error: status.lastError });
      }
      const { random } = this.#deps;
      const delayMs = backoffMs(failures - 1, { baseMs: 1_000, maxMs: RECONNECT_MAX_MS, random });
      await this.#clock.sleep(delayMs, { signal }).catch((error: unknown) => {
        if (!isAbort(error, signal)) throw error;
      });
    }
  }

  /**
   * Sends to relays that customers name: one try, no log-in with our key, and a lane of its own for
   * few of them at a time. The dialer guards whom it dials.
   */
  #openGuests(): Publisher {
    const { dialer, random } = this.#deps;
    return openPublisher({
      dialer,
      relays: [],
      pacingMs: 0,
      attempts: 1,
      maxRelays: MAX_GUEST_RELAYS,
      queueCapacity: 50,
      idleCloseMs: 5_000,
      downMs: 60_000,
      drainTimeoutMs: 1_000,
      clock: this.#clock,
      random,
    });
  }

  /** The wallet, where there is one; connects when it is first asked. */
  #openWallet(): Wallet | undefined {
    const { walletUri, dialer, config } = this.#deps;
    if (walletUri === undefined) return undefined;
    const uri = parseWalletUri(walletUri.reveal());
    if (!uri.ok) throw new Error(`Cannot use the wallet: its URI ${uri.failure}`);
    const timeoutMs = config.payment.walletTimeoutMs;
    return openWallet(uri.value, { dialer, timeoutMs, clock: this.#clock });
  }

  #start(group: TaskGroup, guests: Publisher, wallet: Wallet | undefined): void {
    const { config, identity, store, signer, verifier, publisher, metrics } = this.#deps;
    const { catalogue = CATALOGUE } = this.#deps;
    const clock = this.#clock;
    const base: DvmBase = {
      store,
      reader: this.#deps.reader ?? store,
      signer,
      verifier,
      publisher,
      guests,
      wallet,
      config,
      catalogue,
      metrics,
      clock,
      random: this.#deps.random,
    };
    const outbox = new Outbox(base, group, this.#count);
    const desk = new Desk(base, outbox, this.#count);
    const { perPubkeyPerMinute, totalPerMinute } = config.quota;
    const quota = new Quota({
      perPubkey: perPubkeyPerMinute,
      total: totalPerMinute,
      refusals: TOLD_REFUSALS,
      clock,
    });
    const intake = new Intake(base, quota, {
      accepted: (requestId) => desk.expect(requestId),
      isFull: () => desk.open >= config.maxQueue + config.maxJobs,
      refuse: (...given) => desk.refuse(...given),
      cancelled: (requestId) => desk.cancel(requestId),
    });
    desk.start(group);
    for (const url of config.relays) {
      group.spawn(`dvm listener ${url}`, (signal) => this.#listen(url, intake, signal));
    }
    const profile = {
      identifier: "bigbrotr",
      name: identity.name,
      about: identity.about,
      picture: identity.picture,
      amount: priceWord(config.prices),
    };
    const events = announcements(base, profile, (at) => this.#presence(at));
    group.spawn("dvm announcer", (signal) => keepAnnounced(base, events, this.#count, signal));
  }

  /** Kinds 10002 and 0: how clients find our relays and our name. */
  #presence(createdAt: number): EventTemplate[] {
    const { config, identity, presence } = this.#deps;
    const relays = { publishing: presence?.publishing ?? [], answering: config.relays };
    const list = presenceRelayList(relays, createdAt);
    return presence?.profile === false ? [list] : [list, profileEvent(identity, createdAt)];
  }

  /** One relay's requests, one after the other: a slow intake holds up the socket, not memory. */
  async #listen(url: RelayUrl, intake: Intake, signal: AbortSignal): Promise<void> {
    const { dialer, signer, random } = this.#deps;
    const clock = this.#clock;
    const events = standingSubscription(url, (since) => this.#filters(since), {
      dialer,
      signer,
      signal,
      clock,
      random,
      idleMs: IDLE_MS,
      maxMs: RECONNECT_MAX_MS,
      sinceSeconds: unixSeconds(clock) - LOOK_BACK_SECONDS,
      overlapSeconds: LOOK_BACK_SECONDS,
      onState: (state) => this.#onState(state),
    });
    for await (const { event } of events) {
      const verdict = await intake.take(event, url, { signal });
      this.#count(`requests_${verdict}`);
      this.#log.debug("a request from {url}: {verdict}", { url, verdict });
    }
  }

  /** Our kinds, and deletions of them: by kind as NIP-09 asks, or by our key. */
  #filters(since: number): Filter[] {
    const { eventCount, statistics, relaySearch } = this.#deps.config.kinds;
    const kinds = [...new Set([eventCount, statistics, relaySearch])];
    return [
      { kinds, since },
      { kinds: [5], tags: { k: kinds.map(String) }, since },
      { kinds: [5], tags: { p: [this.#deps.signer.pubkey] }, since },
    ];
  }

  #onState(state: StandingState): void {
    this.#states.set(state.url, state);
    const connected = this.#connected();
    this.#deps.metrics?.dvmRelays(connected);
    const status = this.#status;
    if (connected > 0) {
      status.state = "waiting";
      status.consecutiveFailures = 0;
      status.lastSuccessAt = unixSeconds(this.#clock);
    } else if (state.state === "waiting") {
      status.state = "failing";
      status.failures += 1;
      // Relays fail side by side; the one that has tried most tells how long nobody was heard.
      const tries = [...this.#states.values()].map(({ failures }) => failures);
      status.consecutiveFailures = Math.max(...tries);
    }
    if (state.state === "waiting") {
      const why = state.failure?.detail ?? state.end?.message ?? state.end?.reason ?? "closed";
      status.lastError = cut(`${state.url}: ${why}`);
      this.#log.info("lost {url}: {why}", { url: state.url, why: cut(why) });
    }
  }

  #connected(): number {
    const states = [...this.#states.values()];
    return states.filter(({ state }) => state === "live" || state === "catching_up").length;
  }

  readonly #count = (name: string, n = 1): void => {
    const { totals } = this.#status;
    totals[name] = (totals[name] ?? 0) + n;
    this.#status.lastProgressAt = unixSeconds(this.#clock);
  };
}
