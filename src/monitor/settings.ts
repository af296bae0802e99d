// From the configuration to what a check needs: which parts run, within which bounds.
import type { Config } from "../config/config.ts";
import type { CheckName } from "../model/check.ts";
import { type Network, NETWORKS } from "../model/network.ts";
import { CHECKS } from "./registry.ts";
import type { CheckSettings, HostSources } from "./session.ts";

/** The sections that say how relays are checked. */
export type CheckSections = Pick<Config, "monitor" | "limits" | "networks" | "dns">;

/** A check asks for nothing, so it takes less at a time than an archive does. */
const MAX_FRAME_BYTES = 1024 * 1024;

/** The settings of a check, as they are configured. */
export function checkSettings({ monitor, limits, dns }: CheckSections): CheckSettings {
  const { checks, timeouts, retries } = monitor;
  return {
    enabled: { open: true, ...checks },
    timeoutsMs: {
      read: timeouts.readMs,
      auth: timeouts.authMs,
      write: timeouts.writeMs,
      nip42: timeouts.authMs,
      nip45: timeouts.capabilityMs,
      nip50: timeouts.capabilityMs,
      nip77: timeouts.capabilityMs,
      nip11: timeouts.nip11Ms,
      dns: dns.timeoutMs,
    },
    retries: {
      open: retries.open,
      read: retries.read,
      write: retries.write,
      nip11: retries.nip11,
      dns: retries.dns,
    },
    retryBaseMs: retries.pauseMs,
    maxPayloadBytes: Math.min(limits.maxFrameBytes, MAX_FRAME_BYTES),
    maxNip11Bytes: monitor.maxNip11Bytes,
    maxPowBits: monitor.maxPow,
  };
}

/** For a person, who won't come back in an hour: each part is tried again at least so often. */
export function withRetries(settings: CheckSettings, least: number): CheckSettings {
  const retries = Object.fromEntries(CHECKS.map(({ name }) => [
    name,
    Math.max(least, settings.retries[name] ?? 0),
  ]));
  return { ...settings, retries };
}

/** The handshake and nothing more. */
export function onlyOpening(settings: CheckSettings): CheckSettings {
  const names = CHECKS.map(({ name }): [CheckName, boolean] => [name, name === "open"]);
  const enabled = Object.fromEntries(names) as Record<CheckName, boolean>;
  return { ...settings, enabled, retries: {} };
}

/** Without the parts that there is nobody to ask for: what is announced must really run. */
export async function withSources(
  settings: CheckSettings,
  { dns, geo }: HostSources,
): Promise<CheckSettings> {
  const roles = (await geo?.sources() ?? []).map(({ role }) => role);
  const { enabled } = settings;
  return {
    ...settings,
    enabled: {
      ...enabled,
      dns: enabled.dns && dns !== undefined,
      geo: enabled.geo && (roles.includes("city") || roles.includes("builtin")),
      // Whose edge an address is shows without a database; that alone is no check.
      net: enabled.net && roles.includes("asn"),
    },
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
