// The way of events to one relay: a bounded queue, one connection kept while there is work, one
// event at a time at a set pace, retries for what may pass. publisher.ts has a lane per relay.
// In: signed events. Out: one outcome for each, always. Never two connections to a relay, and never
// an event twice at once.
import type { Clock } from "../lib/clock.ts";
import { Deque } from "../lib/deque.ts";
import { backoffMs } from "../lib/retry.ts";
import type { NostrEvent } from "../model/event.ts";
import type { RelayUrl } from "../model/relay_url.ts";
import type { Dialer, DialFailure, DialReason } from "../net/dialer.ts";
import type { PublishOutcome } from "./publish.ts";
import { connectRelay, type RelayConnection } from "./relay_connection.ts";
import type { Signer } from "./signer.ts";

/** What became of an event at one relay, after all attempts. */
export type PublisherOutcome =
  & { /** Times it was tried; 0 when the relay was left alone just then. */ attempts: number }
  & (
    | PublishOutcome
    /** No connection could be made. */
    | { ok: false; reason: "unreachable"; failure: DialFailure; elapsedMs: number }
    /** Too many events wait for this relay already, or too many relays have a lane. */
    | { ok: false; reason: "queue_full"; elapsedMs: number }
  );

/** How a lane works; the publisher's options with their defaults in. */
export interface LaneOptions {
  dialer: Dialer;
  signer: Signer | undefined;
  pacingMs: number;
  queueCapacity: number;
  timeoutMs: number;
  attempts: number;
  baseMs: number;
  maxMs: number;
  rateLimitMs: number;
  idleCloseMs: number;
  downMs: number;
  restMs: number;
  clock: Clock;
  random: (() => number) | undefined;
}

/** Rests of a relay that stays silent double so often. */
const MAX_DOUBLINGS = 4;

/** Failed dials that say nothing of the relay's health, and won't differ in a minute. */
const LASTING: ReadonlySet<DialReason> = new Set<DialReason>([
  "network_disabled",
  "bad_url",
  "forbidden_address",
]);

/** One event on its way to one relay. */
export class PublishJob {
  readonly event: NostrEvent;
  /** Resolves once; rejects only for a bug below. */
  readonly outcome: Promise<PublisherOutcome>;
  attempts = 0;
  readonly #abort = new AbortController();
  readonly #signal: AbortSignal | undefined;
  readonly #resolvers = Promise.withResolvers<PublisherOutcome>();
  #isSettled = false;

  constructor(event: NostrEvent, signal: AbortSignal | undefined) {
    this.event = event;
    this.outcome = this.#resolvers.promise;
    this.#signal = signal;
    if (signal?.aborted) this.abort();
    else signal?.addEventListener("abort", this.abort, { once: true });
  }

  /** Aborts with the caller's signal and with the lane. */
  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  get isSettled(): boolean {
    return this.#isSettled;
  }

  settle(outcome: PublisherOutcome): void {
    this.#finish();
    this.#resolvers.resolve(outcome);
  }

  fail(error: unknown): void {
    this.#finish();
    this.#resolvers.reject(error);
  }

  readonly abort = (): void => {
    this.#abort.abort();
    this.settle({ ok: false, reason: "aborted", elapsedMs: 0, attempts: this.attempts });
  };

  #finish(): void {
    this.#isSettled = true;
    this.#signal?.removeEventListener("abort", this.abort);
  }
}

/** The lane of one relay. Its owner runs it once, and makes another when it has ended. */
export class PublishLane {
  readonly #url: RelayUrl;
  readonly #options: LaneOptions;
  readonly #queue = new Deque<PublishJob>();
  #current: PublishJob | undefined;
  #wake: (() => void) | undefined;
  #isDraining = false;
  #hasEnded = false;
  #connection: RelayConnection | undefined;
  #sentAtMs = -Infinity;
  /** Until when the relay is left alone, and what is said of it to events that come meanwhile. */
  #rest: { untilMs: number; outcome: Failed } | undefined;
  /** Events in a row that it would not answer. */
  #silences = 0;

  constructor(url: RelayUrl, options: LaneOptions) {
    this.#url = url;
    this.#options = options;
  }

  /** Jobs that wait or are under way. */
  get size(): number {
    return this.#queue.length + (this.#current === undefined ? 0 : 1);
  }

  /** Queues a job; says why not when it can't. */
  enqueue(job: PublishJob): "queued" | "full" | "ended" {
    if (this.#hasEnded) return "ended";
    if (this.#queue.length >= this.#options.queueCapacity) return "full";
    this.#queue.push(job);
    this.#wake?.();
    return "queued";
  }

  /** Lets it end as soon as its queue is empty. */
  drain(): void {
    this.#isDraining = true;
    this.#wake?.();
  }

  /** Works until it has been idle for long enough, is drained, or aborted. */
  async run(signal: AbortSignal): Promise<void> {
    const onAbort = (): void => this.#abandon();
    signal.addEventListener("abort", onAbort, { once: true });
    try {
      while (!signal.aborted) {
        const job = this.#queue.shift();
        if (job !== undefined) await this.#work(job);
        else if (this.#isDraining || !(await this.#awaitJob())) break;
      }
    } finally {
      // From here on jobs need another lane: the owner is told by `enqueue`.
      this.#hasEnded = true;
      signal.removeEventListener("abort", onAbort);
      this.#abandon();
      await this.#disconnect();
    }
  }

  async #work(job: PublishJob): Promise<void> {
    if (job.isSettled) return;
    this.#current = job;
    try {
      const outcome = await this.#deliver(job);
      if (!job.isSettled) job.settle({ ...outcome, attempts: job.attempts });
    } catch (error) {
      // The abort of a pause between attempts; anything else is a bug that its caller must see.
      if (!job.isSettled) job.fail(error);
    } finally {
      this.#current = undefined;
    }
  }

  async #deliver(job: PublishJob): Promise<Untried> {
    const { clock } = this.#options;
    // So that a dead or mute relay does not cost every waiting event its own retries.
    if (this.#rest !== undefined && this.#restLeftMs() > 0) return this.#rest.outcome;
    const attempts = this.#silences > 0 ? 1 : this.#options.attempts;
    for (;;) {
      const paceMs = this.#sentAtMs + this.#options.pacingMs - clock.monotonicMs();
      if (paceMs > 0) await clock.sleep(paceMs, { signal: job.signal });
      job.attempts += 1;
      const outcome = await this.#attempt(job);
      if (isAnswer(outcome)) this.#silences = 0;
      if (outcome.ok || !isTransient(outcome)) return outcome;
      if (job.attempts >= attempts) {
        await this.#leaveAlone(outcome);
        return outcome;
      }
      await clock.sleep(this.#waitMs(outcome, job.attempts - 1), { signal: job.signal });
    }
  }

  /** After the last try of an event that got no answer: others need not find out again. */
  async #leaveAlone(outcome: Failed): Promise<void> {
    const { clock, downMs, restMs } = this.#options;
    let leftAloneMs = outcome.reason === "unreachable" ? downMs : 0;
    if (restMs > 0 && isSilence(outcome)) {
      leftAloneMs = restMs * 2 ** Math.min(this.#silences, MAX_DOUBLINGS);
      this.#silences += 1;
    }
    if (leftAloneMs === 0) return;
    const untilMs = clock.monotonicMs() + leftAloneMs;
    this.#rest = { untilMs, outcome: { ...outcome, elapsedMs: 0 } };
    await this.#disconnect();
  }

  #restLeftMs(): number {
    return (this.#rest?.untilMs ?? -Infinity) - this.#options.clock.monotonicMs();
  }

  async #attempt(job: PublishJob): Promise<Untried> {
    const { timeoutMs, signer, clock } = this.#options;
    const startedAtMs = clock.monotonicMs();
    const dialled = await this.#connect(job.signal);
    if ("failure" in dialled) {
      const elapsedMs = clock.monotonicMs() - startedAtMs;
      return { ok: false, reason: "unreachable", failure: dialled.failure, elapsedMs };
    }
    this.#rest = undefined;
    this.#sentAtMs = clock.monotonicMs();
    const outcome = await dialled.publish(job.event, { timeoutMs, signer, signal: job.signal });
    // A relay that doesn't answer may be gone without a word: the next attempt dials anew.
    if (!outcome.ok && outcome.reason === "timeout") await this.#disconnect();
    return outcome;
  }

  async #connect(signal: AbortSignal): Promise<RelayConnection | { failure: DialFailure }> {
    if (this.#connection?.isOpen) return this.#connection;
    await this.#disconnect();
    const dialled = await connectRelay(this.#url, { dialer: this.#options.dialer, signal });
    if (!dialled.ok) return { failure: dialled.failure };
    this.#connection = dialled.value;
    return dialled.value;
  }

  async #disconnect(): Promise<void> {
    const connection = this.#connection;
    this.#connection = undefined;
    await connection?.[Symbol.asyncDispose]();
  }

  /** False when nothing came for the idle time, or the lane is to end. */
  async #awaitJob(): Promise<boolean> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#wake = resolve;
    // A lane that ends forgets that its relay is silent.
    const restMs = this.#silences > 0 ? this.#restLeftMs() : 0;
    const timer = setTimeout(resolve, Math.max(this.#options.idleCloseMs, restMs));
    await promise;
    clearTimeout(timer);
    this.#wake = undefined;
    return this.#queue.length > 0;
  }

  /** Gives up every job. */
  #abandon(): void {
    this.#current?.abort();
    for (let job = this.#queue.shift(); job !== undefined; job = this.#queue.shift()) job.abort();
    this.#wake?.();
  }

  #waitMs(outcome: Untried, attempt: number): number {
    const { baseMs, maxMs, rateLimitMs, random } = this.#options;
    const isRateLimited = "prefix" in outcome && outcome.prefix === "rate-limited";
    const firstMs = isRateLimited ? rateLimitMs : baseMs;
    return backoffMs(attempt, { baseMs: firstMs, maxMs: Math.max(firstMs, maxMs), random });
  }
}

type Untried =
  | PublishOutcome
  | { ok: false; reason: "unreachable"; failure: DialFailure; elapsedMs: number };

type Failed = Exclude<Untried, { ok: true }>;

/** A word on the event itself. */
function isAnswer(outcome: Untried): boolean {
  return outcome.ok || (outcome.reason === "rejected" && outcome.prefix !== "rate-limited");
}

/** No answer to an event, or the one that asks for fewer. */
function isSilence(outcome: Failed): boolean {
  return outcome.reason === "timeout" || (outcome.reason === "rejected" && !isAnswer(outcome));
}

function isTransient(outcome: Failed): boolean {
  switch (outcome.reason) {
    case "unreachable":
      return outcome.failure.reason !== "aborted" && !LASTING.has(outcome.failure.reason);
    case "timeout":
    case "disconnected":
      return true;
    case "rejected":
      return outcome.prefix === "rate-limited" || outcome.prefix === "error";
    case "aborted":
      return false;
  }
}
