// NIP-11: a relay's information document, fetched over our own dial and read with suspicion.
// In: a relay URL, or a document that somebody kept. Out: the JSON object as the relay sent it,
// unknown fields and wrong types included, and readers that give a field only when it is usable.
// Never judges the relay by its document: what it says of itself is a claim.
import type { SignalOptions } from "../lib/clock.ts";
import { fail, ok, type Result } from "../lib/result.ts";
import { cut } from "../lib/text.ts";
import type { BlockList } from "../model/block_list.ts";
import { isHex } from "../model/hex.ts";
import { type RelayUrl, toHttpUrl } from "../model/relay_url.ts";
import type { Dialer, Resolution } from "../net/dialer.ts";
import { retryAfterMs } from "../net/retry_after.ts";
import type { DialPhase, DialReason } from "../net/failure.ts";
import { isDeeperThan, isObject } from "./json.ts";

/** A relay's information document as it came; any field may be missing or of the wrong type. */
export type Nip11Document = Record<string, unknown>;

/** How a document is fetched. */
export interface FetchNip11Options extends SignalOptions {
  dialer: Dialer;
  /** For everything, redirects and body included. */
  timeoutMs: number;
  /** Of the body, after inflation. Default 128 KiB. */
  maxBytes?: number;
  /** Default 3. */
  maxRedirects?: number;
  /** An earlier resolution of the host, which is then not repeated. */
  resolution?: Resolution | undefined;
  /** Who is left alone, also where the relay's host redirects to it. */
  blocked?: BlockList | undefined;
}

/** A document and where it came from. */
export interface Nip11Answer {
  document: Nip11Document;
  elapsedMs: number;
  bytes: number;
  contentType?: string;
  /** The HTTP URL that answered in the end. */
  url: string;
}

/** Why there is no document. `http_status` is any status but 200. */
export interface Nip11Failure {
  reason: DialReason | "not_json" | "not_an_object" | "too_deep";
  phase: DialPhase;
  /** For people, cut. */
  detail: string;
  elapsedMs: number;
  httpStatus?: number;
  /** How long the server asks to be left alone, in milliseconds. */
  retryAfterMs?: number;
}

/** Default bound of the body. */
export const MAX_NIP11_BYTES = 128 * 1024;
// Documents are hashed in canonical form by a recursive library, so depth is bounded here.
const MAX_DEPTH = 32;

/**
 * Fetches the document of `url` by HTTP. Any content type will do that parses to a JSON object
 * (strfry serves application/json). Never rejects for anything a relay does.
 */
export async function fetchNip11(
  url: RelayUrl,
  options: FetchNip11Options,
): Promise<Result<Nip11Answer, Nip11Failure>> {
  const { dialer, timeoutMs, resolution, blocked, signal } = options;
  const startedAt = performance.now();
  const got = await dialer.httpGet(toHttpUrl(url), {
    headers: { accept: "application/nostr+json" },
    maxBodyBytes: options.maxBytes ?? MAX_NIP11_BYTES,
    maxRedirects: options.maxRedirects ?? 3,
    timeoutMs,
    ...(resolution === undefined ? {} : { resolution }),
    ...(blocked === undefined ? {} : { blocked }),
    ...(signal === undefined ? {} : { signal }),
  });
  const elapsedMs = Math.round(performance.now() - startedAt);
  if (!got.ok) {
    const { phase, reason, detail, httpStatus } = got.failure;
    return fail({
      phase,
      reason,
      detail,
      elapsedMs,
      ...(httpStatus === undefined ? {} : { httpStatus }),
    });
  }
  const { status, headers, body } = got.value;
  if (status !== 200) {
    const detail = `HTTP ${status}`;
    const waitMs = retryAfterMs(headers);
    return fail({
      phase: "http",
      reason: "http_status",
      detail,
      elapsedMs,
      httpStatus: status,
      ...(waitMs === undefined ? {} : { retryAfterMs: waitMs }),
    });
  }
  const parsed = parseNip11(new TextDecoder().decode(body));
  if (!parsed.ok) {
    return fail({ phase: "http", ...parsed.failure, elapsedMs, httpStatus: status });
  }
  const contentType = headers["content-type"];
  return ok({
    document: parsed.value,
    elapsedMs,
    bytes: body.length,
    url: got.value.url,
    ...(contentType === undefined ? {} : { contentType: cut(contentType, 100) }),
  });
}

/** The document in a text, whatever else is wrong with its fields. */
export function parseNip11(
  text: string,
): Result<Nip11Document, { reason: "not_json" | "not_an_object" | "too_deep"; detail: string }> {
  if (isDeeperThan(text, MAX_DEPTH)) return fail({ reason: "too_deep", detail: cut(text, 100) });
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return fail({ reason: "not_json", detail: cut(text, 100) });
  }
  return isObject(value) ? ok(value) : fail({ reason: "not_an_object", detail: cut(text, 100) });
}

/** `name`, cut to 200 characters. */
export function nip11Name(document: Nip11Document): string | undefined {
  return text(document["name"], 200);
}

/** `description`, cut to 2,000 characters. */
export function nip11Description(document: Nip11Document): string | undefined {
  return text(document["description"], 2_000);
}

/** `pubkey` when it is 64 hex digits, in lower case. */
export function nip11Pubkey(document: Nip11Document): string | undefined {
  const value = document["pubkey"];
  const pubkey = typeof value === "string" ? value.trim().toLowerCase() : undefined;
  return isHex(pubkey, 32) ? pubkey : undefined;
}

/** `contact`, cut. */
export function nip11Contact(document: Nip11Document): string | undefined {
  return text(document["contact"], 500);
}

/** `software`, cut. Meant to be a URL, often a bare name. */
export function nip11Software(document: Nip11Document): string | undefined {
  return text(document["software"], 500);
}

/** `version`, cut. */
export function nip11Version(document: Nip11Document): string | undefined {
  return text(document["version"], 100);
}

/**
 * `supported_nips` as distinct integers in ascending order. Numbers in strings count; NIPs with
 * letters in their names (`7D`) are not numbers and are left out. A claim, not a capability.
 */
export function nip11SupportedNips(document: Nip11Document): number[] {
  const nips = new Set<number>();
  for (const value of list(document["supported_nips"])) {
    const nip = typeof value === "string" && /^\d{1,5}$/.test(value) ? Number(value) : value;
    if (Number.isInteger(nip) && (nip as number) >= 0 && (nip as number) < 100_000) {
      nips.add(nip as number);
    }
  }
  return [...nips].sort((a, b) => a - b);
}

/** `limitation`, in our names; what is missing or of the wrong type is absent. */
export interface Nip11Limitation {
  /** Bytes of one incoming frame. */
  maxMessageLength?: number;
  maxSubscriptions?: number;
  maxFilters?: number;
  /** Relays clamp a filter's `limit` to it, silently. */
  maxLimit?: number;
  /** What a filter without `limit` gets. */
  defaultLimit?: number;
  maxSubidLength?: number;
  maxEventTags?: number;
  maxContentLength?: number;
  /** NIP-13 bits. A stranger's number: cap what is mined. */
  minPowDifficulty?: number;
  /** Seconds before now that an event may be dated. */
  createdAtLowerLimit?: number;
  /** Seconds after now that an event may be dated. */
  createdAtUpperLimit?: number;
  authRequired?: boolean;
  paymentRequired?: boolean;
  restrictedWrites?: boolean;
}

const LIMITATION_NUMBERS = {
  maxMessageLength: "max_message_length",
  maxSubscriptions: "max_subscriptions",
  maxFilters: "max_filters",
  maxLimit: "max_limit",
  defaultLimit: "default_limit",
  maxSubidLength: "max_subid_length",
  maxEventTags: "max_event_tags",
  maxContentLength: "max_content_length",
  minPowDifficulty: "min_pow_difficulty",
  createdAtLowerLimit: "created_at_lower_limit",
  createdAtUpperLimit: "created_at_upper_limit",
} as const;

const LIMITATION_FLAGS = {
  authRequired: "auth_required",
  paymentRequired: "payment_required",
  restrictedWrites: "restricted_writes",
} as const;

/** The usable part of `limitation`. Negative numbers are dropped, fractions rounded down. */
export function nip11Limitation(document: Nip11Document): Nip11Limitation {
  const given = document["limitation"];
  const limitation: Nip11Limitation = {};
  if (!isObject(given)) return limitation;
  for (const name of keysOf(LIMITATION_NUMBERS)) {
    const value = given[LIMITATION_NUMBERS[name]];
    if (typeof value === "number" && value >= 0 && value <= Number.MAX_SAFE_INTEGER) {
      limitation[name] = Math.floor(value);
    }
  }
  for (const name of keysOf(LIMITATION_FLAGS)) {
    const value = given[LIMITATION_FLAGS[name]];
    if (typeof value === "boolean") limitation[name] = value;
  }
  return limitation;
}

/** `language_tags`: IETF language tags as given, `*` left out. */
export function nip11Languages(document: Nip11Document): string[] {
  return texts(document["language_tags"], 35).filter((tag) => /^[A-Za-z]{2,3}(?:-|$)/.test(tag));
}

/** `tags`: the relay's topics, cut. */
export function nip11Topics(document: Nip11Document): string[] {
  return texts(document["tags"], 100);
}

const MAX_LIST = 500;

function keysOf<T extends object>(object: T): (keyof T)[] {
  return Object.keys(object) as (keyof T)[];
}

/** A string with something in it, printable and cut; numbers count, as versions are often bare. */
function text(value: unknown, max: number): string | undefined {
  if (typeof value === "number") return String(value);
  if (typeof value !== "string") return undefined;
  const trimmed = value.trim();
  return trimmed === "" ? undefined : cut(trimmed, max);
}

function list(value: unknown): unknown[] {
  return Array.isArray(value) ? value.slice(0, MAX_LIST) : [];
}

/** Distinct strings of a list, none longer than `max`. */
function texts(value: unknown, max: number): string[] {
  const found = list(value).filter((item): item is string =>
    typeof item === "string" && item.trim() !== "" && item.trim().length <= max
  );
  return [...new Set(found.map((item) => cut(item.trim(), max)))];
}
