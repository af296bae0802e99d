// The relays that an event names: relay lists, contact lists, other monitors' reports, hints.
// In: one archived event, perhaps without its content (light stores keep none). Out: candidates in
// normal form, each once, and how often which problem was met. No I/O; never judges a relay.
import { nip19 } from "nostr-tools";
import type { Result } from "../lib/result.ts";
import type { NostrEvent } from "../model/event.ts";
import { parseRelayUrl, type RelayUrl, type RelayUrlProblem } from "../model/relay_url.ts";
import { isObject, parseJson } from "../nostr/json.ts";

/** Bounds on what one event may contribute. */
export interface ExtractLimits {
  /** Relays taken from one event; further ones are left to other events. */
  maxUrlsPerEvent: number;
  /** nprofile, nevent and naddr decoded in one content. */
  maxTokensPerEvent: number;
  /** Characters of a content that are looked at. */
  maxContentChars: number;
}

/** Parses a URL; a cache may stand in front. */
export type ParseUrl = (text: string) => Result<RelayUrl, RelayUrlProblem>;

/** What an event named. */
export interface Extracted {
  urls: Set<RelayUrl>;
  bad: Map<RelayUrlProblem, number>;
}

/** Lists and announcements whose `relay` tags each name a relay (NIP-17, 29, 37, 51, 66, 89…). */
const RELAY_TAG_KINDS: ReadonlySet<number> = new Set([
  10006,
  10007,
  10009,
  10012,
  10013,
  10050,
  10051,
  10086,
  10102,
  10166,
  30002,
  30166,
]);
/** An event of rubbish, of which there can be a megabyte, is read no further than so many of these. */
const BAD_PER_URL = 10;
/** A list of relays nests no deeper than its relays' policies. */
const MAX_CONTENT_DEPTH = 8;
/** Tags whose third item is a relay hint; NIP-01 has e, p and a, NIP-18 q. */
const HINT_TAGS: ReadonlySet<string> = new Set(["e", "p", "a", "q"]);
const HAS_SCHEME = /^\s*wss?:\/\//i;
// Bech32 has no 1, b, i and o after its separator. Unbounded lengths would only be refused later.
const NIP19_TOKEN = /\b(?:nprofile|nevent|naddr)1[02-9ac-hj-np-z]{20,2000}/g;

/** The relays that `event` names, by every rule that its kind has. Never throws. */
export function extractRelayUrls(
  event: Pick<NostrEvent, "kind" | "tags" | "content">,
  limits: ExtractLimits,
  parse: ParseUrl = parseRelayUrl,
): Extracted {
  const found: Extracted = { urls: new Set(), bad: new Map() };
  const content = event.content.slice(0, limits.maxContentChars);
  const maxBad = BAD_PER_URL * limits.maxUrlsPerEvent;
  let bad = 0;
  for (const text of namedIn(event, content, limits)) {
    const url = parse(text);
    if (url.ok) found.urls.add(url.value);
    else {
      found.bad.set(url.failure, (found.bad.get(url.failure) ?? 0) + 1);
      bad += 1;
    }
    if (found.urls.size >= limits.maxUrlsPerEvent || bad >= maxBad) break;
  }
  return found;
}

function* namedIn(
  { kind, tags }: Pick<NostrEvent, "kind" | "tags">,
  content: string,
  limits: ExtractLimits,
): Generator<string> {
  const hasRelayTags = RELAY_TAG_KINDS.has(kind);
  for (const [name, value, third] of tags) {
    if (kind === 10002 && name === "r" && value !== undefined) yield value;
    else if (hasRelayTags && name === "relay" && value !== undefined) yield value;
    // NIP-66 allows a pubkey in `d`; so without a scheme it is no URL.
    else if (kind === 30166 && name === "d" && isUrl(value)) yield value;
    // Petnames and blanks stand in hints' place too: only what has a scheme was meant as a relay.
    else if (HINT_TAGS.has(name ?? "") && isUrl(third)) yield third;
  }
  if (kind === 2) yield content;
  if (kind === 3) yield* contactListKeys(content);
  // Gift wraps and direct messages are ciphertext; the search finds nothing there and costs little.
  yield* tokenRelays(content, limits.maxTokensPerEvent);
}

function isUrl(text: string | undefined): text is string {
  return text !== undefined && HAS_SCHEME.test(text);
}

/** Kind 3 content, as it was before NIP-65: an object with relays as keys. Often empty or a text. */
function contactListKeys(content: string): string[] {
  if (!content.trimStart().startsWith("{")) return [];
  const value = parseJson(content, { maxChars: content.length, maxDepth: MAX_CONTENT_DEPTH });
  return isObject(value) ? Object.keys(value) : [];
}

function* tokenRelays(content: string, maxTokens: number): Generator<string> {
  let tokens = 0;
  for (const [token] of content.matchAll(NIP19_TOKEN)) {
    if (++tokens > maxTokens) return;
    yield* relaysOfToken(token);
  }
}

function relaysOfToken(token: string): readonly string[] {
  try {
    const decoded = nip19.decode(token);
    if (decoded.type === "nprofile" || decoded.type === "nevent" || decoded.type === "naddr") {
      return decoded.data.relays ?? [];
    }
  } catch {
    // A wrong checksum or a cut token: a text that looks like one, no more.
  }
  return [];
}
