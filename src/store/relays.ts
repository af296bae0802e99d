// The relay table: the rows that everything else hangs off. In: URLs in normal form. Out: ids.
// Never decides whether a URL is a relay; the validator does.
import { type Network, NETWORKS } from "../model/network.ts";
import { networkOf, type RelayUrl } from "../model/relay_url.ts";
import type { RelayState } from "../model/check.ts";
import type { Sql, Store } from "./connect.ts";
import { textArray } from "./pg_text.ts";

/** A relay as it was discovered. */
export interface RelayRow {
  id: number;
  url: RelayUrl;
  network: Network;
  /** Unix seconds. */
  discoveredAt: number;
}

/** How relays of one network and state are spread. */
export interface RelayCount {
  network: Network;
  state: RelayState;
  relays: number;
}

/** Inserts the relays that are new, and says how many. Repeats and known ones are fine. */
export function insertRelays(
  store: Store,
  urls: readonly RelayUrl[],
  o: { at: number; signal?: AbortSignal },
): Promise<number> {
  if (urls.length === 0) return Promise.resolve(0);
  return store.run("relay_insert", async (sql) => {
    const [row] = await sql<{ n: number }[]>`select relay_insert(
      ${textArray(urls)}::text[], ${textArray(urls.map(networkOf))}::text[], ${o.at}::bigint) as n`;
    return row?.n ?? 0;
  }, { retry: true, signal: o.signal });
}

/** The ids of those of the relays that are stored. */
export function relaysByUrl(
  store: Store,
  urls: readonly RelayUrl[],
  o: { signal?: AbortSignal } = {},
): Promise<Map<RelayUrl, number>> {
  if (urls.length === 0) return Promise.resolve(new Map());
  return store.run("relays_by_url", (sql) => idsByUrl(sql, urls), {
    retry: true,
    signal: o.signal,
  });
}

/** The id of a relay, inserted when new. */
export async function ensureRelay(
  store: Store,
  url: RelayUrl,
  o: { at: number; signal?: AbortSignal },
): Promise<number> {
  const known = (await relaysByUrl(store, [url], o)).get(url);
  if (known !== undefined) return known;
  await insertRelays(store, [url], o);
  const id = (await relaysByUrl(store, [url], o)).get(url);
  if (id === undefined) throw new Error(`Cannot find the relay that was just inserted: ${url}`);
  return id;
}

/** Relays in the order of their ids, after `afterId`. */
export function pageRelays(
  store: Store,
  o: { afterId?: number; limit: number; signal?: AbortSignal },
): Promise<RelayRow[]> {
  return store.run("page_relays", async (sql) => {
    return [
      ...await sql<RelayRow[]>`select id, url, network, discovered_at as "discoveredAt" from relay
        where id > ${o.afterId ?? 0} order by id limit ${o.limit}`,
    ];
  }, { retry: true, signal: o.signal });
}

/** How many relays there are of each network and state. */
export function countRelays(
  store: Store,
  o: { signal?: AbortSignal } = {},
): Promise<RelayCount[]> {
  return store.run("count_relays", async (sql) => {
    const rows = await sql<RelayCount[]>`select r.network, s.state, count(*) as relays
      from relay r join relay_status s on s.relay_id = r.id group by r.network, s.state`;
    return [...rows].sort((a, b) =>
      NETWORKS.indexOf(a.network) - NETWORKS.indexOf(b.network) || (a.state < b.state ? -1 : 1)
    );
  }, { retry: true, signal: o.signal });
}

async function idsByUrl(sql: Sql, urls: readonly RelayUrl[]): Promise<Map<RelayUrl, number>> {
  const rows = await sql<{ id: number; url: RelayUrl }[]>`
    select id, url from relay where url = any (${textArray(urls)}::text[])`;
  return new Map(rows.map((row) => [row.url, row.id]));
}
