// Publishes our signed events (reports, announcements, answers) to relays, politely and to the end.
// In: an event and the relays for it. Out: for each relay what became of it: a refusal, a dead
// relay, a full queue are outcomes, and never an exception. Never signs, never drops in silence.
import { type Clock, type SignalOptions, systemClock } from "../lib/clock.ts";
import { deadline, withSignal } from "../lib/deadline.ts";
import { TaskGroup } from "../lib/task_group.ts";
import type { NostrEvent } from "../model/event.ts";
import type { RelayUrl } from "../model/relay_url.ts";
import type { Dialer } from "../net/dialer.ts";
import {
  type LaneOptions,
  type PublisherOutcome,
  PublishJob,
  PublishLane,
} from "./publish_lane.ts";
import type { Signer } from "./signer.ts";

export type { PublisherOutcome } from "./publish_lane.ts";

/** How to publish. */
export interface PublisherOptions {
  dialer: Dialer;
  /** Where events go that name no relays of their own. */
  relays: readonly RelayUrl[];
  /** Logs in where a relay wants it (NIP-42). */
  signer?: Signer | undefined;
  /** Least time between two events to one relay. */
  pacingMs: number;
  /** Events that may wait for one relay; default 1,000. */
  queueCapacity?: number | undefined;
  /** Relays that may be published to at one time; default 100. */
  maxRelays?: number | undefined;
  /** How long to wait for an OK; default 10 s. */
  timeoutMs?: number | undefined;
  /** Tries in all, for what may pass; default 3. */
  attempts?: number | undefined;
  /** First wait between tries, with jitter; default 1 s. */
  baseMs?: number | undefined;
  /** Longest wait between tries; default 1 min. */
  maxMs?: number | undefined;
  /** First wait after `rate-limited`; default 10 s. */
  rateLimitMs?: number | undefined;
  /** A connection without work is closed after so long; default 30 s. */
  idleCloseMs?: number | undefined;
  /** A relay that could not be reached is not tried again for so long; default 30 s. */
  downMs?: number | undefined;
  /**
   * A relay that left an event without an OK, or called it rate-limited at the last try, is sent
   * nothing for so long, twice as long each time in a row, and then tried once; so that it holds up
   * no other relay for who waits for all of them. Default 0: each event has its tries.
   */
  restMs?: number | undefined;
  /** How long disposal waits for what is queued; default 5 s. */
  drainTimeoutMs?: number | undefined;
  /** Told of every outcome, for metrics and logs. */
  onOutcome?: ((event: NostrEvent, url: RelayUrl, outcome: PublisherOutcome) => void) | undefined;
  clock?: Clock | undefined;
  random?: (() => number) | undefined;
}

/** Publishes events. Dispose of it: that sends what is queued within a deadline, and disconnects. */
export interface Publisher extends AsyncDisposable {
  /**
   * Resolves when the last relay has answered or been given up, with an outcome for each relay.
   * After disposal every outcome is `aborted`.
   */
  publish(
    event: NostrEvent,
    options?: { relays?: readonly RelayUrl[] } & SignalOptions,
  ): Promise<Map<RelayUrl, PublisherOutcome>>;
  /** Events that wait or are under way, over all relays. */
  readonly queued: number;
}

/** A publisher; connects to nothing before there is something to publish. */
export function openPublisher(options: PublisherOptions): Publisher {
  return new LanePublisher(options);
}

class LanePublisher implements Publisher {
  readonly #options: PublisherOptions;
  readonly #laneOptions: LaneOptions;
  readonly #lanes = new Map<RelayUrl, PublishLane>();
  readonly #group = new TaskGroup();
  #isClosed = false;

  constructor(options: PublisherOptions) {
    this.#options = options;
    this.#laneOptions = {
      dialer: options.dialer,
      signer: options.signer,
      pacingMs: options.pacingMs,
      queueCapacity: options.queueCapacity ?? 1_000,
      timeoutMs: options.timeoutMs ?? 10_000,
      attempts: options.attempts ?? 3,
      baseMs: options.baseMs ?? 1_000,
      maxMs: options.maxMs ?? 60_000,
      rateLimitMs: options.rateLimitMs ?? 10_000,
      idleCloseMs: options.idleCloseMs ?? 30_000,
      downMs: options.downMs ?? 30_000,
      restMs: options.restMs ?? 0,
      clock: options.clock ?? systemClock,
      random: options.random,
    };
  }

  get queued(): number {
    return [...this.#lanes.values()].reduce((sum, lane) => sum + lane.size, 0);
  }

  async publish(
    event: NostrEvent,
    options: { relays?: readonly RelayUrl[] } & SignalOptions = {},
  ): Promise<Map<RelayUrl, PublisherOutcome>> {
    const relays = [...new Set(options.relays ?? this.#options.relays)];
    const outcomes = await Promise.all(relays.map(async (url) => {
      const outcome = await this.#publishTo(url, event, options.signal);
      this.#options.onOutcome?.(event, url, outcome);
      return [url, outcome] as const;
    }));
    return new Map(outcomes);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true;
    for (const lane of this.#lanes.values()) lane.drain();
    using limit = deadline(this.#options.drainTimeoutMs ?? 5_000);
    try {
      await withSignal(this.#group.join(), limit.signal);
    } catch (error) {
      if (error !== limit.signal.reason) throw error;
    } finally {
      await this.#group[Symbol.asyncDispose]();
    }
  }

  #publishTo(
    url: RelayUrl,
    event: NostrEvent,
    signal: AbortSignal | undefined,
  ): Promise<PublisherOutcome> {
    const job = new PublishJob(event, signal);
    if (this.#isClosed) job.abort();
    if (job.isSettled) return job.outcome;
    const lane = this.#lanes.get(url);
    const queued = lane?.enqueue(job) ?? "ended";
    if (queued === "full" || (queued === "ended" && !this.#openLane(url, job))) {
      job.settle({ ok: false, reason: "queue_full", elapsedMs: 0, attempts: 0 });
    }
    return job.outcome;
  }

  /** Starts a lane with its first job; false when there are too many already. */
  #openLane(url: RelayUrl, job: PublishJob): boolean {
    const isFull = this.#lanes.size >= (this.#options.maxRelays ?? 100);
    if (isFull && !this.#lanes.has(url)) return false;
    const lane = new PublishLane(url, this.#laneOptions);
    lane.enqueue(job);
    this.#lanes.set(url, lane);
    this.#group.spawn(`publish to ${url}`, async (signal) => {
      try {
        await lane.run(signal);
      } finally {
        // Another lane may have taken its place while this one closed its connection.
        if (this.#lanes.get(url) === lane) this.#lanes.delete(url);
      }
    });
    return true;
  }
}
