/** The section `monitor`. */
import { blockGroup } from "./block.ts";
import { bytes, decimal, duration, flag, integer, list, relayUrls } from "./builders.ts";
import { cyclic } from "./cyclic.ts";
import { noticesGroup } from "./notices.ts";
import type { ConfigProblem } from "./problem.ts";
import { group, type Setting, type Values } from "./setting.ts";

function tries(value: number, description: string): Setting<"none", number, false> {
  return integer(value, description, { min: 0, max: 10, limit: true });
}

export const monitorSection = group(
  "Monitor: checks every relay (NIP-66) and, where told to, publishes what it found.",
  {
    // A cycle takes up what is due; relays are due each at their own moment of check_interval.
    ...cyclic({ interval: "1m" }),
    check_interval: duration("1h", "How often a relay that is online is checked and reported.", {
      min: "10s",
      max: "30d",
    }),
    max_relays: integer(20_000, "Relays checked in one cycle.", {
      min: 1,
      max: 1_000_000,
      limit: true,
    }),
    max_per_network_block: integer(4, "Connections at once to one /24 (or IPv6 /48).", {
      min: 1,
      max: 1000,
      limit: true,
    }),
    max_per_host: integer(5, "Relays of one host taken up in one cycle; the others come later.", {
      min: 1,
      max: 1_000_000,
      limit: true,
    }),
    rate_limit_rest: duration(
      "1h",
      "The least wait after a relay says that we come too often (HTTP 429, rate-limited:); twice as " +
        "long each time that it says so again, up to a day.",
      { min: "1m", max: "1d" },
    ),
    block: blockGroup,
    timeouts: group("Deadlines of the checks; opening has that of its network.", {
      read: duration("10s", "How long a REQ may stay without an answer.", {
        min: "100ms",
        max: "5m",
        limit: true,
      }),
      write: duration("10s", "How long an EVENT may stay without its OK.", {
        min: "100ms",
        max: "5m",
        limit: true,
      }),
      auth: duration("10s", "How long a log-in may stay without its OK.", {
        min: "100ms",
        max: "5m",
        limit: true,
      }),
      nip11: duration("10s", "How long the NIP-11 document may take.", {
        min: "100ms",
        max: "5m",
        limit: true,
      }),
      capability: duration(
        "5s",
        "How long a relay may take to show one ability (NIP-45, 50, 77).",
        {
          min: "100ms",
          max: "5m",
          limit: true,
        },
      ),
    }),
    retries: group(
      "Tries more in the same check, after failures that may pass within seconds, with a growing " +
        "pause of chance length. A relay comes up again in any case (retry_delays).",
      {
        open: tries(0, "Of opening: timeouts, resets, name servers without an answer."),
        read: tries(0, "Of the REQ, over the same connection: silence."),
        write: tries(0, "Of the EVENT, over the same connection: silence."),
        nip11: tries(1, "Of the NIP-11 document: timeouts and resets."),
        dns: tries(0, "Of DNS facts: timeouts and servers that failed."),
        pause: duration("1s", "About how long the first pause is; each is twice the last.", {
          min: "10ms",
          max: "1m",
        }),
      },
    ),
    max_nip11_size: bytes("128KiB", "The largest NIP-11 document.", { min: "1KiB", max: "8MiB" }),
    // At least two: nobody is demoted on one bad cycle.
    unreachable_after: integer(2, "So many failures in a row make a relay unreachable.", {
      min: 2,
      max: 1000,
    }),
    dead_after: integer(6, "So many failures in a row make a relay dead.", { min: 2, max: 1000 }),
    retry_delays: list(
      ["5m", "20m", "1h", "3h", "12h", "1d", "7d"],
      "Waits after the first, second, … failure in a row; the last one repeats.",
      duration(undefined, "", { min: "10s", max: "365d" }),
      { min: 1, max: 20 },
    ),
    control: group("When a cycle's failures are taken for our own, and thrown away.", {
      minimum: integer(5, "Fewer known-good relays in a network prove nothing against us.", {
        min: 1,
        max: 100_000,
      }),
      max_failed_share: decimal(0.5, "Our fault, when a larger share of the known-good fails.", {
        min: 0,
        max: 1,
      }),
    }),
    checks: group("Which checks run. Opening always does.", {
      read: flag(true, "Ask for an impossible event, time the answer."),
      write: flag(false, "Send an own ephemeral event, time the OK."),
      nip11: flag(true, "Fetch the relay's own description."),
      auth: flag(true, "Log in (NIP-42) where a relay asks for it, and measure again."),
      ssl: flag(true, "Look at the certificate of the connection that is open anyway."),
      http: flag(true, "Look at the server's name in the answer that opened the connection."),
      dns: flag(true, "Ask DNS for addresses, aliases, name servers, and the name of the address."),
      geo: flag(true, "Look up where the address is, in the databases of the section geo."),
      net: flag(true, "Look up whose network the address is in, in the same databases."),
      nip42: flag(true, "Log in where a relay offers it, to see whether it can."),
      nip45: flag(true, "Count events that can't exist."),
      nip50: flag(true, "Search for a frequent word, and for one that nobody wrote."),
      nip77: flag(true, "Begin to reconcile events that can't exist."),
    }),
    write_interval: duration("24h", "How often one relay is written to, where that is on.", {
      min: "1m",
      max: "365d",
    }),
    capability_interval: duration(
      "24h",
      "How often one relay has to show what it can (nip42 to 77).",
      {
        min: "1m",
        max: "365d",
      },
    ),
    silent_read_interval: duration(
      "24h",
      "How often a relay that opens, but left so many reads in a row unanswered as make one " +
        "unreachable, is asked again.",
      { min: "1m", max: "365d" },
    ),
    keep: group("How long the history of relays is kept.", {
      checks: duration("30d", "Single checks; what comes after them are days.", {
        min: "15d",
        max: "3650d",
      }),
      days: duration("3650d", "Each relay's days, a row each: uptime, times, reasons.", {
        min: "31d",
        max: "36500d",
      }),
      documents: duration("730d", "What took another document's place; the latest always stays.", {
        min: "1d",
        max: "36500d",
      }),
      document_versions: integer(
        200,
        "And of each relay and kind of document so many at most, the newest, however fast it changes.",
        { min: 2, max: 100_000, limit: true },
      ),
    }),
    max_pow: integer(
      16,
      "Bits of work (NIP-13) done for a write that is refused without; more is not done. 16 take " +
        "about 0.2 s, each further one twice as long.",
      { min: 0, max: 28, limit: true },
    ),
    publish: group("Publishing to Nostr: kinds 30166 and 10166, 0 and 10002.", {
      enabled: flag(true, "Whether anything is published to the relays named here."),
      relays: relayUrls(
        [],
        "Where to; while empty, nothing is published to anybody. Reports on relays of the network " +
          "local go to those on it alone.",
        { max: 50 },
      ),
      refresh: duration("24h", "How old kinds 10166, 0 and 10002 may become unchanged.", {
        min: "1m",
        max: "30d",
      }),
      deltas: flag(false, "Whether kind 1066 says that a relay came up, went down or changed."),
      profile: flag(true, "Whether kind 0 is published; off where the key is a person's own."),
      pacing: duration("50ms", "The least time between two events to one relay.", {
        min: "0s",
        max: "1m",
      }),
      timeout: duration("10s", "How long a relay may take to answer an event with OK.", {
        min: "100ms",
        max: "5m",
        limit: true,
      }),
      max_queue: integer(10_000, "Events that wait for one relay.", {
        min: 10,
        max: 1_000_000,
        limit: true,
      }),
    }),
    notices: noticesGroup,
  },
);

export type MonitorConfig = Values<typeof monitorSection.shape>;

/** Reports a relay's death that would come before it is unreachable. */
export function checkLadder(
  { unreachableAfter, deadAfter }: Pick<MonitorConfig, "unreachableAfter" | "deadAfter">,
  problems: ConfigProblem[],
): void {
  if (deadAfter >= unreachableAfter) return;
  problems.push({
    path: "monitor.dead_after",
    message: "is less than monitor.unreachable_after",
    value: String(deadAfter),
    allowed: `at least ${unreachableAfter}`,
  });
}
