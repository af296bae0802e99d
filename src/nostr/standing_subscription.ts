// A subscription that outlives its connections: dial, log in if asked to, subscribe, follow, and
// when it ends wait and come again from the last second seen. In: filters as a function of `since`.
// Out: events of one relay as they come, unchecked, some of them more than once around reconnects.
// Never takes an unfinished catching-up for a finished one, and never retries without jitter.
import { type Clock, systemClock, unixSeconds } from "../lib/clock.ts";
import { backoffMs } from "../lib/retry.ts";
import type { Filter } from "../model/filter.ts";
import type { RelayUrl } from "../model/relay_url.ts";
import type { DialFailure } from "../net/dialer.ts";
import { retryAfterMs } from "../net/retry_after.ts";
import {
  connectRelay,
  type ConnectRelayOptions,
  type RelayConnection,
  type Subscription,
  type SubscriptionEnd,
} from "./relay_connection.ts";
import type { Signer } from "./signer.ts";

/** An event of a standing subscription. */
export interface StandingEvent {
  url: RelayUrl;
  /** As parsed from JSON. */
  event: unknown;
  /** Of its frame. */
  bytes: number;
  /** Came before EOSE: held by the relay, not passed on live. */
  stored: boolean;
}

/** Where a standing subscription stands; told at every change. */
export interface StandingState {
  url: RelayUrl;
  state: "connecting" | "catching_up" | "live" | "waiting" | "stopped";
  /** Sessions in a row that did not last. */
  failures: number;
  /** Where this session began, Unix seconds; with `catching_up` and `live`. */
  since?: number;
  /** Events before EOSE; with `live`. A relay may have capped them without saying so. */
  storedEvents?: number;
  /** Date of the oldest of them. */
  oldestCreatedAt?: number;
  /** Until the next session; with `waiting`. */
  retryInMs?: number;
  /** When the relay was last heard while live, Unix seconds: lag counts from there. `waiting` */
  liveUntil?: number;
  /** Why the session ended, with `waiting`, */
  end?: SubscriptionEnd;
  /** or could not begin. */
  failure?: DialFailure;
}

/** How to follow a relay. */
export interface StandingSubscriptionOptions extends Omit<ConnectRelayOptions, "signal"> {
  /** Ends it: the iteration then finishes without an error. */
  signal: AbortSignal;
  /** Longest silence before EOSE. A relay without EOSE is polled at this pace. */
  idleMs: number;
  /** Logs in where the relay wants it. */
  signer?: Signer | undefined;
  onState?: ((state: StandingState) => void) | undefined;
  /** Where to begin, Unix seconds; default now. */
  sinceSeconds?: number | undefined;
  /** How far before the last second seen a new session begins; default 60. */
  overlapSeconds?: number | undefined;
  /** First wait after a session ended; default 1 s. */
  baseMs?: number | undefined;
  /** Longest wait, and the usual one after a refusal; default 5 min. */
  maxMs?: number | undefined;
  /** A session that was live so long makes the next wait short again; default 1 min. */
  stableMs?: number | undefined;
  clock?: Clock | undefined;
  random?: (() => number) | undefined;
}

/**
 * Follows `url` until the signal aborts. `filtersAt` gets the second to begin at. Leaving the
 * iteration closes the connection.
 */
export async function* standingSubscription(
  url: RelayUrl,
  filtersAt: (sinceSeconds: number) => Filter[],
  options: StandingSubscriptionOptions,
): AsyncGenerator<StandingEvent, void, undefined> {
  const { signal, clock = systemClock, onState } = options;
  const follower = new Follower(url, options, clock);
  try {
    while (!signal.aborted) {
      onState?.({ url, failures: follower.failures, state: "connecting" });
      const dialled = await connectRelay(url, options);
      if (dialled.ok) {
        await using connection = dialled.value;
        yield* follower.follow(connection, filtersAt);
      } else {
        follower.miss(dialled.failure);
      }
      if (!signal.aborted) await follower.rest();
    }
  } catch (error) {
    if (!signal.aborted || error !== signal.reason) throw error;
  } finally {
    onState?.({ url, failures: follower.failures, state: "stopped" });
  }
}

/** What one standing subscription remembers between its sessions. */
class Follower {
  failures = 0;
  readonly #url: RelayUrl;
  readonly #options: StandingSubscriptionOptions;
  readonly #clock: Clock;
  readonly #startsAt: number;
  /** Everything the relay has up to this second was seen, as far as it keeps its word. */
  #seenUntil: number | undefined;
  #liveUntil: number | undefined;
  #end: SubscriptionEnd | undefined;
  #failure: DialFailure | undefined;

  constructor(url: RelayUrl, options: StandingSubscriptionOptions, clock: Clock) {
    this.#url = url;
    this.#options = options;
    this.#clock = clock;
    this.#startsAt = options.sinceSeconds ?? unixSeconds(clock);
  }

  /** One session: yields until it ends, once more after a log-in. */
  async *follow(
    connection: RelayConnection,
    filtersAt: (sinceSeconds: number) => Filter[],
  ): AsyncGenerator<StandingEvent, void, undefined> {
    const { idleMs, signal, signer } = this.#options;
    this.#failure = undefined;
    const startedAtMs = this.#clock.monotonicMs();
    for (let isLoggedIn = false;;) {
      const since = this.#since();
      await using subscription = connection.subscribe(filtersAt(since), { idleMs, signal });
      yield* this.#read(connection, subscription, since);
      this.#end = subscription.end;
      if (this.#end?.prefix !== "auth-required" || signer === undefined || isLoggedIn) break;
      const login = await connection.authenticate(signer, { timeoutMs: idleMs, signal });
      if (!login.ok) break;
      isLoggedIn = true;
    }
    const lastedMs = this.#clock.monotonicMs() - startedAtMs;
    const isStable = lastedMs >= (this.#options.stableMs ?? 60_000);
    this.failures = isStable ? 0 : this.failures + 1;
  }

  /** A session could not begin. */
  miss(failure: DialFailure): void {
    this.failures += 1;
    this.#failure = failure;
    this.#end = undefined;
  }

  /** Waits before the next session. Rejects with the signal's reason. */
  async rest(): Promise<void> {
    const retryInMs = this.#waitMs();
    this.#report({
      state: "waiting",
      retryInMs,
      ...(this.#liveUntil === undefined ? {} : { liveUntil: this.#liveUntil }),
      ...(this.#end === undefined ? {} : { end: this.#end }),
      ...(this.#failure === undefined ? {} : { failure: this.#failure }),
    });
    await this.#clock.sleep(retryInMs, { signal: this.#options.signal });
  }

  async *#read(
    connection: RelayConnection,
    subscription: Subscription,
    since: number,
  ): AsyncGenerator<StandingEvent, void, undefined> {
    this.#report({ state: "catching_up", since });
    let isLive = false;
    let storedEvents = 0;
    let newest: number | undefined;
    let oldest: number | undefined;
    for await (const item of subscription) {
      if (item.type === "eose") {
        isLive = true;
        // Only now: a catching-up that breaks off has holes below its newest event.
        this.#see(newest);
        this.#report({
          state: "live",
          since,
          storedEvents,
          ...(oldest === undefined ? {} : { oldestCreatedAt: oldest }),
        });
        continue;
      }
      const createdAt = createdAtOf(item.event);
      if (isLive) {
        this.#see(createdAt);
      } else if (createdAt !== undefined) {
        newest = Math.max(newest ?? createdAt, createdAt);
        oldest = Math.min(oldest ?? createdAt, createdAt);
      }
      if (!isLive) storedEvents += 1;
      yield { url: this.#url, event: item.event, bytes: item.bytes, stored: !isLive };
    }
    if (isLive) {
      const silentMs = performance.now() - connection.heardAtMs;
      this.#liveUntil = Math.floor((this.#clock.nowMs() - silentMs) / 1000);
    }
  }

  /** An event dated ahead of our clock must not make later ones look old. */
  #see(createdAt: number | undefined): void {
    if (createdAt === undefined) return;
    const seen = Math.min(createdAt, unixSeconds(this.#clock));
    this.#seenUntil = Math.max(this.#seenUntil ?? seen, seen);
  }

  #since(): number {
    if (this.#seenUntil === undefined) return this.#startsAt;
    const overlap = this.#options.overlapSeconds ?? 60;
    return Math.max(0, Math.max(this.#startsAt, this.#seenUntil - overlap));
  }

  #waitMs(): number {
    const { baseMs = 1_000, maxMs = 300_000, random } = this.#options;
    if (isRefusal(this.#end)) return backoffMs(0, { baseMs: maxMs, maxMs, random });
    const waitMs = backoffMs(Math.max(0, this.failures - 1), { baseMs, maxMs, random });
    // HTTP 429 says how long; a stranger's number, so not beyond our own longest wait.
    return Math.max(waitMs, Math.min(retryAfterMs(this.#failure?.headers) ?? 0, maxMs));
  }

  #report(state: Omit<StandingState, "url" | "failures">): void {
    this.#options.onState?.({ url: this.#url, failures: this.failures, ...state });
  }
}

/** A relay that said no: it won't have changed its mind in a second. An `error` may pass. */
function isRefusal(end: SubscriptionEnd | undefined): boolean {
  if (end?.reason === "notice") return true;
  return end?.reason === "closed" && end.prefix !== undefined && end.prefix !== "error";
}

function createdAtOf(event: unknown): number | undefined {
  const value = (event as { created_at?: unknown } | null | undefined)?.created_at;
  return Number.isSafeInteger(value) && (value as number) >= 0 ? value as number : undefined;
}
