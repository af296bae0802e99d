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
    max_relays: integer(1_000, "Relays in one cycle.", { min: 1, max: 1_000_000, limit: true }),
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
