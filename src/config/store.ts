/**
 * The section `store`: how the database is used. Where it is comes from DATABASE_URL; without it the
 * embedded one in the data folder is used.
 */
import { duration, integer } from "./builders.ts";
import { group, type Values } from "./setting.ts";

export const storeSection = group(
  "The database: PostgreSQL by DATABASE_URL, else the embedded one in the data folder.",
  {
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
  },
);

export type StoreConfig = Values<typeof storeSection.shape>;
