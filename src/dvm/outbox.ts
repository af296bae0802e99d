// The way out: feedback and answers go to our relays and to those the customer named. A terminal
// answer is in the database before it comes here, and leaves its mark there once a relay has taken
// it; what no relay took, or what a restart interrupted, is sent again as it stands.
// Never signs anything, never sends two different answers to one request.
import { LRUCache } from "lru-cache";
import type { DvmBase } from "./deps.ts";
import { unixSeconds } from "../lib/clock.ts";
import type { Count } from "../lib/cycle.ts";
import { deadline } from "../lib/deadline.ts";
import { logger } from "../lib/log.ts";
import { Semaphore } from "../lib/semaphore.ts";
import type { TaskGroup } from "../lib/task_group.ts";
import { type NostrEvent, parseEvent } from "../model/event.ts";
import { parseRelayUrl, type RelayUrl } from "../model/relay_url.ts";
import type { PublisherOutcome } from "../nostr/publisher.ts";
import { type AnswerRow, markPublished, unpublishedAnswers } from "../store/dvm_jobs.ts";

/**
 * Letters on their way at once. The publisher keeps a queue a relay, so one slow relay holds up no
 * other; when this many wait for the slowest, the work waits too.
 */
const MAX_LETTERS = 1_000;
/** A letter is given up after this, and a terminal one is sent again by the sweep. */
const LETTER_TIMEOUT_MS = 60_000;
/** How often answers that are not out yet are looked for. */
const SWEEP_INTERVAL_MS = 60_000;
const SWEEP_LIMIT = 500;
/** Answers whose last try is remembered; one that is forgotten is tried again sooner. */
const MAX_TRIED = 10_000;
/** After so long nobody waits any more, and the answer counts as out. */
const GIVE_UP_SECONDS = 86_400;

/** An event on its way out. */
export interface Letter {
  event: NostrEvent;
  /** The request that it is about; says where else it is wanted. */
  request: NostrEvent;
  /** A terminal answer; it stands in the database. */
  isTerminal: boolean;
}

/** Sends letters. */
export class Outbox {
  readonly #base: DvmBase;
  readonly #group: TaskGroup;
  readonly #count: Count;
  readonly #permits = new Semaphore(MAX_LETTERS);
  // Requests whose terminal answers are on their way: the sweep leaves them alone.
  readonly #onTheWay = new Set<string>();
  // When the sweep last sent each answer, Unix seconds.
  readonly #tried = new LRUCache<string, number>({ max: MAX_TRIED });
  // Where the last sweep ended: the next one goes on behind it.
  #swept: Pick<AnswerRow, "answeredAt" | "requestId"> | undefined;
  readonly #log = logger("dvm");

  /** Letters travel as tasks of the group, and end with it. */
  constructor(base: DvmBase, group: TaskGroup, count: Count) {
    this.#base = base;
    this.#group = group;
    this.#count = count;
    group.spawn("dvm sweep", (signal) => this.#sweepForever(signal));
  }

  /** Sends a letter on its way. Resolves before it arrives; waits only while too many travel. */
  async post(letter: Letter, options: { signal: AbortSignal }): Promise<void> {
    const permit = await this.#permits.acquire(options);
    const { id } = letter.request;
    if (letter.isTerminal) this.#onTheWay.add(id);
    this.#group.spawn("dvm letter", async (signal) => {
      using _permit = permit;
      try {
        await this.#deliver(letter, signal);
      } finally {
        if (letter.isTerminal) this.#onTheWay.delete(id);
      }
    });
  }

  async #deliver({ event, request, isTerminal }: Letter, signal: AbortSignal): Promise<void> {
    const { publisher, guests, config, store, clock } = this.#base;
    using limit = deadline(LETTER_TIMEOUT_MS, { signal });
    const [own, named] = await Promise.all([
      publisher.publish(event, { relays: config.relays, signal: limit.signal }),
      guests.publish(event, { relays: this.#guestRelays(request), signal: limit.signal }),
    ]);
    signal.throwIfAborted();
    const isOwn = this.#isTaken(event, own);
    const isNamed = this.#isTaken(event, named);
    if (isNamed) this.#count("guest_events_published");
    this.#count(isOwn ? "events_published" : "events_refused");
    if (isTerminal && (isOwn || isNamed)) {
      await markPublished(store, request.id, { at: unixSeconds(clock), signal });
    }
  }

  #isTaken(event: NostrEvent, outcomes: ReadonlyMap<RelayUrl, PublisherOutcome>): boolean {
    let isTaken = false;
    for (const [url, outcome] of outcomes) {
      if (outcome.ok) isTaken = true;
      else {
        const { reason } = outcome;
        this.#log.debug("{url} did not take a kind {kind}: {reason}", {
          url,
          kind: event.kind,
          reason,
        });
      }
    }
    return isTaken;
  }

  /** Relays that the customer named beside our own, in normal form, no more than is allowed. */
  #guestRelays(request: NostrEvent): RelayUrl[] {
    const { relays, maxReplyRelays } = this.#base.config;
    const named = new Set<RelayUrl>();
    for (const tag of request.tags) {
      if (tag[0] !== "relays") continue;
      for (const text of tag.slice(1)) {
        if (named.size >= maxReplyRelays) return [...named];
        const url = parseRelayUrl(text);
        if (url.ok && !relays.includes(url.value)) named.add(url.value);
      }
    }
    return [...named];
  }

  async #sweepForever(signal: AbortSignal): Promise<void> {
    for (;;) {
      await this.#sweep(signal);
      await this.#base.clock.sleep(SWEEP_INTERVAL_MS, { signal });
    }
  }

  /**
   * A page of what is not out yet, the next one each time, so that answers which nobody takes stand in
   * no other's way. Those are sent ever less often: when as much time has gone by as at the last try.
   */
  async #sweep(signal: AbortSignal): Promise<void> {
    const { store, clock } = this.#base;
    const after = this.#swept;
    const answers = await unpublishedAnswers(store, { limit: SWEEP_LIMIT, after, signal });
    this.#swept = answers.length < SWEEP_LIMIT ? undefined : answers.at(-1);
    for (const { requestId, answer, answeredAt, request } of answers) {
      if (this.#onTheWay.has(requestId)) continue;
      const at = unixSeconds(clock);
      const event = parseEvent(JSON.parse(answer));
      const asked = parseEvent(JSON.parse(request));
      if (!event.ok || !asked.ok || at - answeredAt > GIVE_UP_SECONDS) {
        this.#log.info("gave up publishing the answer to {requestId}", { requestId });
        await markPublished(store, requestId, { at, signal });
        continue;
      }
      const tried = this.#tried.get(requestId);
      if (tried !== undefined && at - tried < tried - answeredAt) continue;
      this.#tried.set(requestId, at);
      this.#count("answers_republished");
      await this.post({ event: event.value, request: asked.value, isTerminal: true }, { signal });
    }
  }
}
