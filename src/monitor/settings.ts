// From the configuration to what a check needs: which parts run, within which bounds.
import type { Config } from "../config/config.ts";
import { type Network, NETWORKS } from "../model/network.ts";
import { CHECKS } from "./registry.ts";
import type { CheckSettings } from "./session.ts";

/** The sections that say how relays are checked. */
export type CheckSections = Pick<Config, "monitor" | "limits" | "networks">;

/** A check asks for nothing, so it takes less at a time than an archive does. */
const MAX_FRAME_BYTES = 1024 * 1024;

/** The settings of a check. The stage tries once, because it comes back; a person won't. */
export function checkSettings({ monitor, limits }: CheckSections, retries = 0): CheckSettings {
  const { checks, timeouts } = monitor;
  return {
    enabled: { open: true, ...checks },
    timeoutsMs: {
      read: timeouts.readMs,
      // A log-in is an event with an OK, like a write.
      auth: timeouts.writeMs,
      write: timeouts.writeMs,
      nip11: timeouts.nip11Ms,
    },
    retries,
    retryBaseMs: 1_000,
    maxPayloadBytes: Math.min(limits.maxFrameBytes, MAX_FRAME_BYTES),
    maxNip11Bytes: monitor.maxNip11Bytes,
  };
}

/** The networks that are on, for claims: relays of the others wait. */
export function enabledNetworks({ networks }: Pick<Config, "networks">): Network[] {
  return NETWORKS.filter((network) => networks[network].enabled);
}

/** The parts that really run, in order: what kind 10166 announces. */
export function announcedChecks(settings: CheckSettings): string[] {
  return CHECKS.map(({ name }) => name).filter((name) => settings.enabled[name]);
}

/** Each announced part's deadline; opening has that of the open internet. */
export function announcedTimeouts(
  settings: CheckSettings,
  { networks }: Pick<Config, "networks">,
): { ms: number; check: string }[] {
  return CHECKS.flatMap(({ name }) => {
    const ms = name === "open" ? networks.clearnet.timeoutMs : settings.timeoutsMs[name];
    return ms === undefined || !settings.enabled[name] ? [] : [{ ms, check: name }];
  });
}
