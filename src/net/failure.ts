/**
 * Why a dial failed: the closed lists of phases and reasons that everything in net/ answers with,
 * and the one place where socket errors become reasons. A failed dial is data about a relay, so it
 * is a value; only bugs are thrown.
 */
import { cut, errorText } from "../lib/text.ts";

/** Where in the dial it ended. `policy` is before any packet left. */
export type DialPhase = "policy" | "dns" | "proxy" | "tcp" | "tls" | "upgrade" | "http";

/**
 * Why it ended.
 * - `blocked`: our operator's list of who is left alone; nothing was sent
 * - `network_disabled`: our configuration (network off, or no proxy for it), says nothing of the host
 * - `bad_url`: not a URL that can be dialled
 * - `forbidden_address`: all its addresses are private or reserved
 * - `name_not_found`: the name does not exist (proof); `dns_failed`: no answer about it (no proof)
 * - `proxy_failed`: the SOCKS proxy itself is down or refuses us, says nothing of the host
 * - `local_failure`: our own machine has no file or memory left for a socket; nothing was sent
 * - `refused`, `unreachable`, `reset`, `timeout`: from TCP, or told by the proxy
 * - `tls_failed`: no TLS session (an invalid certificate alone is no failure)
 * - `http_status`: an HTTP answer other than 101 to the upgrade
 * - `not_websocket`: an answer that is not HTTP, or a 101 that is no WebSocket
 * - `too_many_redirects`, `bad_redirect`, `body_too_large`, `protocol_error`: HTTP GET only
 * - `aborted`: the caller's signal
 */
export type DialReason =
  | "blocked"
  | "network_disabled"
  | "bad_url"
  | "forbidden_address"
  | "name_not_found"
  | "dns_failed"
  | "proxy_failed"
  | "local_failure"
  | "refused"
  | "unreachable"
  | "reset"
  | "timeout"
  | "tls_failed"
  | "http_status"
  | "not_websocket"
  | "too_many_redirects"
  | "bad_redirect"
  | "body_too_large"
  | "protocol_error"
  | "aborted";

/** Our configuration, our proxy or our machine: the host was never asked. */
const OUR_FAULTS: ReadonlySet<string> = new Set<DialReason>([
  "network_disabled",
  "proxy_failed",
  "local_failure",
]);

/** Whether the reason of a failed dial says nothing of the host, as the fault is on our side. */
export function isOurFault(reason: string): boolean {
  return OUR_FAULTS.has(reason);
}

/** A dial that did not get there. */
export interface DialFailure {
  phase: DialPhase;
  reason: DialReason;
  /** For people and logs; cut, control characters escaped. Never to be parsed. */
  detail: string;
  /** From the start of the dial to its end. */
  elapsedMs: number;
  /** The status of the answer, where there was one. */
  httpStatus?: number;
  /** The answer's headers, bounded (`retry-after` with a 429). */
  headers?: Record<string, string>;
  /** The address that was being dialled, where one was. */
  ip?: string;
}

/** A failure before the dialer has put the elapsed time on it. */
export type Trouble = Omit<DialFailure, "elapsedMs">;

/** Builds a failure; the detail is cut here, so callers may pass what a stranger sent. */
export function trouble(phase: DialPhase, reason: DialReason, detail: unknown): Trouble {
  return {
    phase,
    reason,
    detail: typeof detail === "string" ? cut(detail) : errorText(detail),
  };
}

/** The same failure with the address that was being dialled, where one was. */
export function withIp(failure: Trouble, ip: string | undefined): Trouble {
  return ip === undefined ? failure : { ...failure, ip };
}

const REASON_BY_CODE: Readonly<Record<string, DialReason>> = {
  ECONNREFUSED: "refused",
  EHOSTUNREACH: "unreachable",
  EHOSTDOWN: "unreachable",
  ENETUNREACH: "unreachable",
  ENETDOWN: "unreachable",
  EADDRNOTAVAIL: "unreachable",
  EACCES: "unreachable",
  EPERM: "unreachable",
  ECONNRESET: "reset",
  ECONNABORTED: "reset",
  EPIPE: "reset",
  ETIMEDOUT: "timeout",
  EMFILE: "local_failure",
  ENFILE: "local_failure",
  ENOBUFS: "local_failure",
  ENOMEM: "local_failure",
};

/** The reason behind a socket error, by its code; `otherwise` for codes that no socket gives. */
export function reasonOf(error: unknown, otherwise: DialReason): DialReason {
  return REASON_BY_CODE[codeOf(error) ?? ""] ?? otherwise;
}

/** The `code` of a Node error, if it has one. */
export function codeOf(error: unknown): string | undefined {
  if (typeof error !== "object" || error === null || !("code" in error)) return undefined;
  return typeof error.code === "string" ? error.code : undefined;
}
