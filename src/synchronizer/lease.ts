// The lease on a relay while its turn lasts: renewed in time, and the turn ended when another process
// has taken it over. In: a claimed relay and the work to do. Out: the work's result.
import { type Clock, type SignalOptions, unixSeconds } from "../lib/clock.ts";
import { TaskGroup } from "../lib/task_group.ts";
import type { Store } from "../store/connect.ts";
import { extendSync } from "../store/relay_sync.ts";

/** Long enough for a database that is away for a moment; a killed process's relays wait so long. */
export const LEASE_SECONDS = 180;
const RENEW_EVERY_MS = 60_000;

/** Another process has the relay now. */
export class LeaseLost extends Error {
  override readonly name = "LeaseLost";

  constructor(relayId: number) {
    super(`The lease on relay ${relayId} was taken over`);
  }
}

/** Runs the work under the lease. Rejects with LeaseLost when it was lost on the way. */
export async function underLease<T>(
  lease: { store: Store; relayId: number; owner: string; clock: Clock },
  work: (signal: AbortSignal) => Promise<T>,
  options: SignalOptions,
): Promise<T> {
  const { store, relayId, owner, clock } = lease;
  const done = new AbortController();
  let result: { value: T } | undefined;
  await using group = new TaskGroup(options);
  group.spawn("turn", async (signal) => {
    try {
      result = { value: await work(signal) };
    } finally {
      done.abort();
    }
  });
  group.spawn("renew", async (signal) => {
    const ending = AbortSignal.any([signal, done.signal]);
    while (!ending.aborted) {
      try {
        await clock.sleep(RENEW_EVERY_MS, { signal: ending });
      } catch (error) {
        if (ending.aborted) return;
        throw error;
      }
      const until = unixSeconds(clock) + LEASE_SECONDS;
      if (!await extendSync(store, relayId, { until, owner, signal })) {
        throw new LeaseLost(relayId);
      }
    }
  });
  await group.join();
  options.signal?.throwIfAborted();
  if (result === undefined) throw new LeaseLost(relayId);
  return result.value;
}
