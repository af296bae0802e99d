// From the configuration to one relay's turn: the general settings, and the relay's own in place of
// them. Pure.
import type { Config } from "../config/config.ts";
import type { Filter } from "../model/filter.ts";
import type { Network } from "../model/network.ts";
import type { RelayUrl } from "../model/relay_url.ts";
import type { SyncLimits, SyncRequest } from "./sync_relay.ts";
import type { TailLimits } from "./tail/tail.ts";

/** What is archived of this relay, and within which bounds. */
export interface RelaySettings {
  limits: Partial<SyncLimits>;
  request: SyncRequest;
}

/** The settings of a relay. */
export function relaySettings(
  { url, network }: { url: RelayUrl; network: Network },
  config: Pick<Config, "synchronizer" | "limits" | "networks" | "monitor" | "store">,
): RelaySettings {
  const { synchronizer, limits, networks, monitor, store } = config;
  const own = synchronizer.overrides.find((override) => override.url === url);
  const wanted = own?.filter ?? synchronizer.filter;
  const filter: Filter = own === undefined || own.kinds.length === 0
    ? wanted
    : { ...wanted, kinds: [...own.kinds] };
  return {
    limits: {
      pageSize: own?.pageSize ?? synchronizer.pageSize,
      idleMs: synchronizer.idleTimeoutMs,
      maxRelayMs: own?.maxRelayTimeMs ?? synchronizer.maxRelayTimeMs,
      maxPayloadBytes: limits.maxFrameBytes,
      inboxItems: limits.inboxItems,
      inboxBytes: limits.inboxBytes,
      reconnects: synchronizer.reconnects,
      splitRequests: synchronizer.splitRequests,
      settleSeconds: seconds(synchronizer.settleMs),
      overlapSeconds: seconds(synchronizer.overlapMs),
      gapRetrySeconds: seconds(synchronizer.gapRetryMs),
      reconcileIds: synchronizer.reconcileIds,
      proveSeconds: seconds(synchronizer.tail.proveMs),
      recheckSeconds: seconds(synchronizer.recheckMs),
      idsPerRequest: synchronizer.idsPerRequest,
      idRequests: synchronizer.idRequests,
      nip11TimeoutMs: networks[network].timeoutMs,
      maxNip11Bytes: monitor.maxNip11Bytes,
    },
    request: {
      filter,
      since: own?.since ?? synchronizer.since,
      until: own?.until ?? synchronizer.until,
      retention: store.retention,
    },
  };
}

/** What one relay's live session may cost. */
export function tailLimits(
  { network }: { network: Network },
  { synchronizer, limits, networks }: Pick<Config, "synchronizer" | "limits" | "networks">,
): TailLimits {
  const { tail } = synchronizer;
  return {
    catchUpEvents: tail.catchUpEvents,
    idleMs: synchronizer.idleTimeoutMs,
    slotWaitMs: networks[network].timeoutMs,
    maxPayloadBytes: limits.maxFrameBytes,
    // Many sessions stand at a time: each holds less than a turn may.
    inboxItems: Math.min(limits.inboxItems, tail.batchEvents),
    inboxBytes: Math.min(limits.inboxBytes, TAIL_INBOX_BYTES),
    batchEvents: tail.batchEvents,
    batchMs: tail.batchTimeMs,
    maxRate: tail.maxRate,
    settleSeconds: seconds(synchronizer.settleMs),
    overlapSeconds: seconds(tail.overlapMs),
  };
}

const TAIL_INBOX_BYTES = 1024 * 1024;

function seconds(ms: number): number {
  return Math.round(ms / 1000);
}
