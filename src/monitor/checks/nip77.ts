// NIP-77 by a real NEG-OPEN over an event that can't exist: the answer of a relay that reconciles is
// a message of its protocol, and neither side has anything to send.
import type { CapabilityResult } from "../../model/check.ts";
import type { ExchangeOptions } from "../../nostr/exchange.ts";
import type { RelayConnection } from "../../nostr/relay_connection.ts";
import type { CheckSession } from "../session.ts";
import { capabilityPart, notShown, shown, unanswered } from "./capability.ts";
import { NEVER } from "./read.ts";

/**
 * The first message of one who has nothing: version 1 (61), one range up to infinity (00 00), and in
 * it a list of ids (02) that is empty (00).
 */
export const NOTHING_TO_RECONCILE = "6100000200";
/** Any version of the protocol; one that does not speak ours answers with its own. */
const NEGENTROPY_MESSAGE = /^6[0-9a-f](?:[0-9a-f]{2})*$/i;
const SHOWN_CHARS = 40;

/** `nip77`: NEG-OPEN to the first NEG-MSG. */
export const nip77Check = capabilityPart(77, probe);

async function probe(
  connection: RelayConnection,
  _session: CheckSession,
  asking: ExchangeOptions,
): Promise<CapabilityResult> {
  await using session = connection.openNegentropy(NEVER, asking);
  const startedMs = performance.now();
  const answer = await session.exchange(NOTHING_TO_RECONCILE);
  const elapsedMs = performance.now() - startedMs;
  if (!answer.ok) return unanswered(answer.end, elapsedMs);
  if (NEGENTROPY_MESSAGE.test(answer.payload)) return shown(elapsedMs);
  return notShown("wrong_answer", answer.payload.slice(0, SHOWN_CHARS), elapsedMs);
}
