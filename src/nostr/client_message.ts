// The wire codec for what clients send: built by our own connections, parsed where we are the relay.
// In: one text frame. Out: a typed message, or the problem with the subscription id it belongs to,
// so that a relay can answer it. Never throws and never verifies an event.
import { fail, ok, type Result } from "../lib/result.ts";
import { type Filter, filterToJson, parseFilter } from "../model/filter.ts";
import {
  DEFAULT_MESSAGE_LIMITS,
  isSubscriptionId,
  type MessageLimits,
  type MessageProblem,
  parseFrame,
} from "./frame.ts";
import { isObject } from "./json.ts";

/** What a client says (NIP-01, 42, 45, 77). Events are unchecked. */
export type ClientMessage =
  | { type: "event"; event: unknown }
  | { type: "req"; subscriptionId: string; filters: readonly Filter[] }
  | { type: "close"; subscriptionId: string }
  | { type: "auth"; event: unknown }
  | { type: "count"; subscriptionId: string; filters: readonly Filter[] }
  | { type: "neg_open"; subscriptionId: string; filter: Filter; payload: string }
  | { type: "neg_msg"; subscriptionId: string; payload: string }
  | { type: "neg_close"; subscriptionId: string };

/** What is wrong with a client's frame. */
export interface ClientMessageFailure {
  problem: MessageProblem | "bad_filter";
  /** Where the frame named one. */
  subscriptionId?: string;
  /** For a filter: the path and what is wrong there. */
  detail?: string;
}

/** Parses one frame of a client. Any text gives a value. */
export function parseClientMessage(
  frame: string,
  limits: MessageLimits = DEFAULT_MESSAGE_LIMITS,
): Result<ClientMessage, ClientMessageFailure> {
  const parsed = parseFrame(frame, limits);
  if (!parsed.ok) return fail({ problem: parsed.failure });
  const parts = parsed.value;
  switch (parts[0]) {
    case "EVENT":
    case "AUTH":
      if (!isObject(parts[1])) return fail({ problem: "malformed" });
      return ok({ type: parts[0] === "EVENT" ? "event" : "auth", event: parts[1] });
    case "REQ":
    case "COUNT":
    case "CLOSE":
    case "NEG-OPEN":
    case "NEG-MSG":
    case "NEG-CLOSE":
      if (!isSubscriptionId(parts[1], limits)) return fail({ problem: "bad_subscription_id" });
      return parseAddressed(parts[0], parts[1], parts, limits);
    default:
      return fail({ problem: "unknown_type" });
  }
}

/** One text frame for `message`. */
export function encodeClientMessage(message: ClientMessage): string {
  switch (message.type) {
    case "event":
      return JSON.stringify(["EVENT", message.event]);
    case "auth":
      return JSON.stringify(["AUTH", message.event]);
    case "req":
    case "count": {
      const verb = message.type === "req" ? "REQ" : "COUNT";
      return JSON.stringify([verb, message.subscriptionId, ...message.filters.map(filterToJson)]);
    }
    case "close":
      return JSON.stringify(["CLOSE", message.subscriptionId]);
    case "neg_open": {
      const { subscriptionId, filter, payload } = message;
      return JSON.stringify(["NEG-OPEN", subscriptionId, filterToJson(filter), payload]);
    }
    case "neg_msg":
      return JSON.stringify(["NEG-MSG", message.subscriptionId, message.payload]);
    case "neg_close":
      return JSON.stringify(["NEG-CLOSE", message.subscriptionId]);
  }
}

function parseAddressed(
  verb: "REQ" | "COUNT" | "CLOSE" | "NEG-OPEN" | "NEG-MSG" | "NEG-CLOSE",
  subscriptionId: string,
  parts: unknown[],
  limits: MessageLimits,
): Result<ClientMessage, ClientMessageFailure> {
  const malformed = fail<ClientMessageFailure>({ problem: "malformed", subscriptionId });
  switch (verb) {
    case "CLOSE":
      return ok({ type: "close", subscriptionId });
    case "NEG-CLOSE":
      return ok({ type: "neg_close", subscriptionId });
    case "NEG-MSG":
      if (typeof parts[2] !== "string") return malformed;
      return ok({ type: "neg_msg", subscriptionId, payload: parts[2] });
    case "NEG-OPEN": {
      const filters = parseFilters(parts.slice(2, 3), subscriptionId);
      if (!filters.ok) return filters;
      const filter = filters.value[0];
      if (filter === undefined || typeof parts[3] !== "string") return malformed;
      return ok({ type: "neg_open", subscriptionId, filter, payload: parts[3] });
    }
    case "REQ":
    case "COUNT": {
      if (parts.length < 3 || parts.length - 2 > limits.maxFilters) return malformed;
      const filters = parseFilters(parts.slice(2), subscriptionId);
      if (!filters.ok) return filters;
      return ok({
        type: verb === "REQ" ? "req" : "count",
        subscriptionId,
        filters: filters.value,
      });
    }
  }
}

function parseFilters(
  values: readonly unknown[],
  subscriptionId: string,
): Result<Filter[], ClientMessageFailure> {
  const filters: Filter[] = [];
  for (const value of values) {
    const filter = parseFilter(value);
    if (!filter.ok) {
      const { path, problem } = filter.failure;
      return fail({ problem: "bad_filter", subscriptionId, detail: `${path}: ${problem}` });
    }
    filters.push(filter.value);
  }
  return ok(filters);
}
