// Sends an ephemeral event of our own, signed and soon expired (NIP-40), and times its OK. It is
// never read back, as no relay may keep it, and nobody else's note is ever sent again.
import type { Check, CheckFailure, SocketCheckReason } from "../../model/check.ts";
import { unixSeconds } from "../../lib/clock.ts";
import type { PublishOutcome } from "../../nostr/relay_connection.ts";
import { checkFailure, type CheckPart, type CheckSession, timeoutOf, wholeMs } from "../session.ts";
import { isWall } from "./read.ts";

/** Ephemeral, and in nobody's registry of kinds. */
const PROBE_KIND = 20_166;
/** strfry refuses ephemeral events that are older than a minute; nobody needs one longer. */
const EXPIRES_AFTER_SECONDS = 60;

/** `write`: an EVENT to its OK. */
export const writeCheck: CheckPart = {
  name: "write",
  needs: "socket",
  appliesTo: () => true,
  run,
};

async function run(session: CheckSession): Promise<Partial<Check>> {
  const { connection, signer, signal, clock } = session;
  if (connection === undefined || signer === undefined) return {};
  const now = unixSeconds(clock);
  const probe = await signer.sign({
    kind: PROBE_KIND,
    created_at: now,
    tags: [
      ["expiration", String(now + EXPIRES_AFTER_SECONDS)],
      ["alt", "Write check by a NIP-66 relay monitor; ephemeral"],
    ],
    content: "",
  });
  const outcome = await connection.publish(probe, {
    timeoutMs: timeoutOf(session, "write"),
    signal,
  });
  signal.throwIfAborted();
  if (outcome.ok) return { write: { ok: true, writeMs: wholeMs(outcome.elapsedMs) } };
  return { write: publishFailure(outcome) };
}

/** A refused or unanswered event as the check keeps it; also the end of a failed log-in. */
export function publishFailure(
  outcome: Exclude<PublishOutcome, { ok: true }>,
): CheckFailure<SocketCheckReason> {
  const { prefix, message, elapsedMs } = outcome;
  return checkFailure({ reason: reasonOf(outcome), prefix, detail: message, elapsedMs });
}

function reasonOf(outcome: Exclude<PublishOutcome, { ok: true }>): SocketCheckReason {
  switch (outcome.reason) {
    case "rejected":
      return isWall(outcome.prefix) ? "walled" : "refused";
    case "disconnected":
      return "disconnected";
    default:
      return "silent";
  }
}
