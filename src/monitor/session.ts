// What one check of one relay works with, and the shape that every part of it has.
// A part is one file in checks/: its name, the networks where it makes sense, what it needs, and a
// run that answers with its piece of the Check. Parts share one connection and know no other part.
import type { Clock } from "../lib/clock.ts";
import type { Check, CheckFailure, CheckName } from "../model/check.ts";
import type { Network } from "../model/network.ts";
import type { RelayUrl } from "../model/relay_url.ts";
import type { Dialer, Resolution } from "../net/dialer.ts";
import type { RelayConnection } from "../nostr/relay_connection.ts";
import type { Signer } from "../nostr/signer.ts";

/** What is checked, and within which bounds. */
export interface CheckSettings {
  enabled: Readonly<Record<CheckName, boolean>>;
  /** Per part and try, in milliseconds; without one, what the dialer gives the network. */
  timeoutsMs: Readonly<Partial<Record<CheckName, number>>>;
  /** Tries more of opening and NIP-11, after failures that may pass within seconds. */
  retries: number;
  /** Before the first retry, in milliseconds; jittered, and doubled each time. */
  retryBaseMs: number;
  /** Largest frame taken from a relay that is only checked. */
  maxPayloadBytes: number;
  maxNip11Bytes: number;
}

/** One check under way. */
export interface CheckSession {
  readonly url: RelayUrl;
  readonly network: Network;
  readonly settings: CheckSettings;
  readonly dialer: Dialer;
  /** Without one, nothing is written and nobody is logged in to. */
  readonly signer: Signer | undefined;
  readonly clock: Clock;
  readonly random: () => number;
  readonly signal: AbortSignal;
  /** Addresses that were resolved and judged before the slot was taken. */
  readonly resolution: Resolution | undefined;
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
   * over a connection of its own.
   */
  readonly needs: "dial" | "socket" | "apart";
  appliesTo(network: Network): boolean;
  /** Rejects only when `session.signal` aborts; what a relay does is in the answer. */
  run(session: CheckSession): Promise<Partial<Check>>;
}

/** Where the settings name no deadline for a part that asks over the open socket. */
const DEFAULT_TIMEOUT_MS = 10_000;

/** A part's deadline for one answer, in milliseconds. */
export function timeoutOf(session: Pick<CheckSession, "settings">, name: CheckName): number {
  return session.settings.timeoutsMs[name] ?? DEFAULT_TIMEOUT_MS;
}

/** A failure with whole milliseconds and only the fields that are there. */
export function checkFailure<R extends string>(
  failure: {
    reason: R;
    elapsedMs: number;
    phase?: string | undefined;
    prefix?: string | undefined;
    httpStatus?: number | undefined;
    detail?: string | undefined;
  },
): CheckFailure<R> {
  const { reason, elapsedMs, phase, prefix, httpStatus, detail } = failure;
  return {
    ok: false,
    reason,
    elapsedMs: Math.round(elapsedMs),
    ...(phase === undefined ? {} : { phase }),
    ...(prefix === undefined ? {} : { prefix }),
    ...(httpStatus === undefined ? {} : { httpStatus }),
    ...(detail === undefined || detail === "" ? {} : { detail }),
  };
}

/** A measured time as it is kept and published: whole milliseconds, at least 1. */
export function wholeMs(ms: number): number {
  return Math.max(1, Math.round(ms));
}
