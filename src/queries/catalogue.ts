// Every question there is, in the order in which help and announcements list them. A new question is
// a file of its own and a line here; HTTP routes, DVM jobs, their announcement and the command line
// follow from it.
import { compare } from "./compare.ts";
import { completeness } from "./completeness.ts";
import { coverage } from "./coverage.ts";
import { eventCount } from "./event_count.ts";
import { eventDailyCounts } from "./event_daily_counts.ts";
import { eventRelays } from "./event_relays.ts";
import { eventStats } from "./event_stats.ts";
import { events } from "./events.ts";
import { kindCounts } from "./kind_counts.ts";
import { kindCountsByRelay } from "./kind_counts_by_relay.ts";
import { latestAddressableEvents } from "./latest_addressable_events.ts";
import { latestReplaceableEvents } from "./latest_replaceable_events.ts";
import { networkStats } from "./network_stats.ts";
import { pubkey } from "./pubkey.ts";
import { pubkeyCounts } from "./pubkey_counts.ts";
import { pubkeyCountsByRelay } from "./pubkey_counts_by_relay.ts";
import type { Query } from "./query.ts";
import { readableRelays } from "./readable_relays.ts";
import { relay } from "./relay.ts";
import { relayChanges } from "./relay_changes.ts";
import { relayMetadataLatest } from "./relay_metadata_latest.ts";
import { relaySoftwareCounts } from "./relay_software_counts.ts";
import { relayStats } from "./relay_stats.ts";
import { relays } from "./relays.ts";
import { supportedNipCounts } from "./supported_nip_counts.ts";
import { uptime } from "./uptime.ts";

/** The catalogue. Names are unique and snake_case. */
export const CATALOGUE: readonly Query[] = [
  eventStats,
  networkStats,
  relayStats,
  kindCounts,
  kindCountsByRelay,
  pubkeyCounts,
  pubkeyCountsByRelay,
  pubkey,
  relaySoftwareCounts,
  supportedNipCounts,
  relays,
  readableRelays,
  relay,
  uptime,
  relayChanges,
  relayMetadataLatest,
  compare,
  completeness,
  coverage,
  events,
  latestReplaceableEvents,
  latestAddressableEvents,
  eventCount,
  eventDailyCounts,
  eventRelays,
];

/** The question of this name. */
export function findQuery(name: string): Query | undefined {
  return CATALOGUE.find((query) => query.name === name);
}
