// Candidates that the stage holds: claimed in small batches, given out host by host, and given back
// when nobody tried them. In: the table of candidates. Out: groups of one host each. Blocked
// candidates and those beyond a host's few wait, with nothing counted against them.
import type { Clock } from "../lib/clock.ts";
import { unixSeconds } from "../lib/clock.ts";
import type { Count } from "../lib/cycle.ts";
import type { BlockList } from "../model/block_list.ts";
import type { Network } from "../model/network.ts";
import type { RelayUrl } from "../model/relay_url.ts";
import { HostQuota } from "../net/host_quota.ts";
import { byHost } from "../net/turn.ts";
import { claimCandidates, type ClaimedCandidate, releaseCandidates } from "../store/candidates.ts";
import type { Store } from "../store/connect.ts";

/** What claiming works with. */
export interface ClaimDeps {
  store: Store;
  network: Network;
  /** Candidates claimed at a time. */
  batch: number;
  /** Candidates that the cycle may still try, shared by its lanes. */
  budget: { left: number };
  blocked: BlockList;
  maxPerHost: number;
  /** Between cycles. */
  intervalMs: number;
  clock: Clock;
  random: () => number;
  count: Count;
}

/** Far longer than a batch takes; a killed process's candidates come back after it. */
const LEASE_SECONDS = 15 * 60;
/** How long the blocked wait, at least: who is taken off the list is tried soon after. */
const BLOCKED_REST_SECONDS = 3_600;

/** One network's claims in one cycle. */
export class Claims {
  readonly #deps: ClaimDeps;
  readonly #quota: HostQuota;
  readonly #held = new Set<RelayUrl>();

  constructor(deps: ClaimDeps) {
    const { maxPerHost: perCycle, intervalMs: spacingMs } = deps;
    this.#deps = deps;
    this.#quota = new HostQuota({ perCycle, spacingMs });
  }

  /** Claimed candidates, those of one host together, until none is due or `isStopped`. */
  async *groups(
    options: { signal: AbortSignal; isStopped: () => boolean },
  ): AsyncGenerator<ClaimedCandidate[]> {
    const { store, network, batch, budget, clock, count } = this.#deps;
    while (budget.left > 0 && !options.isStopped()) {
      const claimed = await claimCandidates(store, {
        limit: Math.min(budget.left, batch),
        at: unixSeconds(clock),
        leaseSeconds: LEASE_SECONDS,
        networks: [network],
        signal: options.signal,
      });
      if (claimed.length === 0) return;
      for (const { url } of claimed) this.#held.add(url);
      const now = await this.#withoutWaiting(claimed, options.signal);
      budget.left -= now.length;
      if (now.length > 0) count("candidates_claimed", now.length);
      yield* byHost(now, ({ url }) => url);
    }
  }

  /** A verdict on these is stored. */
  settle(urls: Iterable<RelayUrl>): void {
    for (const url of urls) this.#held.delete(url);
  }

  /** A name that led to a blocked address. */
  async leaveAlone(url: RelayUrl): Promise<void> {
    this.#deps.count("candidates_blocked_address");
    await this.#release([{ url, nextAttemptAt: this.#afterBlocked() }]);
  }

  /** Others of a host that asks to be left alone for a while. */
  async putOff(candidates: readonly ClaimedCandidate[], waitMs: number): Promise<void> {
    if (candidates.length === 0) return;
    const { clock, count } = this.#deps;
    count("candidates_put_off", candidates.length);
    const nextAttemptAt = unixSeconds(clock) + Math.ceil(waitMs / 1000);
    await this.#release(candidates.map(({ url }) => ({ url, nextAttemptAt })));
  }

  /** Gives back all that has no verdict, as due as it was. Also after an abort. */
  async close(options: { signal: AbortSignal }): Promise<void> {
    await this.#release([...this.#held].map((url) => ({ url })), options.signal);
  }

  /** Those that may be tried now; the others are given back until their time. */
  async #withoutWaiting(
    claimed: readonly ClaimedCandidate[],
    signal: AbortSignal,
  ): Promise<ClaimedCandidate[]> {
    const { blocked, count, clock } = this.#deps;
    const now: ClaimedCandidate[] = [];
    const waiting: { url: RelayUrl; nextAttemptAt: number }[] = [];
    for (const candidate of claimed) {
      const { url } = candidate;
      const kind = blocked.kindFor(url);
      const waitMs = kind === undefined ? this.#quota.waitMs(url) : 0;
      if (kind !== undefined) {
        count(`candidates_blocked_${kind}`);
        waiting.push({ url, nextAttemptAt: this.#afterBlocked() });
      } else if (waitMs > 0) {
        count("candidates_put_off");
        waiting.push({ url, nextAttemptAt: unixSeconds(clock) + Math.ceil(waitMs / 1000) });
      } else now.push(candidate);
    }
    await this.#release(waiting, signal);
    return now;
  }

  #afterBlocked(): number {
    const { clock, random } = this.#deps;
    return unixSeconds(clock) + Math.ceil(BLOCKED_REST_SECONDS * (1 + random()));
  }

  async #release(
    list: readonly { url: RelayUrl; nextAttemptAt?: number }[],
    signal?: AbortSignal,
  ): Promise<void> {
    await releaseCandidates(this.#deps.store, list, signal === undefined ? {} : { signal });
    this.settle(list.map(({ url }) => url));
  }
}
