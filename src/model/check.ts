// The outcome of looking at one relay once: what opened, what answered, what it said of itself.
// Made by the monitor, stored as narrow rows, published as kind 30166 when it proves life.
// Timings are whole milliseconds. A part that was not tried is absent, never a failure.
import type { Network } from "./network.ts";
import type { RelayUrl } from "./relay_url.ts";

/** What many checks together say of a relay. */
export const RELAY_STATES = ["unknown", "online", "unreachable", "dead"] as const;
/** unknown = never checked; dead = asked ever more seldom, never forgotten. */
export type RelayState = typeof RELAY_STATES[number];

/** A part of a check that failed, and the evidence. */
export interface CheckFailure {
  ok: false;
  /** From the closed list of whoever did the work (dial, relay connection, NIP-11). */
  reason: string;
  /** How far it came: the dial's phase, where there was one. */
  phase?: string;
  /** The relay's machine-readable prefix in CLOSED or OK (NIP-01), without the colon. */
  prefix?: string;
  /** Evidence for people, cut. */
  detail?: string;
  /** From the start of this part to its failure. */
  elapsedMs: number;
}

/** The handshake: the phases apart, and the sum as `rtt-open`. */
export interface OpenSuccess {
  ok: true;
  /** From the moment the socket was dialled to the finished upgrade. */
  openMs: number;
  dnsMs?: number;
  proxyMs?: number;
  tcpMs?: number;
  tlsMs?: number;
  upgradeMs?: number;
  /** The peer's address; absent behind a proxy. */
  ip?: string;
}

/** A REQ that can match nothing was answered. */
export interface ReadSuccess {
  ok: true;
  readMs: number;
  /** False when an event came and no EOSE: alive, but its end of data can't be trusted. */
  eose: boolean;
}

/** An own ephemeral event was accepted. */
export interface WriteSuccess {
  ok: true;
  writeMs: number;
}

/** The relay's information document, unknown fields and wrong types and all. */
export interface Nip11Success {
  ok: true;
  nip11Ms: number;
  document: Record<string, unknown>;
}

export type OpenResult = OpenSuccess | CheckFailure;
export type ReadResult = ReadSuccess | CheckFailure;
export type WriteResult = WriteSuccess | CheckFailure;
export type Nip11Result = Nip11Success | CheckFailure;

/** One look at one relay. */
export interface Check {
  url: RelayUrl;
  network: Network;
  /** Unix seconds, when the dial began. */
  checkedAt: number;
  open: OpenResult;
  read?: ReadResult;
  write?: WriteResult;
  nip11?: Nip11Result;
}
