// The right to connect to a relay's host, waited for only so long. In: a relay. Out: a slot with the
// addresses to dial, a failure, or nothing when others hold the host for too long. Dials nothing.
import type { SignalOptions } from "../lib/clock.ts";
import { deadline } from "../lib/deadline.ts";
import type { Result } from "../lib/result.ts";
import type { BlockList } from "../model/block_list.ts";
import type { RelayUrl } from "../model/relay_url.ts";
import type { Dialer, DialFailure } from "../net/dialer.ts";
import type { HostSlots } from "../net/host_slots.ts";
import { takeTurn, type Turn } from "../net/turn.ts";

/** What it works with. */
export interface HostTurnDeps {
  dialer: Dialer;
  slots: HostSlots;
  blocked?: BlockList | undefined;
}

/** Undefined when it took longer than `waitMs`. Rejects with `signal.reason`. */
export async function takeHostTurn(
  url: RelayUrl,
  { dialer, slots, blocked }: HostTurnDeps,
  { waitMs, signal }: SignalOptions & { waitMs: number },
): Promise<Result<Turn, DialFailure> | undefined> {
  using limit = deadline(waitMs, { signal });
  try {
    return await takeTurn(url, { dialer, slots, blocked, signal: limit.signal });
  } catch (error) {
    if (limit.expired) return undefined;
    throw error;
  }
}
