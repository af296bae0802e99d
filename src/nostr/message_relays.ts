// Where somebody wants private messages: the newest list (kind 10050) that some relays have of them.
// In: a public key and relays to ask. Out: relays, or none. A list that its owner did not sign is no
// list. Asks each relay once, for one event.
import { verifyEvent } from "nostr-tools";
import type { SignalOptions } from "../lib/clock.ts";
import { type NostrEvent, parseEvent } from "../model/event.ts";
import type { RelayUrl } from "../model/relay_url.ts";
import type { Dialer } from "../net/dialer.ts";
import { MESSAGE_RELAYS_KIND, parseMessageRelays } from "./nip17.ts";
import { connectRelay } from "./relay_connection.ts";

/** How to ask. */
export interface MessageRelaysOptions extends SignalOptions {
  dialer: Dialer;
  /** Who may have the list. */
  relays: readonly RelayUrl[];
  /** For one relay's answer; opening has its network's timeout. */
  timeoutMs: number;
  /** A list that is known already; an older one does not replace it. */
  known?: NostrEvent | undefined;
}

/** The relays of the newest list, empty when there is none. Rejects only with the signal's reason. */
export async function findMessageRelays(
  pubkey: string,
  options: MessageRelaysOptions,
): Promise<RelayUrl[]> {
  const { relays, known, signal } = options;
  const found = await Promise.all(relays.map((url) => ask(url, pubkey, options)));
  signal?.throwIfAborted();
  const lists = [known, ...found].filter((event) => event !== undefined);
  const [newest] = lists.sort(newestFirst);
  return newest === undefined ? [] : parseMessageRelays(newest);
}

async function ask(
  url: RelayUrl,
  pubkey: string,
  { dialer, timeoutMs, signal }: MessageRelaysOptions,
): Promise<NostrEvent | undefined> {
  const opened = await connectRelay(url, { dialer, signal });
  if (!opened.ok) return undefined;
  await using connection = opened.value;
  const page = await connection.request(
    { kinds: [MESSAGE_RELAYS_KIND], authors: [pubkey], limit: 1 },
    { idleMs: timeoutMs, maxEvents: 1, ...(signal === undefined ? {} : { signal }) },
  );
  const [given] = page.events;
  const event = parseEvent(given);
  if (!event.ok || event.value.kind !== MESSAGE_RELAYS_KIND) return undefined;
  // A copy: nostr-tools marks what it has verified.
  return event.value.pubkey === pubkey && verifyEvent({ ...event.value }) ? event.value : undefined;
}

/** NIP-01: of two of the same second the one with the lowest id. */
function newestFirst(a: NostrEvent, b: NostrEvent): number {
  return b.created_at - a.created_at || (a.id < b.id ? -1 : 1);
}
