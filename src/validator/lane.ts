// One network's share of a cycle: candidates in bounded concurrency, one host after itself, and what
// was found written down. In: claims. Out: relays, postponements, junk. Failures to reach anybody are
// held back until it is clear that the fault is not ours. Lanes know nothing of each other, so slow
// overlay networks hold up nobody.
import { type Clock, unixSeconds } from "../lib/clock.ts";
import type { Count } from "../lib/cycle.ts";
import { deadline } from "../lib/deadline.ts";
import { logger } from "../lib/log.ts";
import { mapConcurrent } from "../lib/pool.ts";
import { fail, type Result } from "../lib/result.ts";
import { errorText } from "../lib/text.ts";
import type { BlockList } from "../model/block_list.ts";
import type { Network } from "../model/network.ts";
import type { RelayUrl } from "../model/relay_url.ts";
import type { Dialer } from "../net/dialer.ts";
import { isOurFault } from "../net/failure.ts";
import type { HostSlots } from "../net/host_slots.ts";
import { takeTurn } from "../net/turn.ts";
import {
  type ClaimedCandidate,
  postponeCandidates,
  promoteCandidates,
} from "../store/candidates.ts";
import type { Store } from "../store/connect.ts";
import type { Claims } from "./claims.ts";
import { isUnreached, type OwnOutage, type Witnesses } from "./own_outage.ts";
import { postpone, type PostponementConfig } from "./postponement.ts";
import { dialFailure, type ProofFailure, type ProofKind, proveNostr } from "./proof.ts";

/** What the validator measures beside its counts. */
export interface ValidatorMetrics {
  /** One candidate was tried; `reason` says why it is no relay yet. */
  tried(network: Network, reason: string | undefined): void;
}

/** How one candidate is asked. */
export interface TryDeps {
  dialer: Dialer;
  slots: HostSlots;
  blocked: BlockList;
  readTimeoutMs: number;
  maxPayloadBytes: number;
  clock: Clock;
  random: () => number;
}

/** What a lane works with. */
export interface LaneDeps extends TryDeps {
  store: Store;
  network: Network;
  /** Candidates at a time. */
  maxTasks: number;
  postponement: PostponementConfig;
  claims: Claims;
  outage: OwnOutage;
  witnesses: Witnesses;
  metrics: ValidatorMetrics | undefined;
  count: Count;
}

interface Tried extends ClaimedCandidate {
  result: Result<ProofKind, ProofFailure>;
}

const WRITE_BATCH = 100;
const WRITE_EVERY_MS = 2_000;
/** How long failures wait for a verdict on ourselves; their leases must not end meanwhile. */
const MAX_HELD_MS = 60_000;
/** How long a lane that ends may take to give its claims back. */
const RELEASE_MS = 5_000;
/** How long a candidate waits that our proxy did not reach; it may be this one that it won't dial. */
const NOT_TRIED_REST_MS = 5 * 60_000;

const log = logger("validator");

/** Tries what is due, until nothing is, the budget is spent, or the fault is ours. */
export async function runLane(deps: LaneDeps, signal: AbortSignal): Promise<void> {
  const lane = new Lane(deps, signal);
  try {
    await lane.run();
  } finally {
    await lane.close();
  }
}

/** One try, in the host's turn. Rejects only with the signal's reason. */
export async function tryCandidate(
  url: RelayUrl,
  deps: TryDeps,
  signal: AbortSignal,
): Promise<Result<ProofKind, ProofFailure>> {
  const { dialer, readTimeoutMs, maxPayloadBytes } = deps;
  const turn = await takeTurn(url, { ...deps, signal });
  if (!turn.ok) return fail(dialFailure(turn.failure));
  using held = turn.value;
  const { resolution } = held;
  return await proveNostr(url, { dialer, readTimeoutMs, maxPayloadBytes, resolution, signal });
}

class Lane {
  readonly #deps: LaneDeps;
  readonly #signal: AbortSignal;
  #tried: Tried[] = [];
  /** Failures to reach anybody, until it is clear whose fault that is. */
  #held: Tried[] = [];
  #heldSinceMs = 0;
  #writtenAtMs: number;
  /** The network can't be dialled: nothing more is claimed or tried in this cycle. */
  #stopped = false;

  constructor(deps: LaneDeps, signal: AbortSignal) {
    this.#deps = deps;
    this.#signal = signal;
    this.#writtenAtMs = deps.clock.monotonicMs();
  }

  async run(): Promise<void> {
    const groups = this.#deps.claims.groups({
      signal: this.#signal,
      isStopped: () => this.#stopped,
    });
    const work = mapConcurrent(
      groups,
      this.#deps.maxTasks,
      (host, signal) => this.#tryHost(host, signal),
      { signal: this.#signal },
    );
    // Run to its end even when the lane stops early: breaking out would leave a claim under way.
    for await (const tried of work) {
      for (const one of tried) await this.#take(one);
      await this.#judge(false);
      await this.#write(WRITE_BATCH);
    }
    await this.#judge(true);
    await this.#write(1);
  }

  /** Gives back what has no verdict; also when the lane failed or was aborted. */
  async close(): Promise<void> {
    using limit = deadline(RELEASE_MS);
    try {
      await this.#deps.claims.close({ signal: limit.signal });
    } catch (error) {
      // The leases end by themselves; what ended the lane is the error to be seen.
      log.warn("Candidates were not given back: {error}", { error: errorText(error) });
    }
  }

  async #tryHost(candidates: readonly ClaimedCandidate[], signal: AbortSignal): Promise<Tried[]> {
    const tried: Tried[] = [];
    let shared: Tried["result"] | undefined;
    for (const [index, candidate] of candidates.entries()) {
      if (this.#stopped) break;
      // Nobody answered at this host and port a moment ago: its other URLs are asked no more.
      const result = shared ?? await tryCandidate(candidate.url, this.#deps, signal);
      tried.push({ ...candidate, result });
      if (!result.ok && isUnreached(result.failure)) shared = result;
      if (!result.ok && result.failure.httpStatus === 429) {
        const { claims, postponement } = this.#deps;
        const waitMs = Math.max(
          result.failure.retryAfterMs ?? 0,
          postponement.retryDelaysMs[0] ?? 0,
        );
        await claims.putOff(candidates.slice(index + 1), waitMs);
        break;
      }
    }
    return tried;
  }

  async #take(tried: Tried): Promise<void> {
    const { claims, outage, clock, random, count, network } = this.#deps;
    const { result, url } = tried;
    if (!result.ok && result.failure.reason === "blocked") return await claims.leaveAlone(url);
    if (!result.ok && isOurFault(result.failure.reason)) {
      count("candidates_not_tried");
      if (!this.#stopped) {
        log.warn("{network} can't be dialled now; its candidates wait", { network });
      }
      this.#stopped = true;
      // The next cycle begins with others, or one that the proxy refuses would be the end of each.
      return await claims.putOff([tried], NOT_TRIED_REST_MS * (1 + random() / 4));
    }
    const unreached = !result.ok && isUnreached(result.failure);
    outage.add(!unreached);
    if (!unreached) {
      this.#tried.push(tried);
      return;
    }
    if (this.#held.length === 0) this.#heldSinceMs = clock.monotonicMs();
    this.#held.push(tried);
  }

  /** Believes the failures that are held, or lets their candidates go as they were. */
  async #judge(isEnd: boolean): Promise<void> {
    const { outage, witnesses, clock, count } = this.#deps;
    if (this.#held.length === 0) return;
    const waitedMs = clock.monotonicMs() - this.#heldSinceMs;
    if (!outage.isDue && !isEnd && waitedMs < MAX_HELD_MS) return;
    const held = this.#held;
    this.#held = [];
    if (this.#stopped || await outage.isOurs(witnesses)) {
      if (!this.#stopped) count("own_outages");
      this.#stopped = true;
      // They are still claimed, and given back at the end.
      count("candidates_thrown_away", held.length);
    } else this.#tried.push(...held);
  }

  /** Writes once there are so many, or some have waited long enough. */
  async #write(atLeast: number): Promise<void> {
    const { store, clock, random, postponement, claims, count } = this.#deps;
    const waited = clock.monotonicMs() - this.#writtenAtMs >= WRITE_EVERY_MS;
    if (this.#tried.length === 0 || (this.#tried.length < atLeast && !waited)) return;
    const batch = this.#tried;
    this.#tried = [];
    this.#writtenAtMs = clock.monotonicMs();
    const at = unixSeconds(clock);
    const proven = batch.filter(({ result }) => result.ok).map(({ url }) => url);
    await promoteCandidates(store, proven, { at });
    const failed = batch.flatMap(({ url, attempts, result }) => {
      if (result.ok) return [];
      const { failure } = result;
      const next = postpone(failure, attempts, postponement, { at, random });
      return [{ url, reason: failure.reason, ...next }];
    });
    await postponeCandidates(store, failed);
    claims.settle(batch.map(({ url }) => url));
    for (const { result } of batch) this.#countTried(result);
    const junk = failed.filter((one) => one.junk).length;
    if (junk > 0) count("candidates_junk", junk);
  }

  #countTried(result: Tried["result"]): void {
    const { metrics, network, count } = this.#deps;
    metrics?.tried(network, result.ok ? undefined : result.failure.reason);
    if (result.ok) count("candidates_promoted");
    count(result.ok ? `proof_${result.value}` : `candidates_failed_${result.failure.reason}`);
  }
}
