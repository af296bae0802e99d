// What is remembered of a relay's NIP-77 between turns, under one filter: whether it works, and how
// far the last comparison of everything came. In and out: a row of the services' memory.
import { createHash } from "node:crypto";
import { z } from "zod";
import type { Store } from "../../store/connect.ts";
import { getState, putState } from "../../store/service_state.ts";

const SERVICE = "synchronizer";

const remembered = z.object({
  works: z.boolean(),
  /** When that was found out, Unix seconds. */
  triedAt: z.number(),
  /** When a comparison of everything was begun that has come to its end. */
  recheckedAt: z.number().optional(),
  /** One that has not: when it was begun, and the newest second that it has yet to compare. */
  recheck: z.object({ startedAt: z.number(), below: z.number() }).optional(),
});

/** What is remembered. */
export type Remembered = z.infer<typeof remembered>;

/** Whose memory it is, and where it is kept. */
export interface Nip77MemoryDeps {
  readonly store: Store;
  readonly relayId: number;
  /** The filter as the ledger knows it. */
  readonly filterKey: string;
  /** Unix seconds. */
  readonly now: number;
  readonly signal: AbortSignal | undefined;
}

/** The memory of one relay and filter. */
export class Nip77Memory {
  readonly #deps: Nip77MemoryDeps;
  readonly #key: string;
  #state: Remembered | undefined;

  /** Reads what is remembered. */
  static async open(deps: Nip77MemoryDeps): Promise<Nip77Memory> {
    const digest = createHash("sha256").update(deps.filterKey).digest("hex").slice(0, 16);
    const key = `nip77:${deps.relayId}:${digest}`;
    const { store, signal } = deps;
    const options = signal === undefined ? {} : { signal };
    return new Nip77Memory(deps, key, await getState(store, SERVICE, key, remembered, options));
  }

  private constructor(deps: Nip77MemoryDeps, key: string, state: Remembered | undefined) {
    this.#deps = deps;
    this.#key = key;
    this.#state = state;
  }

  /** Undefined before NIP-77 was tried. */
  get state(): Remembered | undefined {
    return this.#state;
  }

  async remember(state: Remembered): Promise<void> {
    this.#state = state;
    const { store, now, signal } = this.#deps;
    const options = signal === undefined ? { at: now } : { at: now, signal };
    await putState(store, SERVICE, this.#key, state, options);
  }
}
