// Counts that move with the archive. In: nothing but the tables. Out: rows of the statistics views.
// A refresh costs what is new since the last one; a rebuild must give the same rows.
import type { EventClass } from "../model/event.ts";
import type { Network } from "../model/network.ts";
import type { RelayUrl } from "../model/relay_url.ts";
import type { Store } from "./connect.ts";

/** What one refresh did. */
export interface RefreshResult {
  events: number;
  sightings: number;
  /** Sequence numbers that are left for the next refresh. */
  behind: number;
}

/** The whole archive in one row. */
export interface EventStats {
  events: number;
  sightings: number;
  pubkeys: number;
  kinds: number;
  regular: number;
  replaceable: number;
  ephemeral: number;
  addressable: number;
}

/** One relay's part of the archive. */
export interface RelayStats {
  relayUrl: RelayUrl;
  network: Network;
  events: number;
  pubkeys: number;
  kinds: number;
}

/** One kind, of the whole archive or of one relay. */
export interface KindCount {
  kind: number;
  class: EventClass;
  events: number;
}

/** One author, of the whole archive or of one relay. */
export interface PubkeyCount {
  pubkey: string;
  events: number;
}

interface Horizon {
  event_seq: number;
  sighting_seq: number;
}

/** Counts up to `maxRows` new events and sightings each, together with how far it came. */
export async function refreshStatistics(
  store: Store,
  o: { maxRows: number; signal?: AbortSignal },
): Promise<RefreshResult> {
  const horizon = await readHorizon(store, o);
  return await store.transaction("statistics_refresh", async (sql) => {
    const [row] = await sql<RefreshResult[]>`select events, sightings, behind
      from statistics_refresh(${horizon.event_seq}::bigint, ${horizon.sighting_seq}::bigint,
        ${o.maxRows}::bigint)`;
    return row ?? { events: 0, sightings: 0, behind: 0 };
  }, { retry: true, signal: o.signal });
}

/** Counts everything from nothing, in one transaction without a deadline. */
export async function rebuildStatistics(
  store: Store,
  o: { signal?: AbortSignal } = {},
): Promise<void> {
  const horizon = await readHorizon(store, o);
  await store.transaction("all_statistics_refresh", async (sql) => {
    await sql`select all_statistics_refresh(
      ${horizon.event_seq}::bigint, ${horizon.sighting_seq}::bigint)`;
  }, { retry: true, signal: o.signal, statementTimeoutMs: 0 });
}

/** Totals of the archive, as of the last refresh. */
export function readEventStats(
  store: Store,
  o: { signal?: AbortSignal } = {},
): Promise<EventStats> {
  return store.run("event_stats", async (sql) => {
    const [row] = await sql<EventStats[]>`select * from event_stats`;
    if (row === undefined) throw new Error("The row of totals is missing");
    return { ...row };
  }, { retry: true, signal: o.signal });
}

/** Relays by URL; the next page is asked for with the last URL as `afterUrl`. */
export function readRelayStats(
  store: Store,
  o: { afterUrl?: string; relayUrl?: string; limit: number; signal?: AbortSignal },
): Promise<RelayStats[]> {
  return store.run("relay_stats", async (sql) => [
    ...await sql<RelayStats[]>`
      select relay_url as "relayUrl", network, events, pubkeys, kinds from relay_stats
      where relay_url > ${o.afterUrl ?? ""}
        ${o.relayUrl === undefined ? sql`` : sql`and relay_url = ${o.relayUrl}`}
      order by relay_url limit ${o.limit}`,
  ], { retry: true, signal: o.signal });
}

/** Kinds in order, of the archive or of one relay; the next page by `afterKind`. */
export function readKindCounts(
  store: Store,
  o: { relayUrl?: string; afterKind?: number; limit: number; signal?: AbortSignal },
): Promise<KindCount[]> {
  const after = o.afterKind ?? -1;
  return store.run("kind_counts", async (sql) => {
    const rows = o.relayUrl === undefined
      ? await sql<KindCount[]>`select kind, class, events from kind_counts
          where kind > ${after}::int order by kind limit ${o.limit}`
      : await sql<KindCount[]>`select kind, event_class(kind) as class, events
          from kind_counts_by_relay where relay_url = ${o.relayUrl} and kind > ${after}::int
          order by kind limit ${o.limit}`;
    return [...rows];
  }, { retry: true, signal: o.signal });
}

/** The busiest authors, of the archive or of one relay; ties by key, the next page by `after`. */
export function readPubkeyCounts(
  store: Store,
  o: { relayUrl?: string; after?: PubkeyCount; limit: number; signal?: AbortSignal },
): Promise<PubkeyCount[]> {
  return store.run("pubkey_counts", async (sql) => {
    const table = o.relayUrl === undefined
      ? sql`pubkey_counts where true`
      : sql`pubkey_counts_by_relay where relay_url = ${o.relayUrl}`;
    const { after } = o;
    return [
      ...await sql<PubkeyCount[]>`select pubkey, events from ${table} ${
        after === undefined ? sql`` : sql`and (events < ${after.events}::bigint or
          (events = ${after.events}::bigint and pubkey > ${after.pubkey}))`
      }
        order by events desc, pubkey limit ${o.limit}`,
    ];
  }, { retry: true, signal: o.signal });
}

function readHorizon(store: Store, o: { signal?: AbortSignal }): Promise<Horizon> {
  return store.run("statistics_horizon", async (sql) => {
    const [row] = await sql<Horizon[]>`select * from statistics_horizon()`;
    if (row === undefined) throw new Error("No horizon");
    return row;
  }, { retry: true, signal: o.signal });
}
