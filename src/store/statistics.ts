// Counts that move with the archive. In: nothing but the tables and the time. Out: what a refresh
// did, and the totals. A refresh costs what is new since the last one, and what the time since then
// moved into or out of a window; a rebuild must give the same rows. Never holds the writers' lock for
// longer than a moment.
import { systemClock, unixSeconds } from "../lib/clock.ts";
import type { Window } from "../model/window.ts";
import type { Store } from "./connect.ts";

/** What one refresh did. */
export interface RefreshResult {
  events: number;
  sightings: number;
  /** Sequence numbers and seconds that are left for the next refresh; 0 when all is counted. */
  behind: number;
}

/** The whole archive, or what of it is dated within a window. */
export interface EventStats {
  /** Unix seconds at which the window ends: when the statistics were last refreshed. */
  asOf: number;
  events: number;
  sightings: number;
  pubkeys: number;
  kinds: number;
  relays: number;
  regular: number;
  replaceable: number;
  ephemeral: number;
  addressable: number;
}

interface Horizon {
  event_seq: number;
  sighting_seq: number;
}

/**
 * Counts up to `maxRows` new events and sightings each, and moves the windows towards `at` (Unix
 * seconds, now unless given), together with how far it came: all of it or nothing.
 */
export async function refreshStatistics(
  store: Store,
  o: { maxRows: number; at?: number; signal?: AbortSignal },
): Promise<RefreshResult> {
  const horizon = await readHorizon(store, o);
  const at = o.at ?? unixSeconds(systemClock);
  return await store.transaction("statistics_refresh", async (sql) => {
    const [row] = await sql<RefreshResult[]>`select events, sightings, behind
      from statistics_refresh(${horizon.event_seq}::bigint, ${horizon.sighting_seq}::bigint,
        ${o.maxRows}::bigint, ${at}::bigint)`;
    return row ?? { events: 0, sightings: 0, behind: 0 };
  }, { retry: true, signal: o.signal });
}

/** Counts everything from nothing as of `at`, in one transaction without a deadline. */
export async function rebuildStatistics(
  store: Store,
  o: { at?: number; signal?: AbortSignal } = {},
): Promise<void> {
  const horizon = await readHorizon(store, o);
  const at = o.at ?? unixSeconds(systemClock);
  await store.transaction("all_statistics_refresh", async (sql) => {
    await sql`select all_statistics_refresh(
      ${horizon.event_seq}::bigint, ${horizon.sighting_seq}::bigint, ${at}::bigint)`;
  }, { retry: true, signal: o.signal, statementTimeoutMs: 0 });
}

/** Totals of a window, of all time unless told, as of the last refresh. */
export function readEventStats(
  store: Store,
  o: { window?: Window; signal?: AbortSignal } = {},
): Promise<EventStats> {
  return store.run("event_stats", async (sql) => {
    const [row] = await sql<EventStats[]>`
      select as_of as "asOf", events, sightings, pubkeys, kinds, relays, regular, replaceable,
        ephemeral, addressable
      from event_stats where span = ${o.window ?? "all"}`;
    if (row === undefined) throw new Error("The row of totals is missing");
    return { ...row };
  }, { retry: true, signal: o.signal });
}

function readHorizon(store: Store, o: { signal?: AbortSignal }): Promise<Horizon> {
  return store.run("statistics_horizon", async (sql) => {
    const [row] = await sql<Horizon[]>`select * from statistics_horizon()`;
    if (row === undefined) throw new Error("No horizon");
    return row;
  }, { retry: true, signal: o.signal });
}
