/**
 * The section `networks`: which networks are dialled, through what, how many at once, how long. In:
 * the section's values. Out: settings for the dialer, overlay networks on once they have a proxy.
 */
import { type Network, NETWORKS } from "../model/network.ts";
import { duration, flag, integer, text } from "./builders.ts";
import type { ConfigProblem } from "./problem.ts";
import { type Group, group, type Setting, type Values } from "./setting.ts";

const OVERLAY = "Whether its relays are dialled; unless given, once there is a proxy_url.";

/** The settings of one network. */
type NetworkShape<O extends boolean> = {
  enabled: Setting<"none", boolean, O>;
  proxy_url: Setting<"none", string, true>;
  max_tasks: Setting<"none", number, false>;
  timeout: Setting<"ms", number, false>;
};

/** The settings of one that is dialled directly, where TCP is ours to wait for. */
type DirectShape = NetworkShape<false> & { connect_timeout: Setting<"ms", number, false> };

function direct(
  description: string,
  enabled: Setting<"none", boolean, false>,
): Group<DirectShape> {
  return group(description, {
    ...settings(enabled, { tasks: 50, timeout: "10s" }),
    connect_timeout: duration(
      "3s",
      "How long TCP alone may take, within the timeout: who does not answer by then is not there. " +
        "Of what a proxy connects to, the timeout alone decides.",
      { min: "100ms", max: "10m", limit: true },
    ),
  });
}

function overlay(description: string): Group<NetworkShape<true>> {
  const enabled = flag(undefined, OVERLAY);
  return group(description, settings(enabled, { tasks: 10, timeout: "30s" }));
}

function settings<O extends boolean>(
  enabled: Setting<"none", boolean, O>,
  defaults: { tasks: number; timeout: string },
): NetworkShape<O> {
  return {
    enabled,
    proxy_url: text(
      undefined,
      "A SOCKS5 proxy that resolves names itself; nothing of this network bypasses it.",
      {
        max: 500,
        pattern: /^socks5h?:\/\/\S+:\d{1,5}\/?$/,
        allowed: 'a URL such as "socks5h://127.0.0.1:9050"',
      },
    ),
    max_tasks: integer(defaults.tasks, "Connections at once, per stage.", {
      min: 1,
      max: 10_000,
      limit: true,
    }),
    timeout: duration(defaults.timeout, "How long opening a connection may take.", {
      min: "100ms",
      max: "10m",
      limit: true,
    }),
  };
}

export const networksSection = group(
  "The networks that relays live on. A network that is off waits; its relays do not fail.",
  {
    clearnet: direct(
      "The open internet. With a proxy_url, all of it goes through that proxy.",
      flag(true, "Whether its relays are dialled."),
    ),
    tor: overlay("Onion services."),
    i2p: overlay("I2P destinations."),
    loki: overlay("Lokinet services."),
    local: direct(
      "Private and loopback addresses, for tests and private networks. While this is off they are " +
        "refused, whatever name leads to them.",
      flag(false, "Whether private addresses may be dialled at all."),
    ),
  },
);

/** How one network is dialled. */
export interface NetworkConfig {
  enabled: boolean;
  proxyUrl?: string;
  maxTasks: number;
  timeoutMs: number;
  /** For TCP alone; only of networks that may be dialled directly. */
  connectTimeoutMs?: number;
}

export type NetworksConfig = Record<Network, NetworkConfig>;

/** The section's values with `enabled` decided; an overlay that is on without a proxy is wrong. */
export function finishNetworks(
  values: Values<typeof networksSection.shape>,
  problems: ConfigProblem[],
): NetworksConfig {
  const result: Partial<NetworksConfig> = {};
  for (const name of NETWORKS) {
    const { enabled, ...rest } = values[name];
    const needsProxy = name === "tor" || name === "i2p" || name === "loki";
    if (enabled === true && needsProxy && rest.proxyUrl === undefined) {
      problems.push({
        path: `networks.${name}.enabled`,
        message: "needs a proxy",
        value: "true",
        allowed: `true only with networks.${name}.proxy_url`,
      });
    }
    result[name] = { ...rest, enabled: enabled ?? rest.proxyUrl !== undefined };
  }
  return result as NetworksConfig;
}
