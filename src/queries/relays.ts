// Search for relays: which ones fit these wants, with what is known of each in short.
import { z } from "zod";
import { keyInteger, keyText } from "./cursor.ts";
import { choiceParam, integerListParam, integerParam, networkParam, textParam } from "./params.ts";
import { defineQuery, type KeyedRow } from "./query.ts";
import type { Fragment } from "./read.ts";
import { countRow, networkRow, relayRow, RELAYS_COST, timeRow } from "./rows.ts";
import { RELAY_STATES, type RelayState } from "../model/check.ts";
import type { Network } from "../model/network.ts";

const SORTS = ["url", "rtt", "events", "checked", "discovered"] as const;
/** Sorts after every real value: a relay without one comes last. */
const LAST = 9_007_199_254_740_991;

/** Relays that fit. */
export const relays = defineQuery({
  name: "relays",
  summary: "Relays by state, network, NIPs, software or text, sorted; what is known in short.",
  cost: RELAYS_COST,
  params: z.object({
    state: choiceParam("Only relays in this state", RELAY_STATES).optional(),
    network: networkParam("Only relays of this network").optional(),
    nip: integerListParam("Only relays that claim all of these NIPs", 0, 99_999).optional(),
    software: textParam("Only relays whose software's name holds this text").optional(),
    text: textParam("Only relays whose URL, name or description holds this text").optional(),
    max_rtt: integerParam("Only relays that opened within so many ms", 1, 600_000).optional(),
    sort: choiceParam("By what to sort; url unless told", SORTS).optional(),
  }),
  row: z.object({
    url: relayRow,
    network: networkRow,
    state: z.enum(RELAY_STATES).describe("At the last check"),
    discovered_at: timeRow("First known"),
    checked_at: timeRow("Last checked").nullable(),
    online_at: timeRow("Last found open").nullable(),
    rtt_open_ms: z.int().nullable().describe("Milliseconds from dialling to open, last time"),
    name: z.string().nullable().describe("From its NIP-11 document"),
    software: z.string().nullable().describe("From its NIP-11 document"),
    version: z.string().nullable().describe("From its NIP-11 document"),
    nips: z.array(z.int()).describe("NIPs that its NIP-11 document claims"),
    events: countRow("Events seen on it"),
  }),
  example: { state: "online", nip: "11,77", sort: "rtt" },
  key: z.tuple([keyInteger, keyText]),
  order: ({ sort = "url" }) => sort,
  async page(sql, params, { after, limit }): Promise<Keyed[]> {
    const { state, network, nip = [], software, text, max_rtt: maxRtt, sort = "url" } = params;
    // The smallest first in every order, so that one comparison serves all.
    const position = {
      url: sql`0::bigint`,
      rtt: sql`coalesce(s.rtt_open_ms, ${LAST}::bigint)`,
      events: sql`-coalesce(t.sightings, 0)`,
      checked: sql`-coalesce(s.checked_at, 0)`,
      discovered: sql`-r.discovered_at`,
    }[sort];
    // Documents hold them as numbers, and some as texts. An empty list is no fragment.
    const claims = nip.length === 0
      ? sql``
      : nip.map((number) =>
        sql`and (d.data -> 'supported_nips' @> to_jsonb(${number}::int)
        or d.data -> 'supported_nips' @> to_jsonb(${number}::int::text))`
      );
    const rows = await sql<RelayColumns[]>`
      select r.url, r.network, s.state, r.discovered_at, s.checked_at, s.online_at, s.rtt_open_ms,
        left(d.data ->> 'name', 200) as name, left(d.data ->> 'software', 200) as software,
        left(d.data ->> 'version', 100) as version, d.data -> 'supported_nips' as nips,
        coalesce(t.sightings, 0) as events, (${position})::bigint as position
      from relay r join relay_status s on s.relay_id = r.id
        left join stat_relay t on t.relay_id = r.id
        left join lateral (
          select m.metadata_id from relay_metadata m
          where m.relay_id = r.id and m.type = 'nip11' order by m.generated_at desc limit 1
        ) l on true
        left join metadata d on d.id = l.metadata_id
      where true
        ${state === undefined ? sql`` : sql`and s.state = ${state}`}
        ${network === undefined ? sql`` : sql`and r.network = ${network}`}
        ${maxRtt === undefined ? sql`` : sql`and s.rtt_open_ms <= ${maxRtt}`}
        ${claims}
        ${software === undefined ? sql`` : sql`and ${holds(sql`d.data ->> 'software'`, software)}`}
        ${
      text === undefined ? sql`` : sql`and (${holds(sql`r.url`, text)}
        or ${holds(sql`d.data ->> 'name'`, text)} or ${holds(sql`d.data ->> 'description'`, text)})`
    }
        ${
      after === undefined
        ? sql``
        : sql`and (${position}, r.url) > (${after[0]}::bigint, ${after[1]})`
    }
      order by ${position}, r.url
      limit ${limit}`;
    return rows.map(({ position, nips, ...row }): Keyed => ({
      row: { ...row, nips: claimedNips(nips) },
      key: [position, row.url],
    }));

    function holds(column: Fragment, part: string): Fragment {
      return sql`strpos(lower(${column}), lower(${part}::text)) > 0`;
    }
  },
});

/** What a document claims, whatever its type: whole numbers, ascending, each once. */
function claimedNips(given: unknown): number[] {
  const list = Array.isArray(given) ? given.slice(0, 500) : [];
  // Number alone makes 0 of null and of an empty text.
  const numbers = list.map(String).filter((nip) => /^\d{1,5}$/.test(nip)).map(Number);
  return [...new Set(numbers)].sort((a, b) => a - b);
}

interface RelayRow {
  url: string;
  network: Network;
  state: RelayState;
  discovered_at: number;
  checked_at: number | null;
  online_at: number | null;
  rtt_open_ms: number | null;
  name: string | null;
  software: string | null;
  version: string | null;
  nips: number[];
  events: number;
}

type RelayColumns = Omit<RelayRow, "nips"> & { nips: unknown; position: number };
type Keyed = KeyedRow<RelayRow, [position: number, url: string]>;
