// Asks for an event that can't exist. Any answer is one: EOSE or an event is a success, CLOSED a
// refusal with its reason; only silence is silence. An empty relay reads as well as a full one.
import type { Check, ReadResult, SocketCheckReason } from "../../model/check.ts";
import type { Filter } from "../../model/filter.ts";
import type { MachinePrefix } from "../../nostr/machine_prefix.ts";
import type { RelayConnection, SubscriptionEnd } from "../../nostr/relay_connection.ts";
import { checkFailure, type CheckPart, type CheckSession, timeoutOf, wholeMs } from "../session.ts";

/** No event has this id: SHA-256 would have to give it. */
const NEVER: Filter = { ids: ["0".repeat(63) + "1"], limit: 1 };
/** A relay that sends what was not asked for is alive; more than this need not be heard. */
const MAX_EVENTS = 3;

/** Refusals that ask for something, rather than refuse us. */
const WALLS: ReadonlySet<MachinePrefix> = new Set([
  "auth-required",
  "restricted",
  "payment-required",
]);

/** `read`: a REQ to its first answer. */
export const readCheck: CheckPart = {
  name: "read",
  needs: "socket",
  appliesTo: () => true,
  run,
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
  const { clock, signal } = session;
  const startedAt = clock.monotonicMs();
  const page = await connection.request(NEVER, {
    idleMs: timeoutOf(session, "read"),
    maxEvents: MAX_EVENTS,
    signal,
  });
  signal.throwIfAborted();
  const elapsedMs = clock.monotonicMs() - startedAt;
  if (page.eose || page.events.length > 0) {
    return { ok: true, readMs: wholeMs(page.firstMs ?? elapsedMs), eose: page.eose };
  }
  const { prefix, message } = page.end;
  return checkFailure({ reason: readReason(page.end), prefix, detail: message, elapsedMs });
}

function readReason(end: SubscriptionEnd): SocketCheckReason {
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

/** True when a refusal names what would open the door. */
export function isWall(prefix: MachinePrefix | undefined): boolean {
  return prefix !== undefined && WALLS.has(prefix);
}
