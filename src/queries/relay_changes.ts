// What changed at relays, and when: from the history of what is kept of them, nothing more. A change
// lies between the last time the old was seen to hold and the first time the new was.
import { Buffer } from "node:buffer";
import { z } from "zod";
import { keyInteger, keyText } from "./cursor.ts";
import { integerParam, relayParam, textParam } from "./params.ts";
import { defineQuery, type KeyedRow, type PageBounds } from "./query.ts";
import type { Read } from "./read.ts";
import { relayRow, timeRow } from "./rows.ts";
import { cut } from "../lib/text.ts";

/** The year 9999. */
const MAX_MOMENT = 253_402_300_799;
/** Strangers choose how large a field is, and how many there are. */
const MAX_VALUE = 500;
const MAX_FIELDS = 50;
/** A row brings two documents of up to monitor.max_nip11_size each. */
const ROWS_PER_READ = 32;

/** A field that differs. */
export const fieldSchema = z.object({
  field: z.string().describe("Which field of the document; of a state, state"),
  before: z.string().nullable().describe("Its value as JSON, cut; null when there was none"),
  after: z.string().nullable().describe("Its value as JSON, cut; null when there is none"),
});

/** Changes of relays, the newest first. */
export const relayChanges = defineQuery({
  name: "relay_changes",
  summary: "What changed at relays, newest first: NIP-11 edits, addresses, certificates, places, " +
    "abilities, and when they went up or down.",
  cost: "A few rows of history by time or by relay",
  params: z.object({
    relay: relayParam("Only this relay").optional(),
    type: textParam(
      "Only of this: state, nip11, dns, tls, geo, net, http, write, nip42, nip45, nip50, nip77",
      40,
    ).optional(),
    since: integerParam("Only at this moment or later (Unix seconds)", 0, MAX_MOMENT).optional(),
    until: integerParam("Only at this moment or earlier (Unix seconds)", 0, MAX_MOMENT).optional(),
  }),
  row: z.object({
    relay_url: relayRow,
    type: z.string().describe("What changed"),
    changed_at: timeRow("When the new was first seen"),
    held_until: timeRow("When the old was last seen"),
    fields: z.array(fieldSchema).describe("The fields that differ"),
  }),
  example: { type: "nip11" },
  key: z.tuple([keyInteger, keyText, keyText]),
  async page(sql, params, page): Promise<Keyed[]> {
    const rows = await readChanges(sql, params, page);
    return rows.map((row): Keyed => ({ row, key: [row.changed_at, row.relay_url, row.type] }));
  },
});

/**
 * Changes, newest first, after the key, as far as the bounds go. Whole documents are read a few at a
 * time, and only what differs is kept.
 */
export async function readChanges(
  sql: Read,
  params: {
    relay?: string | undefined;
    type?: string | undefined;
    since?: number | undefined;
    until?: number | undefined;
  },
  { after, limit, maxBytes }: PageBounds<Key>,
): Promise<ChangeRow[]> {
  const { relay, type, since = 0, until = MAX_MOMENT } = params;
  const upTo = after === undefined ? until : Math.min(until, after[0]);
  const ofRelay = relay === undefined ? sql`` : sql`and r.url = ${relay}`;
  const ofType = type === undefined ? sql`` : sql`and m.type = ${type}`;
  // Each branch in its own order and with its own limit, so that neither reads all there is.
  const read = sql<Columns[]>`
    select c.* from (
      (select r.url as relay_url, m.type, m.generated_at as changed_at,
          p.confirmed_at as held_until, o.data as before, d.data as after
        from relay_metadata m
        join relay r on r.id = m.relay_id
        join lateral (
          select * from relay_metadata p
          where p.relay_id = m.relay_id and p.type = m.type and p.generated_at < m.generated_at
          order by p.generated_at desc limit 1
        ) p on true
        join metadata o on o.id = p.metadata_id
        join metadata d on d.id = m.metadata_id
        where m.generated_at between ${since}::bigint and ${upTo}::bigint ${ofRelay} ${ofType}
          ${
    after === undefined ? sql`` : sql`and (-m.generated_at, r.url, m.type)
            > (${-after[0]}::bigint, ${after[1]}, ${after[2]})`
  }
        order by m.generated_at desc, r.url, m.type
        limit ${limit})
      union all
      (select r.url, 'state', t.at, t.at, to_jsonb(t.before), to_jsonb(t.state)
        from relay_transition t join relay r on r.id = t.relay_id
        where t.at between ${since}::bigint and ${upTo}::bigint ${ofRelay}
          and ${type === undefined || type === "state"}
          ${
    after === undefined ? sql`` : sql`and (-t.at, r.url, 'state')
            > (${-after[0]}::bigint, ${after[1]}, ${after[2]})`
  }
        order by t.at desc, r.url
        limit ${limit})
    ) c
    order by c.changed_at desc, c.relay_url, c.type
    limit ${limit}`;
  const found: ChangeRow[] = [];
  let bytes = 0;
  for await (const rows of read.cursor(ROWS_PER_READ)) {
    for (const { before, after: now, ...row } of rows) {
      const change = { ...row, fields: changedFields(row.type, before, now) };
      found.push(change);
      // The last one is too much, and won't be shown.
      bytes += Buffer.byteLength(JSON.stringify(change));
      if (bytes > maxBytes) return found;
    }
  }
  return found;
}

/** The fields of two documents that differ; a value that is no object is one field of its type. */
function changedFields(type: string, before: unknown, after: unknown): Field[] {
  if (!isObject(before) || !isObject(after)) {
    return [{ field: type, before: shown(before), after: shown(after) }];
  }
  const names = new Set([...Object.keys(before), ...Object.keys(after)]);
  return [...names].sort().flatMap((field): Field[] => {
    const [was, is] = [before[field], after[field]];
    // jsonb gives every object's keys in one order, so equal values have equal texts.
    if (JSON.stringify(was) === JSON.stringify(is)) return [];
    return [{ field: cut(field, 100), before: shown(was), after: shown(is) }];
  }).slice(0, MAX_FIELDS);
}

function shown(value: unknown): string | null {
  return value === undefined ? null : cut(JSON.stringify(value), MAX_VALUE);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

interface Field {
  field: string;
  before: string | null;
  after: string | null;
}

interface Columns {
  relay_url: string;
  type: string;
  changed_at: number;
  held_until: number;
  before: unknown;
  after: unknown;
}

/** One change. */
export interface ChangeRow extends Omit<Columns, "before" | "after"> {
  fields: Field[];
}

type Key = [changedAt: number, relayUrl: string, type: string];
type Keyed = KeyedRow<ChangeRow, Key>;
