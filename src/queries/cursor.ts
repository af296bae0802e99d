// Opaque cursors for keyset paging: where the last page ended, as a text that only its own query
// reads. In: the sort key of the last row. Out: base64url without padding, safe in URLs and tags.
// Never trusted: a cursor comes back from strangers and is parsed by the query's own key schema.
import { z } from "zod";
import { fail, ok, type Result } from "../lib/result.ts";

/** A sort key: what makes the order total. */
export type Key = readonly (string | number)[];

/** Texts and numbers of a key, as schemas: what PostgreSQL takes as text and as bigint. */
export const keyText: z.ZodString = z.string().max(3000)
  .refine((text) => text.isWellFormed() && !text.includes("\0"));
export const keyInteger: z.ZodInt = z.int();

const MAX_LENGTH = 4096;
const envelopeSchema = z.array(z.union([z.string(), z.number()])).min(1);

/** The cursor after the row with this key. */
export function encodeCursor(query: string, key: Key): string {
  const bytes = new TextEncoder().encode(JSON.stringify([query, ...key]));
  return bytes.toBase64({ alphabet: "base64url", omitPadding: true });
}

/** The key in a cursor of `query`; a failure is a phrase. */
export function decodeCursor<K extends Key>(
  query: string,
  cursor: string,
  keySchema: z.ZodType<K>,
): Result<K, string> {
  const problem = fail("is not a cursor of this query; leave it out to start at the first page");
  if (cursor.length > MAX_LENGTH) return problem;
  let value: unknown;
  try {
    const bytes = Uint8Array.fromBase64(cursor, { alphabet: "base64url" });
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch {
    return problem;
  }
  const envelope = envelopeSchema.safeParse(value);
  if (!envelope.success || envelope.data[0] !== query) return problem;
  const key = keySchema.safeParse(envelope.data.slice(1));
  return key.success ? ok(key.data) : problem;
}
