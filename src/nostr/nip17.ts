// NIP-17 with NIP-59: a private message as a gift wrap (kind 1059) around a seal (13) around the
// message (14), and the list of relays where somebody wants such messages (kind 10050).
// In: a text and a public key. Out: one signed event that only its receiver can read, and that says
// nothing of us. Never keeps the wrap's key, and never signs the message itself.
import { fail, ok, type Result } from "../lib/result.ts";
import { computeEventId, type NostrEvent, tagValues } from "../model/event.ts";
import { parseRelayUrl, type RelayUrl } from "../model/relay_url.ts";
import { generateSecretKey, localSigner, type Signer } from "./signer.ts";

/** Kind of a message; never signed, never sent as it is. */
export const MESSAGE_KIND = 14;
/** Kind of what the sender signs, encrypted for the receiver. */
export const SEAL_KIND = 13;
/** Kind of what relays see, signed with a key of its own. */
export const WRAP_KIND = 1059;
/** Kind of the list of relays for messages; replaceable. */
export const MESSAGE_RELAYS_KIND = 10050;

/** Seal and wrap are dated up to so long ago, so that their time tells nothing (NIP-17). */
const MAX_AGE_SECONDS = 2 * 86_400;
/** NIP-17 asks for lists of one to three. */
const MAX_RELAYS = 10;

/** A message to one receiver. */
export interface PrivateMessage {
  /** 64 lower-case hex digits. */
  recipient: string;
  text: string;
  /** The conversation's title. */
  subject?: string;
}

/**
 * Wraps a message written `at` (Unix seconds). A failure says why it can't be encrypted: the
 * recipient is no public key, or the text is too long.
 */
export async function wrapMessage(
  message: PrivateMessage,
  options: { signer: Signer; at: number; random?: () => number },
): Promise<Result<NostrEvent, string>> {
  const { recipient, text, subject } = message;
  const { signer, at, random = Math.random } = options;
  const tags = [["p", recipient], ...(subject === undefined ? [] : [["subject", subject]])];
  const rumor = { pubkey: signer.pubkey, created_at: at, kind: MESSAGE_KIND, tags, content: text };
  const inner = JSON.stringify({ id: computeEventId(rumor), ...rumor });
  const sealed = await signer.nip44Encrypt(recipient, inner);
  if (!sealed.ok) return sealed;
  const past = (): number => at - Math.floor(random() * MAX_AGE_SECONDS);
  const seal = await signer.sign({
    kind: SEAL_KIND,
    created_at: past(),
    tags: [],
    content: sealed.value,
  });
  const nobody = localSigner(generateSecretKey());
  const wrapped = await nobody.nip44Encrypt(recipient, JSON.stringify(seal));
  if (!wrapped.ok) return fail(wrapped.failure);
  const event = await nobody.sign({
    kind: WRAP_KIND,
    created_at: past(),
    tags: [["p", recipient]],
    content: wrapped.value,
  });
  return ok(event);
}

/** The relays of a list (kind 10050), in order, without junk and repetitions. */
export function parseMessageRelays(event: Pick<NostrEvent, "tags">): RelayUrl[] {
  const urls = new Set<RelayUrl>();
  for (const text of tagValues(event, "relay")) {
    const url = parseRelayUrl(text);
    if (url.ok && urls.size < MAX_RELAYS) urls.add(url.value);
  }
  return [...urls];
}
