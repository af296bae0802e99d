// NIP-42 on one connection: the challenge as it came, and the log-in that answers it.
// Logs in only when asked to: a challenge alone does not mean that a relay wants one.
import { systemClock, unixSeconds } from "../lib/clock.ts";
import { deadline, withSignal } from "../lib/deadline.ts";
import type { NostrEvent } from "../model/event.ts";
import { buildAuth } from "./nip42.ts";
import type { PublishOptions, PublishOutcome } from "./publish.ts";
import type { Signer } from "./signer.ts";

/** What became of a log-in. */
export type LoginOutcome = PublishOutcome | {
  ok: false;
  /** The relay never sent a challenge. */
  reason: "no_challenge";
  elapsedMs: number;
};

/** A relay that wants a log-in has mostly sent its challenge by the time it refuses. */
const CHALLENGE_WAIT_MS = 1_000;

/** The log-in of one connection. */
export class Login {
  readonly #arrival = Promise.withResolvers<void>();
  readonly #running = new Map<string, Promise<LoginOutcome>>();
  #challenge: string | undefined;

  /** The relay's latest challenge. */
  get challenge(): string | undefined {
    return this.#challenge;
  }

  /** An AUTH frame of the relay. */
  receive(challenge: string): void {
    this.#challenge = challenge;
    this.#arrival.resolve();
  }

  /** The connection is over: no challenge will come. */
  disconnect(): void {
    this.#arrival.resolve();
  }

  /** Logs in as `signer`; several callers at once share one log-in. `send` waits for the OK. */
  authenticate(
    relay: string,
    signer: Signer,
    send: (event: NostrEvent) => Promise<PublishOutcome>,
    options: PublishOptions,
  ): Promise<LoginOutcome> {
    const running = this.#running.get(signer.pubkey);
    if (running !== undefined) return running;
    const started = this.#logIn(relay, signer, send, options)
      .finally(() => this.#running.delete(signer.pubkey));
    this.#running.set(signer.pubkey, started);
    return started;
  }

  async #logIn(
    relay: string,
    signer: Signer,
    send: (event: NostrEvent) => Promise<PublishOutcome>,
    options: PublishOptions,
  ): Promise<LoginOutcome> {
    const startedAtMs = performance.now();
    await this.#awaitChallenge(options);
    const elapsedMs = performance.now() - startedAtMs;
    if (options.signal?.aborted) return { ok: false, reason: "aborted", elapsedMs };
    if (this.#challenge === undefined) return { ok: false, reason: "no_challenge", elapsedMs };
    const template = buildAuth(relay, this.#challenge, unixSeconds(systemClock));
    return await send(await signer.sign(template));
  }

  async #awaitChallenge(options: PublishOptions): Promise<void> {
    if (this.#challenge !== undefined) return;
    using limit = deadline(Math.min(options.timeoutMs, CHALLENGE_WAIT_MS), {
      signal: options.signal,
    });
    try {
      await withSignal(this.#arrival.promise, limit.signal);
    } catch (error) {
      // The deadline or the caller's signal; the caller of this looks which.
      if (error !== limit.signal.reason) throw error;
    }
  }
}
