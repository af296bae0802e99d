// What the probes of single NIPs share. A document names NIPs; these find out. Each is a question
// that only a relay with the NIP can answer rightly, asks for nothing that exists where that will
// do, and is put only to a relay that answers at all.
import type {
  CapabilityReason,
  CapabilityResult,
  Check,
  CheckFailure,
  ProbedNip,
} from "../../model/check.ts";
import type { ExchangeOptions } from "../../nostr/exchange.ts";
import type { RelayConnection, SubscriptionEnd } from "../../nostr/relay_connection.ts";
import { checkFailure, endFailure } from "../failures.ts";
import { type CheckPart, type CheckSession, timeoutOf } from "../session.ts";

/**
 * Many relays answer what they have not heard of with a NOTICE, and with nothing more: an answer
 * that is no such refusal comes with it, or never.
 */
const NOTICE_GRACE_MS = 300;

/** A question to a relay; undefined when there was no occasion to put it. */
export type Probe = (
  connection: RelayConnection,
  session: CheckSession,
  asking: ExchangeOptions,
) => Promise<CapabilityResult | undefined>;

/** The part of a check that tries `nip` out by `probe`. */
export function capabilityPart(nip: ProbedNip, probe: Probe): CheckPart {
  return {
    name: `nip${nip}`,
    needs: "socket",
    appliesTo: () => true,
    async run(session): Promise<Partial<Check>> {
      const { connection, found, signal } = session;
      if (connection === undefined || !isReadable(found)) return {};
      const idleMs = timeoutOf(session, `nip${nip}`);
      const asking = { idleMs, signal, noticeGraceMs: NOTICE_GRACE_MS };
      const result = await probe(connection, session, asking);
      signal.throwIfAborted();
      return result === undefined ? {} : { capabilities: { ...found.capabilities, [nip]: result } };
    },
  };
}

/** The NIP was shown. */
export function shown(elapsedMs: number): CapabilityResult {
  return { ok: true, elapsedMs: Math.round(elapsedMs) };
}

/** An answer came that does not show it. */
export function notShown(
  reason: Exclude<CapabilityReason, "silent">,
  detail: string,
  elapsedMs: number,
): CheckFailure<CapabilityReason> {
  return checkFailure<CapabilityReason>({ reason, detail, elapsedMs });
}

/** No answer came to the question. */
export function unanswered(
  end: SubscriptionEnd,
  elapsedMs: number,
): CheckFailure<CapabilityReason> {
  return endFailure(end, elapsedMs);
}

/** A relay that does not even read would only be waited for. */
function isReadable({ read, auth }: Readonly<Partial<Check>>): boolean {
  return read === undefined || read.ok || auth?.read?.ok === true;
}
