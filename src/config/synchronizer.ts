/** The section `synchronizer`. */
import { duration, integer, list, moment, relayUrl } from "./builders.ts";
import { cyclic } from "./cyclic.ts";
import { eventFilter } from "./event_filter.ts";
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
    filter: eventFilter("Which events are archived; {} is all of them."),
    since: moment(0, "Nothing older is archived."),
    until: moment(undefined, "Nothing newer is archived; the present unless given."),
    overrides: groupList("Settings of single relays, in place of the general ones.", {
      url: relayUrl("wss://relay.example.com", "The relay."),
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
