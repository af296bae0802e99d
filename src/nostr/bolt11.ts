// BOLT-11: what a Lightning invoice says, as far as one who asks for money must know before passing
// it on: how much, until when, and the hash whose preimage proves the payment.
// In: a bech32 text of a wallet's. Out: its facts, or what is wrong. Checks the checksum; never
// recovers the payee's key: whether the wallet is ours to trust, the operator has decided.
import { fail, ok, type Result } from "../lib/result.ts";

/** An invoice's facts. */
export interface InvoiceFacts {
  /** Absent where the payer may choose. */
  msats?: number;
  /** SHA-256 of the preimage, hex. */
  paymentHash: string;
  /** Unix seconds. */
  createdAt: number;
  /** Unix seconds. */
  expiresAt: number;
}

const CHARSET = "qpzry9x8gf2tvdw0s3jn54khce6mua7l";
const GENERATOR = [0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd, 0x2a1462b3];
const MAX_CHARS = 4_000;
const CHECKSUM_WORDS = 6;
const TIMESTAMP_WORDS = 7;
const SIGNATURE_WORDS = 104;
const HASH_WORDS = 52;
/** Words of the fields' types `p` and `x`. */
const PAYMENT_HASH = 1;
const EXPIRY = 6;
const DEFAULT_EXPIRY_SECONDS = 3_600;
/** Millisatoshi in one of each: bitcoin, and its thousandths and so on; a pico is a tenth of one. */
const UNITS: Readonly<Record<string, number>> = {
  "": 100_000_000_000,
  m: 100_000_000,
  u: 100_000,
  n: 100,
  p: 0.1,
};

/** Reads an invoice; a failure is a phrase. */
export function parseInvoice(text: string): Result<InvoiceFacts, string> {
  if (text.length > MAX_CHARS) return fail("is too long");
  const invoice = text.toLowerCase();
  if (invoice !== text && text.toUpperCase() !== text) return fail("mixes cases");
  const at = invoice.lastIndexOf("1");
  const prefix = /^ln(?:bc|tb|tbs|bcrt|sb)(?:(\d{1,12})([munp]?))?$/.exec(invoice.slice(0, at));
  if (at < 0 || prefix === null) return fail("is no Lightning invoice");
  const words = [...invoice.slice(at + 1)].map((char) => CHARSET.indexOf(char));
  if (words.includes(-1)) return fail("has a character that is not of its alphabet");
  if (checksum([...expanded(invoice.slice(0, at)), ...words]) !== 1) {
    return fail("has a wrong checksum");
  }
  const data = words.slice(0, -CHECKSUM_WORDS - SIGNATURE_WORDS);
  if (data.length < TIMESTAMP_WORDS) return fail("is too short");
  const createdAt = integer(data.slice(0, TIMESTAMP_WORDS));
  const fields = fieldsOf(data.slice(TIMESTAMP_WORDS));
  const hash = fields.get(PAYMENT_HASH);
  if (hash?.length !== HASH_WORDS) return fail("has no payment hash");
  const expiry = fields.get(EXPIRY);
  const msats = amount(prefix[1], prefix[2]);
  if (msats === "bad") return fail("has an amount that is no whole millisatoshi");
  return ok({
    ...(msats === undefined ? {} : { msats }),
    paymentHash: bytes(hash).slice(0, 32).toHex(),
    createdAt,
    expiresAt: createdAt + (expiry === undefined ? DEFAULT_EXPIRY_SECONDS : integer(expiry)),
  });
}

function amount(digits: string | undefined, unit = ""): number | undefined | "bad" {
  if (digits === undefined) return undefined;
  const msats = unit === "p" ? Number(digits) / 10 : Number(digits) * (UNITS[unit] ?? NaN);
  return Number.isSafeInteger(msats) ? msats : "bad";
}

/** The first of each type, as words; a length that lies ends the reading. */
function fieldsOf(data: readonly number[]): Map<number, number[]> {
  const fields = new Map<number, number[]>();
  for (let i = 0; i + 3 <= data.length;) {
    const [type = 0, high = 0, low = 0] = data.slice(i, i + 3);
    const end = i + 3 + high * 32 + low;
    if (end > data.length) break;
    if (!fields.has(type)) fields.set(type, data.slice(i + 3, end));
    i = end;
  }
  return fields;
}

function integer(words: readonly number[]): number {
  return words.reduce((sum, word) => sum * 32 + word, 0);
}

function bytes(words: readonly number[]): Uint8Array {
  const out: number[] = [];
  let held = 0;
  let bits = 0;
  for (const word of words) {
    held = (held << 5 | word) & 0xfff;
    bits += 5;
    if (bits < 8) continue;
    bits -= 8;
    out.push(held >> bits & 0xff);
  }
  return Uint8Array.from(out);
}

function expanded(prefix: string): number[] {
  const codes = [...prefix].map((char) => char.charCodeAt(0));
  return [...codes.map((code) => code >> 5), 0, ...codes.map((code) => code & 31)];
}

/** BIP-173; 1 for what is whole. */
function checksum(words: readonly number[]): number {
  let sum = 1;
  for (const word of words) {
    const top = sum >>> 25;
    sum = (sum & 0x1ffffff) << 5 ^ word;
    for (const [i, generator] of GENERATOR.entries()) if (top >> i & 1) sum ^= generator;
  }
  return sum;
}
