// The leases on relays that are followed: claimed, prolonged together with what was followed, given
// back with the time of the next session. In: what sessions say. Out: rows in the store. Each cycle
// of the live half has leases of its own: those of a failed one end by themselves.
import { type Clock, unixSeconds } from "../../lib/clock.ts";
import { deadline } from "../../lib/deadline.ts";
import { logger } from "../../lib/log.ts";
import { errorText } from "../../lib/text.ts";
import type { Network } from "../../model/network.ts";
import type { Store } from "../../store/connect.ts";
import {
  claimRelaysForTail,
  releaseTails,
  saveTails,
  type TailClaim,
  type TailRelease,
  type TailSpans,
} from "../../store/relay_tails.ts";
import type { PriorityList } from "../priority_list.ts";
import { failuresAfter, nextTailAt, type TailEnd } from "./tail_rest.ts";

/** What leases need. */
export interface TailLeasesDeps {
  store: Store;
  priority: PriorityList;
  clock: Clock;
  random?: (() => number) | undefined;
}

/** A killed process's relays wait so long for another one to follow them. */
const LEASE_SECONDS = 60;
/** At the end of the process this stands between a signal and the exit. */
const GIVE_BACK_MS = 2_000;
/** Spans are kept longer than ground is left unproven, and then some. */
const FORGET_SECONDS = 7 * 86_400;

const log = logger("tail");

/** The leases of one cycle. */
export class TailLeases {
  readonly #deps: TailLeasesDeps;
  readonly #owner = crypto.randomUUID();
  /** To be given back with the next release. */
  #ended: TailRelease[] = [];
  #nextDueAt = Infinity;

  constructor(deps: TailLeasesDeps) {
    this.#deps = deps;
  }

  /** Whether a relay that was given back has come due; says so once. */
  isOneDue(): boolean {
    if (unixSeconds(this.#deps.clock) < this.#nextDueAt) return false;
    this.#nextDueAt = Infinity;
    return true;
  }

  /** Leases relays, the named ones first; with `above`, only those with more events than that. */
  async claim(
    networks: readonly Network[],
    limit: number,
    signal: AbortSignal,
    above?: number,
  ): Promise<TailClaim[]> {
    const { store, priority, clock } = this.#deps;
    return await claimRelaysForTail(store, {
      networks,
      named: await priority.current(),
      at: unixSeconds(clock),
      leaseSeconds: LEASE_SECONDS,
      owner: this.#owner,
      limit,
      above,
      signal,
    });
  }

  /** Prolongs leases; the relays that are still ours. */
  async save(list: readonly TailSpans[], signal: AbortSignal): Promise<Set<number>> {
    if (list.length === 0) return new Set();
    const now = unixSeconds(this.#deps.clock);
    const recent = list.map((one) => ({
      ...one,
      spans: one.spans.filter((span) => span.until > now - FORGET_SECONDS),
    }));
    return await saveTails(this.#deps.store, recent, {
      until: now + LEASE_SECONDS,
      owner: this.#owner,
      signal,
    });
  }

  /** A session is over: its relay rests as long as its end asks for. */
  end(
    claim: TailClaim,
    end: TailEnd,
    followed: Pick<TailRelease, "filter" | "spans" | "rate">,
  ): void {
    const { clock, random = Math.random } = this.#deps;
    const isOurs = end.reason === "stopped" || end.reason === "displaced";
    const failures = isOurs ? claim.failures : failuresAfter(end, claim.failures);
    const now = unixSeconds(clock);
    const dueAt = end.reason === "stopped" ? now : nextTailAt(end, { now, failures, random });
    this.#nextDueAt = Math.min(this.#nextDueAt, dueAt);
    this.#ended.push({ relayId: claim.id, dueAt, failures, reason: end.reason, ...followed });
  }

  /** Gives back what has ended. */
  async release(signal: AbortSignal): Promise<void> {
    if (this.#ended.length === 0) return;
    const ended = this.#ended;
    this.#ended = [];
    await releaseTails(this.#deps.store, ended, { owner: this.#owner, signal });
  }

  /** The same at the end: the next process should not have to wait for the leases' end. */
  async giveBack(): Promise<void> {
    using limit = deadline(GIVE_BACK_MS);
    try {
      await this.release(limit.signal);
    } catch (error) {
      log.warn("The leases of followed relays were not given back: {error}", {
        error: errorText(error),
      });
    }
  }
}
