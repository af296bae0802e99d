// Who we are: one interface for whatever holds the key (here: local memory; later perhaps a remote
// signer), used by the publisher, NIP-42 log-ins and the data vending machine.
// In: unsigned templates, texts to encrypt. Out: signed events, ciphertexts.
// Never shows the secret key: not by a property, not in a log, not in an error's text.
import { finalizeEvent, generateSecretKey, getPublicKey, nip04, nip19, nip44 } from "nostr-tools";
import { fail, ok, type Result } from "../lib/result.ts";
import { errorText } from "../lib/text.ts";
import type { NostrEvent } from "../model/event.ts";
import { hexToBytes } from "../model/hex.ts";

export { generateSecretKey };

/** An event before it has an author, an id and a signature. `created_at` in Unix seconds. */
export interface EventTemplate {
  kind: number;
  created_at: number;
  tags: string[][];
  content: string;
}

/** Signs and encrypts as one public key. */
export interface Signer {
  /** 64 lower-case hex digits. */
  readonly pubkey: string;
  /** The template as a signed event of exactly the seven fields. */
  sign(template: EventTemplate): Promise<NostrEvent>;
  /** NIP-44 version 2. A failure is a text: the peer's key or the size is not usable. */
  nip44Encrypt(pubkey: string, plaintext: string): Promise<Result<string, string>>;
  /** NIP-44 version 2. A failure is a text: not meant for us, or tampered with. */
  nip44Decrypt(pubkey: string, ciphertext: string): Promise<Result<string, string>>;
  /** NIP-04, for peers that know nothing newer. */
  nip04Encrypt(pubkey: string, plaintext: string): Promise<Result<string, string>>;
  nip04Decrypt(pubkey: string, ciphertext: string): Promise<Result<string, string>>;
}

/**
 * A signer whose key lives in this process. Copies the key; throws RangeError when it is not a
 * secp256k1 secret key (`parseSecretKey` tells that as a value).
 */
export function localSigner(secretKey: Uint8Array): Signer {
  return new LocalSigner(secretKey);
}

/**
 * A secret key from 64 hex digits or an `nsec1…`. A failure says what is wrong without repeating
 * any of the text, which may be a key with a typing error.
 */
export function parseSecretKey(text: string): Result<Uint8Array, string> {
  const given = text.trim();
  let key: Uint8Array;
  if (/^[0-9a-f]{64}$/i.test(given)) {
    key = hexToBytes(given.toLowerCase());
  } else if (/^nsec1/i.test(given)) {
    try {
      const decoded = nip19.decode(given.toLowerCase());
      if (decoded.type !== "nsec") return fail("not an nsec");
      key = decoded.data;
    } catch {
      return fail("an nsec with a wrong checksum or length");
    }
  } else if (/^npub1/i.test(given)) {
    return fail("a public key (npub) where the secret key (nsec) is wanted");
  } else {
    return fail("neither 64 hex digits nor an nsec");
  }
  return isSecretKey(key) ? ok(key) : fail("not a valid secp256k1 secret key");
}

class LocalSigner implements Signer {
  readonly pubkey: string;
  readonly #secretKey: Uint8Array;

  constructor(secretKey: Uint8Array) {
    if (!isSecretKey(secretKey)) {
      throw new RangeError("Cannot make a signer as the secret key is not valid");
    }
    this.#secretKey = Uint8Array.from(secretKey);
    this.pubkey = getPublicKey(this.#secretKey);
  }

  sign(template: EventTemplate): Promise<NostrEvent> {
    // finalizeEvent writes into its argument and marks it; the caller's template stays as it is.
    const { kind, created_at, tags, content } = template;
    const event = finalizeEvent({ kind, created_at, tags, content }, this.#secretKey);
    const { id, pubkey, sig } = event;
    return Promise.resolve({ id, pubkey, created_at, kind, tags, content, sig });
  }

  nip44Encrypt(pubkey: string, plaintext: string): Promise<Result<string, string>> {
    return attempt(() => nip44.encrypt(plaintext, this.#conversationKey(pubkey)));
  }

  nip44Decrypt(pubkey: string, ciphertext: string): Promise<Result<string, string>> {
    return attempt(() => nip44.decrypt(ciphertext, this.#conversationKey(pubkey)));
  }

  nip04Encrypt(pubkey: string, plaintext: string): Promise<Result<string, string>> {
    return attempt(() => nip04.encrypt(this.#secretKey, pubkey, plaintext));
  }

  nip04Decrypt(pubkey: string, ciphertext: string): Promise<Result<string, string>> {
    return attempt(() => nip04.decrypt(this.#secretKey, pubkey, ciphertext));
  }

  #conversationKey(pubkey: string): Uint8Array {
    return nip44.getConversationKey(this.#secretKey, pubkey);
  }
}

/** The libraries throw on what a stranger sent: a key off the curve, a bad MAC, a wrong length. */
function attempt(work: () => string): Promise<Result<string, string>> {
  try {
    return Promise.resolve(ok(work()));
  } catch (error) {
    return Promise.resolve(fail(errorText(error)));
  }
}

function isSecretKey(key: Uint8Array): boolean {
  if (key.length !== 32) return false;
  try {
    getPublicKey(key);
    return true;
  } catch {
    // Zero, or not below the order of the curve.
    return false;
  }
}
