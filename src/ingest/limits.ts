// The bounds of ingest, with defaults that are right for two cores and one store.
import { DEFAULT_EVENT_LIMITS, type EventLimits } from "../model/event.ts";

/** Bounds of ingest; each is a setting. */
export interface IngestLimits {
  event: Readonly<EventLimits>;
  /** Ids of stored events kept in memory, about 200 bytes each. */
  knownIds: number;
  /** New events in one write; of sightings of stored ones four times as many. */
  batchRows: number;
  /** Pages that may wait for the writer. */
  waitingPages: number;
}

/** Right for two cores and one store. */
export const DEFAULT_INGEST_LIMITS: Readonly<IngestLimits> = {
  event: DEFAULT_EVENT_LIMITS,
  knownIds: 100_000,
  batchRows: 1000,
  waitingPages: 64,
};
