// What one check of one relay works with, and the shape that every part of it has.
// A part is one file in checks/: its name, the networks where it makes sense, what it needs, and a
// run that answers with its piece of the Check. Parts share one connection and know no other part.
import type { Clock } from "../lib/clock.ts";
import type { BlockList } from "../model/block_list.ts";
import type { Check, CheckName } from "../model/check.ts";
import type { Network } from "../model/network.ts";
import type { RelayUrl } from "../model/relay_url.ts";
import type { Dialer, Resolution } from "../net/dialer.ts";
import type { DnsInspector } from "../net/dns.ts";
import type { Geo } from "../net/geo.ts";
import type { RelayConnection } from "../nostr/relay_connection.ts";
import type { Signer } from "../nostr/signer.ts";

/** What is checked, and within which bounds. */
export interface CheckSettings {
  enabled: Readonly<Record<CheckName, boolean>>;
  /** Per part and try, in milliseconds; without one, what the dialer gives the network. */
  timeoutsMs: Readonly<Partial<Record<CheckName, number>>>;
  /** Tries more of a part, after failures that may pass within seconds; none unless given. */
  retries: Readonly<Partial<Record<CheckName, number>>>;
  /** Before the first retry, in milliseconds; jittered, and doubled each time. */
  retryBaseMs: number;
  /** Largest frame taken from a relay that is only checked. */
  maxPayloadBytes: number;
  maxNip11Bytes: number;
  /** Bits of work (NIP-13) done for a write that is refused without. */
  maxPowBits: number;
}

/** Who else is asked about a relay's host. */
export interface HostSources {
  /** Without it, DNS is not asked. */
  dns?: DnsInspector | undefined;
  /** Without it, addresses are not looked up. */
  geo?: Geo | undefined;
}

/** One check under way. */
export interface CheckSession extends HostSources {
  readonly url: RelayUrl;
  readonly network: Network;
  readonly settings: CheckSettings;
  readonly dialer: Dialer;
  /** Who is left alone, also where a relay leads to it; nobody unless given. */
  readonly blocked: BlockList | undefined;
  /** Without one, nothing is written and nobody is logged in to. */
  readonly signer: Signer | undefined;
  readonly clock: Clock;
  readonly random: () => number;
  readonly signal: AbortSignal;
  /** Addresses that were resolved and judged before the slot was taken. */
  resolution: Resolution | undefined;
  /** The open socket, from the open check until the last part that needs it. */
  connection: RelayConnection | undefined;
  /** What earlier parts found. */
  readonly found: Readonly<Partial<Check>>;
}

/** One part of a check. */
export interface CheckPart {
  readonly name: CheckName;
  /**
   * `dial` opens the socket; `socket` runs only while it is open; `apart` runs after it was closed,
   * over a connection of its own; `aside` asks others, after the host's slot was given back.
   */
  readonly needs: "dial" | "socket" | "apart" | "aside";
  appliesTo(network: Network): boolean;
  /** Rejects only when `session.signal` aborts; what a relay does is in the answer. */
  run(session: CheckSession): Promise<Partial<Check>>;
  /** True for a failure that may pass within seconds; a part without it is never tried again. */
  mayPass?(found: Partial<Check>): boolean;
}

/** Where the settings name no deadline for a part that asks over the open socket. */
const DEFAULT_TIMEOUT_MS = 10_000;

/** A part's deadline for one answer, in milliseconds. */
export function timeoutOf(session: Pick<CheckSession, "settings">, name: CheckName): number {
  return session.settings.timeoutsMs[name] ?? DEFAULT_TIMEOUT_MS;
}

/** A measured time as it is kept and published: whole milliseconds, at least 1. */
export function wholeMs(ms: number): number {
  return Math.max(1, Math.round(ms));
}
