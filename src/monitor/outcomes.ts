// What the relays that we publish to said, as counts: every refusal by its reason.
import type { Count } from "../lib/cycle.ts";
import type { RelayUrl } from "../model/relay_url.ts";
import type { PublisherOutcome } from "../nostr/publisher.ts";

/**
 * Counts one event's outcomes: `reports_published` when a relay took it, else `reports_failed`; and
 * `report_refused_<reason>` per relay that did not. Returns how many took it.
 */
export function countOutcomes(
  what: "report" | "announcement" | "delta" | "notice",
  outcomes: ReadonlyMap<RelayUrl, PublisherOutcome>,
  count: Count,
): number {
  let accepted = 0;
  for (const outcome of outcomes.values()) {
    if (outcome.ok) accepted += 1;
    else count(`${what}_refused_${refusal(outcome)}`);
  }
  count(accepted > 0 ? `${what}s_published` : `${what}s_failed`);
  return accepted;
}

type Refused = Exclude<PublisherOutcome, { ok: true }>;

/** The prefix of an OK=false, else how it ended: one of a closed list of names. */
export function refusal(outcome: Refused): string {
  if (outcome.reason !== "rejected") return outcome.reason;
  return (outcome.prefix ?? "rejected").replaceAll("-", "_");
}

/** What the relay or the dial said to it, for people. */
export function refusalText(outcome: Refused): string {
  if (outcome.reason === "unreachable") return outcome.failure.detail;
  return outcome.reason === "rejected" ? outcome.message ?? "" : "";
}
