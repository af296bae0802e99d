// NIP-42 by a log-in, where the relay offers one: that of the wall, if there was one, else one of
// its own, after everything that is to be seen without it.
import { capabilityPart, shown } from "./capability.ts";
import { logIn } from "./auth.ts";

/** `nip42`: an AUTH to its OK. */
export const nip42Check = capabilityPart(42, async (connection, session) => {
  if (session.signer === undefined || connection.challenge === undefined) return undefined;
  const login = session.found.auth?.login ?? await logIn(connection, session);
  return login.ok ? shown(login.loginMs) : login;
});
