// Where some relays stand and what their last check found, for whoever was asked to watch them.
// In: URLs. Out: rows. Never changes anything.
import type { RelayState } from "../model/check.ts";
import type { RelayUrl } from "../model/relay_url.ts";
import { textArray } from "./pg_text.ts";
import type { Store } from "./connect.ts";

/** A relay's standing. Times are Unix seconds. */
export interface RelayStanding {
  url: RelayUrl;
  state: RelayState;
  /** Failures in a row. */
  failures: number;
  checkedAt?: number;
  onlineAt?: number;
  /** Why the last check failed, where it did. */
  reason?: string;
}

/** The standings of those of the relays that are known. */
export function relayStandings(
  store: Store,
  urls: readonly RelayUrl[],
  o: { signal?: AbortSignal } = {},
): Promise<RelayStanding[]> {
  interface Columns {
    url: RelayUrl;
    state: RelayState;
    failures: number;
    checked_at: number | null;
    online_at: number | null;
    reason: string | null;
  }
  if (urls.length === 0) return Promise.resolve([]);
  return store.run("relay_standings", async (sql) => {
    const rows = await sql<Columns[]>`
      select r.url, s.state, s.failures, s.checked_at, s.online_at, c.reason
      from relay r join relay_status s on s.relay_id = r.id
      left join relay_check c on c.relay_id = r.id and c.checked_at = s.checked_at and not c.ok
      where r.url = any (${textArray(urls)}::text[])`;
    return rows.map(({ checked_at, online_at, reason, ...row }) => ({
      ...row,
      ...(checked_at === null ? {} : { checkedAt: checked_at }),
      ...(online_at === null ? {} : { onlineAt: online_at }),
      ...(reason === null ? {} : { reason }),
    }));
  }, { retry: true, signal: o.signal });
}
