// Whether the archive holds exactly what the relays hold: every event, and where each was seen. In:
// what the farm says its relays hold, and the store. Out: what is missing and what is too much.
import type { Store } from "../../src/store/connect.ts";
import type { Held } from "./farm.ts";

/** How archive and relays differ; all numbers 0 where they don't. */
export interface Difference {
  /** Events on the relays, each counted once, and copies. */
  events: number;
  sightings: number;
  missingEvents: number;
  strangeEvents: number;
  missingSightings: number;
  strangeSightings: number;
}

/** Compares; what was seen on the board alone is ours and our customers', and not looked at. */
export async function compare(
  store: Store,
  held: readonly Held[],
  board: string,
): Promise<Difference> {
  const onRelays = new Set(held.flatMap(({ ids }) => ids));
  const stored = new Map<string, Set<string>>();
  const seen = new Set<string>();
  let strangeSightings = 0;
  await eachSighting(store, ({ event_id, relay_url }) => {
    if (relay_url === board) return;
    seen.add(event_id);
    const ids = stored.get(relay_url) ?? new Set<string>();
    stored.set(relay_url, ids);
    ids.add(event_id);
  });
  let missingSightings = 0;
  for (const { url, ids } of held) {
    const there = stored.get(url) ?? new Set<string>();
    const expected = new Set(ids);
    missingSightings += [...expected].filter((id) => !there.has(id)).length;
    strangeSightings += [...there].filter((id) => !expected.has(id)).length;
  }
  return {
    events: onRelays.size,
    sightings: held.reduce((sum, { ids }) => sum + ids.length, 0),
    missingEvents: [...onRelays].filter((id) => !seen.has(id)).length,
    strangeEvents: [...seen].filter((id) => !onRelays.has(id)).length,
    missingSightings,
    strangeSightings,
  };
}

interface Sighting {
  event_id: string;
  relay_url: string;
}

/** Relay by relay, so that no answer is larger than one relay. */
async function eachSighting(store: Store, take: (row: Sighting) => void): Promise<void> {
  const relays = await store.run(
    "relays",
    (sql) => sql<{ url: string }[]>`select url from relay order by id`,
  );
  for (const { url } of relays) {
    const rows = await store.run(
      "sightings",
      (sql) =>
        sql<Sighting[]>`select event_id, relay_url from event_relay_view where relay_url = ${url}`,
    );
    for (const row of rows) take(row);
  }
}
