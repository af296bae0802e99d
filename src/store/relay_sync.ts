// Whose turn it is to be archived: relays are claimed with a lease that expires, so that several
// processes share them and a killed one's are taken over. Never knows what was archived.
import type { RelayState } from "../model/check.ts";
import type { Network } from "../model/network.ts";
import type { RelayUrl } from "../model/relay_url.ts";
import type { Store } from "./connect.ts";
import { textArray } from "./pg_text.ts";

/** A relay to synchronize now. */
export interface SyncClaim {
  id: number;
  url: RelayUrl;
  network: Network;
  state: RelayState;
  /** When its turn was, Unix seconds; 0 for the first time. */
  nextSyncAt: number;
}

/**
 * Relays that are due, longest due first; of those online unless `states` says otherwise. Without
 * the `named` ones, or of them alone.
 */
export function claimRelaysForSync(
  store: Store,
  o: {
    limit: number;
    at: number;
    leaseSeconds: number;
    networks: readonly Network[];
    owner: string;
    states?: readonly RelayState[];
    /** Relays that have slots of their own. */
    named?: readonly RelayUrl[];
    namedOnly?: boolean;
    signal?: AbortSignal;
  },
): Promise<SyncClaim[]> {
  return store.run("relay_claim_for_sync", async (sql) => [
    ...await sql<SyncClaim[]>`
      select id, url, network, state, next_sync_at as "nextSyncAt" from relay_claim_for_sync(
        ${textArray(o.networks)}::text[], ${textArray(o.states ?? ["online"])}::text[],
        ${o.at}::bigint, ${o.leaseSeconds}::bigint, ${o.owner}::text, ${o.limit}::int,
        ${textArray(o.named ?? [])}::text[], ${o.namedOnly ?? false}::bool)`,
  ], { signal: o.signal });
}

/** Ends a lease and sets the next turn; false when the lease was taken over by another. */
export function releaseSync(
  store: Store,
  relayId: number,
  o: { nextSyncAt: number; owner: string; signal?: AbortSignal },
): Promise<boolean> {
  return store.run("relay_release_sync", async (sql) => {
    const [row] = await sql<{ done: boolean }[]>`select relay_release_sync(
      ${relayId}::int, ${o.owner}::text, ${o.nextSyncAt}::bigint) as done`;
    return row?.done ?? false;
  }, { signal: o.signal });
}

/** Prolongs a lease to `until` (Unix seconds); false when it was taken over by another. */
export function extendSync(
  store: Store,
  relayId: number,
  o: { until: number; owner: string; signal?: AbortSignal },
): Promise<boolean> {
  return store.run("relay_extend_sync", async (sql) => {
    const [row] = await sql<{ done: boolean }[]>`select relay_extend_sync(
      ${relayId}::int, ${o.owner}::text, ${o.until}::bigint) as done`;
    return row?.done ?? false;
  }, { retry: true, signal: o.signal });
}
