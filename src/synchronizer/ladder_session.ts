// One relay's turn on the wire: a connection that is made again when it breaks, a page size that
// shrinks when pages don't get through and grows when they do, log-in where it is asked for. The
// inside of session.ts. Never judges what a page proves, and never stores.
import { type Clock, type SignalOptions, systemClock } from "../lib/clock.ts";
import type { Result } from "../lib/result.ts";
import { backoffMs } from "../lib/retry.ts";
import type { Filter } from "../model/filter.ts";
import type { RelayUrl } from "../model/relay_url.ts";
import type { DialFailure, Resolution } from "../net/dialer.ts";
import {
  connectRelay,
  type NegentropySession,
  type RelayConnection,
  type RequestedPage,
} from "../nostr/relay_connection.ts";
import type { PageAnswer } from "./page.ts";
import type { NegentropyOptions, RelayClaims, RelaySession, SessionDeps } from "./session.ts";
import { stopReason } from "./stop_reason.ts";

/** Pages never shrink below this. */
const MIN_PAGE_SIZE = 10;
/** Full pages in a row after which a shrunken page grows again. */
const GROW_AFTER = 5;
const RECONNECT_BASE_MS = 500;
const RECONNECT_MAX_MS = 10_000;
/** How long to listen for events behind an EOSE, on a relay that has not sent one before it yet. */
const LINGER_MS = 250;
const PADDING = 50;
const NOTHING: Filter = { ids: ["0".repeat(64)], limit: 1 };
const NIP_COUNT = 45;
const NIP_EOSE_HINT = 67;

/** Connects, at first and again. */
export async function dialSession(
  url: RelayUrl,
  { dialer, limits }: SessionDeps,
  resolution: Resolution | undefined,
  { signal }: SignalOptions,
): Promise<Result<RelayConnection, DialFailure>> {
  const { maxPayloadBytes, inboxItems, inboxBytes } = limits;
  const dialled = await connectRelay(url, {
    dialer,
    maxPayloadBytes,
    inboxItems,
    inboxBytes,
    resolution,
    signal,
  });
  signal?.throwIfAborted();
  return dialled;
}

/** {@linkcode RelaySession} over one connection after the other. */
export class LadderSession implements RelaySession {
  readonly #url: RelayUrl;
  readonly #deps: SessionDeps;
  readonly #top: number;
  readonly #clock: Clock;
  #connection: RelayConnection;
  #limit: number;
  #goodPages = 0;
  #failures = 0;
  /** The relay was seen to leave out EOSE: its pages end by our limit instead. */
  #endsByLimit = false;
  /** It was seen to send events first and EOSE after them. */
  #eoseTrusted = false;
  #requests = 0;
  #bytesBefore = 0;
  #reconnecting: Promise<boolean> | undefined;

  constructor(url: RelayUrl, connection: RelayConnection, deps: SessionDeps) {
    this.#url = url;
    this.#connection = connection;
    this.#deps = deps;
    this.#clock = deps.clock ?? systemClock;
    const { maxLimit } = deps.claims;
    // A claimed maximum below our least page is not believed.
    this.#top = maxLimit === undefined || maxLimit < MIN_PAGE_SIZE
      ? deps.limits.pageSize
      : Math.min(deps.limits.pageSize, maxLimit);
    this.#limit = this.#top;
  }

  get reduced(): boolean {
    return this.#limit < this.#top;
  }

  get claims(): RelayClaims {
    return this.#deps.claims;
  }

  get requests(): number {
    return this.#requests;
  }

  get bytes(): number {
    return this.#bytesBefore + this.#connection.bytesReceived;
  }

  async page(filter: Filter, options: SignalOptions): Promise<PageAnswer> {
    let idled = false;
    for (;;) {
      const limit = filter.limit ?? this.#limit;
      const page = await this.#request({ ...filter, limit }, options);
      let answer = this.#toAnswer(page, limit);
      if (answer.end === "eose" && answer.size === 0) {
        answer = await this.listen({ ...filter, limit }, options);
      }
      if (answer.end === "eose" || answer.end === "limit") {
        this.#succeeded(answer);
        return answer;
      }
      if (answer.end === "idle") {
        // As many events as came can be asked for again, in a page that ends without an EOSE.
        if (idled || answer.size < MIN_PAGE_SIZE || filter.limit !== undefined) return answer;
        idled = true;
        this.#endsByLimit = true;
        this.#limit = answer.size;
        continue;
      }
      if (answer.stop !== "disconnected") return answer;
      if (this.#failures >= this.#deps.limits.reconnects) return answer;
      this.#shrink();
      if (!await this.#reconnect(options)) return { ...answer, stop: "unreachable" };
    }
  }

  async count(filter: Filter, { signal }: SignalOptions): Promise<number | undefined> {
    if (!this.#deps.claims.nips.includes(NIP_COUNT) || !this.#connection.isOpen) return undefined;
    this.#requests += 1;
    const { idleMs } = this.#deps.limits;
    const outcome = await this.#connection.count(filter, { idleMs, signal });
    signal?.throwIfAborted();
    return outcome.ok && !outcome.approximate ? outcome.count : undefined;
  }

  async byIds(ids: readonly string[], options: SignalOptions): Promise<PageAnswer> {
    const asked = ids.slice(0, this.#top);
    const limit = asked.length;
    for (;;) {
      const connection = this.#connection;
      const page = await this.#request({ ids: [...asked], limit }, options);
      const answer = this.#toAnswer(page, limit);
      if (answer.stop !== "disconnected") return answer;
      if (answer.size > 0) this.#failures = 0;
      if (this.#failures >= this.#deps.limits.reconnects) return answer;
      if (!await this.#reconnectOnce(connection, options)) {
        return { ...answer, stop: "unreachable" };
      }
      // The rest of them is the caller's to ask for again.
      if (answer.size > 0) return { ...answer, end: "limit" };
    }
  }

  negentropy(filter: Filter, options: NegentropyOptions): NegentropySession {
    const { signal, noticeGraceMs } = options;
    const idleMs = Math.min(options.idleMs ?? Infinity, this.#deps.limits.idleMs);
    return this.#connection.openNegentropy(filter, { idleMs, signal, noticeGraceMs });
  }

  async echo({ signal }: SignalOptions): Promise<boolean> {
    this.#requests += 1;
    const { idleMs } = this.#deps.limits;
    const { eose } = await this.#connection.request(NOTHING, { idleMs, signal });
    return eose;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#connection[Symbol.asyncDispose]();
  }

  async #request(filter: Filter, { signal }: SignalOptions): Promise<RequestedPage> {
    signal?.throwIfAborted();
    this.#requests += 1;
    const limit = filter.limit ?? this.#limit;
    const page = await this.#connection.request(filter, {
      idleMs: this.#deps.limits.idleMs,
      // Without EOSE one event less than was asked for, so that the last one ends the page; with it
      // some more, for relays that pad their pages: what is cut off can't be judged.
      maxEvents: this.#endsByLimit && limit > 1 ? limit - 1 : 2 * limit + PADDING,
      // Tags are read of every event then.
      asFrames: filter.tags === undefined,
      signer: this.#deps.signer,
      signal,
    });
    signal?.throwIfAborted();
    return page;
  }

  #toAnswer(page: RequestedPage, limit: number): PageAnswer {
    const { events, end } = page;
    const size = events.length + page.invalidFrames;
    const answer: PageAnswer = { events, size, limit, end: "stopped", late: false };
    if (end.reason === "eose") {
      const hint = this.#deps.claims.nips.includes(NIP_EOSE_HINT) ? end.hint : undefined;
      return { ...answer, end: "eose", ...(hint === undefined ? {} : { hint }) };
    }
    if (end.reason === "limit" && events.length > 0) {
      return { ...answer, end: "limit", limit: Math.min(limit, events.length) };
    }
    // A page that was filled is a whole page, however the relay went on.
    if (events.length >= limit && end.reason !== "protocol_error") {
      return { ...answer, end: "limit" };
    }
    if (end.reason === "idle") return { ...answer, end: "idle" };
    return { ...answer, stop: stopReason(end) };
  }

  /**
   * Leaves the question open until the relay has answered another one: whatever it still sends for
   * the first shows that its EOSE came too early.
   */
  async listen(filter: Filter, options: SignalOptions): Promise<PageAnswer> {
    const { signal } = options;
    const { idleMs } = this.#deps.limits;
    const limit = filter.limit ?? this.#limit;
    this.#requests += 1;
    await using subscription = this.#connection.subscribe([{ ...filter, limit }], {
      idleMs,
      signal,
    });
    const events: unknown[] = [];
    let eose = false;
    let late = false;
    const answered = Promise.withResolvers<void>();
    const listening = (async (): Promise<void> => {
      for await (const item of subscription) {
        if (item.type === "eose") {
          eose = true;
          answered.resolve();
        } else {
          late ||= eose;
          if (events.length < limit) events.push(item.event);
        }
      }
      answered.resolve();
    })();
    await answered.promise;
    if (eose) {
      await this.#request(NOTHING, options);
      if (!this.#eoseTrusted) await this.#clock.sleep(LINGER_MS, { signal });
    }
    const end = subscription.end;
    await subscription[Symbol.asyncDispose]();
    await listening;
    signal?.throwIfAborted();
    const answer: PageAnswer = { events, size: events.length, limit, end: "eose", late };
    if (eose) return answer;
    if (end?.reason === "idle") return { ...answer, end: "idle" };
    const stop = end === undefined ? "protocol_error" : stopReason(end);
    return { ...answer, end: "stopped", stop };
  }

  #succeeded(answer: PageAnswer): void {
    this.#failures = 0;
    if (answer.end === "eose" && answer.events.length > 0) this.#eoseTrusted = true;
    if (answer.size < answer.limit || !this.reduced) return;
    this.#goodPages += 1;
    if (this.#goodPages < GROW_AFTER || this.#endsByLimit) return;
    this.#goodPages = 0;
    this.#limit = Math.min(this.#top, this.#limit * 2);
  }

  #shrink(): void {
    this.#goodPages = 0;
    this.#limit = Math.max(MIN_PAGE_SIZE, Math.floor(this.#limit / 2));
  }

  /** Makes one connection in place of the broken one, for all requests that it broke under. */
  async #reconnectOnce(broken: RelayConnection, options: SignalOptions): Promise<boolean> {
    if (this.#connection !== broken) return true;
    this.#reconnecting ??= this.#reconnect(options).finally(() => {
      this.#reconnecting = undefined;
    });
    return await this.#reconnecting;
  }

  async #reconnect(options: SignalOptions): Promise<boolean> {
    await this.#connection[Symbol.asyncDispose]();
    this.#bytesBefore += this.#connection.bytesReceived;
    while (this.#failures < this.#deps.limits.reconnects) {
      const delayMs = backoffMs(this.#failures, {
        baseMs: RECONNECT_BASE_MS,
        maxMs: RECONNECT_MAX_MS,
        random: this.#deps.random,
      });
      this.#failures += 1;
      await this.#clock.sleep(delayMs, { signal: options.signal });
      const dialled = await dialSession(this.#url, this.#deps, undefined, options);
      if (dialled.ok) {
        this.#connection = dialled.value;
        return true;
      }
    }
    return false;
  }
}
