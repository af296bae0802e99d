/**
 * A stage's turn at a host: is it to be left alone? then resolve, then take the slot, because a slot
 * is also one of the address's neighbourhood; and relays of one host kept together, so that they wait
 * for each other without holding up others. In: relay URLs. Out: slots and groups. Dials nothing.
 */
import { type Clock, systemClock } from "../lib/clock.ts";
import { fail, ok, type Result } from "../lib/result.ts";
import { backoffMs } from "../lib/retry.ts";
import type { BlockList } from "../model/block_list.ts";
import { hostPortOf, networkOf, type RelayUrl } from "../model/relay_url.ts";
import type { Dialer, DialFailure, Resolution } from "./dialer.ts";
import type { Trouble } from "./failure.ts";
import type { HostSlots } from "./host_slots.ts";
import { blockedAddress, leftAlone } from "./left_alone.ts";

/** A slot in hand, and the addresses to dial. Dispose of it when the connection is closed. */
export interface Turn extends Disposable {
  /** For the dial, so that the name is not resolved twice; its time counts in the dial's. */
  readonly resolution: Resolution;
}

/** How a turn is taken. */
export interface TurnOptions {
  dialer: Dialer;
  slots: HostSlots;
  signal: AbortSignal;
  /** Who is left alone; nobody unless given. */
  blocked?: BlockList | undefined;
  clock?: Clock | undefined;
  random?: (() => number) | undefined;
}

/** Name servers lose packets; a relay must not pay for the first. */
const RESOLVE_TRIES = 2;
const RESOLVE_PAUSE_MS = 1_000;

/**
 * Waits for the host's turn. A name that can't be dialled is a failure and takes no slot; so is one
 * that is to be left alone, or leads to an address that is (`blocked`).
 */
export async function takeTurn(
  url: RelayUrl,
  options: TurnOptions,
): Promise<Result<Turn, DialFailure>> {
  const { slots, signal, blocked } = options;
  const named = blocked?.kindFor(url);
  if (named !== undefined) return atOnce(leftAlone(named));
  const resolved = await resolve(url, options);
  signal.throwIfAborted();
  if (!resolved.ok) return fail(resolved.failure);
  const resolution = resolved.value;
  const refused = blockedAddress(blocked, resolution.addresses);
  if (refused !== undefined) return atOnce(refused);
  const { host, port } = hostPortOf(url);
  const ip = resolution.addresses[0];
  const slot = await slots.acquire(ip === undefined ? { host, port } : { host, port, ip }, {
    signal,
  });
  return ok({ resolution, [Symbol.dispose]: () => slot[Symbol.dispose]() });
}

/** Asks again when no answer came; an answer that there is no such name is one. */
async function resolve(
  url: RelayUrl,
  options: TurnOptions,
): Promise<Result<Resolution, DialFailure>> {
  const { dialer, signal, clock = systemClock, random = Math.random } = options;
  const target = { ...hostPortOf(url), network: networkOf(url) };
  for (let attempt = 0;; attempt++) {
    const resolved = await dialer.resolve(target, { signal });
    if (resolved.ok || signal.aborted || attempt + 1 >= RESOLVE_TRIES) return resolved;
    const { phase, reason } = resolved.failure;
    if (phase !== "dns" || (reason !== "dns_failed" && reason !== "timeout")) return resolved;
    const pauseMs = backoffMs(attempt, {
      baseMs: RESOLVE_PAUSE_MS,
      maxMs: RESOLVE_PAUSE_MS,
      random,
    });
    await clock.sleep(pauseMs, { signal });
  }
}

function atOnce(refused: Result<never, Trouble>): Result<never, DialFailure> {
  return refused.ok ? refused : fail({ ...refused.failure, elapsedMs: 0 });
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
