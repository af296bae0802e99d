// A Nostr Wallet Connect URI (NIP-47): which wallet, over which relays, and the secret that lets us
// ask it. In: an operator's text. Out: its parts, or what is wrong in words that repeat none of it,
// because all of it is a secret. No I/O.
import { fail, ok, type Result } from "../lib/result.ts";
import { parseRelayUrl, type RelayUrl } from "./relay_url.ts";

/** The parts of a wallet's URI. */
export interface WalletUri {
  /** The wallet service's public key, hex. */
  pubkey: string;
  /** Where it listens, in normal form; at least one. */
  relays: RelayUrl[];
  /** The secret key that requests are signed with, hex. */
  secret: string;
}

/** How one looks; for messages. */
export const WALLET_URI_ALLOWED =
  "a Nostr Wallet Connect URI: nostr+walletconnect://<key>?relay=wss://…&secret=<key>";

const SHAPE = /^nostr\+?walletconnect:(?:\/\/)?([0-9a-f]{64})\/?\?(.{1,4000})$/i;
const MAX_RELAYS = 5;

/** Reads a URI; a failure is a phrase. */
export function parseWalletUri(text: string): Result<WalletUri, string> {
  const match = SHAPE.exec(text.trim());
  if (match === null) return fail("is not a Nostr Wallet Connect URI");
  const [, pubkey = "", query = ""] = match;
  const params = new URLSearchParams(query);
  const secret = params.get("secret") ?? "";
  if (!/^[0-9a-f]{64}$/i.test(secret)) return fail("has no secret of 64 hex digits");
  const relays = new Set<RelayUrl>();
  for (const given of params.getAll("relay").slice(0, MAX_RELAYS)) {
    const url = parseRelayUrl(given);
    if (!url.ok) return fail("has a relay that is no relay URL");
    relays.add(url.value);
  }
  if (relays.size === 0) return fail("names no relay");
  return ok({ pubkey: pubkey.toLowerCase(), relays: [...relays], secret: secret.toLowerCase() });
}
