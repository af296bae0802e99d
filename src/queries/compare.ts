// Our verdict beside other monitors': their kinds 30166 as archived, each with our check that is the
// nearest to it in time. A report says that the relay was alive then; whether it was, is what ours
// tells. Never judges who is right.
import { z } from "zod";
import { anyOf } from "./any_filter.ts";
import { keyInteger } from "./cursor.ts";
import { pubkeyParam, relayParam } from "./params.ts";
import { defineQuery, type Found } from "./query.ts";
import type { Read } from "./read.ts";
import { pubkeyRow, relayRow, timeRow } from "./rows.ts";
import { RELAY_STATES } from "../model/check.ts";
import { isHex } from "../model/hex.ts";
import type { RelayUrl } from "../model/relay_url.ts";
import { type ForeignReport, parseReport, REPORT_KIND } from "../nostr/nip66.ts";
import { type EventColumns, toEvent } from "../store/event_codec.ts";
import { textArray } from "../store/pg_text.ts";

/** Events that are read for one page: anybody can write such that are no reports. */
const MAX_READ = 10_000;
/** Read together; a report may have a megabyte of tags. */
const ROWS_PER_READ = 32;
const MAX_NIPS = 200;
/** Checks further from a report than this say nothing of it. */
const NEAR_SECONDS = 86_400;

const theirs = z.object({
  rtt_open_ms: z.int().nullable().describe("Milliseconds to open, as it says"),
  rtt_read_ms: z.int().nullable().describe("Milliseconds to read, as it says"),
  auth: z.boolean().nullable().describe("Whether the relay asks for a log-in"),
  payment: z.boolean().nullable().describe("Whether it asks for a payment"),
  nips: z.array(z.int()).describe("NIPs that it names"),
  country: z.string().nullable().describe("Where it puts the relay (ISO 3166-1)"),
});

const ours = z.object({
  checked_at: timeRow("Our check that is nearest to the report, at most a day away").nullable(),
  ok: z.boolean().nullable().describe("Whether the relay opened for us then"),
  reason: z.string().nullable().describe("Why not"),
  rtt_open_ms: z.int().nullable().describe("Milliseconds to open"),
  rtt_read_ms: z.int().nullable().describe("Milliseconds to read"),
  state: z.enum(RELAY_STATES).nullable().describe("How it stands for us now; null: not known"),
  auth: z.boolean().nullable().describe("Whether it asks for a log-in, as we find now"),
  payment: z.boolean().nullable().describe("Whether it asks for a payment, as we find now"),
  nips: z.array(z.int()).describe("NIPs that it claims or showed, less those tested in vain"),
  country: z.string().nullable().describe("Where we put it"),
});

/** Reports of any monitor beside our checks. */
export const compare = defineQuery({
  name: "compare",
  summary: "Reports of other monitors (kind 30166) as archived, newest first, beside our verdict.",
  cost: "One page of reports by index, with one check of ours each",
  params: z.object({
    relay: relayParam("Only reports on this relay").optional(),
    monitor: pubkeyParam("Only reports of this monitor").optional(),
  }),
  row: z.object({
    relay_url: relayRow,
    monitor: pubkeyRow,
    reported_at: timeRow("When the monitor says so"),
    agree: z.boolean().nullable()
      .describe("Whether the relay opened for us at about that time; null when we did not look"),
    theirs: theirs.describe("What the report says"),
    ours: ours.describe("What we found"),
  }),
  example: { relay: "wss://relay.damus.io" },
  key: z.tuple([keyInteger, z.string().refine((id) => isHex(id, 32))]),
  async page(sql, { relay, monitor }, { after, limit }): Promise<Found<Row, Key>> {
    const reports: Reported[] = [];
    const filter = {
      kinds: [REPORT_KIND],
      ...(monitor === undefined ? {} : { authors: [monitor] }),
      // Some monitors write the root without its slash.
      ...(relay === undefined ? {} : { tags: { d: [relay, relay.replace(/\/$/, "")] } }),
    };
    const { where } = anyOf(sql, [filter], undefined);
    let position = after;
    let seen = 0;
    const read = sql<EventColumns[]>`
      select seq, encode(id, 'hex') as id, encode(pubkey, 'hex') as pubkey, created_at, kind,
        event_tags(event) as tags, '' as content, '' as content_raw, '' as sig
      from event where ${where}
        and not exists (
          select from event_version v where v.event_seq = event.seq and not v.latest)
        ${
      after === undefined ? sql`` : sql`and created_at <= ${after[0]}::bigint
        and (created_at < ${after[0]}::bigint or event.id > decode(${after[1]}, 'hex'))`
    }
      order by created_at desc, event.id limit ${MAX_READ}`;
    for await (const rows of read.cursor(ROWS_PER_READ)) {
      seen += rows.length;
      for (const columns of rows) {
        const event = toEvent(columns);
        position = [event.created_at, event.id];
        const report = parseReport(event);
        if (!report.ok || (relay !== undefined && report.value.url !== relay)) continue;
        const { pubkey: monitor, created_at: reportedAt } = event;
        const { url } = report.value;
        reports.push({ url, monitor, reportedAt, theirs: theirsOf(report.value), key: position });
        if (reports.length === limit) break;
      }
      if (reports.length === limit) break;
    }
    const found = await ourVerdicts(sql, reports);
    const page: Found<Row, Key> = reports.map(({ url, monitor, reportedAt, theirs, key }, i) => {
      const own = found.get(i) ?? UNKNOWN;
      const row: Row = {
        relay_url: url,
        monitor,
        reported_at: reportedAt,
        agree: own.ok,
        theirs,
        ours: own,
      };
      return { row, key };
    });
    const isCut = reports.length < limit && seen === MAX_READ;
    return isCut && position !== undefined ? [...page, { key: position }] : page;
  },
});

function theirsOf(report: ForeignReport): Theirs {
  return {
    rtt_open_ms: report.rttOpenMs ?? null,
    rtt_read_ms: report.rttReadMs ?? null,
    auth: report.requirements.auth ?? null,
    payment: report.requirements.payment ?? null,
    nips: report.nips.slice(0, MAX_NIPS),
    country: countryOf(report),
  };
}

/** What we know of each report's relay, by the report's place in the list. */
async function ourVerdicts(sql: Read, reports: readonly Reported[]): Promise<Map<number, Ours>> {
  if (reports.length === 0) return new Map();
  const rows = await sql<(Ours & { place: number })[]>`
    select given.place::int - 1 as place, c.checked_at, c.ok, c.reason, c.rtt_open_ms,
      c.rtt_read_ms, s.state, f.auth, f.payment, f.country,
      to_jsonb(array(select distinct nip from unnest(coalesce(f.nips, '{}') || coalesce(f.nips_proven, '{}'))
        as known(nip) where nip <> all (coalesce(f.nips_refuted, '{}')) order by 1)) as nips
    from unnest(${textArray(reports.map(({ url }) => url))}::text[],
      ${`{${reports.map(({ reportedAt }) => reportedAt)}}`}::bigint[])
      with ordinality as given(url, at, place)
    join relay r on r.url = given.url join relay_status s on s.relay_id = r.id
    left join relay_facts f on f.relay_id = r.id
    left join lateral (
      select near.* from (
        (select * from relay_check k where k.relay_id = r.id and k.checked_at <= given.at
          and k.checked_at >= given.at - ${NEAR_SECONDS} order by k.checked_at desc limit 1)
        union all
        (select * from relay_check k where k.relay_id = r.id and k.checked_at > given.at
          and k.checked_at <= given.at + ${NEAR_SECONDS} order by k.checked_at limit 1)
      ) near order by abs(near.checked_at - given.at), near.checked_at limit 1
    ) c on true`;
  return new Map(rows.map(({ place, ...row }) => [place, row]));
}

function countryOf({ labels, details }: ForeignReport): string | null {
  const label = labels.find(({ namespace }) => namespace === "ISO-3166-1")?.value;
  return label ?? details.find(([name]) => name === "geo-country")?.[1] ?? null;
}

type Theirs = z.output<typeof theirs>;
type Ours = z.output<typeof ours>;

const UNKNOWN: Ours = {
  checked_at: null,
  ok: null,
  reason: null,
  rtt_open_ms: null,
  rtt_read_ms: null,
  state: null,
  auth: null,
  payment: null,
  nips: [],
  country: null,
};

interface Reported {
  url: RelayUrl;
  monitor: string;
  reportedAt: number;
  theirs: Theirs;
  key: Key;
}

interface Row {
  relay_url: RelayUrl;
  monitor: string;
  reported_at: number;
  agree: boolean | null;
  theirs: Theirs;
  ours: Ours;
}

type Key = [createdAt: number, id: string];
