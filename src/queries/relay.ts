// Everything that is known of one relay, in one row.
import { z } from "zod";
import { keyText } from "./cursor.ts";
import { relayParam } from "./params.ts";
import { defineQuery, type KeyedRow } from "./query.ts";
import type { Read } from "./read.ts";
import { fieldSchema, readChanges } from "./relay_changes.ts";
import { factColumns, factFields, type FactRow } from "./relay_facts.ts";
import { countRow, kindRow, networkRow, relayRow, timeRow } from "./rows.ts";
import { RELAY_STATES, type RelayState } from "../model/check.ts";
import type { Network } from "../model/network.ts";
import type { RelayUrl } from "../model/relay_url.ts";

const LAST_CHECKS = 20;
const TOP_KINDS = 20;
const LAST_CHANGES = 10;
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

const spanSchema = z.object({
  span: z.string().describe("1h, 24h, 7d, 30d or all"),
  uptime: z.number().min(0).max(1).nullable()
    .describe("Share of the known time in which it opened; null when nothing is known"),
  known_seconds: countRow("Seconds for which a check vouches"),
  checks: countRow("Checks in the span"),
  reasons: z.record(z.string(), z.int()).describe("Why checks failed, and how often"),
});

const rttSchema = z.object({
  span: z.string().describe("24h, 7d or 30d"),
  part: z.enum(["open", "read", "write", "nip11"]).describe("What was timed"),
  checks: countRow("Checks that timed it"),
  p50: z.int().describe("Milliseconds; half of the checks were as quick"),
  p90: z.int().describe("Nine of ten were as quick"),
  p99: z.int().describe("All but one of a hundred were as quick"),
});

const documentSchema = z.object({
  type: z.string().describe("tls, dns, geo, net, http, write, nip42, nip45, nip50, nip77 and more"),
  since: timeRow("Since when it is so"),
  confirmed_at: timeRow("When it was last seen to be so"),
  data: z.unknown().describe("What was found; null when it is too large"),
});

const changeSchema = z.object({
  type: z.string().describe("What changed"),
  changed_at: timeRow("When the new was first seen"),
  held_until: timeRow("When the old was last seen"),
  fields: z.array(fieldSchema).describe("The fields that differ"),
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
  summary:
    "Everything known of one relay: state, uptime, round trips, checks, documents (NIP-11, " +
    "TLS, DNS, place and more), what changed, coverage, events and kinds.",
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
    ...factFields,
    uptime: z.array(spanSchema).describe("Uptime over spans of time, and what it rests on"),
    rtt: z.array(rttSchema).describe("Round trips by span and part"),
    checks: z.array(checkSchema).describe(`The last ${LAST_CHECKS} checks, newest first`),
    nip11: z.unknown().describe("Its NIP-11 document; null when none was had or it is too large"),
    nip11_since: timeRow("Since when it says this").nullable(),
    documents: z.array(documentSchema).describe("What checks found out beside that"),
    changes: z.array(changeSchema).describe(`Its last ${LAST_CHANGES} changes, newest first`),
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
        ${factColumns(sql)}, coalesce(t.sightings, 0) as events, coalesce(t.pubkeys, 0) as pubkeys
      from relay r join relay_status s on s.relay_id = r.id
        left join relay_facts f on f.relay_id = r.id
        left join relay_report p on p.relay_id = r.id
        left join stat_relay t on t.relay_id = r.id
      where r.url = ${params.relay}`;
    if (found === undefined) return [];
    const { id, ...base } = found;
    // One connection serves one statement after the other; there is nothing to gain in parallel.
    const row: RelayRow = {
      ...base,
      uptime: await uptimeOf(sql, id),
      rtt: await roundTrips(sql, id),
      checks: await lastChecks(sql, id),
      ...await nip11Document(sql, id),
      documents: await documentsOf(sql, id),
      changes: await lastChanges(sql, base.url),
      coverage: await coverageOf(sql, id),
      kinds: await topKinds(sql, id),
    };
    return [{ row, key: [base.url] }];
  },
});

async function uptimeOf(sql: Read, relayId: number): Promise<SpanRow[]> {
  const rows = await sql<(Omit<SpanRow, "uptime"> & { up_seconds: number })[]>`
    select span, known_seconds, up_seconds, checks, reasons
    from relay_uptime(array[${relayId}::int], extract(epoch from now())::bigint) order by n`;
  return rows.map(({ up_seconds: up, ...row }) => ({
    ...row,
    uptime: row.known_seconds === 0 ? null : up / row.known_seconds,
  }));
}

async function roundTrips(sql: Read, relayId: number): Promise<RttRow[]> {
  return [
    ...await sql<RttRow[]>`
      select span, part, count(*) as checks,
        percentile_disc(0.5) within group (order by ms) as p50,
        percentile_disc(0.9) within group (order by ms) as p90,
        percentile_disc(0.99) within group (order by ms) as p99
      from (values (1, '24h', 86400), (2, '7d', 604800), (3, '30d', 2592000)) w (n, span, seconds)
      join (
        select c.checked_at, p.part, p.ms
        from relay_check c cross join lateral (values ('open', c.rtt_open_ms),
          ('read', c.rtt_read_ms), ('write', c.rtt_write_ms), ('nip11', c.rtt_nip11_ms)) p (part, ms)
        where c.relay_id = ${relayId}
          and c.checked_at > extract(epoch from now())::bigint - 2592000 and p.ms is not null
      ) c on c.checked_at > extract(epoch from now())::bigint - w.seconds
      group by w.n, w.span, c.part order by w.n, c.part`,
  ];
}

/** All but NIP-11, which has a field of its own. */
async function documentsOf(sql: Read, relayId: number): Promise<DocumentRow[]> {
  return [
    ...await sql<DocumentRow[]>`
      select l.type, l.generated_at as since, l.confirmed_at,
        case when octet_length(d.data::text) <= ${MAX_DOCUMENT_BYTES} then d.data end as data
      from (
        select distinct on (type) * from relay_metadata
        where relay_id = ${relayId} and type <> 'nip11' order by type, generated_at desc
      ) l join metadata d on d.id = l.metadata_id
      order by l.type limit 50`,
  ];
}

async function lastChanges(sql: Read, url: string): Promise<ChangeOfRelay[]> {
  const bounds = { after: undefined, limit: LAST_CHANGES, maxBytes: Infinity };
  const rows = await readChanges(sql, { relay: url }, bounds);
  return rows.map(({ relay_url: _url, ...row }) => row);
}

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

interface BaseColumns extends FactRow {
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

type SpanRow = z.output<typeof spanSchema>;
type RttRow = z.output<typeof rttSchema>;
type DocumentRow = z.output<typeof documentSchema>;
type ChangeOfRelay = z.output<typeof changeSchema>;
type CheckColumns = z.output<typeof checkSchema>;
type CoverageColumns = z.output<typeof coverageSchema>;

interface KindColumns {
  kind: number;
  events: number;
}

interface RelayRow extends Omit<BaseColumns, "id"> {
  uptime: SpanRow[];
  rtt: RttRow[];
  checks: CheckColumns[];
  documents: DocumentRow[];
  changes: ChangeOfRelay[];
  nip11: unknown;
  nip11_since: number | null;
  coverage: CoverageColumns[];
  kinds: KindColumns[];
}

type Keyed = KeyedRow<RelayRow, [url: string]>;
