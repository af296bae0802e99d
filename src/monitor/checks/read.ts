// Asks for an event that can't exist. Any answer is one: EOSE or an event is a success, CLOSED a
// refusal with its reason; only silence is silence. An empty relay reads as well as a full one.
import type { Check, ReadResult } from "../../model/check.ts";
import type { Filter } from "../../model/filter.ts";
import type { RelayConnection } from "../../nostr/relay_connection.ts";
import { endFailure, mayPassOverSocket } from "../failures.ts";
import { type CheckPart, type CheckSession, timeoutOf, wholeMs } from "../session.ts";

/** No event has this id: SHA-256 would have to give it. */
export const NEVER: Filter = { ids: ["0".repeat(63) + "1"] };
/** A relay that sends what was not asked for is alive; more than this need not be heard. */
const MAX_EVENTS = 3;

/** `read`: a REQ to its first answer. */
export const readCheck: CheckPart = {
  name: "read",
  needs: "socket",
  appliesTo: () => true,
  run,
  mayPass: ({ read }) => mayPassOverSocket(read),
};

async function run(session: CheckSession): Promise<Partial<Check>> {
  const { connection } = session;
  return connection === undefined ? {} : { read: await measureRead(connection, session) };
}

/** One read over `connection`. Rejects only when the session aborts. */
export async function measureRead(
  connection: RelayConnection,
  session: CheckSession,
): Promise<ReadResult> {
  const { signal } = session;
  const page = await connection.request({ ...NEVER, limit: 1 }, {
    idleMs: timeoutOf(session, "read"),
    maxEvents: MAX_EVENTS,
    leaveOpen: true,
    signal,
  });
  signal.throwIfAborted();
  const { eose, events, firstMs, elapsedMs, end } = page;
  if (!eose && events.length === 0) return endFailure(end, elapsedMs);
  return { ok: true, readMs: wholeMs(firstMs ?? elapsedMs), eose };
}
