// NIP-45 by a COUNT of an event that can't exist: the relay has nothing to search for, and there is
// one right answer.
import { capabilityPart, notShown, shown, unanswered } from "./capability.ts";
import { NEVER } from "./read.ts";

/** `nip45`: a COUNT to its number. */
export const nip45Check = capabilityPart(45, async (connection, _session, asking) => {
  const outcome = await connection.count(NEVER, asking);
  const { elapsedMs } = outcome;
  if (!outcome.ok) return unanswered(outcome.end, elapsedMs);
  if (outcome.count === 0) return shown(elapsedMs);
  return notShown("wrong_answer", `${outcome.count} of an event that can't exist`, elapsedMs);
});
