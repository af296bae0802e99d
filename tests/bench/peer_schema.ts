// The baseline: BigBrotr's schema and its way of writing, filled with the same events through the
// same driver, so that a ratio means the schema alone. Its shape: 32-byte ids and URL texts in every
// row, tags as jsonb, 16 hash partitions, one function call per batch with arrays unnested.
import type { NostrEvent } from "../../src/model/event.ts";
import type { Sql, Store } from "../../src/store/connect.ts";
import { byteaArray } from "../../src/store/filter_sql.ts";
import { numberArray, textArray } from "../../src/store/pg_text.ts";

const TABLES = `
  create schema peer;
  create table peer.relay (url text primary key, network text not null, discovered_at bigint not null);
  create table peer.event (
    id bytea not null, pubkey bytea not null, created_at bigint not null, kind integer not null,
    tags jsonb not null, tagvalues text[] not null, content text not null, sig bytea not null,
    primary key (id)
  ) partition by hash (id);
  create table peer.event_relay (
    event_id bytea not null references peer.event on delete cascade,
    relay_url text not null references peer.relay on delete cascade,
    seen_at bigint not null,
    primary key (event_id, relay_url)
  ) partition by hash (event_id);
  do $$ begin
    for i in 0..15 loop
      execute format('create table peer.event_%s partition of peer.event
        for values with (modulus 16, remainder %s)', i, i);
      execute format('create table peer.event_relay_%s partition of peer.event_relay
        for values with (modulus 16, remainder %s)', i, i);
      begin
        execute format('alter table peer.event_%s alter tags set compression lz4,
          alter content set compression lz4', i);
      exception when feature_not_supported then null;
      end;
    end loop;
  end $$;
  create index on peer.event (created_at desc, id desc);
  create index on peer.event (kind, created_at desc);
  create index on peer.event (pubkey, created_at desc);
  create index on peer.event (pubkey, kind, created_at desc);
  create index on peer.event using gin (tagvalues);
  create index on peer.event_relay (seen_at desc);
  create index on peer.event_relay (relay_url, seen_at, event_id);
  create function peer.event_relay_insert_cascade(
    ids bytea[], pubkeys bytea[], created_ats bigint[], kinds int[], tags text[], tagvalues text[],
    contents text[], sigs bytea[], urls text[], seen_ats bigint[]
  ) returns int language plpgsql as $$
  declare n int;
  begin
    insert into peer.relay (url, network, discovered_at)
    select distinct u, 'clearnet', 0 from unnest(urls) as u on conflict do nothing;
    insert into peer.event (id, pubkey, created_at, kind, tags, tagvalues, content, sig)
    select g.id, g.pubkey, g.created_at, g.kind, g.tags::jsonb, g.tagvalues::text[], g.content, g.sig
    from unnest(ids, pubkeys, created_ats, kinds, tags, tagvalues, contents, sigs)
      as g(id, pubkey, created_at, kind, tags, tagvalues, content, sig)
    on conflict do nothing;
    insert into peer.event_relay (event_id, relay_url, seen_at)
    select g.id, g.url, g.seen_at from unnest(ids, urls, seen_ats) as g(id, url, seen_at)
    on conflict do nothing;
    get diagnostics n = row_count;
    return n;
  end $$`;

/** Makes the peer's tables in a schema of their own. */
export async function createPeerSchema(store: Store): Promise<void> {
  await store.transaction("peer_schema", (sql) => sql.unsafe(TABLES), { statementTimeoutMs: 0 });
}

/** Writes a batch as the peer does: events, new or not, with a sighting each. Gives new sightings. */
export function writePeerBatch(
  store: Store,
  events: readonly NostrEvent[],
  relayUrl: string,
  seenAt: number,
): Promise<number> {
  return store.run("peer_insert", (sql) => insert(sql, events, relayUrl, seenAt));
}

/** Bytes of its events and sightings with all indexes. */
export function peerBytes(store: Store): Promise<number> {
  return store.run("peer_bytes", async (sql) => {
    const [row] = await sql<{ bytes: number }[]>`
      select sum(pg_total_relation_size(c.oid))::bigint as bytes from pg_class c
      where c.relnamespace = 'peer'::regnamespace and c.relkind = 'r' and c.relname like 'event%'`;
    return row?.bytes ?? 0;
  });
}

async function insert(
  sql: Sql,
  events: readonly NostrEvent[],
  relayUrl: string,
  seenAt: number,
): Promise<number> {
  const tagValues = events.map((event) =>
    textArray(
      event.tags.filter(([name, value]) => name?.length === 1 && value !== undefined)
        .map(([name, value]) => `${name}:${value}`),
    )
  );
  const [row] = await sql<{ n: number }[]>`select peer.event_relay_insert_cascade(
    ${byteaArray(events.map((event) => event.id))}::bytea[],
    ${byteaArray(events.map((event) => event.pubkey))}::bytea[],
    ${numberArray(events.map((event) => event.created_at))}::bigint[],
    ${numberArray(events.map((event) => event.kind))}::int[],
    ${textArray(events.map((event) => JSON.stringify(event.tags)))}::text[],
    ${textArray(tagValues)}::text[],
    ${textArray(events.map((event) => event.content))}::text[],
    ${byteaArray(events.map((event) => event.sig))}::bytea[],
    ${textArray(events.map(() => relayUrl))}::text[],
    ${numberArray(events.map(() => seenAt))}::bigint[]) as n`;
  return row?.n ?? 0;
}
