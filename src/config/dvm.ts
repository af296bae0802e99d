/** The section `dvm`. */
import { bytes, duration, flag, integer, relayUrls } from "./builders.ts";
import { group, type Values } from "./setting.ts";

/** Kinds of job requests (NIP-90). */
const REQUEST_KINDS = { min: 5000, max: 5999 };

export const dvmSection = group(
  "The data vending machine (NIP-90): answers jobs that Nostr clients send.",
  {
    enabled: flag(true, "Whether jobs are taken from the relays named here."),
    relays: relayUrls([], "Where jobs are listened for and answered; while empty, nowhere.", {
      max: 50,
    }),
    kinds: group("The kinds that jobs of each sort have.", {
      event_count: integer(5400, "Event count, as registered.", REQUEST_KINDS),
      statistics: integer(5410, "Network statistics, of our own.", REQUEST_KINDS),
      relay_search: integer(5310, "Relay search, of our own.", REQUEST_KINDS),
    }),
    max_jobs: integer(4, "Jobs worked on at once.", { min: 1, max: 1000, limit: true }),
    max_queue: integer(200, "Jobs that wait; more are refused with a clear answer.", {
      min: 1,
      max: 100_000,
      limit: true,
    }),
    job_timeout: duration("15s", "How long one job may take.", {
      min: "100ms",
      max: "10m",
      limit: true,
    }),
    max_request_age: duration("10m", "Older requests are not answered.", { min: "10s", max: "7d" }),
    quota: group("How much is answered.", {
      per_pubkey_per_minute: integer(30, "Jobs of one customer in a minute.", {
        min: 1,
        max: 100_000,
        limit: true,
      }),
      total_per_minute: integer(600, "Jobs of all customers in a minute.", {
        min: 1,
        max: 1_000_000,
        limit: true,
      }),
    }),
    max_result_size: bytes("64KiB", "The largest result event; longer answers are paged.", {
      min: "4KiB",
      max: "1MiB",
    }),
    max_reply_relays: integer(5, "Relays of a request that its answer is sent to.", {
      min: 0,
      max: 50,
      limit: true,
    }),
    announce_interval: duration("7d", "How often kinds 31990, 10002 and 0 are refreshed.", {
      min: "1h",
      max: "60d",
    }),
  },
);

export type DvmConfig = Values<typeof dvmSection.shape>;
