/**
 * Politeness: at most one connection at a time to a host and port, and a few to a network of
 * neighbours (/24, /48). A stage takes a slot before it dials and holds it as long as it is
 * connected; waiting for one is not part of any latency. Knows no sockets and starts nothing.
 */
import { politenessPrefix } from "./address_guard.ts";

/** Who is to be connected to. `ip` is the address if it is known already (see `Dialer.resolve`). */
export interface SlotKey {
  host: string;
  port: number;
  ip?: string;
}

/** Slots per host and port, and per address prefix. */
export interface HostSlotsOptions {
  /** Connections at a time to one host and port; default 1. */
  perHost?: number;
  /** Connections at a time into one /24 or /48; default 8 (hosters and CDNs hold many relays). */
  perPrefix?: number;
}

/**
 * First come, first served, per key. A key takes memory only while somebody holds or awaits it.
 * The host's slot is taken before the prefix's, always in this order, so two waiters cannot block
 * each other; but whoever holds one slot and waits for another can: take one per task.
 */
export class HostSlots {
  readonly #perHost: number;
  readonly #perPrefix: number;
  readonly #gates = new Map<string, Gate>();

  constructor(options: HostSlotsOptions = {}) {
    this.#perHost = options.perHost ?? 1;
    this.#perPrefix = options.perPrefix ?? 8;
  }

  /** How many keys are in use now. */
  get size(): number {
    return this.#gates.size;
  }

  /**
   * Waits for its turn. The slot is given back by disposing it (twice does no harm). Rejects with
   * the signal's reason when aborted, and then holds nothing.
   */
  async acquire(key: SlotKey, options: { signal?: AbortSignal } = {}): Promise<Disposable> {
    const host = await this.#enter(`${key.host}:${key.port}`, this.#perHost, options.signal);
    const prefix = key.ip === undefined ? undefined : politenessPrefix(key.ip);
    if (prefix === undefined) return host;
    try {
      const network = await this.#enter(prefix, this.#perPrefix, options.signal);
      return {
        [Symbol.dispose]: (): void => {
          network[Symbol.dispose]();
          host[Symbol.dispose]();
        },
      };
    } catch (error) {
      host[Symbol.dispose]();
      throw error;
    }
  }

  async #enter(
    name: string,
    capacity: number,
    signal: AbortSignal | undefined,
  ): Promise<Disposable> {
    signal?.throwIfAborted();
    const gate: Gate = this.#gates.get(name) ?? { inside: 0, waiting: new Set() };
    this.#gates.set(name, gate);
    if (gate.inside < capacity) gate.inside++;
    else await waitInLine(gate, signal);
    let left = false;
    return {
      [Symbol.dispose]: (): void => {
        if (left) return;
        left = true;
        this.#leave(name, gate);
      },
    };
  }

  /** The place passes straight to the next in line, so that nobody overtakes. */
  #leave(name: string, gate: Gate): void {
    for (const next of gate.waiting) {
      gate.waiting.delete(next);
      next();
      return;
    }
    gate.inside--;
    if (gate.inside === 0) this.#gates.delete(name);
  }
}

interface Gate {
  inside: number;
  /** In order of arrival (a Set iterates so); an aborted waiter leaves in constant time. */
  waiting: Set<() => void>;
}

function waitInLine(gate: Gate, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const enter = (): void => {
      signal?.removeEventListener("abort", leave);
      resolve();
    };
    const leave = (): void => {
      gate.waiting.delete(enter);
      reject(signal?.reason);
    };
    gate.waiting.add(enter);
    signal?.addEventListener("abort", leave, { once: true });
  });
}
