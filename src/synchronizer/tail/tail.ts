// One relay followed live: a subscription that stays open, and what it brings archived within a
// moment. In: a relay, what was followed of it before. Out: events and sightings in the store, the
// ground that was followed, and how the session ended. One session: coming again, and who is
// followed at all, is tails.ts. Never closes ground: a relay may forget to pass an event on, so a turn
// proves later what was followed.
import type { Ingest, PageResult } from "../../ingest/ingest.ts";
import { type Clock, unixSeconds } from "../../lib/clock.ts";
import type { Count } from "../../lib/cycle.ts";
import { TaskGroup } from "../../lib/task_group.ts";
import type { BlockList } from "../../model/block_list.ts";
import type { CoverageWindow } from "../../model/coverage.ts";
import { eventClass } from "../../model/event.ts";
import type { Filter } from "../../model/filter.ts";
import type { RelayUrl } from "../../model/relay_url.ts";
import type { Dialer, DialFailure } from "../../net/dialer.ts";
import type { HostSlots } from "../../net/host_slots.ts";
import { retryAfterMs } from "../../net/retry_after.ts";
import { connectRelay, type RelayConnection } from "../../nostr/relay_connection.ts";
import type { Signer } from "../../nostr/signer.ts";
import type { SubscriptionEnd } from "../../nostr/exchange.ts";
import { CatchUp } from "./catch_up.ts";
import { FollowedGround } from "./followed_ground.ts";
import { FrameRate } from "./frame_rate.ts";
import { takeHostTurn } from "../host_turn.ts";
import { MicroBatches } from "./micro_batches.ts";
import { stopReason } from "../stop_reason.ts";
import type { TailEnd, TailEndReason } from "./tail_rest.ts";

/** Bounds of one live session; each is a setting. */
export interface TailLimits {
  /** Stored events asked for at the start of a session. */
  catchUpEvents: number;
  /** Longest silence before EOSE. */
  idleMs: number;
  slotWaitMs: number;
  maxPayloadBytes: number;
  inboxItems: number;
  inboxBytes: number;
  batchEvents: number;
  batchMs: number;
  /** Frames a second, on average over a minute, beyond which the session is cut. */
  maxRate: number;
  /** Events may reach the relay so long after they are dated. */
  settleSeconds: number;
  /** How far before what was followed last a session begins. */
  overlapSeconds: number;
}

/** What a session works with. */
export interface TailDeps {
  ingest: Ingest;
  dialer: Dialer;
  /** Of its own: a turn needs the host's slot as well. */
  slots: HostSlots;
  blocked?: BlockList | undefined;
  signer: Signer;
  limits: TailLimits;
  clock: Clock;
  count: Count;
  /** Told of every batch that was committed. */
  told: (page: PageResult) => void;
  /** Seconds from an event's date to its commit, for events that came live. */
  lag: (seconds: number) => void;
}

/** Whom to follow. */
export interface TailRequest {
  url: RelayUrl;
  relayId: number;
  /** Without a window. */
  filter: Filter;
  /** Nothing older is archived, Unix seconds. */
  since: number;
  /** Nothing newer is archived, Unix seconds; then only what comes late is. */
  until?: number | undefined;
  /** What was followed before. */
  spans: readonly CoverageWindow[];
}

/** Where a session stands. */
export type TailState = "connecting" | "catching_up" | "live";

type Item = { event: unknown } | "eose";

/** A session never asks further back than this: that is what turns are for. */
const MAX_CATCH_UP_SECONDS = 900;

/** A session to come. */
export class Tail {
  readonly request: TailRequest;
  readonly #deps: TailDeps;
  readonly #ground: FollowedGround;
  readonly #stopper = new AbortController();
  #stopReason: TailEndReason | undefined;
  #state: TailState = "connecting";
  #connection: RelayConnection | undefined;
  #batches: MicroBatches<Item> | undefined;
  #liveSinceMs: number | undefined;
  #liveEvents = 0;
  readonly #frames: FrameRate;

  constructor(deps: TailDeps, request: TailRequest) {
    this.#deps = deps;
    this.request = request;
    this.#ground = new FollowedGround(request.spans);
    this.#frames = new FrameRate(deps.limits.maxRate);
  }

  get state(): TailState {
    return this.#state;
  }

  /** Milliseconds since the relay was last heard, pongs included; undefined while not live. */
  get silentMs(): number | undefined {
    const connection = this.#connection;
    if (this.#state !== "live" || connection === undefined) return undefined;
    return performance.now() - connection.heardAtMs;
  }

  /** Events a day that came live; undefined before that can be told. */
  get rate(): number | undefined {
    const liveMs = this.#liveMs;
    return liveMs < 600_000 ? undefined : this.#liveEvents * 86_400_000 / liveMs;
  }

  /** The ground that was followed, up to now. */
  spans(): CoverageWindow[] {
    if (this.#state === "live" && this.#batches?.isIdle === true) this.#reach(this.#heardAt());
    return this.#ground.spans;
  }

  /** Ends the session; what is not archived by then is asked for again. */
  stop(reason: TailEndReason): void {
    this.#stopReason ??= reason;
    this.#stopper.abort(new Error(`Stopped: ${reason}`));
  }

  /** Ends it when it sends too much. */
  checkRate(): void {
    const frames = this.#connection?.framesReceived ?? 0;
    if (this.#frames.isOver(frames, this.#deps.clock.monotonicMs())) this.stop("flooding");
  }

  /** Follows until something ends it. Rejects for a broken store, or with `signal.reason`. */
  async run({ signal }: { signal: AbortSignal }): Promise<TailEnd> {
    const either = AbortSignal.any([signal, this.#stopper.signal]);
    try {
      return await this.#session(either);
    } catch (error) {
      if (signal.aborted || !this.#stopper.signal.aborted) throw error;
      return this.#end(this.#stopReason ?? "stopped");
    } finally {
      this.#ground.end();
      this.#connection = undefined;
    }
  }

  async #session(signal: AbortSignal): Promise<TailEnd> {
    const { limits, dialer, signer } = this.#deps;
    const waitMs = limits.slotWaitMs;
    const turn = await takeHostTurn(this.request.url, this.#deps, { waitMs, signal });
    if (turn === undefined) return this.#end("busy");
    if (!turn.ok) return this.#failed(turn.failure);
    using _slot = turn.value;
    const dialled = await connectRelay(this.request.url, {
      dialer,
      signal,
      resolution: turn.value.resolution,
      maxPayloadBytes: limits.maxPayloadBytes,
      inboxItems: limits.inboxItems,
      inboxBytes: limits.inboxBytes,
    });
    signal.throwIfAborted();
    if (!dialled.ok) return this.#failed(dialled.failure);
    await using connection = dialled.value;
    this.#connection = connection;
    let end = await this.#follow(connection, signal);
    if (end.prefix === "auth-required") {
      const login = await connection.authenticate(signer, { timeoutMs: limits.idleMs, signal });
      signal.throwIfAborted();
      if (login.ok) end = await this.#follow(connection, signal);
    }
    return this.#end(stopReason(end));
  }

  /** Subscribes, and archives what comes until the subscription ends. */
  async #follow(connection: RelayConnection, signal: AbortSignal): Promise<SubscriptionEnd> {
    const { limits, clock } = this.#deps;
    this.#state = "catching_up";
    const startedAt = unixSeconds(clock);
    const since = this.#since(startedAt);
    await using group = new TaskGroup({ signal });
    // What comes live, however old, too: late arrivals are seen by nobody else.
    const filters = [{ ...this.#archived, limit: 1 }];
    if (since <= (this.request.until ?? Infinity)) {
      filters.unshift({ ...this.#archived, since, limit: limits.catchUpEvents });
    }
    await using subscription = connection.subscribe(filters, {
      idleMs: limits.idleMs,
      signal: group.signal,
    });
    const batches = new MicroBatches<Item>({
      maxItems: limits.batchEvents,
      gatherMs: limits.batchMs,
      clock,
    });
    this.#batches = batches;
    const catchUp = new CatchUp(since, startedAt);
    group.spawn("read", async (inner) => {
      try {
        for await (const item of subscription) {
          this.checkRate();
          await batches.push(item.type === "eose" ? "eose" : item, { signal: inner });
        }
      } finally {
        batches.close();
      }
    });
    group.spawn(
      "write",
      (inner) =>
        batches.run((items, isAll) => this.#write(items, isAll, catchUp, inner), {
          signal: inner,
        }),
    );
    await group.join();
    signal.throwIfAborted();
    // All of it is archived; before EOSE no ground was begun.
    this.#reach(this.#heardAt());
    this.#ground.end();
    return subscription.end ?? { reason: "protocol_error" };
  }

  async #write(
    items: readonly Item[],
    isAll: boolean,
    catchUp: CatchUp,
    signal: AbortSignal,
  ): Promise<void> {
    const heardAt = this.#heardAt();
    const eose = items.indexOf("eose");
    const isLive = this.#state === "live";
    const stored = isLive ? [] : eose < 0 ? items : items.slice(0, eose);
    const live = isLive ? items : eose < 0 ? [] : items.slice(eose + 1);
    if (stored.length > 0) catchUp.note(await this.#page(stored, signal));
    if (!isLive && eose >= 0) {
      this.#state = "live";
      this.#liveSinceMs = this.#deps.clock.monotonicMs();
      this.#deps.count("sessions_live");
      this.#ground.begin(catchUp.from);
    }
    if (live.length > 0) this.#noteLive(await this.#page(live, signal), catchUp.startedAt);
    if (isAll && this.#state === "live") this.#reach(heardAt);
  }

  async #page(items: readonly Item[], signal: AbortSignal): Promise<PageResult> {
    const { ingest, clock, count } = this.#deps;
    const { relayId, filter } = this.request;
    const events = items.flatMap((item) => item === "eose" ? [] : [item.event]);
    const kept = events.filter((event) => !isUnwantedEphemeral(event, filter));
    if (kept.length < events.length) count("ephemeral", events.length - kept.length);
    const result = await ingest.page({
      relayId,
      filter: this.#archived,
      events: kept,
      seenAt: unixSeconds(clock),
    }, { signal });
    this.#deps.told(result);
    return result;
  }

  #noteLive({ accepted }: PageResult, startedAt: number): void {
    const { clock, lag, count } = this.#deps;
    this.#liveEvents += accepted.length;
    const now = clock.nowMs() / 1000;
    for (const event of accepted) {
      if (event.created_at >= startedAt) lag(Math.max(0, now - event.created_at));
      else count("late_arrivals");
    }
  }

  /** All that is archived of the relay. */
  get #archived(): Filter {
    const { filter, since, until } = this.request;
    return {
      ...filter,
      ...(since > 0 ? { since } : {}),
      ...(until === undefined ? {} : { until }),
    };
  }

  /** Everything that the relay had sent by then is archived. */
  #reach(heardAt: number): void {
    // The second in which it was heard is not over.
    this.#ground.reach(heardAt - Math.max(1, this.#deps.limits.settleSeconds));
  }

  /** When the relay was last heard, Unix seconds. */
  #heardAt(): number {
    const heardAtMs = this.#connection?.heardAtMs ?? -Infinity;
    return Math.floor((this.#deps.clock.nowMs() - (performance.now() - heardAtMs)) / 1000);
  }

  #since(now: number): number {
    const { overlapSeconds } = this.#deps.limits;
    const from = Math.min(now, this.#ground.until ?? now) - overlapSeconds;
    return Math.max(0, this.request.since, from, now - MAX_CATCH_UP_SECONDS);
  }

  #failed({ reason, headers }: DialFailure): TailEnd {
    const end = this.#end(reason === "blocked" ? "blocked" : "unreachable");
    return { ...end, retryAfterMs: retryAfterMs(headers) };
  }

  #end(reason: TailEndReason): TailEnd {
    return { reason, liveMs: this.#liveMs };
  }

  get #liveMs(): number {
    return this.#liveSinceMs === undefined ? 0 : this.#deps.clock.monotonicMs() - this.#liveSinceMs;
  }
}

/** Relays pass them on and don't keep them; neither do we, unless they are asked for by kind. */
function isUnwantedEphemeral(event: unknown, { kinds }: Filter): boolean {
  const kind = (event as { kind?: unknown } | null | undefined)?.kind;
  return typeof kind === "number" && eventClass(kind) === "ephemeral" && !kinds?.includes(kind);
}
