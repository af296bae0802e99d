// What relays say of themselves (NIP-11 and the like), stored once per content and as a history per
// relay. In: JSON documents. Out: whether they changed. Never interprets them.
import { createHash } from "node:crypto";
import canonicalize from "canonicalize";
import type { RelayUrl } from "../model/relay_url.ts";
import type { Store } from "./connect.ts";
import { storableJson } from "./pg_text.ts";
import { refreshRelayFacts } from "./relay_facts.ts";

/** A document as it was read. */
export interface RelayDocument {
  relayId: number;
  /** What kind of document, for example "nip11". */
  type: string;
  /** Any JSON value. */
  data: unknown;
  /** Unix seconds. */
  generatedAt: number;
}

/** A relay's latest document of a type. */
export interface MetadataRow {
  relayUrl: RelayUrl;
  type: string;
  /** Unix seconds: since when it has said this, and when it last did. */
  generatedAt: number;
  confirmedAt: number;
  /** SHA-256 of the canonical JSON (RFC 8785), hex. */
  hash: string;
  data: unknown;
}

/**
 * The document as it is stored, and the SHA-256 of its canonical JSON (RFC 8785). PostgreSQL holds
 * neither NUL nor lone surrogates in jsonb; they become U+FFFD before the hash is taken.
 */
export function contentHash(data: unknown): { data: unknown; hash: string } {
  const storable = storableJson(data);
  const text = canonicalize(storable) ?? "null";
  return { data: storable, hash: createHash("sha256").update(text).digest("hex") };
}

/** Stores documents; one equal to the relay's latest only moves the time of its confirmation. */
export function putRelayMetadata(
  store: Store,
  list: readonly RelayDocument[],
  o: { signal?: AbortSignal } = {},
): Promise<{ changed: number }> {
  if (list.length === 0) return Promise.resolve({ changed: 0 });
  const rows = list.map((document) => ({
    relay_id: document.relayId,
    type: document.type,
    generated_at: document.generatedAt,
    ...contentHash(document.data),
  }));
  return store.run("relay_metadata_insert", async (sql) => {
    const [row] = await sql<{ n: number }[]>`
      select relay_metadata_insert_cascade(${JSON.stringify(rows)}::text::jsonb) as n`;
    const changed = row?.n ?? 0;
    if (changed > 0) {
      const at = Math.max(...list.map(({ generatedAt }) => generatedAt)) + 1;
      await refreshRelayFacts(sql, list.map(({ relayId }) => relayId), at);
    }
    return { changed };
  }, { retry: true, signal: o.signal });
}

/** The latest documents of a relay, one per type. */
export function latestMetadata(
  store: Store,
  relayUrl: RelayUrl,
  o: { signal?: AbortSignal } = {},
): Promise<MetadataRow[]> {
  return store.run("relay_metadata_latest", async (sql) => [
    ...await sql<MetadataRow[]>`
      select distinct on (m.type) r.url as "relayUrl", m.type, m.generated_at as "generatedAt",
        m.confirmed_at as "confirmedAt", encode(d.hash, 'hex') as hash, d.data
      from relay_metadata m join relay r on r.id = m.relay_id join metadata d on d.id = m.metadata_id
      where r.url = ${relayUrl}
      order by m.type, m.generated_at desc`,
  ], { retry: true, signal: o.signal });
}

/**
 * Deletes history older than `before` (Unix seconds) and what is more than the `newest` documents of a
 * relay and type, at most `limit` rows (1000); never a relay's latest document.
 */
export function deleteExpiredMetadata(
  store: Store,
  o: { before: number; newest: number; limit?: number; signal?: AbortSignal },
): Promise<{ rows: number; documents: number }> {
  return store.run("relay_metadata_delete_expired", async (sql) => {
    const limit = o.limit ?? 1000;
    const [expired] = await sql<{ n: number }[]>`select relay_metadata_delete_expired(
      ${o.before}::bigint, ${o.newest}::int, ${limit}::int) as n`;
    const [orphans] = await sql<{ n: number }[]>`select orphan_metadata_delete(${limit}::int) as n`;
    return { rows: expired?.n ?? 0, documents: orphans?.n ?? 0 };
  }, { retry: true, signal: o.signal });
}
