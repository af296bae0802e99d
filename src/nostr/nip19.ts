// NIP-19 spellings of keys and event ids, as people paste them into parameters and configuration.
// In: a text. Out: 64 lower-case hex digits, or a sentence that says what is wrong.
import { nip19 } from "nostr-tools";
import { fail, ok, type Result } from "../lib/result.ts";
import { isHex } from "../model/hex.ts";

// The longest nprofile that anybody writes by hand is far below this.
const MAX_CHARS = 2_000;

/** A public key from hex (either case), npub or nprofile, with or without `nostr:`. */
export function parsePubkey(text: string): Result<string, string> {
  const given = bare(text);
  if (isHex(given.toLowerCase(), 32)) return ok(given.toLowerCase());
  const decoded = decode(given);
  if (decoded?.type === "npub") return ok(decoded.data);
  if (decoded?.type === "nprofile") return ok(decoded.data.pubkey);
  if (/^nsec1/i.test(given)) return fail("is a secret key; a public key is wanted");
  return fail("must be a public key: 64 hex digits, npub1… or nprofile1…");
}

/** An event id from hex (either case), note or nevent, with or without `nostr:`. */
export function parseEventId(text: string): Result<string, string> {
  const given = bare(text);
  if (isHex(given.toLowerCase(), 32)) return ok(given.toLowerCase());
  const decoded = decode(given);
  if (decoded?.type === "note") return ok(decoded.data);
  if (decoded?.type === "nevent") return ok(decoded.data.id);
  return fail("must be an event id: 64 hex digits, note1… or nevent1…");
}

/** `pubkey` as people read it. Throws on anything but 64 hex digits, which is a bug. */
export function npub(pubkey: string): string {
  return nip19.npubEncode(pubkey);
}

function bare(text: string): string {
  const given = text.trim();
  return given.toLowerCase().startsWith("nostr:") ? given.slice(6) : given;
}

function decode(text: string): ReturnType<typeof nip19.decode> | undefined {
  if (text.length > MAX_CHARS) return undefined;
  try {
    return nip19.decode(text.toLowerCase());
  } catch {
    // A wrong checksum, an unknown prefix, or a field of the wrong length.
    return undefined;
  }
}
