// NIP-01 events: structure, serialization and id. No signature is checked here (verify/).
// In: what JSON.parse made of a stranger's frame. Out: an event of exactly seven fields, or the
// first problem found. This is the ingest hot path: no regular expressions, no exceptions, no
// copies of what JSON.parse already made for us alone.
//
// Well-formedness: NUL bytes, lone surrogates, U+2028 and tags without a value are legal JSON and
// legal Nostr. They are kept as they came; JSON.stringify writes a lone surrogate as \udXXX, which
// is what signers in JavaScript hash. Making them storable is the store's business.
import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import { fail, ok, type Result } from "../lib/result.ts";
import { isHex } from "./hex.ts";

/** An event as NIP-01 has it: these seven fields and no others. */
export interface NostrEvent {
  id: string;
  pubkey: string;
  /** Unix seconds. */
  created_at: number;
  kind: number;
  tags: string[][];
  content: string;
  sig: string;
}

/** An event without what makes it large. */
export type EventHead = Readonly<Pick<NostrEvent, "id" | "pubkey" | "created_at" | "kind">>;

/** What is hashed to the id, and what a signer is given (NIP-01). */
export type UnsignedEvent = Pick<
  NostrEvent,
  "pubkey" | "created_at" | "kind" | "tags" | "content"
>;

/** Bounds on a stranger's event. */
export interface EventLimits {
  /** UTF-8 bytes of the content and of all tag items together. */
  maxEventBytes: number;
  /** Tags in one event; contact lists of 10,000 are real. */
  maxTags: number;
  /** Items of all tags together: bounds the cost of many tiny or empty items. */
  maxTagItems: number;
}

/** Room for the largest real contact lists and long-form posts, several times over. */
export const DEFAULT_EVENT_LIMITS: Readonly<EventLimits> = {
  maxEventBytes: 1024 * 1024,
  maxTags: 20_000,
  maxTagItems: 100_000,
};

/** Everything that can be wrong with an event's structure. */
export const EVENT_PROBLEMS = [
  "not_object",
  "bad_id",
  "bad_pubkey",
  "bad_created_at",
  "bad_kind",
  "bad_tags",
  "bad_content",
  "bad_sig",
  "too_large",
  "too_many_tags",
] as const;
/** Why a value is not an event that we take. */
export type EventProblem = typeof EVENT_PROBLEMS[number];

/** How relays keep events of a kind (NIP-01). */
export type EventClass = "regular" | "replaceable" | "ephemeral" | "addressable";

/** The highest kind: NIP-01 gives it 16 bits. */
export const MAX_KIND = 65_535;

/**
 * Checks the structure of an event and takes its seven fields; others are dropped. The tag arrays
 * are taken over, not copied. Says nothing about id and signature. Never throws.
 */
export function parseEvent(
  value: unknown,
  limits: Readonly<EventLimits> = DEFAULT_EVENT_LIMITS,
): Result<NostrEvent, EventProblem> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    return fail("not_object");
  }
  const { id, pubkey, created_at, kind, tags, content, sig } = value as Record<string, unknown>;
  if (!isHex(id, 32)) return fail("bad_id");
  if (!isHex(pubkey, 32)) return fail("bad_pubkey");
  if (!isCount(created_at)) return fail("bad_created_at");
  if (!isCount(kind) || kind > MAX_KIND) return fail("bad_kind");
  if (typeof content !== "string") return fail("bad_content");
  if (!isHex(sig, 64)) return fail("bad_sig");

  if (!Array.isArray(tags)) return fail("bad_tags");
  if (tags.length > limits.maxTags) return fail("too_many_tags");
  let units = content.length;
  let items = 0;
  for (let i = 0; i < tags.length; i++) {
    const tag: unknown = tags[i];
    if (!Array.isArray(tag)) return fail("bad_tags");
    items += tag.length;
    if (items > limits.maxTagItems) return fail("too_many_tags");
    for (let j = 0; j < tag.length; j++) {
      const item: unknown = tag[j];
      if (typeof item !== "string") return fail("bad_tags");
      units += item.length;
    }
  }
  // Adding 0 turns the -0 that JSON can spell into 0, which is how it is serialized and stored.
  const event: NostrEvent = {
    id,
    pubkey,
    created_at: created_at + 0,
    kind: kind + 0,
    tags: tags as string[][],
    content,
    sig,
  };
  // A UTF-16 unit is one to three bytes of UTF-8: only what lies between is counted exactly.
  if (units > limits.maxEventBytes) return fail("too_large");
  if (units * 3 > limits.maxEventBytes && utf8Bytes(event) > limits.maxEventBytes) {
    return fail("too_large");
  }
  return ok(event);
}

/** The array that NIP-01 hashes, as JSON without blanks. */
export function serializeEvent(event: UnsignedEvent): string {
  return JSON.stringify([
    0,
    event.pubkey,
    event.created_at,
    event.kind,
    event.tags,
    event.content,
  ]);
}

/** The id that the event ought to have: SHA-256 of its serialization, lower-case hex. */
export function computeEventId(event: UnsignedEvent): string {
  // node:crypto takes 2 µs; an awaited subtle.digest 35 µs, noble 6.5 µs.
  return createHash("sha256").update(serializeEvent(event)).digest("hex");
}

/** The NIP-01 class of a kind. */
export function eventClass(kind: number): EventClass {
  if (kind >= 20_000 && kind < 30_000) return "ephemeral";
  if (kind >= 30_000 && kind < 40_000) return "addressable";
  if ((kind >= 10_000 && kind < 20_000) || kind === 0 || kind === 3) return "replaceable";
  return "regular";
}

/** The second item of the first tag called `name` that has one. */
export function tagValue(event: Pick<NostrEvent, "tags">, name: string): string | undefined {
  for (const tag of event.tags) {
    if (tag[0] === name && tag[1] !== undefined) return tag[1];
  }
  return undefined;
}

/** The second items of all tags called `name`, in order; tags without a value give none. */
export function tagValues(event: Pick<NostrEvent, "tags">, name: string): string[] {
  const values: string[] = [];
  for (const tag of event.tags) {
    if (tag[0] === name && tag[1] !== undefined) values.push(tag[1]);
  }
  return values;
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function utf8Bytes(event: NostrEvent): number {
  let bytes = Buffer.byteLength(event.content);
  for (const tag of event.tags) for (const item of tag) bytes += Buffer.byteLength(item);
  return bytes;
}
