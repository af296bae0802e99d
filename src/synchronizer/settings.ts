// From the configuration to one relay's turn: the general settings, and the relay's own in place of
// them. Pure.
import type { Config } from "../config/config.ts";
import type { Filter } from "../model/filter.ts";
import type { Network } from "../model/network.ts";
import type { RelayUrl } from "../model/relay_url.ts";
import type { SyncLimits, SyncRequest } from "./sync_relay.ts";

/** What is archived of this relay, and within which bounds. */
export interface RelaySettings {
  limits: Partial<SyncLimits>;
  request: SyncRequest;
}

/** The settings of a relay. */
export function relaySettings(
  { url, network }: { url: RelayUrl; network: Network },
  config: Pick<Config, "synchronizer" | "limits" | "networks" | "monitor">,
): RelaySettings {
  const { synchronizer, limits, networks, monitor } = config;
  const own = synchronizer.overrides.find((override) => override.url === url);
  const filter: Filter = own === undefined || own.kinds.length === 0
    ? synchronizer.filter
    : { ...synchronizer.filter, kinds: [...own.kinds] };
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
    },
  };
}

function seconds(ms: number): number {
  return Math.round(ms / 1000);
}
