// An event between its seven JSON fields and its row. In: a parsed event. Out: columns that
// PostgreSQL can hold, and back, equal to the last byte: NULs and lone surrogates included.
// Never verifies.
import type { NostrEvent } from "../model/event.ts";
import { isHex } from "../model/hex.ts";
import { storableText } from "./pg_text.ts";

/** The columns that an event is read from. */
export interface EventColumns {
  seq: number;
  id: string;
  pubkey: string;
  created_at: number;
  kind: number;
  tags: string;
  content: string;
  content_raw: string;
  sig: string;
}

/**
 * An event with its place in the archive. A light archive has neither content nor signature: both
 * are empty then, which no signature is otherwise.
 */
export type StoredEvent = NostrEvent & { seq: number };

/** Whether an archived event is as it was signed: false for one of a light archive. */
export function isWhole(event: Pick<NostrEvent, "sig">): boolean {
  return event.sig !== "";
}

/** Why an event can't become a row; undefined when it can. */
export function rowProblem(event: NostrEvent): string | undefined {
  if (!isHex(event.id, 32)) return "bad_id";
  if (!isHex(event.pubkey, 32)) return "bad_pubkey";
  if (!isHex(event.sig, 64)) return "bad_sig";
  if (!Number.isSafeInteger(event.created_at)) return "bad_created_at";
  const { kind } = event;
  if (!Number.isInteger(kind) || kind < -0x8000_0000 || kind > 0x7fff_ffff) return "bad_kind";
  return undefined;
}

/** The content column, and content_raw: a JSON string, only where the column can't hold the text. */
export function contentColumns(content: string): { content: string; raw: string } {
  const storable = storableText(content);
  return storable === content
    ? { content, raw: "" }
    : { content: storable, raw: JSON.stringify(content) };
}

/** The event of a row. */
export function toEvent(row: EventColumns): StoredEvent {
  return {
    id: row.id,
    pubkey: row.pubkey,
    created_at: row.created_at,
    kind: row.kind,
    tags: JSON.parse(row.tags) as string[][],
    content: row.content_raw === "" ? row.content : JSON.parse(row.content_raw) as string,
    sig: row.sig,
    seq: row.seq,
  };
}
