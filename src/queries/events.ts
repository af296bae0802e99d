// The archived events themselves, by NIP-01 filter.
import { z } from "zod";
import { anyOf, relayIdsOf } from "./any_filter.ts";
import { keyInteger } from "./cursor.ts";
import { filtersParam } from "./filter_param.ts";
import { relayListParam } from "./params.ts";
import { type AskFailure, defineQuery, type KeyedRow } from "./query.ts";
import { kindRow, pubkeyRow, timeRow } from "./rows.ts";
import type { NostrEvent } from "../model/event.ts";
import { isHex } from "../model/hex.ts";
import { type EventColumns, toEvent } from "../store/event_codec.ts";

/** Rounds that colliding tag keys may cost; each reads a page. */
const MAX_ROUNDS = 20;

/** Archived events, newest first. */
export const events = defineQuery({
  name: "events",
  summary: "Archived events that match a NIP-01 filter, newest first, ties by the lowest id.",
  cost: "One page by index; tags and authors by index, anything else in the order of time",
  params: z.object({
    filter: filtersParam("A NIP-01 filter as JSON, or a list of them; its limit is honoured"),
    relay: relayListParam("Only events seen on one of these relays").optional(),
  }),
  row: z.object({
    id: z.string().describe("Event id, hex"),
    pubkey: pubkeyRow,
    created_at: timeRow("As its author says"),
    kind: kindRow,
    tags: z.array(z.array(z.string())).describe("Tags, as signed"),
    content: z.string().describe("Content, as signed"),
    sig: z.string().describe("Signature, hex"),
  }),
  example: { filter: '{"kinds":[0],"limit":10}' },
  key: z.tuple([keyInteger, z.string().refine((id) => isHex(id, 32))]),
  async page(sql, { filter, relay }, { after, limit }): Promise<Keyed[] | AskFailure> {
    const relays = await relayIdsOf(sql, relay ?? []);
    if (relays.problems.length > 0) return { reason: "bad_params", problems: relays.problems };
    const asked = filter.length === 1 ? filter[0]?.limit : undefined;
    const wanted = Math.min(limit, asked ?? limit);
    const { where, needsCheck, matches } = anyOf(sql, filter, relay && relays.ids);
    const found: Keyed[] = [];
    let position = after;
    for (let round = 0; round < MAX_ROUNDS && found.length < wanted; round++) {
      const missing = wanted - found.length;
      const rows = await sql<EventColumns[]>`
        select seq, encode(id, 'hex') as id, encode(pubkey, 'hex') as pubkey, created_at, kind,
          tags, content, content_raw, encode(sig, 'hex') as sig
        from event where ${where} ${
        position === undefined ? sql`` : sql`and created_at <= ${position[0]}::bigint
          and (created_at < ${position[0]}::bigint or id > decode(${position[1]}, 'hex'))`
      }
        order by created_at desc, id limit ${missing}`;
      for (const columns of rows) {
        const { seq: _seq, ...row } = toEvent(columns);
        position = [row.created_at, row.id];
        if (!needsCheck || matches(row)) found.push({ row, key: position });
      }
      if (rows.length < missing) break;
    }
    return found;
  },
});

type Keyed = KeyedRow<NostrEvent, [createdAt: number, id: string]>;
