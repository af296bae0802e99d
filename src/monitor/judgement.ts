// Holds failures back until it is clear whose they are. Successes prove themselves and pass at once;
// failures wait, few and not for long, until the known-good relays of the same network have spoken.
// In: finished checks. Out: those to be believed, or word that the fault is ours.
import { logger } from "../lib/log.ts";
import { type Check, isOnline } from "../model/check.ts";
import type { Network } from "../model/network.ts";
import type { RelayUrl } from "../model/relay_url.ts";
import type { CheckClaim } from "../store/relay_checks.ts";
import { type ControlConfig, ControlSet, isKnownGood, type RecentlyAlive } from "./control_set.ts";

/** A check and the relay's standing before it. */
export interface Finished {
  claim: CheckClaim;
  check: Check;
}

/** Failures held at most, and for how long: their leases must not end meanwhile. */
const MAX_HELD = 200;
const MAX_HELD_MS = 3 * 60_000;
/** A network that was just seen to work need not be proven again for every few failures. */
const TRUST_MS = 60_000;
/** Relays asked when most of the known-good ones failed. */
const WITNESSES = 10;
/** Kept per network to be asked. */
export const REMEMBERED = 50;

const log = logger("monitor");

/** What a judgement works with. */
export interface JudgementDeps {
  network: Network;
  config: ControlConfig;
  /** Outlives the cycle: who vouches for us when the cycle itself has too few good relays. */
  alive: RecentlyAlive;
  /** Relays that were online at their last check, for when too few are remembered. */
  knownGood: (limit: number) => Promise<RelayUrl[]>;
  /** Whether a relay opens, nothing more. */
  opens: (url: RelayUrl) => Promise<boolean>;
  nowMs: () => number;
}

/** Failures wait here. */
export class Judgement {
  readonly #deps: JudgementDeps;
  #control: ControlSet;
  #held: Finished[] = [];
  #heldSinceMs = 0;
  #trustedUntilMs = -Infinity;
  #ownOutage = false;

  constructor(deps: JudgementDeps) {
    this.#deps = deps;
    this.#control = new ControlSet(deps.config);
  }

  /** Takes a check; gives it back when it proves itself. A failure comes later, by `settle`. */
  add(finished: Finished): Finished | undefined {
    const { claim, check } = finished;
    const alive = isOnline(check);
    if (isKnownGood(claim)) this.#control.add(alive);
    if (alive) {
      this.#deps.alive.add(claim.url);
      return finished;
    }
    this.#deps.alive.delete(claim.url);
    if (this.#held.length === 0) this.#heldSinceMs = this.#deps.nowMs();
    this.#held.push(finished);
    return undefined;
  }

  /** True once the fault was found to be ours; from then on no failure is believed. */
  get ownOutage(): boolean {
    return this.#ownOutage;
  }

  /** True when the failures can't wait any longer, or an outage of ours may just have begun. */
  get isDue(): boolean {
    if (this.#held.length === 0) return false;
    const nowMs = this.#deps.nowMs();
    return this.#held.length >= MAX_HELD || nowMs - this.#heldSinceMs >= MAX_HELD_MS ||
      (this.#control.turning && nowMs >= this.#trustedUntilMs);
  }

  /**
   * Judges what is held. Believed failures are handed back; when the fault is ours they are gone,
   * and `thrownAway` says how many there were.
   */
  async settle(): Promise<{ believed: Finished[]; thrownAway: number }> {
    const held = this.#held;
    this.#held = [];
    if (held.length === 0) return { believed: [], thrownAway: 0 };
    if (this.#ownOutage) return { believed: [], thrownAway: held.length };
    const control = this.#control;
    this.#control = new ControlSet(this.#deps.config);
    if (control.suspicious) {
      await this.#askWitnesses(control, held);
      this.#trustedUntilMs = this.#deps.nowMs() + TRUST_MS;
    }
    if (!control.ownOutage) return { believed: held, thrownAway: 0 };
    this.#ownOutage = true;
    log.warn("Our own outage on {network}: {control}; {count} failed checks thrown away", {
      network: this.#deps.network,
      control: String(control),
      count: held.length,
    });
    return { believed: [], thrownAway: held.length };
  }

  async #askWitnesses(control: ControlSet, held: readonly Finished[]): Promise<void> {
    const witnesses = await this.#witnesses(held);
    const answers = await Promise.all(witnesses.map((url) => this.#deps.opens(url)));
    for (const [index, opened] of answers.entries()) {
      control.add(opened);
      const url = witnesses[index];
      if (!opened && url !== undefined) this.#deps.alive.delete(url);
    }
  }

  /** Those that proved life lately; right after a start, those of the process before. */
  async #witnesses(held: readonly Finished[]): Promise<RelayUrl[]> {
    const { alive, knownGood } = this.#deps;
    const witnesses = alive.newest(WITNESSES);
    if (witnesses.length === WITNESSES) return witnesses;
    const failed = new Set(held.map(({ claim }) => claim.url));
    const others = (await knownGood(WITNESSES + failed.size)).filter((url) => !failed.has(url));
    return [...new Set([...witnesses, ...others])].slice(0, WITNESSES);
  }
}
