// Events on their way to a relay, each waiting for its OK (NIP-01), log-ins included (NIP-42).
// In: an event's id and a deadline. Out: what the relay said, or that it said nothing.
// A refusal is an answer, not an error: `rejected` comes with the relay's prefix and words.
import { cut } from "../lib/text.ts";
import type { MachinePrefix } from "./machine_prefix.ts";

/** What became of one event at one relay. */
export type PublishOutcome =
  | {
    ok: true;
    /** The relay's words, cut; mostly empty. */
    message: string;
    elapsedMs: number;
  }
  | {
    ok: false;
    reason: "rejected" | "timeout" | "disconnected" | "aborted";
    /** Of an OK with false, when it is a known one. */
    prefix?: MachinePrefix;
    /** The relay's words, cut. */
    message?: string;
    elapsedMs: number;
  };

/** How long and for whom to wait. */
export interface PublishOptions {
  timeoutMs: number;
  signal?: AbortSignal | undefined;
}

interface Waiter {
  ok(accepted: boolean, prefix: MachinePrefix | undefined, message: string): void;
  giveUp(reason: "disconnected" | "aborted"): void;
}

/** The events of one connection that wait for their OK. */
export class PendingPublishes {
  // Several may wait for one id: a caller may publish an event twice at once.
  readonly #waiters = new Map<string, Set<Waiter>>();

  /** Calls `send` and resolves with the first OK for `eventId`. Never rejects. */
  wait(eventId: string, send: () => void, options: PublishOptions): Promise<PublishOutcome> {
    const { timeoutMs, signal } = options;
    const startedAtMs = performance.now();
    const { promise, resolve } = Promise.withResolvers<PublishOutcome>();
    if (signal?.aborted) return Promise.resolve({ ok: false, reason: "aborted", elapsedMs: 0 });

    const settle = (outcome: PublishOutcome): void => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", onAbort);
      this.#remove(eventId, waiter);
      resolve({ ...outcome, elapsedMs: performance.now() - startedAtMs });
    };
    const giveUp = (reason: "timeout" | "disconnected" | "aborted"): void => {
      settle({ ok: false, reason, elapsedMs: 0 });
    };
    const onAbort = (): void => giveUp("aborted");
    const waiter: Waiter = {
      ok: (accepted, prefix, message) => {
        const known = prefix === undefined ? {} : { prefix };
        const words = cut(message);
        // "duplicate" means that the relay has it, whatever the flag says.
        settle(
          accepted || prefix === "duplicate"
            ? { ok: true, message: words, elapsedMs: 0 }
            : { ok: false, reason: "rejected", ...known, message: words, elapsedMs: 0 },
        );
      },
      giveUp,
    };
    const timer = setTimeout(() => giveUp("timeout"), timeoutMs);
    signal?.addEventListener("abort", onAbort, { once: true });
    const waiters = this.#waiters.get(eventId) ?? new Set();
    waiters.add(waiter);
    this.#waiters.set(eventId, waiters);
    send();
    return promise;
  }

  /** An OK; false when nobody waits for it. */
  receive(
    message: {
      eventId: string;
      accepted: boolean;
      prefix: MachinePrefix | undefined;
      message: string;
    },
  ): boolean {
    const waiters = this.#waiters.get(message.eventId);
    if (waiters === undefined) return false;
    for (const waiter of [...waiters]) {
      waiter.ok(message.accepted, message.prefix, message.message);
    }
    return true;
  }

  /** The connection is over. */
  disconnect(reason: "disconnected" | "aborted"): void {
    for (const waiters of [...this.#waiters.values()]) {
      for (const waiter of [...waiters]) waiter.giveUp(reason);
    }
  }

  #remove(eventId: string, waiter: Waiter): void {
    const waiters = this.#waiters.get(eventId);
    if (waiters?.delete(waiter) && waiters.size === 0) this.#waiters.delete(eventId);
  }
}
