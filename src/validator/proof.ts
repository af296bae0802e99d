// Does a URL speak Nostr? One connection, one REQ that can match nothing, and an answer that only
// a relay gives: EOSE, EVENT or CLOSED for our subscription, or an AUTH challenge.
// An open WebSocket proves nothing: echo servers and chat backends have that too.
import type { SignalOptions } from "../lib/clock.ts";
import { fail, ok, type Result } from "../lib/result.ts";
import type { RelayUrl } from "../model/relay_url.ts";
import type { Dialer, DialFailure, DialPhase, DialReason, Resolution } from "../net/dialer.ts";
import { retryAfterMs } from "../net/retry_after.ts";
import {
  connectRelay,
  type RelayConnection,
  type SubscriptionEnd,
} from "../nostr/relay_connection.ts";

/** What proved it. */
export type ProofKind = "eose" | "event" | "closed" | "auth";

/**
 * Why there is no proof: the dial's reasons, and
 * - `not_nostr`: frames came, none of them a relay's
 * - `notice_only`: a NOTICE came, which is a relay's word but answers nothing
 * - `silent`: nothing came
 * - `disconnected`: the connection ended, or broke the protocol, before an answer
 */
export type ProofReason = DialReason | "not_nostr" | "notice_only" | "silent" | "disconnected";

/** A candidate that proved nothing. */
export interface ProofFailure {
  reason: ProofReason;
  /** How far the dial came; absent when it got there. */
  phase?: DialPhase;
  /** For people, cut. */
  detail?: string;
  httpStatus?: number;
  /** How long the server asks to be left alone. */
  retryAfterMs?: number;
}

/** How a proof is asked for. */
export interface ProofOptions extends SignalOptions {
  dialer: Dialer;
  /** For the answer; opening has its network's timeout. */
  readTimeoutMs: number;
  maxPayloadBytes: number;
  resolution?: Resolution;
}

/** No event has this id: SHA-256 would have to give it. */
const NEVER = { ids: ["0".repeat(63) + "1"], limit: 1 };

/** Asks once. Rejects only with the signal's reason. */
export async function proveNostr(
  url: RelayUrl,
  options: ProofOptions,
): Promise<Result<ProofKind, ProofFailure>> {
  const { dialer, readTimeoutMs, maxPayloadBytes, signal, resolution } = options;
  const opened = await connectRelay(url, {
    dialer,
    maxPayloadBytes,
    ...(signal === undefined ? {} : { signal }),
    ...(resolution === undefined ? {} : { resolution }),
  });
  if (!opened.ok) {
    signal?.throwIfAborted();
    return fail(dialFailure(opened.failure));
  }
  await using connection = opened.value;
  const page = await connection.request(NEVER, {
    idleMs: readTimeoutMs,
    maxEvents: 1,
    ...(signal === undefined ? {} : { signal }),
  });
  signal?.throwIfAborted();
  if (page.eose) return ok("eose");
  if (page.events.length > 0) return ok("event");
  if (page.end.reason === "closed") return ok("closed");
  if (connection.challenge !== undefined) return ok("auth");
  return fail(withoutProof(connection, page.end));
}

/** A failed dial, or a failed turn, as a failure to prove anything. */
export function dialFailure(failure: DialFailure): ProofFailure {
  const { reason, phase, detail, httpStatus, headers } = failure;
  const waitMs = retryAfterMs(headers);
  return {
    reason,
    phase,
    detail,
    ...(httpStatus === undefined ? {} : { httpStatus }),
    ...(waitMs === undefined ? {} : { retryAfterMs: waitMs }),
  };
}

function withoutProof(connection: RelayConnection, end: SubscriptionEnd): ProofFailure {
  const detail = end.message ?? connection.notices.at(-1);
  const reason = connection.notices.length > 0
    ? "notice_only"
    : connection.invalidFrames > 0
    ? "not_nostr"
    : end.reason === "disconnected" || end.reason === "protocol_error"
    ? "disconnected"
    : "silent";
  return { reason, ...(detail === undefined ? {} : { detail }) };
}
