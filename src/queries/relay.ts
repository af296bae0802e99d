// Everything that is known of one relay, in one row.
import { z } from "zod";
import { keyText } from "./cursor.ts";
import { relayParam } from "./params.ts";
import { defineQuery, type KeyedRow } from "./query.ts";
import type { Read } from "./read.ts";
import { countRow, kindRow, networkRow, relayRow, timeRow } from "./rows.ts";
import { RELAY_STATES, type RelayState } from "../model/check.ts";
import type { Network } from "../model/network.ts";
import type { RelayUrl } from "../model/relay_url.ts";

const LAST_CHECKS = 20;
const TOP_KINDS = 20;
/** A document beyond this is left out of the row: strangers choose its size. */
const MAX_DOCUMENT_BYTES = 32 * 1024;

const checkSchema = z.object({
  checked_at: timeRow("When"),
  ok: z.boolean().describe("Whether it opened"),
  reason: z.string().nullable().describe("Why not"),
  rtt_open_ms: z.int().nullable(),
  rtt_read_ms: z.int().nullable(),
  rtt_write_ms: z.int().nullable(),
  rtt_nip11_ms: z.int().nullable(),
});

const coverageSchema = z.object({
  filter: z.string().describe("The NIP-01 filter that was synchronized, canonical JSON"),
  closed_seconds: countRow("Seconds of created_at that are complete"),
  open_spans: countRow("Spans that are not complete"),
  gaps: countRow("Spans that are not to be had"),
  missing: countRow("Events known to be missing in gaps"),
  since: timeRow("Earliest second tried"),
  until: timeRow("Latest second tried"),
});

/** One relay in full. */
export const relay = defineQuery({
  name: "relay",
  summary: "Everything known of one relay: state, last checks, NIP-11, coverage, events and kinds.",
  cost: "A few rows by key in each of several tables",
  params: z.object({ relay: relayParam("The relay, in any spelling") }),
  row: z.object({
    url: relayRow,
    network: networkRow,
    state: z.enum(RELAY_STATES).describe("At the last check"),
    failures: countRow("Failed checks in a row"),
    discovered_at: timeRow("First known"),
    checked_at: timeRow("Last checked").nullable(),
    online_at: timeRow("Last found open").nullable(),
    next_check_at: timeRow("Next check due"),
    next_sync_at: timeRow("Next synchronizing due"),
    reported_at: timeRow("Last kind 30166 published").nullable(),
    rtt_open_ms: z.int().nullable().describe("Milliseconds from dialling to open, last time"),
    checks: z.array(checkSchema).describe(`The last ${LAST_CHECKS} checks, newest first`),
    nip11: z.unknown().describe("Its NIP-11 document; null when none was had or it is too large"),
    nip11_since: timeRow("Since when it says this").nullable(),
    coverage: z.array(coverageSchema).describe("What of it is archived, by filter"),
    events: countRow("Events seen on it"),
    pubkeys: countRow("Different authors of these events"),
    kinds: z.array(z.object({ kind: kindRow, events: countRow("Events of this kind") }))
      .describe(`Its ${TOP_KINDS} most frequent kinds`),
  }),
  example: { relay: "wss://relay.damus.io" },
  key: z.tuple([keyText]),
  async page(sql, params, { after }): Promise<Keyed[]> {
    if (after !== undefined) return [];
    const [found] = await sql<BaseColumns[]>`
      select r.id, r.url, r.network, s.state, s.failures, r.discovered_at, s.checked_at, s.online_at,
        s.next_check_at, s.next_sync_at, p.published_at as reported_at, s.rtt_open_ms,
        coalesce(t.sightings, 0) as events, coalesce(t.pubkeys, 0) as pubkeys
      from relay r join relay_status s on s.relay_id = r.id
        left join relay_report p on p.relay_id = r.id
        left join stat_relay t on t.relay_id = r.id
      where r.url = ${params.relay}`;
    if (found === undefined) return [];
    const { id, ...base } = found;
    // One connection serves one statement after the other; there is nothing to gain in parallel.
    const row: RelayRow = {
      ...base,
      checks: await lastChecks(sql, id),
      ...await nip11Document(sql, id),
      coverage: await coverageOf(sql, id),
      kinds: await topKinds(sql, id),
    };
    return [{ row, key: [base.url] }];
  },
});

async function lastChecks(sql: Read, relayId: number): Promise<CheckColumns[]> {
  return [
    ...await sql<CheckColumns[]>`
      select checked_at, ok, reason, rtt_open_ms, rtt_read_ms, rtt_write_ms, rtt_nip11_ms
      from relay_check where relay_id = ${relayId}
      order by checked_at desc limit ${LAST_CHECKS}`,
  ];
}

async function nip11Document(
  sql: Read,
  relayId: number,
): Promise<{ nip11: unknown; nip11_since: number | null }> {
  const [row] = await sql<{ nip11: unknown; since: number }[]>`
    select case when octet_length(d.data::text) <= ${MAX_DOCUMENT_BYTES} then d.data end as nip11,
      m.generated_at as since
    from relay_metadata m join metadata d on d.id = m.metadata_id
    where m.relay_id = ${relayId} and m.type = 'nip11'
    order by m.generated_at desc limit 1`;
  return { nip11: row?.nip11 ?? null, nip11_since: row?.since ?? null };
}

async function coverageOf(sql: Read, relayId: number): Promise<CoverageColumns[]> {
  return [
    ...await sql<CoverageColumns[]>`
      select f.filter,
        coalesce(sum(c.until - c.since + 1) filter (where c.state = 'closed'), 0)::bigint
          as closed_seconds,
        count(*) filter (where c.state = 'open') as open_spans,
        count(*) filter (where c.state = 'gap') as gaps,
        coalesce(sum(c.missing) filter (where c.state = 'gap'), 0)::bigint as missing,
        min(c.since) as since, max(c.until) as until
      from coverage c join filter f on f.id = c.filter_id
      where c.relay_id = ${relayId}
      group by f.id, f.filter order by f.id limit 20`,
  ];
}

async function topKinds(sql: Read, relayId: number): Promise<KindColumns[]> {
  return [
    ...await sql<KindColumns[]>`
      select kind, sightings as events from stat_kind_relay
      where relay_id = ${relayId} order by sightings desc, kind limit ${TOP_KINDS}`,
  ];
}

interface BaseColumns {
  id: number;
  url: RelayUrl;
  network: Network;
  state: RelayState;
  failures: number;
  discovered_at: number;
  checked_at: number | null;
  online_at: number | null;
  next_check_at: number;
  next_sync_at: number;
  reported_at: number | null;
  rtt_open_ms: number | null;
  events: number;
  pubkeys: number;
}

type CheckColumns = z.output<typeof checkSchema>;
type CoverageColumns = z.output<typeof coverageSchema>;

interface KindColumns {
  kind: number;
  events: number;
}

interface RelayRow extends Omit<BaseColumns, "id"> {
  checks: CheckColumns[];
  nip11: unknown;
  nip11_since: number | null;
  coverage: CoverageColumns[];
  kinds: KindColumns[];
}

type Keyed = KeyedRow<RelayRow, [url: string]>;
