/**
 * Which DNS servers are asked: those of the configuration, else those of /etc/resolv.conf. In: the
 * operator's settings and files. Out: addresses with ports. A missing or forbidden file means that
 * there are none, which is a state and no error (Windows has no such file).
 */
import { isIP } from "node:net";
import { type Clock, systemClock } from "../lib/clock.ts";
import { logger } from "../lib/log.ts";

const log = logger("dns");

/** A server that resolves recursively. */
export interface DnsServer {
  /** A literal IPv4 or IPv6 address. */
  address: string;
  port: number;
}

/** Gives the servers to ask, best first; none where there is none. */
export type DnsServers = () => Promise<readonly DnsServer[]>;

const RESOLV_CONF = "/etc/resolv.conf";
const DNS_PORT = 53;
/** As many as the C library takes (MAXNS in resolv.conf(5)). */
const MAX_SYSTEM_SERVERS = 3;
/** A laptop changes its network, a container its neighbours; a look a minute is cheap. */
const REREAD_MS = 60_000;

/** The system's servers, read again once a minute. `path` is for tests. */
export function systemDnsServers(
  options: { path?: string; clock?: Clock } = {},
): DnsServers {
  const { path = RESOLV_CONF, clock = systemClock } = options;
  let readAtMs = -Infinity;
  let servers: Promise<readonly DnsServer[]> = Promise.resolve([]);
  return () => {
    const nowMs = clock.monotonicMs();
    if (nowMs - readAtMs >= REREAD_MS) {
      readAtMs = nowMs;
      servers = readServers(path);
    }
    return servers;
  };
}

/** The `nameserver` lines of a resolv.conf, the first three that are addresses. */
export function parseResolvConf(text: string): DnsServer[] {
  const servers: DnsServer[] = [];
  for (const line of text.split("\n")) {
    const [word, address] = line.trim().split(/\s+/, 2);
    if (word !== "nameserver" || address === undefined || isIP(address) === 0) continue;
    servers.push({ address, port: DNS_PORT });
  }
  return servers.slice(0, MAX_SYSTEM_SERVERS);
}

async function readServers(path: string): Promise<readonly DnsServer[]> {
  try {
    return parseResolvConf(await Deno.readTextFile(path));
  } catch (error) {
    const missing = error instanceof Deno.errors.NotFound ||
      error instanceof Deno.errors.NotCapable || error instanceof Deno.errors.PermissionDenied;
    log[missing ? "debug" : "warning"]("no DNS servers from {path}: {error}", { path, error });
    return [];
  }
}
