// How many archived events match, in all or by group. The count is what is asked for, so it is
// really counted: by index where SQL can, one event after the other where it can't.
import { hash } from "node:crypto";
import { z } from "zod";
import { type AnyCondition, anyOf, relayIdsOf } from "./any_filter.ts";
import { keyInteger, keyText } from "./cursor.ts";
import { filtersParam } from "./filter_param.ts";
import { groupColumn, groupParam, groupValue, isByColumns, shownGroup } from "./grouping.ts";
import { relayListParam } from "./params.ts";
import { type AskFailure, defineQuery, type KeyedRow } from "./query.ts";
import type { Fragment, Read } from "./read.ts";
import { countRow } from "./rows.ts";
import { type EventColumns, toEvent } from "../store/event_codec.ts";

/** Groups by what a light archive does not keep: contents, and the markers of tags. */
const WHOLE_ONLY: ReadonlySet<string> = new Set(["content", "root", "reply"]);

/** Events that are looked at one by one for one answer. */
const MAX_READ = 200_000;
/** Different groups held in memory, and the characters of all their names. */
const MAX_GROUPS_HELD = 100_000;
const MAX_GROUP_CHARS = 16 * 1024 * 1024;
/** Read together; strangers may have given each a megabyte. */
const ROWS_PER_READ = 64;

/** How many events match. */
export const eventCount = defineQuery({
  name: "event_count",
  summary: "How many archived events match NIP-01 filters, in all or by group, largest first.",
  cost: "One pass over the events that match, by index where the filter has one",
  params: z.object({
    filter: filtersParam("A NIP-01 filter as JSON, or a list of them").optional(),
    relay: relayListParam("Only events seen on one of these relays").optional(),
    group: groupParam(
      "Count by kind, pubkey, relay, day, content, root, reply or a tag's name; one or two",
    ).optional(),
  }),
  row: z.object({
    group: z.array(z.string()).describe("The group's values, in the order asked for"),
    count: countRow("Events that match"),
  }),
  example: { filter: '{"kinds":[1,7]}', group: "kind" },
  key: z.tuple([keyInteger, keyText, keyText]),
  order: ({ group = [] }) => group.join(","),
  async page(sql, params, { after, limit }): Promise<Keyed[] | AskFailure> {
    const { filter = [{}], relay, group = [] } = params;
    const relays = await relayIdsOf(sql, relay ?? []);
    if (relays.problems.length > 0) return { reason: "bad_params", problems: relays.problems };
    const missing = group.find((name) => WHOLE_ONLY.has(name));
    if (missing !== undefined && await isLight(sql)) {
      const problem = `${missing} needs what this archive does not keep of an event`;
      return { reason: "bad_params", problems: [{ field: "group", problem }] };
    }
    const condition = anyOf(sql, filter, relay && relays.ids);
    const byRelay = group.includes("relay");
    const source = byRelay
      ? sql`event join event_relay on event_relay.event_seq = event.seq
          join relay on relay.id = event_relay.relay_id`
      : sql`event`;
    const only = byRelay && relay !== undefined
      ? sql`and relay.id = any (${`{${relays.ids}}`}::int[])`
      : sql``;
    const counts = !condition.needsCheck && isByColumns(group)
      ? await countInSql(sql, { condition, source, only, group, after, limit })
      : await countByReading(sql, { condition, source, only, group, byRelay });
    if (!Array.isArray(counts)) return counts;
    return inOrder(counts, after).slice(0, limit).map(({ first, second, n, tie }) => ({
      row: {
        group: [first, second].slice(0, group.length).map((v, i) => shownGroup(group[i], v)),
        count: n,
      },
      key: tie === undefined ? [n, first, second] : [n, tie, ""],
    }));
  },
});

async function isLight(sql: Read): Promise<boolean> {
  const [row] = await sql<{ profile: string }[]>`select profile from archive`;
  return row?.profile === "light";
}

interface Count {
  first: string;
  second: string;
  n: number;
  /**
   * Orders equal counts where values are whatever strangers wrote: a cursor can hold their hash, but
   * not a content of any length.
   */
  tie?: string;
}

type CountKey = [count: number, first: string, second: string];

type Keyed = KeyedRow<{ group: string[]; count: number }, CountKey>;

interface Source {
  condition: AnyCondition;
  source: Fragment;
  only: Fragment;
  group: readonly string[];
}

async function countInSql(
  sql: Read,
  asked: Source & { after: CountKey | undefined; limit: number },
): Promise<Count[]> {
  const { condition, source, only, group, after, limit } = asked;
  const where = sql`from ${source} where ${condition.where} ${only}`;
  if (group.length === 0) {
    const [row] = await sql<{ n: number }[]>`select count(*) as n ${where}`;
    return [{ first: "", second: "", n: row?.n ?? 0 }];
  }
  // Compared as inOrder does, whatever the database's collation: all of these are ASCII.
  return [
    ...await sql<Count[]>`
      select first, second, n from (
        select ${groupColumn(sql, group[0])} collate "C" as first,
          ${groupColumn(sql, group[1])} collate "C" as second, count(*) as n
        ${where} group by 1, 2
      ) counted
      ${
      after === undefined
        ? sql``
        : sql`where (-n, first, second) > (${-after[0]}::bigint, ${after[1]}, ${after[2]})`
    }
      order by -n, first, second limit ${limit}`,
  ];
}

async function countByReading(
  sql: Read,
  asked: Source & { byRelay: boolean },
): Promise<Count[] | AskFailure> {
  const { condition, source, only, group, byRelay } = asked;
  const withContent = group.includes("content");
  const counts = new Map<string, Count>();
  let seen = 0;
  let chars = 0;
  const rows = sql<(EventColumns & { relay_url: string })[]>`
    select event.seq, encode(event.id, 'hex') as id, encode(event.pubkey, 'hex') as pubkey,
      event.created_at, event.kind, event_tags(event) as tags, '' as sig,
      ${
    withContent ? sql`event.content, event.content_raw` : sql`'' as content, '' as content_raw`
  },
      ${byRelay ? sql`relay.url` : sql`''`} as relay_url
    from ${source} where ${condition.where} ${only}`;
  for await (const page of rows.cursor(ROWS_PER_READ)) {
    seen += page.length;
    if (seen > MAX_READ) {
      return tooLarge(`More than ${MAX_READ} events would have to be looked at one by one`);
    }
    for (const row of page) {
      const event = toEvent(row);
      if (!condition.matches(event)) continue;
      const values = group.map((name) => groupValue(event, name, row.relay_url));
      if (values.includes(undefined)) continue;
      const [first = "", second = ""] = values;
      const key = `${first.length}:${first}${second}`;
      const held = counts.get(key);
      if (held !== undefined) held.n += 1;
      else {
        chars += key.length;
        if (counts.size >= MAX_GROUPS_HELD || chars > MAX_GROUP_CHARS) {
          return tooLarge(`There are more than ${counts.size} different groups`);
        }
        counts.set(key, { first, second, n: 1, tie: hash("sha256", JSON.stringify(key)) });
      }
    }
  }
  if (group.length === 0 && counts.size === 0) return [{ first: "", second: "", n: 0 }];
  return [...counts.values()];
}

/** Largest first, then by tie or name; what lies after the key `after`. */
function inOrder(counts: readonly Count[], after: CountKey | undefined): Count[] {
  const rank = (
    { first, second, tie }: Count,
  ): [string, string] => [tie ?? first, tie ? "" : second];
  const order = (a: Count, b: Count): number => {
    const [a1, a2] = rank(a);
    const [b1, b2] = rank(b);
    return b.n - a.n || compare(a1, b1) || compare(a2, b2);
  };
  const sorted = counts.toSorted(order);
  if (after === undefined) return sorted;
  const [n, first, second] = after;
  return sorted.filter((count) => order({ n, first, second }, count) < 0);
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function tooLarge(detail: string): AskFailure {
  return {
    reason: "too_large",
    detail: `${detail}; narrow the filter by since, until, kinds or authors`,
  };
}
