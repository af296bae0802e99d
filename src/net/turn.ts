/**
 * A stage's turn at a host: resolve first, then take the slot, because a slot is also one of the
 * address's neighbourhood; and relays of one host kept together, so that they wait for each other
 * without holding up others. In: relay URLs. Out: slots and groups. Dials nothing.
 */
import { fail, ok, type Result } from "../lib/result.ts";
import { hostPortOf, networkOf, type RelayUrl } from "../model/relay_url.ts";
import type { Dialer, DialFailure, Resolution } from "./dialer.ts";
import type { HostSlots } from "./host_slots.ts";

/** A slot in hand, and the addresses to dial. Dispose of it when the connection is closed. */
export interface Turn extends Disposable {
  /** For the dial, so that the name is not resolved twice; its time counts in the dial's. */
  readonly resolution: Resolution;
}

/** Waits for the host's turn. A name that can't be dialled is a failure and takes no slot. */
export async function takeTurn(
  url: RelayUrl,
  options: { dialer: Dialer; slots: HostSlots; signal: AbortSignal },
): Promise<Result<Turn, DialFailure>> {
  const { dialer, slots, signal } = options;
  const { host, port, secure } = hostPortOf(url);
  const resolved = await dialer.resolve({ host, port, secure, network: networkOf(url) }, {
    signal,
  });
  signal.throwIfAborted();
  if (!resolved.ok) return fail(resolved.failure);
  const resolution = resolved.value;
  const ip = resolution.addresses[0];
  const slot = await slots.acquire(ip === undefined ? { host, port } : { host, port, ip }, {
    signal,
  });
  return ok({ resolution, [Symbol.dispose]: () => slot[Symbol.dispose]() });
}

/** The items in groups of one host and port each, both in order of first appearance. */
export function byHost<T>(items: Iterable<T>, urlOf: (item: T) => RelayUrl): T[][] {
  const groups = new Map<string, T[]>();
  for (const item of items) {
    const { host, port } = hostPortOf(urlOf(item));
    const key = `${host} ${port}`;
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [item]);
    else group.push(item);
  }
  return [...groups.values()];
}
