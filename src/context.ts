/**
 * What stages and commands work with, opened from the configuration: the store with its schema, the
 * dialer, the verifier, the key. In: a checked configuration. Out: open things; a Context opens each
 * once, when it is first asked for, and closes all. Never: decides what runs.
 */
import type { Config } from "./config/config.ts";
import { openConfiguredStore, openReader } from "./configured_store.ts";
import { openIdentity } from "./identity.ts";
import { createIngest, type Ingest } from "./ingest/ingest.ts";
import { type Clock, systemClock } from "./lib/clock.ts";
import { NAME, VERSION } from "./lib/version.ts";
import { Metrics } from "./metrics.ts";
import type { EventLimits } from "./model/event.ts";
import { BlockSource } from "./net/block_source.ts";
import { createDialer, type Dialer } from "./net/dialer.ts";
import { createDnsInspector, type DnsInspector } from "./net/dns.ts";
import { createGeo, type Geo } from "./net/geo.ts";
import { openPublisher, type Publisher } from "./nostr/publisher.ts";
import { HostSlots } from "./net/host_slots.ts";
import type { Signer } from "./nostr/signer.ts";
import type { Store } from "./store/connect.ts";
import { PriorityList } from "./synchronizer/priority_list.ts";
import { openVerifier, type Verifier } from "./verify/verifier.ts";

/** Reports go to all relays alike: one that answers none of them is left alone so long at first. */
const MUTE_REST_MS = 60_000;
/** How long a publisher may send what is queued at the end; the whole process has 10 s. */
const DRAIN_MS = 1_500;

/** What a process shares. Each part is opened when it is first asked for; all close with it. */
export class Context implements AsyncDisposable {
  readonly config: Config;
  readonly signal: AbortSignal;
  readonly clock: Clock;
  readonly metrics: Metrics;
  readonly dialer: Dialer;
  /** Who is left alone, by every stage that dials relays. */
  readonly blocks: BlockSource;
  /** Who comes first in the archive. */
  readonly priority: PriorityList;
  readonly #resources = new AsyncDisposableStack();
  readonly #slots = new Map<string, HostSlots>();
  #store: Promise<Store> | undefined;
  #reader: Promise<Store> | undefined;
  #signer: Promise<Signer> | undefined;
  #verifier: Promise<Verifier> | undefined;
  #ingest: Promise<Ingest> | undefined;
  #monitorPublisher: Promise<Publisher> | undefined;
  #dvmPublisher: Promise<Publisher> | undefined;

  /** `signal` ends the opening of what waits; it closes nothing. */
  constructor(config: Config, options: { signal: AbortSignal; clock?: Clock }) {
    this.config = config;
    this.signal = options.signal;
    this.clock = options.clock ?? systemClock;
    this.metrics = this.#resources.use(new Metrics());
    this.dialer = configuredDialer(config);
    this.priority = new PriorityList(config.synchronizer.priority, { clock: this.clock });
    this.blocks = new BlockSource(config.monitor.block, { clock: this.clock });
  }

  /** The database, its schema up to date. */
  store(): Promise<Store> {
    return this.#store ??= this.#open(async () => {
      const { metrics, signal } = this;
      const store = await openConfiguredStore(this.config, { metrics, signal });
      metrics.store.watch(store);
      return store;
    });
  }

  /** Where questions are asked: the database, or its reader's connection where one is configured. */
  reader(): Promise<Store> {
    return this.#reader ??= (async () => {
      const store = await this.store();
      const { databaseReaderUrl } = this.config.secrets;
      if (databaseReaderUrl === undefined) return store;
      return await this.#open(async () => {
        const { metrics, signal } = this;
        const reader = await openReader(this.config, databaseReaderUrl, { metrics, signal });
        metrics.store.watchReader(reader);
        return reader;
      });
    })();
  }

  /** Who we are. */
  signer(): Promise<Signer> {
    return this.#signer ??= openIdentity(this.config);
  }

  /**
   * The politeness of one stage: a connection at a time to a host, a few to a network of neighbours.
   * Apart for each stage, or a relay that is synchronized for hours could not be checked meanwhile.
   */
  slots(stage: string): HostSlots {
    let slots = this.#slots.get(stage);
    if (slots === undefined) {
      slots = new HostSlots({ perPrefix: this.config.monitor.maxPerNetworkBlock });
      this.#slots.set(stage, slots);
    }
    return slots;
  }

  /** Checks signatures. */
  verifier(): Promise<Verifier> {
    return this.#verifier ??= this.#open(async () => {
      const verifier = await openConfiguredVerifier(this.config);
      this.metrics.ingest.watchVerifier(verifier);
      this.metrics.process.watchQueue("verifier", () => {
        const { inFlight, waiting } = verifier.stats();
        return inFlight + waiting;
      });
      return verifier;
    });
  }

  /** Sends the monitor's events to the relays that the operator names for them. */
  monitorPublisher(): Promise<Publisher> {
    return this.#monitorPublisher ??= this.#open(async () => {
      const { relays, pacingMs, timeoutMs, maxQueue } = this.config.monitor.publish;
      const publisher = openPublisher({
        dialer: this.dialer,
        signer: await this.signer(),
        relays,
        pacingMs,
        timeoutMs,
        queueCapacity: maxQueue,
        restMs: MUTE_REST_MS,
        drainTimeoutMs: DRAIN_MS,
        onOutcome: ({ kind }, _url, outcome) =>
          this.metrics.relays.published(kind, outcome.ok ? "ok" : outcome.reason),
        clock: this.clock,
      });
      this.metrics.process.watchQueue("monitor_publisher", () => publisher.queued);
      return publisher;
    });
  }

  /** Sends answers to our own relays and to those that customers name. */
  dvmPublisher(): Promise<Publisher> {
    return this.#dvmPublisher ??= this.#open(async () => {
      const publisher = openPublisher({
        dialer: this.dialer,
        signer: await this.signer(),
        relays: this.config.dvm.relays,
        pacingMs: 0,
        queueCapacity: this.config.dvm.maxQueue,
        drainTimeoutMs: DRAIN_MS,
        onOutcome: ({ kind }, _url, outcome) =>
          this.metrics.relays.published(kind, outcome.ok ? "ok" : outcome.reason),
        clock: this.clock,
      });
      this.metrics.process.watchQueue("dvm_publisher", () => publisher.queued);
      return publisher;
    });
  }

  /** The way of events into the database; one for the whole process. */
  ingest(): Promise<Ingest> {
    return this.#ingest ??= (async () => {
      const [store, verifier] = [await this.store(), await this.verifier()];
      return await this.#open(() => {
        const ingest = createIngest({
          store,
          verifier,
          limits: { event: eventLimits(this.config), knownIds: this.config.limits.knownIds },
          retention: this.config.store.retention,
          metrics: this.metrics.ingest,
          clock: this.clock,
        });
        this.metrics.process.watchQueue("ingest", () => ingest.waiting);
        return Promise.resolve(ingest);
      });
    })();
  }

  /** Closes what was opened, the last first. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#resources.disposeAsync();
  }

  async #open<T extends AsyncDisposable>(open: () => Promise<T>): Promise<T> {
    return this.#resources.use(await open());
  }
}

/** The dialer for the configured networks. Needs no closing. */
export function configuredDialer(config: Config): Dialer {
  const { contact } = config.identity;
  const about = contact === undefined ? "" : ` (+${contact})`;
  return createDialer({
    networks: config.networks,
    userAgent: `${NAME}/${VERSION}${about}`,
  });
}

/**
 * The dialer for a URL that somebody typed and that names a local address: for such alone is the guard
 * off, it holds for all other names. Needs no closing.
 */
export function localDialer(config: Config): Dialer {
  const local = { ...config.networks.local, enabled: true };
  return configuredDialer({ ...config, networks: { ...config.networks, local } });
}

/** Who is asked about relays' hosts: DNS, and the databases of addresses. Need no closing. */
export function configuredHostSources(
  config: Config,
  dialer: Dialer,
  clock: Clock = systemClock,
): { dns: DnsInspector; geo: Geo } {
  const { dns, geo, networks, dataDir, secrets } = config;
  return {
    dns: createDnsInspector({ settings: dns, networks, clock }),
    geo: createGeo({
      settings: geo,
      dataDir,
      dialer,
      licenseKey: secrets.maxmindLicenseKey,
      clock,
    }),
  };
}

/** The configured signature checker. The caller disposes of it. */
export function openConfiguredVerifier(config: Config): Promise<Verifier> {
  const { backend, workers } = config.verify;
  return openVerifier({ backend, workers: workers === 0 ? undefined : workers });
}

/** What one event may cost, as the configuration says. */
export function eventLimits(config: Config): EventLimits {
  const { maxEventBytes, maxTags, maxTagItems } = config.limits;
  return { maxEventBytes, maxTags, maxTagItems };
}
