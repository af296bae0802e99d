// The networks a relay can be reached over. A relay URL names its network by its host alone
// (relay_url.ts, `networkOf`); the dial, the slots and the proxies are configured per network.

/** Every network, in the order in which reports list them. */
export const NETWORKS = ["clearnet", "tor", "i2p", "loki", "local"] as const;

/**
 * Where a host lives: the public internet, one of the three overlay networks (reached through a
 * SOCKS proxy that also resolves names), or an address that means something only to its own
 * machine or site.
 */
export type Network = typeof NETWORKS[number];

/** Networks whose hosts only exist behind a proxy and whose links are encrypted by the network. */
export const OVERLAY_NETWORKS = ["tor", "i2p", "loki"] as const satisfies readonly Network[];

/** True for tor, i2p and loki: names resolved by the proxy, plain ws inside an encrypted network. */
export function isOverlayNetwork(network: Network): boolean {
  return (OVERLAY_NETWORKS as readonly Network[]).includes(network);
}
