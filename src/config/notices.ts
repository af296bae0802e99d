/**
 * The group `monitor.notices`: which operators are told, by a private message (NIP-17), that their
 * relay is down and that it is back. Nobody who is not named here is told anything.
 */
import { nip19 } from "nostr-tools";
import { z } from "zod";
import { custom, duration, flag, integer, relayUrl, relayUrls } from "./builders.ts";
import type { ConfigProblem } from "./problem.ts";
import { group, groupList, type Values } from "./setting.ts";

const pubkey = custom<string, undefined>(
  undefined,
  "Who is told; unless given, the pubkey in the relay's own description (NIP-11).",
  z.string().transform((given, context) => {
    const key = readPubkey(given.trim());
    if (key !== undefined) return key;
    context.addIssue("not a public key");
    return z.NEVER;
  }),
  { allowed: "64 hex digits or an npub" },
);

export const noticesGroup = group(
  "Private messages (NIP-17) to operators who ask for them: one when their relay is down, one when " +
    "it is back.",
  {
    operators: groupList("Who is told, and of which relay.", {
      relay: relayUrl(undefined, "The relay that is watched for them."),
      pubkey,
      recovery: flag(true, "Whether they are told when it is back, too."),
    }, { max: 10_000 }),
    relays: relayUrls(
      [],
      "Where messages go to whose relays for messages (kind 10050) are not known; the relays of " +
        "monitor.publish unless given.",
      { max: 20 },
    ),
    min_interval: duration("1h", "The least time between two messages that one relay is down.", {
      min: "1m",
      max: "30d",
      limit: true,
    }),
    max_per_cycle: integer(50, "Messages sent in one cycle; the others are sent later.", {
      min: 1,
      max: 10_000,
      limit: true,
    }),
  },
);

export type NoticesConfig = Values<typeof noticesGroup.shape>;

/** Reports entries that name no relay. */
export function checkNotices({ operators }: NoticesConfig, problems: ConfigProblem[]): void {
  for (const [index, { relay }] of operators.entries()) {
    if (relay !== undefined) continue;
    problems.push({
      path: `monitor.notices.operators.${index}.relay`,
      message: "is missing",
      allowed: 'a relay URL such as "wss://relay.example.com"',
    });
  }
}

function readPubkey(text: string): string | undefined {
  if (/^[0-9a-f]{64}$/i.test(text)) return text.toLowerCase();
  try {
    const decoded = nip19.decode(text);
    return decoded.type === "npub" ? decoded.data : undefined;
  } catch {
    // No bech32, or a wrong checksum.
    return undefined;
  }
}
