// From how a request ended to a word of the ledger. Refusals come as CLOSED with a prefix or as a
// NOTICE in any words; none of them is an end of data.
import type { MachinePrefix } from "../nostr/machine_prefix.ts";
import type { SubscriptionEnd } from "../nostr/relay_connection.ts";
import type { OpenReason } from "./reasons.ts";

/** Why the relay does not answer any more for now; of an end that is none, `protocol_error`. */
export function stopReason(end: SubscriptionEnd): OpenReason {
  switch (end.reason) {
    case "closed":
      return closedReason(end.prefix);
    case "notice":
      return isRateLimit(end.message) ? "rate_limited" : "notice";
    case "idle":
      return "idle";
    case "disconnected":
      return "disconnected";
    default:
      return "protocol_error";
  }
}

function closedReason(prefix: MachinePrefix | undefined): OpenReason {
  switch (prefix) {
    case "auth-required":
      return "auth_required";
    case "rate-limited":
      return "rate_limited";
    case "restricted":
    case "blocked":
    case "payment-required":
    case "mute":
      return "restricted";
    default:
      return "closed";
  }
}

/** NOTICEs have no prefixes, but this is how relays word it. */
function isRateLimit(message: string | undefined): boolean {
  return /rate.?limit|slow down|too fast|too many req/i.test(message ?? "");
}
