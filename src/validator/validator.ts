// The validator: candidate -> relay. In: candidates that are due, on networks that are on. Out:
// relays that proved to speak Nostr; the others postponed by a ladder, and junk under a tombstone.
// Candidates of a network that is off wait; they do not fail. Keeps nothing of what a relay sends.
import type { Config } from "../config/config.ts";
import { type Clock, systemClock, unixSeconds } from "../lib/clock.ts";
import type { Count, CycleContext, CycleTask } from "../lib/cycle.ts";
import { logger } from "../lib/log.ts";
import { mapConcurrent } from "../lib/pool.ts";
import type { Result } from "../lib/result.ts";
import { TaskGroup } from "../lib/task_group.ts";
import { type Network, NETWORKS } from "../model/network.ts";
import type { Dialer } from "../net/dialer.ts";
import type { HostSlots } from "../net/host_slots.ts";
import { byHost, takeTurn } from "../net/turn.ts";
import {
  claimCandidates,
  type ClaimedCandidate,
  deleteForgottenCandidates,
  postponeCandidates,
  promoteCandidates,
} from "../store/candidates.ts";
import type { Store } from "../store/connect.ts";
import { postpone } from "./postponement.ts";
import { type ProofFailure, type ProofKind, proveNostr } from "./proof.ts";

/** What the validator measures beside its counts. */
export interface ValidatorMetrics {
  /** One candidate was tried; `reason` says why it is no relay yet. */
  tried(network: Network, reason: string | undefined): void;
}

/** What the validator works with. */
export interface ValidatorDeps {
  store: Store;
  dialer: Dialer;
  /** Shared with the other stages: a host sees one connection of ours at a time. */
  slots: HostSlots;
  config: Pick<Config, "validator" | "networks" | "limits">;
  clock?: Clock | undefined;
  random?: (() => number) | undefined;
  metrics?: ValidatorMetrics | undefined;
}

interface Tried extends ClaimedCandidate {
  result: Result<ProofKind, ProofFailure>;
}

/** Far longer than a batch takes; a killed process's candidates come back after it. */
const LEASE_SECONDS = 15 * 60;
const WRITE_BATCH = 100;
const WRITE_EVERY_MS = 2_000;
/** A proof asks for nothing, so it takes less at a time than an archive does. */
const MAX_FRAME_BYTES = 1024 * 1024;
/** Our configuration or our proxy: the candidate was never asked. */
const OUR_FAULT: ReadonlySet<string> = new Set(["network_disabled", "proxy_failed"]);

const log = logger("validator");

/** The stage. A cycle tries every candidate that is due, up to the bound. */
export function createValidator(deps: ValidatorDeps): CycleTask {
  return { name: "validator", cycle: (context) => cycle(deps, context) };
}

async function cycle(deps: ValidatorDeps, { signal, count }: CycleContext): Promise<void> {
  const { store, config, clock = systemClock } = deps;
  const budget = { left: config.validator.maxCandidates };
  await using lanes = new TaskGroup({ signal });
  for (const network of NETWORKS.filter((name) => config.networks[name].enabled)) {
    lanes.spawn(network, (inner) => new Lane(deps, network, budget, count, inner).run());
  }
  await lanes.join();
  signal.throwIfAborted();
  const before = unixSeconds(clock) - Math.floor(config.validator.junkRetentionMs / 1000);
  const forgotten = await deleteForgottenCandidates(store, { before, signal });
  if (forgotten > 0) count("junk_forgotten", forgotten);
}

/** One network's share of a cycle; a slow overlay network holds up nobody. */
class Lane {
  readonly #deps: ValidatorDeps;
  readonly #network: Network;
  readonly #budget: { left: number };
  readonly #count: Count;
  readonly #signal: AbortSignal;
  readonly #clock: Clock;
  #tried: Tried[] = [];
  #writtenAtMs: number;
  /** The network can't be dialled: nothing more is claimed or tried in this cycle. */
  #stopped = false;

  constructor(
    deps: ValidatorDeps,
    network: Network,
    budget: { left: number },
    count: Count,
    signal: AbortSignal,
  ) {
    this.#deps = deps;
    this.#network = network;
    this.#budget = budget;
    this.#count = count;
    this.#signal = signal;
    this.#clock = deps.clock ?? systemClock;
    this.#writtenAtMs = this.#clock.monotonicMs();
  }

  async run(): Promise<void> {
    const { maxTasks } = this.#deps.config.networks[this.#network];
    const work = mapConcurrent(
      this.#claims(maxTasks),
      maxTasks,
      (host, signal) => this.#tryHost(host, signal),
      { signal: this.#signal },
    );
    // Run to its end even when the lane stops early: breaking out would leave a claim under way.
    for await (const tried of work) {
      const asked = tried.filter(({ result }) =>
        result.ok || !OUR_FAULT.has(result.failure.reason)
      );
      this.#tried.push(...asked);
      await this.#write(WRITE_BATCH);
      if (asked.length === tried.length) continue;
      this.#count("candidates_not_tried", tried.length - asked.length);
      if (!this.#stopped) {
        log.warn("{network} can't be dialled now; its candidates wait", { network: this.#network });
      }
      this.#stopped = true;
    }
    await this.#write(1);
  }

  /** Claimed candidates, those of one host together. */
  async *#claims(maxTasks: number): AsyncGenerator<ClaimedCandidate[]> {
    while (this.#budget.left > 0 && !this.#stopped) {
      const claimed = await claimCandidates(this.#deps.store, {
        limit: Math.min(this.#budget.left, Math.max(20, 2 * maxTasks)),
        at: unixSeconds(this.#clock),
        leaseSeconds: LEASE_SECONDS,
        networks: [this.#network],
        signal: this.#signal,
      });
      if (claimed.length === 0) return;
      this.#budget.left -= claimed.length;
      this.#count("candidates_claimed", claimed.length);
      yield* byHost(claimed, ({ url }) => url);
    }
  }

  async #tryHost(candidates: readonly ClaimedCandidate[], signal: AbortSignal): Promise<Tried[]> {
    const tried: Tried[] = [];
    for (const candidate of candidates) {
      if (this.#stopped) break;
      tried.push({ ...candidate, result: await this.#try(candidate, signal) });
    }
    return tried;
  }

  async #try({ url }: ClaimedCandidate, signal: AbortSignal): Promise<Tried["result"]> {
    const { dialer, slots, config } = this.#deps;
    const turn = await takeTurn(url, { dialer, slots, signal });
    if (!turn.ok) return turn;
    using held = turn.value;
    return await proveNostr(url, {
      dialer,
      readTimeoutMs: config.validator.readTimeoutMs,
      maxPayloadBytes: Math.min(config.limits.maxFrameBytes, MAX_FRAME_BYTES),
      resolution: held.resolution,
      signal,
    });
  }

  /** Writes once there are so many, or some have waited long enough. */
  async #write(atLeast: number): Promise<void> {
    const waited = this.#clock.monotonicMs() - this.#writtenAtMs >= WRITE_EVERY_MS;
    if (this.#tried.length === 0 || (this.#tried.length < atLeast && !waited)) return;
    const batch = this.#tried;
    this.#tried = [];
    this.#writtenAtMs = this.#clock.monotonicMs();
    const { store, config, random = Math.random } = this.#deps;
    const at = unixSeconds(this.#clock);
    const proven = batch.filter(({ result }) => result.ok).map(({ url }) => url);
    await promoteCandidates(store, proven, { at });
    const failed = batch.flatMap(({ url, attempts, result }) => {
      if (result.ok) return [];
      const { failure } = result;
      const next = postpone(failure, attempts, config.validator, { at, random });
      return [{ url, reason: failure.reason, ...next }];
    });
    await postponeCandidates(store, failed);
    for (const { result } of batch) this.#countTried(result);
    const junk = failed.filter((one) => one.junk).length;
    if (junk > 0) this.#count("candidates_junk", junk);
  }

  #countTried(result: Tried["result"]): void {
    this.#deps.metrics?.tried(this.#network, result.ok ? undefined : result.failure.reason);
    if (result.ok) this.#count("candidates_promoted");
    this.#count(result.ok ? `proof_${result.value}` : `candidates_failed_${result.failure.reason}`);
  }
}
