// The outcome of looking at one relay once: what opened, what answered, what it said of itself.
// Made by the monitor, stored as narrow rows, published as kind 30166 when it proves life.
// Timings are whole milliseconds. A part that was not tried is absent, never a failure.
import type { DnsFacts, GeoFacts, NetworkFacts } from "./host_facts.ts";
import type { Network } from "./network.ts";
import type { RelayUrl } from "./relay_url.ts";

/** What many checks together say of a relay. */
export const RELAY_STATES = ["unknown", "online", "unreachable", "dead"] as const;
/** unknown = never checked; dead = asked ever more seldom, never forgotten. */
export type RelayState = typeof RELAY_STATES[number];

/** The parts of a check, in the order in which they run, by the names that kind 10166 announces. */
export const CHECK_NAMES = [
  "open",
  "ssl",
  "http",
  "read",
  "auth",
  "write",
  "nip45",
  "nip50",
  "nip77",
  "nip42",
  "nip11",
  "dns",
  "geo",
  "net",
] as const;
/** One part of a check. */
export type CheckName = typeof CHECK_NAMES[number];

/**
 * Why a part failed that asks the relay over its open socket. Opening and NIP-11 answer with the
 * dial's reasons (net/failure.ts) and NIP-11's own.
 * - `walled`: an answer that asks for a log-in, a payment or a membership (see the prefix)
 * - `refused`: CLOSED, or OK=false, of any other kind
 * - `notice`: a NOTICE instead of an answer, then silence
 * - `silent`: no answer before the deadline
 * - `disconnected`, `protocol_error`: the connection ended under it
 * - `no_challenge`, `no_signer`: a log-in that could not be tried
 */
export const SOCKET_CHECK_REASONS = [
  "walled",
  "refused",
  "notice",
  "silent",
  "disconnected",
  "protocol_error",
  "no_challenge",
  "no_signer",
] as const;
/** Why a part failed over an open socket. */
export type SocketCheckReason = typeof SOCKET_CHECK_REASONS[number];

/** NIPs that are tried out; for all others there is only the relay's word. */
export const PROBED_NIPS = [42, 45, 50, 77] as const;
/** A NIP that is tried out. */
export type ProbedNip = typeof PROBED_NIPS[number];

/**
 * Why an ability was not shown.
 * - the reasons of whatever is asked over an open socket
 * - `ignored`: the answer is that to another question, as of who never heard of the extension
 * - `wrong_answer`: an answer in form, and not true
 * - `inconclusive`: an answer that proves nothing, of an empty relay for example; the ability is
 *   unknown, and nothing is said of it
 */
export const CAPABILITY_REASONS = [
  ...SOCKET_CHECK_REASONS,
  "ignored",
  "wrong_answer",
  "inconclusive",
] as const;
/** Why an ability was not shown. */
export type CapabilityReason = typeof CAPABILITY_REASONS[number];

/** A part of a check that failed, and the evidence. */
export interface CheckFailure<R extends string = string> {
  ok: false;
  /** From the closed list of whoever did the work (dial, relay connection, NIP-11). */
  reason: R;
  /** How far it came: the dial's phase, where there was one. */
  phase?: string;
  /** The relay's machine-readable prefix in CLOSED or OK (NIP-01), without the colon. */
  prefix?: string;
  /** The status of an HTTP answer, where there was one. */
  httpStatus?: number;
  /** How long the server asks to be left alone (`Retry-After`), in milliseconds. */
  retryAfterMs?: number;
  /** With what the WebSocket was closed under it (RFC 6455, section 7.4). */
  closeCode?: number;
  /** Evidence for people, cut. */
  detail?: string;
  /** From the start of this part to its failure. */
  elapsedMs: number;
}

/** The handshake: the phases apart, and the sum as `rtt-open`. */
export interface OpenSuccess {
  ok: true;
  /** From the moment the socket was dialled to the finished upgrade; at least 1. */
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
  /** To the first answer, EOSE or EVENT; at least 1. */
  readMs: number;
  /** False when an event came and no EOSE: alive, but its end of data can't be trusted. */
  eose: boolean;
}

/** An own ephemeral event was accepted. */
export interface WriteSuccess {
  ok: true;
  /** To the OK; at least 1. Work that was done for it is not in it. */
  writeMs: number;
  /** Bits of work (NIP-13) that the relay asked for, and got. */
  powBits?: number;
}

/** A relay did what a NIP says. */
export interface CapabilitySuccess {
  ok: true;
  /** From the question to the answer that showed it. */
  elapsedMs: number;
}

/** A log-in (NIP-42) was accepted. */
export interface LoginSuccess {
  ok: true;
  loginMs: number;
}

/** The relay's information document, unknown fields and wrong types and all. */
export interface Nip11Success {
  ok: true;
  nip11Ms: number;
  /** Of the body, as JSON. */
  bytes: number;
  document: Record<string, unknown>;
}

export type OpenResult = OpenSuccess | CheckFailure;
export type ReadResult = ReadSuccess | CheckFailure<SocketCheckReason>;
export type WriteResult = WriteSuccess | CheckFailure<SocketCheckReason>;
export type CapabilityResult = CapabilitySuccess | CheckFailure<CapabilityReason>;
/** What was tried, and whether it worked. */
export type Capabilities = Partial<Record<ProbedNip, CapabilityResult>>;
export type LoginResult = LoginSuccess | CheckFailure<SocketCheckReason>;
export type Nip11Result = Nip11Success | CheckFailure;

/** What was seen of NIP-42. */
export interface AuthFacts {
  /** An AUTH challenge came. Alone it does not mean that a log-in is required. */
  challenged: boolean;
  /** What a refusal (true) or a plain answer (false) to the read proved; absent when neither did. */
  required?: boolean;
  /** The log-in with the monitor's key, where one was tried. */
  login?: LoginResult;
  /** The read again, after a log-in that was accepted. */
  read?: ReadResult;
  /** The write again, where it was the write that asked for the log-in. */
  write?: WriteResult;
}

/** The host's own certificate and the session, from the handshake that opened the socket. */
export interface TlsReport {
  /** Trusted, for this host and in its time. False is a finding, not a failure to look. */
  valid: boolean;
  /** Why not valid, as OpenSSL names it. */
  problem?: string;
  protocol?: string;
  cipher?: string;
  subject?: string;
  issuer?: string;
  /** Names it is for, the first of them. */
  names?: string[];
  /** Unix seconds. */
  validFrom?: number;
  /** Unix seconds. */
  validTo?: number;
  /** SHA-256, lower-case hex. */
  fingerprint?: string;
  /** Lower-case hex. */
  serialNumber?: string;
  /** The certificates behind its own, as far as they were sent, each the issuer of the one before. */
  chain?: IssuerReport[];
}

/** A certificate that vouches for another one. */
export interface IssuerReport {
  subject: string;
  issuer: string;
  /** Unix seconds. */
  validTo: number;
  fingerprint: string;
}

/** What the upgrade's answer says of the software in front. */
export interface HttpFacts {
  server?: string;
  poweredBy?: string;
}

/** One look at one relay. */
export interface Check {
  url: RelayUrl;
  network: Network;
  /** Unix seconds, when the check began. */
  checkedAt: number;
  open: OpenResult;
  tls?: TlsReport;
  http?: HttpFacts;
  read?: ReadResult;
  auth?: AuthFacts;
  write?: WriteResult;
  /** What it showed that it can; a NIP that was not tried is absent. */
  capabilities?: Capabilities;
  nip11?: Nip11Result;
  dns?: DnsFacts;
  /** Of the address that was dialled. */
  geo?: GeoFacts;
  /** Of the address that was dialled. */
  net?: NetworkFacts;
}

/**
 * Whether the check proves life: its socket opened. A relay that then answers nothing is online by
 * NIP-66, and its missing read says the rest.
 */
export function isOnline(check: Pick<Check, "open">): boolean {
  return check.open.ok;
}

/** The time to the first answer to a read, before or after a log-in; absent when none came. */
export function readMsOf(check: Pick<Check, "read" | "auth">): number | undefined {
  if (check.read?.ok) return check.read.readMs;
  return check.auth?.read?.ok ? check.auth.read.readMs : undefined;
}

/** The time to the OK of a write, before or after a log-in; absent when there was none. */
export function writeMsOf(check: Pick<Check, "write" | "auth">): number | undefined {
  if (check.write?.ok) return check.write.writeMs;
  return check.auth?.write?.ok ? check.auth.write.writeMs : undefined;
}

/** Refusals of us or of this moment; they say nothing of what the relay can. */
const PERSONAL: ReadonlySet<string> = new Set(["rate-limited", "blocked"]);

/** What a probe says of an ability: it has it, it has not, or (undefined) nothing. */
export function isCapable(result: CapabilityResult | undefined): boolean | undefined {
  if (result === undefined || result.ok) return result?.ok;
  switch (result.reason) {
    case "refused":
      return result.prefix !== undefined && PERSONAL.has(result.prefix) ? undefined : false;
    case "notice":
    case "silent":
    case "protocol_error":
    case "ignored":
    case "wrong_answer":
      return false;
    default:
      return undefined;
  }
}
