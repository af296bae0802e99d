// NIP-50 by two searches: what is found for a frequent word has to hold it, and for a word that
// nobody wrote nothing may be found. A relay that ignores `search` sends its newest notes to both.
import { cut } from "../../lib/text.ts";
import { parseEvent } from "../../model/event.ts";
import type { ExchangeOptions } from "../../nostr/exchange.ts";
import type { RelayConnection, RequestedPage } from "../../nostr/relay_connection.ts";
import { capabilityPart, notShown, shown, unanswered } from "./capability.ts";

/** In more profiles and notes than any other. */
const WORD = "nostr";
const KINDS = [0, 1];
const MAX_EVENTS = 3;

/** `nip50`: two REQs with `search`, the second only after a good answer to the first. */
export const nip50Check = capabilityPart(50, async (connection, session, asking) => {
  const found = await search(connection, WORD, asking);
  const { elapsedMs } = found;
  if (found.events.length === 0) {
    // An empty relay, or one that searches other kinds or in its own way.
    return found.eose
      ? notShown("inconclusive", `nothing found for "${WORD}"`, elapsedMs)
      : unanswered(found.end, elapsedMs);
  }
  const other = found.events.find((event) => !holds(event, WORD));
  if (other !== undefined) {
    return notShown(
      "ignored",
      `found without "${WORD}": ${cut(JSON.stringify(other), 80)}`,
      elapsedMs,
    );
  }
  const unheardOf = `x${session.random().toString(36).slice(2)}q`;
  const nothing = await search(connection, unheardOf, asking);
  const allMs = elapsedMs + nothing.elapsedMs;
  if (nothing.events.length > 0) return notShown("ignored", "the same for any word", allMs);
  return nothing.eose ? shown(elapsedMs) : unanswered(nothing.end, allMs);
});

function search(
  connection: RelayConnection,
  word: string,
  asking: ExchangeOptions,
): Promise<RequestedPage> {
  const filter = { search: word, kinds: KINDS, limit: MAX_EVENTS };
  return connection.request(filter, { ...asking, maxEvents: MAX_EVENTS });
}

/** Profiles are JSON and notes have tags: anywhere in the event will do. */
function holds(event: unknown, word: string): boolean {
  const parsed = parseEvent(event);
  if (!parsed.ok) return false;
  const { content, tags } = parsed.value;
  return `${content} ${JSON.stringify(tags)}`.toLowerCase().includes(word);
}
