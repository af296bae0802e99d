/**
 * Looks now and then whether the configured proxies answer. In: the networks' settings. Out: a gauge
 * for each, and a line in the log when one goes or comes back. Never: ends the process, nor judges a
 * relay by it.
 */
import { type Clock, systemClock } from "../lib/clock.ts";
import { logger } from "../lib/log.ts";
import { isAbort } from "../lib/task_group.ts";
import type { Network } from "../model/network.ts";
import { probeProxy } from "../net/proxy_probe.ts";

const INTERVAL_MS = 30_000;
const TIMEOUT_MS = 5_000;

const log = logger("net");

/** What is looked at, and who is told. */
export interface ProxyKeeperOptions {
  networks: Readonly<Record<Network, { enabled: boolean; proxyUrl?: string }>>;
  metrics: { proxy(network: Network, isUp: boolean): void };
  intervalMs?: number;
  clock?: Clock | undefined;
}

/** Looks at once and then twice a minute, until the signal aborts; ends where there is no proxy. */
export async function keepProxies(
  options: ProxyKeeperOptions,
  signal: AbortSignal,
): Promise<void> {
  const { metrics, intervalMs = INTERVAL_MS, clock = systemClock } = options;
  const proxies = Object.entries(options.networks).flatMap(([network, { enabled, proxyUrl }]) =>
    enabled && proxyUrl !== undefined ? [{ network: network as Network, proxyUrl }] : []
  );
  const known = new Map<Network, boolean>();
  while (!signal.aborted && proxies.length > 0) {
    try {
      await Promise.all(proxies.map(async ({ network, proxyUrl }) => {
        const answer = await probeProxy(proxyUrl, { timeoutMs: TIMEOUT_MS, signal });
        metrics.proxy(network, answer.ok);
        if (known.get(network) === answer.ok) return;
        if (!answer.ok) {
          log.warn("The proxy of {network} is away: {reason}; its relays wait", {
            network,
            reason: answer.failure,
          });
        } else log.info("The proxy of {network} answers", { network });
        known.set(network, answer.ok);
      }));
      await clock.sleep(intervalMs, { signal });
    } catch (error) {
      if (isAbort(error, signal)) return;
      throw error;
    }
  }
}
