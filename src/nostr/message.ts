// The wire codec for what relays send (client_message.ts has the other direction).
// In: one text frame from a stranger. Out: a typed message, or the problem as a value.
// Runs for every frame, hundreds of thousands a second, so EVENT is tried first and its event is
// passed on as `unknown`: model/event.ts checks it. Never throws, never verifies, never keeps state.
import { fail, ok, type Result } from "../lib/result.ts";
import {
  boundTags,
  DEFAULT_MESSAGE_LIMITS,
  isSubscriptionId,
  type MessageLimits,
  type MessageProblem,
  parseFrame,
} from "./frame.ts";
import { type MachinePrefix, machinePrefix } from "./machine_prefix.ts";

export {
  type ClientMessage,
  type ClientMessageFailure,
  encodeClientMessage,
  parseClientMessage,
} from "./client_message.ts";
export { DEFAULT_MESSAGE_LIMITS, type MessageLimits, type MessageProblem };
export { type MachinePrefix, machinePrefix };

/** What a relay says (NIP-01, 42, 45, 67, 77). */
export type RelayMessage =
  | { type: "event"; subscriptionId: string; event: unknown }
  /** `subscriptionId` is missing where the relay left it out, as some do. `hint` is NIP-67's. */
  | { type: "eose"; subscriptionId: string | undefined; hint?: "finish" | "more" }
  | {
    type: "closed";
    subscriptionId: string;
    prefix: MachinePrefix | undefined;
    message: string;
  }
  | {
    type: "ok";
    eventId: string;
    accepted: boolean;
    prefix: MachinePrefix | undefined;
    message: string;
  }
  | { type: "notice"; message: string }
  | { type: "auth"; challenge: string }
  | { type: "count"; subscriptionId: string; count: number; approximate?: boolean }
  | { type: "neg_msg"; subscriptionId: string; payload: string }
  | {
    type: "neg_err";
    subscriptionId: string;
    prefix: MachinePrefix | undefined;
    message: string;
  };

/** Parses one frame of a relay. Any text gives a value. */
export function parseRelayMessage(
  frame: string,
  limits: MessageLimits = DEFAULT_MESSAGE_LIMITS,
): Result<RelayMessage, MessageProblem> {
  const parsed = parseFrame(frame, limits);
  if (!parsed.ok) return parsed;
  const parts = parsed.value;
  const id = parts[1];
  switch (parts[0]) {
    case "EVENT":
      if (!isSubscriptionId(id, limits)) return fail("bad_subscription_id");
      if (parts.length < 3) return fail("malformed");
      return ok({ type: "event", subscriptionId: id, event: boundTags(parts[2], limits) });
    case "EOSE":
      return parseEose(parts, limits);
    case "OK":
      if (typeof id !== "string" || id.length > 64) return fail("malformed");
      if (typeof parts[2] !== "boolean") return fail("malformed");
      return ok({ type: "ok", eventId: id, accepted: parts[2], ...parseText(parts[3], limits) });
    case "CLOSED":
      if (!isSubscriptionId(id, limits)) return fail("bad_subscription_id");
      return ok({ type: "closed", subscriptionId: id, ...parseText(parts[2], limits) });
    case "NOTICE":
      if (typeof id !== "string") return fail("malformed");
      return ok({ type: "notice", message: id.slice(0, limits.maxTextChars) });
    case "AUTH":
      if (typeof id !== "string" || id === "") return fail("malformed");
      if (id.length > limits.maxChallengeChars) return fail("malformed");
      return ok({ type: "auth", challenge: id });
    case "COUNT":
      return parseCount(parts, limits);
    case "NEG-MSG":
      if (!isSubscriptionId(id, limits)) return fail("bad_subscription_id");
      if (typeof parts[2] !== "string") return fail("malformed");
      return ok({ type: "neg_msg", subscriptionId: id, payload: parts[2] });
    case "NEG-ERR":
      if (!isSubscriptionId(id, limits)) return fail("bad_subscription_id");
      return ok({ type: "neg_err", subscriptionId: id, ...parseText(parts[2], limits) });
    default:
      return fail("unknown_type");
  }
}

/** One text frame for `message`. `prefix` is derived from the text and not written apart. */
export function encodeRelayMessage(message: RelayMessage): string {
  switch (message.type) {
    case "event":
      return JSON.stringify(["EVENT", message.subscriptionId, message.event]);
    case "eose": {
      const parts: unknown[] = ["EOSE"];
      if (message.subscriptionId !== undefined) {
        parts.push(message.subscriptionId);
        if (message.hint !== undefined) parts.push([message.hint]);
      }
      return JSON.stringify(parts);
    }
    case "closed":
      return JSON.stringify(["CLOSED", message.subscriptionId, message.message]);
    case "ok":
      return JSON.stringify(["OK", message.eventId, message.accepted, message.message]);
    case "notice":
      return JSON.stringify(["NOTICE", message.message]);
    case "auth":
      return JSON.stringify(["AUTH", message.challenge]);
    case "count": {
      const { count, approximate } = message;
      const result = approximate === undefined ? { count } : { count, approximate };
      return JSON.stringify(["COUNT", message.subscriptionId, result]);
    }
    case "neg_msg":
      return JSON.stringify(["NEG-MSG", message.subscriptionId, message.payload]);
    case "neg_err":
      return JSON.stringify(["NEG-ERR", message.subscriptionId, message.message]);
  }
}

function parseEose(
  parts: unknown[],
  limits: MessageLimits,
): Result<RelayMessage, MessageProblem> {
  const id = parts[1];
  if (id === undefined || id === null || id === "") {
    return ok({ type: "eose", subscriptionId: undefined });
  }
  if (!isSubscriptionId(id, limits)) return fail("bad_subscription_id");
  const hints = parts[2];
  if (Array.isArray(hints)) {
    // "more" first: should a relay say both, going on costs a page, stopping costs events.
    if (hints.includes("more")) return ok({ type: "eose", subscriptionId: id, hint: "more" });
    if (hints.includes("finish")) return ok({ type: "eose", subscriptionId: id, hint: "finish" });
  }
  return ok({ type: "eose", subscriptionId: id });
}

function parseCount(
  parts: unknown[],
  limits: MessageLimits,
): Result<RelayMessage, MessageProblem> {
  const id = parts[1];
  if (!isSubscriptionId(id, limits)) return fail("bad_subscription_id");
  const result = parts[2];
  if (typeof result !== "object" || result === null) return fail("malformed");
  const { count, approximate } = result as { count?: unknown; approximate?: unknown };
  if (!Number.isSafeInteger(count) || (count as number) < 0) return fail("malformed");
  const message: RelayMessage = { type: "count", subscriptionId: id, count: count as number };
  return ok(typeof approximate === "boolean" ? { ...message, approximate } : message);
}

/** A free text that may be missing, cut, with its machine prefix. */
function parseText(
  value: unknown,
  limits: MessageLimits,
): { prefix: MachinePrefix | undefined; message: string } {
  const message = typeof value === "string" ? value.slice(0, limits.maxTextChars) : "";
  return { prefix: machinePrefix(message), message };
}
