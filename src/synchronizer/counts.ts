// What a stage counts of pages that were archived, by turns and live alike. In: the result of a page.
// Out: the stage's counts. Pure but for the counting.
import { DROP_REASONS } from "../ingest/drop.ts";
import type { PageResult } from "../ingest/ingest.ts";
import type { Count } from "../lib/cycle.ts";

/** Adds what became of a page to the stage's counts. */
export function countPage(page: PageResult, count: Count): void {
  if (page.received > 0) count("events_received", page.received);
  if (page.newEvents > 0) count("events_new", page.newEvents);
  if (page.newSightings > 0) count("sightings_new", page.newSightings);
  if (page.repeated > 0) count("repeated", page.repeated);
  for (const reason of DROP_REASONS) {
    const n = page.dropped[reason];
    if (n !== undefined) count(`dropped_${reason}`, n);
  }
}
