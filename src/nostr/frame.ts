// One text frame as a JSON array within bounds: the part of the codec that both directions share
// (message.ts for relays, client_message.ts for clients).
// Never throws, whatever the text.
import { type Buffer, isAscii } from "node:buffer";
import { fail, ok, type Result } from "../lib/result.ts";
import { isDeeperThan } from "./json.ts";

/** Bounds of one frame. Characters are UTF-16 code units. */
export interface MessageLimits {
  /** Longest frame that is parsed at all. */
  maxFrameChars: number;
  /** Deepest nesting of arrays and objects, the frame's own array included. */
  maxDepth: number;
  /** Tags of an event; one more is kept, so that model/event.ts still calls it too many. */
  maxTags: number;
  /** Longest subscription id, ours or theirs. NIP-01 allows 64. */
  maxSubscriptionIdChars: number;
  /** Where the free text of NOTICE, OK, CLOSED and NEG-ERR is cut. */
  maxTextChars: number;
  /** Longest NIP-42 challenge. */
  maxChallengeChars: number;
  /** Filters in one REQ or COUNT. */
  maxFilters: number;
}

/** Defaults of {@linkcode MessageLimits}. */
export const DEFAULT_MESSAGE_LIMITS: MessageLimits = {
  maxFrameChars: 4 * 1024 * 1024,
  maxDepth: 32,
  maxTags: 20_000,
  maxSubscriptionIdChars: 128,
  maxTextChars: 2_048,
  maxChallengeChars: 1_024,
  maxFilters: 64,
};

/** Why a frame is not a message. */
export type MessageProblem =
  | "too_large"
  | "too_deep"
  | "not_json"
  | "not_an_array"
  | "unknown_type"
  | "bad_subscription_id"
  | "malformed";

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** A frame's text; undefined when it is no UTF-8. ASCII, most of what comes, takes a third of the time. */
export function frameText(frame: Buffer): string | undefined {
  if (isAscii(frame)) return frame.toString("latin1");
  try {
    return utf8.decode(frame);
  } catch {
    // One bad frame among good ones.
    return undefined;
  }
}

/** The JSON array of a frame, within the bounds; shared by both directions of the codec. */
export function parseFrame(
  frame: string,
  limits: MessageLimits,
): Result<unknown[], MessageProblem> {
  if (frame.length > limits.maxFrameChars) return fail("too_large");
  // JSON.parse survives any depth but slows down with it (4 MB of brackets: 1.6 s). A short frame
  // can't be deep enough to hurt, and the scan would cost each of them a third of its parsing.
  if (frame.length > UNSCANNED_CHARS && isDeeperThan(frame, limits.maxDepth)) {
    return fail("too_deep");
  }
  let value: unknown;
  try {
    value = JSON.parse(frame);
  } catch {
    return fail("not_json");
  }
  return Array.isArray(value) ? ok(value) : fail("not_an_array");
}

/** True for a usable subscription id. */
export function isSubscriptionId(value: unknown, limits: MessageLimits): value is string {
  return typeof value === "string" && value !== "" &&
    value.length <= limits.maxSubscriptionIdChars;
}

/**
 * Drops the tail of an absurd tag list, so that a frame of a million `[]` is not held as a million
 * arrays while it waits for its consumer.
 */
export function boundTags(event: unknown, limits: MessageLimits): unknown {
  const tags = (event as { tags?: unknown } | null | undefined)?.tags;
  if (Array.isArray(tags) && tags.length > limits.maxTags) {
    (event as { tags: unknown }).tags = tags.slice(0, limits.maxTags + 1);
  }
  return event;
}

const UNSCANNED_CHARS = 16 * 1024;
