// NIP-42: the event with which a client logs in to a relay.
// In: the relay's URL and its challenge. Out: an unsigned template. Never sends anything.
import { tagValue } from "../model/event.ts";
import type { NostrEvent } from "../model/event.ts";
import type { EventTemplate } from "./signer.ts";

/** Kind of a log-in event; ephemeral, and sent in AUTH only. */
export const AUTH_KIND = 22242;

/** The log-in for `relay` that answers `challenge`, as of `createdAt` (Unix seconds). */
export function buildAuth(relay: string, challenge: string, createdAt: number): EventTemplate {
  return {
    kind: AUTH_KIND,
    created_at: createdAt,
    tags: [["relay", relay], ["challenge", challenge]],
    content: "",
  };
}

/** Relay and challenge of a log-in event; undefined when it is not one. */
export function parseAuth(
  event: Pick<NostrEvent, "kind" | "tags">,
): { relay: string; challenge: string } | undefined {
  if (event.kind !== AUTH_KIND) return undefined;
  const relay = tagValue(event, "relay");
  const challenge = tagValue(event, "challenge");
  return relay === undefined || challenge === undefined ? undefined : { relay, challenge };
}
