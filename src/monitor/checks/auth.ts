// NIP-42 as it was seen: a challenge alone proves nothing, the answer to the read does. Where the
// relay is walled, logs in with the monitor's key and reads again.
import type {
  AuthFacts,
  Check,
  LoginResult,
  ReadResult,
  SocketCheckReason,
} from "../../model/check.ts";
import type { RelayConnection } from "../../nostr/relay_connection.ts";
import { checkFailure, publishFailure } from "../failures.ts";
import { type CheckPart, type CheckSession, timeoutOf, wholeMs } from "../session.ts";
import { measureRead } from "./read.ts";

/** `auth`: challenge, requirement, log-in and what it opened. */
export const authCheck: CheckPart = {
  name: "auth",
  needs: "socket",
  appliesTo: () => true,
  run,
};

async function run(session: CheckSession): Promise<Partial<Check>> {
  const { connection, found } = session;
  if (connection === undefined) return {};
  const required = authRequired(found.read);
  const auth: AuthFacts = {
    challenged: connection.challenge !== undefined,
    ...(required === undefined ? {} : { required }),
  };
  if (found.read?.ok !== false || found.read.reason !== "walled") return { auth };
  auth.login = await logIn(connection, session);
  if (auth.login.ok) auth.read = await measureRead(connection, session);
  return { auth };
}

/** Proof only: a plain answer, or a refusal that names the log-in. */
function authRequired(read: ReadResult | undefined): boolean | undefined {
  if (read === undefined) return undefined;
  if (read.ok) return false;
  return read.prefix === "auth-required" ? true : undefined;
}

/** Logs in with the monitor's key. Rejects only when the session aborts. */
export async function logIn(
  connection: RelayConnection,
  session: CheckSession,
): Promise<LoginResult> {
  const { signer, signal } = session;
  if (signer === undefined) {
    return checkFailure<SocketCheckReason>({ reason: "no_signer", elapsedMs: 0 });
  }
  const outcome = await connection.authenticate(signer, {
    timeoutMs: timeoutOf(session, "auth"),
    signal,
  });
  signal.throwIfAborted();
  if (outcome.ok) return { ok: true, loginMs: wholeMs(outcome.elapsedMs) };
  if (outcome.reason === "no_challenge") {
    const { elapsedMs } = outcome;
    return checkFailure<SocketCheckReason>({ reason: "no_challenge", elapsedMs });
  }
  return await publishFailure(outcome, connection);
}
