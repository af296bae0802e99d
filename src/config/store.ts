/**
 * The section `store`: how the database is used. Where it is comes from DATABASE_URL; without it the
 * embedded one in the data folder is used.
 */
import { STORAGE_PROFILES } from "../model/storage_profile.ts";
import { choice, duration, flag, integer, list } from "./builders.ts";
import { group, groupList, type Values } from "./setting.ts";

export const storeSection = group(
  "The database: PostgreSQL by DATABASE_URL, else the embedded one in the data folder.",
  {
    profile: choice(
      "full",
      "What is kept of each event: full (all seven fields), light (id, pubkey, created_at, kind, " +
        "tag values; no content, no signature) or custom (sql/README.md). Decided once, when the " +
        "database is made.",
      STORAGE_PROFILES,
    ),
    partition_events: integer(
      25_000_000,
      "Events in one partition of a server's tables, and their sightings; decided when the " +
        "database is made.",
      { min: 100_000, max: 1_000_000_000 },
    ),
    pool_size: integer(10, "Connections to a server at most (the embedded store has one).", {
      min: 1,
      max: 200,
      limit: true,
    }),
    acquire_timeout: duration("10s", "How long a query waits for a free connection.", {
      min: "100ms",
      max: "10m",
      limit: true,
    }),
    statement_timeout: duration("60s", "How long one statement may run.", {
      min: "100ms",
      max: "6h",
      limit: true,
    }),
    idle_timeout: duration("60s", "A connection that is unused for so long is closed.", {
      min: "1s",
      max: "1d",
    }),
    open_timeout: duration("60s", "How long the start waits for a server that is not there.", {
      min: "1s",
      max: "1d",
      limit: true,
    }),
    unavailable_timeout: duration(
      "5m",
      "How long a query waits for a database that went away before its stage fails.",
      { min: "0s", max: "7d", limit: true },
    ),
    figures_interval: duration(
      "1m",
      "How often it is counted for /metrics what is in the database; where that takes long, less " +
        "often.",
      { min: "1s", max: "1d" },
    ),
    retention: groupList(
      "How long events are kept, by kind and age; for ever unless a rule says otherwise. The first " +
        "rule that names a kind decides. What is too old is deleted, and not archived again.",
      {
        kinds: list(
          [],
          "These kinds; all that no rule before names while empty.",
          integer(undefined, "", { min: 0, max: 65_535 }),
          { max: 1000 },
        ),
        older_than: duration("36500d", "Older ones (by their created_at) are not kept.", {
          min: "1h",
          max: "36500d",
        }),
      },
      { max: 100 },
    ),
    delete_orphans: flag(
      false,
      "Whether events are deleted that no relay was seen to hold, such as imported ones.",
    ),
    cleanup_interval: duration("1h", "How often it is looked for events to delete.", {
      min: "1s",
      max: "30d",
    }),
    cleanup_batch: integer(1_000, "Events deleted in one transaction.", {
      min: 1,
      max: 100_000,
      limit: true,
    }),
    cleanup_time: duration("10s", "How long one cycle of the refresher may delete.", {
      min: "100ms",
      max: "1h",
      limit: true,
    }),
  },
);

export type StoreConfig = Values<typeof storeSection.shape>;
