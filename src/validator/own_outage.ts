// Whose fault is it that candidates can't be reached? Most of what lists name is dead, so failures
// alone prove nothing; but when nearly all fail before a byte came back, relays that are known to be
// online are asked too. In: how tries ended. Out: a verdict. Outlives the cycle: an outage does.
import type { Clock } from "../lib/clock.ts";
import { logger } from "../lib/log.ts";
import type { Network } from "../model/network.ts";
import { hostPortOf, type RelayUrl } from "../model/relay_url.ts";
import type { ProofFailure } from "./proof.ts";

/** When we are suspected. */
export interface OutageConfig {
  /** Fewer tries than this prove nothing against us. */
  minimum: number;
  /** Suspicious, when a larger share of them can't be reached. */
  maxFailedShare: number;
}

/** Who can speak for us. */
export interface Witnesses {
  /** Relays known to be online, the latest first. */
  knownGood: (limit: number) => Promise<RelayUrl[]>;
  /** Whether a relay answers now. */
  answers: (url: RelayUrl) => Promise<boolean>;
}

/** Relays looked through for such of different hosts, and how many are asked. */
const KNOWN_GOOD = 50;
const ASKED = 5;
/** A network that was just seen to work need not be proven again for every batch. */
const TRUST_MS = 60_000;

const log = logger("validator");

/**
 * True when the try ended before anybody answered: what an outage of ours looks like. So does a
 * network that leads every name to an address of its own until somebody logs in.
 */
export function isUnreached({ phase, reason }: Pick<ProofFailure, "phase" | "reason">): boolean {
  return phase === "dns" || phase === "tcp" || phase === "proxy" || reason === "forbidden_address";
}

/** One network's guard. */
export class OwnOutage {
  readonly #network: Network;
  readonly #config: OutageConfig;
  readonly #clock: Clock;
  #reached = 0;
  #unreached = 0;
  #trustedUntilMs = -Infinity;

  constructor(options: { network: Network; config: OutageConfig; clock: Clock }) {
    this.#network = options.network;
    this.#config = options.config;
    this.#clock = options.clock;
  }

  /** One candidate was tried. */
  add(reached: boolean): void {
    if (reached) this.#reached += 1;
    else this.#unreached += 1;
  }

  /** True when so many were tried that there can be a verdict. */
  get isDue(): boolean {
    return this.#reached + this.#unreached >= this.#config.minimum;
  }

  /** True when the fault is ours: what could not be reached is not to be believed. */
  async isOurs(witnesses: Witnesses): Promise<boolean> {
    if (!this.isDue) return false;
    const total = this.#reached + this.#unreached;
    const isSuspicious = this.#unreached > total * this.#config.maxFailedShare;
    const isTrusted = this.#clock.monotonicMs() < this.#trustedUntilMs;
    const failed = isSuspicious && !isTrusted ? await this.#ask(witnesses) : undefined;
    if (failed !== undefined) {
      log.warn(
        "Our own outage on {network}: {unreached} of {total} candidates could not be reached, " +
          "and {failed} of {asked} relays that are known to be online don't answer",
        { network: this.#network, unreached: this.#unreached, total, ...failed },
      );
      // The tally stays: the next cycle asks the witnesses first.
      return true;
    }
    this.#reached = 0;
    this.#unreached = 0;
    return false;
  }

  /** How many failed, when most did; undefined when we are cleared, or there is nobody to ask. */
  async #ask(witnesses: Witnesses): Promise<{ asked: number; failed: number } | undefined> {
    const urls = ofDifferentHosts(await witnesses.knownGood(KNOWN_GOOD)).slice(0, ASKED);
    const results = await Promise.all(urls.map((url) => witnesses.answers(url)));
    const failed = results.filter((answered) => !answered).length;
    if (failed > 0 && failed * 2 > urls.length) return { asked: urls.length, failed };
    this.#trustedUntilMs = this.#clock.monotonicMs() + TRUST_MS;
    return undefined;
  }
}

function ofDifferentHosts(urls: readonly RelayUrl[]): RelayUrl[] {
  const byHost = new Map(
    urls.toReversed().map((url) => {
      const { host, port } = hostPortOf(url);
      return [`${host} ${port}`, url];
    }),
  );
  return [...byHost.values()].reverse();
}
