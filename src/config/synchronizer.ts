/** The section `synchronizer`. */
import { duration, flag, integer, list, moment, relayUrl, relayUrls, text } from "./builders.ts";
import { cyclic } from "./cyclic.ts";
import { eventFilter } from "./event_filter.ts";
import type { ConfigProblem } from "./problem.ts";
import { group, groupList, type Values } from "./setting.ts";

const KINDS = integer(undefined, "", { min: 0, max: 65_535 });

export const synchronizerSection = group(
  "Synchronizer: archives the events of every relay, newest first, and keeps a ledger of what is complete.",
  {
    ...cyclic({ interval: "15m" }),
    max_relays: integer(1_000, "Turns that relays get in one cycle.", {
      min: 1,
      max: 1_000_000,
      limit: true,
    }),
    page_size: integer(500, "Events asked for in one REQ.", { min: 1, max: 5_000, limit: true }),
    idle_timeout: duration("20s", "A request without any progress for so long is given up.", {
      min: "100ms",
      max: "10m",
      limit: true,
    }),
    max_relay_time: duration(
      "10m",
      "How long one relay may take in one cycle; then it is resumed later.",
      {
        min: "1s",
        max: "7d",
        limit: true,
      },
    ),
    reconnects: integer(3, "Broken connections in a row before a relay's turn ends.", {
      min: 0,
      max: 100,
      limit: true,
    }),
    retry_rest: duration(
      "1h",
      "The least rest of a relay whose turn was cut off; one that refuses us rests 6 times, one " +
        "that asks for what we don't have 24 times as long.",
      { min: "1s", max: "7d" },
    ),
    split_requests: integer(
      500,
      "Requests of one turn that may go into seconds with more events than a page.",
      { min: 0, max: 100_000, limit: true },
    ),
    settle: duration("30s", "The newest events are left alone for so long; more are on the way.", {
      min: "0s",
      max: "1d",
    }),
    overlap: duration("5m", "How far back each turn asks again, for events that came late.", {
      min: "0s",
      max: "30d",
    }),
    gap_retry: duration(
      "1d",
      "After so long a second that could not be had whole is tried again.",
      {
        min: "1m",
        max: "365d",
      },
    ),
    reconcile_ids: integer(
      50_000,
      "Events reconciled in one go where a relay speaks NIP-77; more are reconciled in parts.",
      { min: 100, max: 1_000_000, limit: true },
    ),
    recheck: duration(
      "1d",
      "After so long what is complete is reconciled again (NIP-77), for events that came late.",
      { min: "1m", max: "365d" },
    ),
    ids_per_request: integer(250, "Events asked for by their ids in one REQ.", {
      min: 1,
      max: 5_000,
      limit: true,
    }),
    id_requests: integer(3, "Requests by ids that one relay gets at a time.", {
      min: 1,
      max: 20,
      limit: true,
    }),
    tail: group(
      "The live tail: a standing subscription per relay keeps the archive seconds behind.",
      {
        enabled: flag(true, "Whether relays are followed live."),
        max_relays: integer(
          250,
          "Relays followed at a time: those of `priority` first, then those with the most events.",
          { min: 1, max: 20_000, limit: true },
        ),
        max_overlay_relays: integer(20, "The same for each overlay network (Tor, I2P, Lokinet).", {
          min: 0,
          max: 5_000,
          limit: true,
        }),
        catch_up_events: integer(500, "Stored events asked for when a subscription begins.", {
          min: 1,
          max: 5_000,
          limit: true,
        }),
        overlap: duration("1m", "How far back a subscription begins, over what was followed.", {
          min: "0s",
          max: "15m",
        }),
        batch_time: duration("250ms", "Live events are archived together with those of so long.", {
          min: "1ms",
          max: "10s",
        }),
        batch_events: integer(250, "Live events of one relay that wait at a time.", {
          min: 2,
          max: 5_000,
          limit: true,
        }),
        max_rate: integer(
          300,
          "Messages a second, on average over a minute, that a relay may send; one that sends more is no longer followed for a while.",
          { min: 1, max: 1_000_000, limit: true },
        ),
        prove: duration(
          "1d",
          "Followed time is walked page by page after so long, to call it complete; where NIP-77 works it is compared in each turn.",
          { min: "0s", max: "6d" },
        ),
      },
    ),
    priority: group(
      "Relays that come first, with places and turns of their own. They are archived whatever the " +
        "monitor thinks of them.",
      {
        relays: relayUrls([], "Which."),
        file: text(
          undefined,
          "More of them, one a line, # before comments; read again when it changes.",
          { max: 4096, allowed: "the path of a text file" },
        ),
        slots: integer(4, "How many of them have their turns at a time.", {
          min: 1,
          max: 1_000,
          limit: true,
        }),
        interval: duration("2m", "From the end of a turn of such a relay to its next one.", {
          min: "1s",
          max: "7d",
        }),
      },
    ),
    filter: eventFilter(
      {},
      "Which events are archived, by kinds, authors and tags; {} is all of them.",
    ),
    since: moment(0, "Nothing older is archived."),
    until: moment(undefined, "Nothing newer is archived; the present unless given."),
    overrides: groupList("Settings of single relays, in place of the general ones.", {
      url: relayUrl("wss://relay.example.com", "The relay."),
      filter: eventFilter(undefined, "Which of its events are archived, in place of the filter."),
      kinds: list([], "Only these kinds; those of the filter while empty.", KINDS, { max: 1000 }),
      since: moment(undefined, "Nothing older from this relay."),
      until: moment(undefined, "Nothing newer from this relay."),
      page_size: integer(undefined, "Events asked for in one REQ.", { min: 1, max: 5_000 }),
      max_relay_time: duration(undefined, "How long this relay may take in one cycle.", {
        min: "1s",
        max: "7d",
      }),
    }, { max: 1000 }),
  },
);

export type SynchronizerConfig = Values<typeof synchronizerSection.shape>;

/** Reports windows that end before they begin: of such a one nothing would be archived, silently. */
export function checkWindows(
  { since, until, overrides }: Pick<SynchronizerConfig, "since" | "until" | "overrides">,
  problems: ConfigProblem[],
): void {
  const check = (path: string, from: number, to: number | undefined): void => {
    if (to === undefined || to >= from) return;
    problems.push({
      path: `${path}.until`,
      message: `is earlier than ${path}.since`,
      value: new Date(to * 1000).toISOString(),
      allowed: `a moment from ${new Date(from * 1000).toISOString()} on`,
    });
  };
  check("synchronizer", since, until);
  for (const [index, own] of overrides.entries()) {
    // What an override leaves out is the general one's, and reported there.
    if (own.since === undefined && own.until === undefined) continue;
    check(`synchronizer.overrides.${index}`, own.since ?? since, own.until ?? until);
  }
}
