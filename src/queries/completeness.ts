// What is archived completely of each relay, in one row: since when, up to when, by which proofs, and
// what is missing and why. The ledger itself is coverage.ts.
import { z } from "zod";
import { keyInteger, keyText } from "./cursor.ts";
import { relayParam } from "./params.ts";
import { defineQuery, type KeyedRow } from "./query.ts";
import { countRow, relayRow, timeRow } from "./rows.ts";

/** The ledgers of relays, summed up. */
export const completeness = defineQuery({
  name: "completeness",
  summary: "Since when each relay's archive is complete, by which proofs, and what is missing why.",
  cost: "The ledgers of one page of relays",
  params: z.object({ relay: relayParam("Only this relay").optional() }),
  row: z.object({
    relay_url: relayRow,
    filter: z.string().describe("The NIP-01 filter that was synchronized, canonical JSON"),
    complete_since: timeRow("First second of the newest unbroken complete span").nullable(),
    complete_until: timeRow("Last second of it").nullable(),
    proofs: z.string().nullable().describe("What proves it; several where it grew by several"),
    followed_until: timeRow("Up to here the live tail has brought everything the relay passed on")
      .nullable(),
    complete_seconds: countRow("Seconds that are complete, all spans together"),
    open_seconds: countRow("Seconds that were tried and are not complete"),
    open_reasons: z.string().nullable().describe("Why, each reason once"),
    gaps: countRow("Spans that can't be had whole"),
    missing: countRow("Events in gaps that the relay counts and we lack, where it counts"),
  }),
  example: { relay: "wss://relay.damus.io" },
  key: z.tuple([keyText, keyInteger]),
  async page(sql, { relay }, { after, limit }): Promise<Keyed[]> {
    const rows = await sql<CompletenessRow[]>`
      with page as materialized (
        select r.id as relay_id, r.url, f.id as filter_id, f.filter
        from relay r cross join lateral (
          select distinct c.filter_id from coverage c where c.relay_id = r.id
        ) c join filter f on f.id = c.filter_id
        where true
          ${relay === undefined ? sql`` : sql`and r.url = ${relay}`}
          ${
      after === undefined ? sql`` : sql`and (r.url, f.id) > (${after[0]}, ${after[1]}::bigint)`
    }
        order by r.url, f.id
        limit ${limit}
      ), closed as (
        select p.relay_id, p.filter_id, c.since, c.until, c.proof,
          c.since is distinct from 1 + lag(c.until) over (
            partition by p.relay_id, p.filter_id order by c.since) as starts
        from page p join coverage c on c.relay_id = p.relay_id and c.filter_id = p.filter_id
        where c.state = 'closed'
      ), numbered as (
        select relay_id, filter_id, since, until, proof,
          count(*) filter (where starts) over (
            partition by relay_id, filter_id order by since) as run
        from closed
      ), newest as (
        select distinct on (relay_id, filter_id) relay_id, filter_id, min(since) as since,
          max(until) as until, string_agg(distinct proof, ', ') as proofs
        from numbered group by relay_id, filter_id, run
        order by relay_id, filter_id, max(until) desc
      ), summed as (
        select p.relay_id, p.filter_id,
          coalesce(sum(c.until - c.since + 1) filter (where c.state = 'closed'), 0)::bigint
            as complete_seconds,
          coalesce(sum(c.until - c.since + 1) filter (where c.state = 'open'), 0)::bigint
            as open_seconds,
          string_agg(distinct c.reason, ', ') filter (where c.state = 'open') as open_reasons,
          count(*) filter (where c.state = 'gap') as gaps,
          coalesce(sum(c.missing) filter (where c.state = 'gap'), 0)::bigint as missing
        from page p join coverage c on c.relay_id = p.relay_id and c.filter_id = p.filter_id
        group by p.relay_id, p.filter_id
      )
      select p.url as relay_url, p.filter, n.since as complete_since, n.until as complete_until,
        n.proofs, (t.spans -> -1 ->> 1)::bigint as followed_until, s.complete_seconds,
        s.open_seconds, s.open_reasons, s.gaps, s.missing, p.filter_id
      from page p
      join summed s on s.relay_id = p.relay_id and s.filter_id = p.filter_id
      left join newest n on n.relay_id = p.relay_id and n.filter_id = p.filter_id
      left join relay_tail t on t.relay_id = p.relay_id and t.filter = p.filter
      order by p.url, p.filter_id`;
    return rows.map(({ filter_id, ...row }): Keyed => ({ row, key: [row.relay_url, filter_id] }));
  },
});

interface CompletenessRow {
  relay_url: string;
  filter: string;
  complete_since: number | null;
  complete_until: number | null;
  proofs: string | null;
  followed_until: number | null;
  complete_seconds: number;
  open_seconds: number;
  open_reasons: string | null;
  gaps: number;
  missing: number;
  filter_id: number;
}

type Keyed = KeyedRow<Omit<CompletenessRow, "filter_id">, [relayUrl: string, filterId: number]>;
