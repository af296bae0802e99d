// Relays that the stage holds: claimed in small batches, given out host by host, and given back when
// nobody checked them. In: the table of relays. Out: groups of one host and port each. Blocked relays
// and those beyond a host's few wait, and nothing is counted against them.
import { type Clock, unixSeconds } from "../lib/clock.ts";
import type { Count } from "../lib/cycle.ts";
import type { BlockList } from "../model/block_list.ts";
import type { Network } from "../model/network.ts";
import { HostQuota } from "../net/host_quota.ts";
import { byHost } from "../net/turn.ts";
import type { Store } from "../store/connect.ts";
import { type CheckClaim, claimRelaysForCheck, releaseChecks } from "../store/relay_checks.ts";

/** What claiming works with. */
export interface ClaimDeps {
  store: Store;
  network: Network;
  owner: string;
  /** Relays claimed at a time. */
  batch: number;
  /** Relays that the cycle may still check, shared by its lanes. */
  budget: { left: number };
  blocked: BlockList;
  maxPerHost: number;
  /** Between cycles, and between two checks of a relay. */
  intervalMs: number;
  checkIntervalMs: number;
  clock: Clock;
  random: () => number;
  count: Count;
}

/** A claim lasts far longer than a batch; a killed process's relays come back after it. */
const LEASE_SECONDS = 15 * 60;
/** A check that begins later than this before the lease's end might not be written in time. */
const LEASE_MARGIN_SECONDS = 5 * 60;

/** One network's claims in one cycle. */
export class Claims {
  readonly #deps: ClaimDeps;
  readonly #quota: HostQuota;
  readonly #startedAt: number;
  /** The ends of their leases, in Unix seconds. */
  readonly #held = new Map<number, number>();

  constructor(deps: ClaimDeps) {
    const { maxPerHost: perCycle, intervalMs: spacingMs } = deps;
    this.#deps = deps;
    this.#quota = new HostQuota({ perCycle, spacingMs });
    this.#startedAt = unixSeconds(deps.clock);
  }

  /** Claimed relays, those of one host together, until none is due or `isStopped`. */
  async *groups(
    options: { signal: AbortSignal; isStopped: () => boolean },
  ): AsyncGenerator<CheckClaim[]> {
    const { store, network, owner, batch, budget, clock, count } = this.#deps;
    while (budget.left > 0 && !options.isStopped()) {
      const until = unixSeconds(clock) + LEASE_SECONDS;
      const claimed = await claimRelaysForCheck(store, {
        limit: Math.min(budget.left, batch),
        // What was due when the cycle began: nobody is checked twice in one cycle, however long.
        at: this.#startedAt,
        leaseSeconds: until - this.#startedAt,
        networks: [network],
        owner,
        signal: options.signal,
      });
      if (claimed.length === 0) return;
      for (const { id } of claimed) this.#held.set(id, until);
      const now = await this.#withoutWaiting(claimed, options.signal);
      budget.left -= now.length;
      if (now.length > 0) count("relays_claimed", now.length);
      yield* byHost(now, ({ url }) => url);
    }
  }

  /** False when the lease ends too soon to begin a check: another process may take the relay. */
  hasTime({ id }: CheckClaim): boolean {
    const until = this.#held.get(id) ?? 0;
    return unixSeconds(this.#deps.clock) + LEASE_MARGIN_SECONDS <= until;
  }

  /** Their checks are stored. */
  settle(ids: Iterable<number>): void {
    for (const id of ids) this.#held.delete(id);
  }

  /** A name that led to a blocked address. */
  async leaveAlone({ id }: CheckClaim): Promise<void> {
    this.#deps.count("relays_blocked_address");
    await this.#release([{ relayId: id, nextCheckAt: this.#afterBlocked() }]);
  }

  /** A relay that turned us away, or others of its host; not before `nextCheckAt`. */
  async putOff(claims: readonly CheckClaim[], nextCheckAt: number): Promise<void> {
    if (claims.length === 0) return;
    await this.#release(claims.map(({ id }) => ({ relayId: id, nextCheckAt })));
  }

  /** Gives back all that was not checked, as due as it was. Also after an abort. */
  async close(options: { signal: AbortSignal }): Promise<void> {
    const rest = [...this.#held.keys()].map((relayId) => ({ relayId }));
    await this.#release(rest, options.signal);
  }

  /** Those that may be checked now; the others are given back until their time. */
  async #withoutWaiting(
    claimed: readonly CheckClaim[],
    signal: AbortSignal,
  ): Promise<CheckClaim[]> {
    const { blocked, count, clock } = this.#deps;
    const now: CheckClaim[] = [];
    const waiting: { relayId: number; nextCheckAt: number }[] = [];
    for (const claim of claimed) {
      const kind = blocked.kindFor(claim.url);
      const waitMs = kind === undefined ? this.#quota.waitMs(claim.url) : 0;
      if (kind !== undefined) {
        count(`relays_blocked_${kind}`);
        waiting.push({ relayId: claim.id, nextCheckAt: this.#afterBlocked() });
      } else if (waitMs > 0) {
        count("relays_put_off");
        const nextCheckAt = unixSeconds(clock) + Math.ceil(waitMs / 1000);
        waiting.push({ relayId: claim.id, nextCheckAt });
      } else now.push(claim);
    }
    await this.#release(waiting, signal);
    return now;
  }

  #afterBlocked(): number {
    const { clock, random, checkIntervalMs } = this.#deps;
    return unixSeconds(clock) + Math.ceil(checkIntervalMs / 1000 * (1 + random() / 4));
  }

  async #release(
    list: readonly { relayId: number; nextCheckAt?: number }[],
    signal?: AbortSignal,
  ): Promise<void> {
    const { store, owner } = this.#deps;
    await releaseChecks(store, list, { owner, ...(signal === undefined ? {} : { signal }) });
    this.settle(list.map(({ relayId }) => relayId));
  }
}
