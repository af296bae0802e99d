/** Upper bounds of the histograms, in seconds: what takes comparable time is compared alike. */

/** Cycles take from a blink to hours. */
export const CYCLE_BUCKETS = [0.1, 1, 5, 15, 30, 60, 300, 900, 1800, 3600] as const;
/** Queries, HTTP requests, jobs. */
export const QUERY_BUCKETS = [0.001, 0.005, 0.02, 0.1, 0.5, 2, 10, 60] as const;
/** Round trips to relays, Tor's included. */
export const RTT_BUCKETS = [0.01, 0.025, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 10, 30] as const;
/** Batches of the writer. */
export const BATCH_BUCKETS = [0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 2, 10] as const;
/** A relay's turn in the archive. */
export const TURN_BUCKETS = [0.1, 0.5, 2, 10, 30, 60, 300, 600, 1800] as const;
/** The live tail is seconds behind, or something is wrong. */
export const LAG_BUCKETS = [0.5, 1, 2, 5, 10, 30, 60, 300, 1800] as const;
