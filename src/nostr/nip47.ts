// NIP-47 (Nostr Wallet Connect): what we say to a wallet service and what it says to us, kinds 13194
// (what it can), 23194 (a request) and 23195 (a response).
// In: a method and its parameters, or a stranger's event. Out: an event to sign, or a typed answer.
// Never sends anything (wallet.ts does), never believes an answer to another question.
import { verifyEvent } from "nostr-tools";
import { z } from "zod";
import { fail, ok, type Result } from "../lib/result.ts";
import { cut } from "../lib/text.ts";
import { type NostrEvent, parseEvent, tagValue } from "../model/event.ts";
import { isObject, parseJson } from "./json.ts";
import type { EventTemplate, Signer } from "./signer.ts";

/** What a wallet can; replaceable. */
export const WALLET_INFO_KIND = 13194;
/** A request; ephemeral. */
export const WALLET_REQUEST_KIND = 23194;
/** A response; ephemeral. */
export const WALLET_RESPONSE_KIND = 23195;

/** How a wallet's messages are hidden. */
export type WalletEncryption = "nip44" | "nip04";

/** What is asked of a wallet. */
export interface WalletRequest {
  method: "make_invoice" | "lookup_invoice";
  params: Record<string, string | number>;
}

/** A wallet's refusal, in its own words (cut). */
export interface WalletError {
  code: string;
  message: string;
}

/** What it says of a new invoice. */
export const madeInvoiceSchema = z.object({ invoice: z.string().min(1).max(4_000) });

/** What it says of an old one; wallets leave out, or give as null, what they don't know. */
export const lookedUpInvoiceSchema = z.object({
  state: z.string().nullish(),
  preimage: z.string().nullish(),
  payment_hash: z.string().nullish(),
  amount: z.number().nullish(),
  settled_at: z.number().nullish(),
});

const MAX_RESPONSE_CHARS = 64 * 1024;

/**
 * The encryption to speak with a wallet: NIP-44 where its kind 13194 says so, else NIP-04, which is
 * what the NIP has a missing tag mean.
 */
export function walletEncryption(info: Pick<NostrEvent, "tags"> | undefined): WalletEncryption {
  const schemes = info === undefined ? "" : tagValue(info, "encryption") ?? "";
  return schemes.split(/\s+/).includes("nip44_v2") ? "nip44" : "nip04";
}

/** A request as an event, readable by `wallet` alone; fails on a key that can't be encrypted for. */
export async function buildWalletRequest(
  request: WalletRequest,
  options: {
    signer: Signer;
    wallet: string;
    encryption: WalletEncryption;
    /** Unix seconds. */
    createdAt: number;
    /** Unix seconds; a wallet that wakes up later does nothing. */
    expiresAt: number;
  },
): Promise<Result<NostrEvent, string>> {
  const { signer, wallet, encryption, createdAt, expiresAt } = options;
  const text = JSON.stringify(request);
  const content = encryption === "nip44"
    ? await signer.nip44Encrypt(wallet, text)
    : await signer.nip04Encrypt(wallet, text);
  if (!content.ok) return content;
  const tags = [["p", wallet], ["expiration", String(expiresAt)]];
  if (encryption === "nip44") tags.push(["encryption", "nip44_v2"]);
  const template: EventTemplate = {
    kind: WALLET_REQUEST_KIND,
    created_at: createdAt,
    tags,
    content: content.value,
  };
  return ok(await signer.sign(template));
}

/**
 * The result in the response to `requestId`, in the wallet's own words if it refuses. Fails with a
 * phrase on what is no answer to it: a forged one, another's, or one that can't be read.
 */
export async function openWalletResponse(
  given: unknown,
  options: {
    signer: Signer;
    wallet: string;
    encryption: WalletEncryption;
    request: WalletRequest;
    requestId: string;
  },
): Promise<Result<Result<unknown, WalletError>, string>> {
  const { signer, wallet, encryption, request, requestId } = options;
  const event = parseEvent(given);
  if (!event.ok) return fail(`a malformed event (${event.failure})`);
  const { kind, pubkey, content } = event.value;
  if (kind !== WALLET_RESPONSE_KIND || pubkey !== wallet) return fail("not from the wallet");
  if (tagValue(event.value, "e") !== requestId) return fail("an answer to another request");
  if (!verifyEvent({ ...event.value })) return fail("a forged event");
  const text = encryption === "nip44"
    ? await signer.nip44Decrypt(wallet, content)
    : await signer.nip04Decrypt(wallet, content);
  if (!text.ok) return fail(`a text that can't be decrypted (${text.failure})`);
  const body = parseJson(text.value, { maxChars: MAX_RESPONSE_CHARS, maxDepth: 16 });
  if (!isObject(body)) return fail("a text that is no JSON object");
  const { error, result, result_type: type } = body;
  if (isObject(error)) {
    const { code, message } = error;
    return ok(
      fail({ code: cut(String(code ?? "OTHER"), 50), message: cut(String(message ?? "")) }),
    );
  }
  if (type !== undefined && type !== request.method) return fail("a result of another method");
  return ok(ok(result));
}
