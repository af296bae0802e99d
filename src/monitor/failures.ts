// From how an answer ended to why a part of a check failed: one closed list of reasons, and the
// evidence. In: ends of questions, publishes and dials. Out: failures as they are kept.
import type { CheckFailure, SocketCheckReason } from "../model/check.ts";
import type { MachinePrefix } from "../nostr/machine_prefix.ts";
import type {
  PublishOutcome,
  RelayConnection,
  SubscriptionEnd,
} from "../nostr/relay_connection.ts";

/** Refusals that ask for something, rather than refuse us. */
const WALLS: ReadonlySet<MachinePrefix> = new Set([
  "auth-required",
  "restricted",
  "payment-required",
]);

/** A dial's failures that may pass within seconds; a refusal or a missing name won't. */
const TRANSIENT: ReadonlySet<string> = new Set(["timeout", "reset", "dns_failed", "unreachable"]);

/** A failure with whole milliseconds and only the fields that are there. */
export function checkFailure<R extends string>(
  failure: {
    reason: R;
    elapsedMs: number;
    phase?: string | undefined;
    prefix?: string | undefined;
    httpStatus?: number | undefined;
    retryAfterMs?: number | undefined;
    closeCode?: number | undefined;
    detail?: string | undefined;
  },
): CheckFailure<R> {
  const { reason, elapsedMs, phase, prefix, httpStatus, retryAfterMs, closeCode, detail } = failure;
  return {
    ok: false,
    reason,
    elapsedMs: Math.round(elapsedMs),
    ...(phase === undefined ? {} : { phase }),
    ...(prefix === undefined ? {} : { prefix }),
    ...(httpStatus === undefined ? {} : { httpStatus }),
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
    ...(closeCode === undefined ? {} : { closeCode }),
    ...(detail === undefined || detail === "" ? {} : { detail }),
  };
}

/** Why a question got no answer. */
export function endFailure(
  end: SubscriptionEnd,
  elapsedMs: number,
): CheckFailure<SocketCheckReason> {
  const { prefix, message, closeCode } = end;
  return checkFailure({ reason: endReason(end), prefix, closeCode, detail: message, elapsedMs });
}

/** Why an event was not accepted; also the end of a failed log-in. */
export async function publishFailure(
  outcome: Exclude<PublishOutcome, { ok: true }>,
  connection: RelayConnection,
): Promise<CheckFailure<SocketCheckReason>> {
  const { prefix, message, elapsedMs } = outcome;
  const reason = publishReason(outcome);
  if (reason !== "disconnected") {
    return checkFailure({ reason, prefix, detail: message, elapsedMs });
  }
  const { code, reason: words } = await connection.closed;
  return checkFailure({ reason, closeCode: code, detail: words, elapsedMs });
}

/** True when a refusal names what would open the door. */
export function isWall(prefix: MachinePrefix | undefined): boolean {
  return prefix !== undefined && WALLS.has(prefix);
}

/** True for a failed dial, or a GET, that may work seconds later. */
export function isTransient(result: { ok: boolean } | undefined): boolean {
  return result?.ok === false && "reason" in result && TRANSIENT.has(String(result.reason));
}

/** True for a question without an answer: a busy relay's, or one of which the socket was lost. */
export function mayPassOverSocket(
  result: { ok: true } | CheckFailure<SocketCheckReason> | undefined,
): boolean {
  return result?.ok === false && (result.reason === "silent" || result.reason === "disconnected");
}

function endReason(end: SubscriptionEnd): SocketCheckReason {
  switch (end.reason) {
    case "closed":
      return isWall(end.prefix) ? "walled" : "refused";
    case "notice":
      return isWall(end.prefix) ? "walled" : "notice";
    case "disconnected":
      return "disconnected";
    case "protocol_error":
      return "protocol_error";
    default:
      return "silent";
  }
}

function publishReason(outcome: Exclude<PublishOutcome, { ok: true }>): SocketCheckReason {
  switch (outcome.reason) {
    case "rejected":
      return isWall(outcome.prefix) ? "walled" : "refused";
    case "disconnected":
      return "disconnected";
    default:
      return "silent";
  }
}
