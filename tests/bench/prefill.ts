// A large archive in little time, for benchmarks: events, sightings, relays, checks, documents and a
// ledger in the shapes of the network, made by the server itself through the functions that all
// writers use. In: an empty, migrated store. Out: names to ask by. The same rows for the same sizes;
// ids and signatures are hashes that nobody verifies.
import { rebuildEventMarks } from "../../src/store/event_marks.ts";
import { maintain } from "../../src/store/maintain.ts";
import { rebuildStatistics } from "../../src/store/statistics.ts";
import type { Store } from "../../src/store/connect.ts";

/** How much of everything. */
export interface PrefillOptions {
  events: number;
  /** Known relays; a quarter of them is online. */
  relays?: number;
  /** Hours of hourly checks of the relays that are online. */
  checkHours?: number;
  /** "Now" of the archive, Unix seconds: its newest events and checks are a little older. */
  at?: number;
  progress?: (text: string) => void;
  signal?: AbortSignal;
}

/** Names of what is in it, to ask by. */
export interface Prefilled {
  events: number;
  relayUrls: string[];
  eventIds: string[];
  pubkeys: string[];
}

const RELAYS = 8_000;
const CHECK_HOURS = 168;
const BATCH = 20_000;
const SIGHTINGS = 4;
const AUTHORS = 100_000;
const TWO_YEARS = 63_072_000;
/** Of each kind of name. */
const NAMES = 500;

/** Fills the store; statistics and marks are up to date after. */
export async function prefill(store: Store, options: PrefillOptions): Promise<Prefilled> {
  const { events, relays = RELAYS, checkHours = CHECK_HOURS, progress = () => {}, signal } =
    options;
  const at = options.at ?? Math.floor(Date.now() / 1000);
  const startedMs = performance.now();
  const tell = (what: string): void =>
    progress(`${what} after ${Math.round((performance.now() - startedMs) / 1000)} s`);
  await fillRelays(store, relays, checkHours, at);
  tell(`${relays} relays with checks and documents`);
  for (let from = 1; from <= events; from += BATCH) {
    signal?.throwIfAborted();
    const to = Math.min(events, from + BATCH - 1);
    await long(store, (sql) => sql.unsafe(eventBatch(from, to, relays, at)));
    if (to % 200_000 === 0) tell(`${to} events`);
  }
  await store.command("analyze", "analyze");
  await rebuildEventMarks(store, { signal: signal ?? new AbortController().signal });
  tell("marks");
  await rebuildStatistics(store, { at, ...(signal === undefined ? {} : { signal }) });
  tell("statistics");
  await maintain(store);
  await store.command("vacuum", "vacuum (analyze)");
  tell("vacuum");
  return await namesIn(store, events);
}

/** Names of what a store that was filled before holds. */
export function namesIn(store: Store, events: number): Promise<Prefilled> {
  return store.run("names", async (sql) => {
    const relays = await sql<{ url: string }[]>`
      select r.url from relay r join relay_status s on s.relay_id = r.id
      where s.state = 'online' order by r.id limit ${NAMES}`;
    const sampled = await sql<{ id: string; pubkey: string }[]>`
      select encode(e.id, 'hex') as id, encode(e.pubkey, 'hex') as pubkey
      from generate_series(1, ${NAMES}) as n
      join event e on e.seq = 1 + (n::bigint * 7919) % ${events}::bigint`;
    return {
      events,
      relayUrls: relays.map(({ url }) => url),
      eventIds: sampled.map(({ id }) => id),
      pubkeys: [...new Set(sampled.map(({ pubkey }) => pubkey))],
    };
  });
}

type Work = Parameters<Store["run"]>[1];

function long(store: Store, work: Work): Promise<unknown> {
  return store.run("prefill", work, { statementTimeoutMs: 0 });
}

async function fillRelays(store: Store, n: number, hours: number, at: number): Promise<void> {
  const online = Math.floor(n / 4);
  // Times and places by number, so that every run fills the same.
  await long(store, async (sql) => {
    await sql.unsafe(`
      select relay_insert(array_agg('wss://relay' || n || '.example.com/'),
        array_agg('clearnet'::text), ${at - 90 * 86_400}) from generate_series(1, ${n}) n`);
    await sql.unsafe(`
      insert into relay_check (relay_id, checked_at, ok, reason, rtt_open_ms, rtt_read_ms,
        rtt_nip11_ms, next_in, dns_ms, tcp_ms, tls_ms, upgrade_ms, ip)
      select r, ${at} - h * 3600 - r % 3600, up, case when not up then 'timeout' end,
        case when up then 40 + (r * 7 + h * 13) % 400 end,
        case when up then 20 + (r * 3 + h) % 90 end, case when up then 60 + r % 100 end, 3600,
        5, 20, 30, 15, '192.0.2.' || r % 250
      from generate_series(1, ${n}) r
      cross join lateral generate_series(0, case when r <= ${online} then ${hours} else 19 end) h
      cross join lateral (select r <= ${online} and (r * 31 + h * 17) % 50 > 0 as up) u`);
    await sql.unsafe(`
      insert into relay_check_daily (relay_id, day, checks, online, known_seconds, up_seconds,
        first_at, last_at, rtt_open_ms, rtt_read_ms, reasons)
      select r, ${Math.floor(at / 86_400)} - d, 24, case when r <= ${online} then 23 else 0 end,
        86400, case when r <= ${online} then 82800 else 0 end,
        ${at} - d * 86400, ${at} - d * 86400 + 82800, 120, 60, '{"timeout": 1}'
      from generate_series(1, ${n}) r cross join generate_series(8, 40) d`);
    await sql.unsafe(`
      update relay_status set state = case when relay_id <= ${online} then 'online'
          when relay_id % 3 = 0 then 'unreachable' else 'dead' end,
        checked_at = ${at} - relay_id % 3600,
        online_at = case when relay_id <= ${online} then ${at} - relay_id % 3600 end,
        rtt_open_ms = case when relay_id <= ${online} then 40 + (relay_id * 7) % 400 end,
        next_check_at = ${at} + 3600`);
    await sql.unsafe(`
      insert into relay_transition (relay_id, at, state, before)
      select r, ${at} - n * 200000 - r, case when n % 2 = 0 then 'online' else 'unreachable' end,
        case when n % 2 = 0 then 'unreachable' else 'online' end
      from generate_series(1, ${n}, 4) r cross join generate_series(1, 10) n`);
    await sql.unsafe(documents(online, at));
    await sql.unsafe(`
      with f as (insert into filter (hash, filter) values (sha256('{}'), '{}') returning id)
      insert into coverage (relay_id, filter_id, since, until, state, proof, reason, updated_at)
      select r, f.id, ${at} - (n + 1) * 1000000, ${at} - n * 1000000 - 1,
        case when n % 5 = 0 then 'gap' else 'closed' end,
        case when n % 5 > 0 then 'eose_empty' end,
        case when n % 5 = 0 then 'dense_second' end, ${at}
      from f cross join generate_series(1, ${online}) r cross join generate_series(0, 14) n`);
  });
  for (let from = 1; from <= n; from += 500) {
    await long(store, (sql) =>
      sql.unsafe(`select relay_facts_refresh(
        array(select generate_series(${from}, ${Math.min(n, from + 499)})), ${at})`));
  }
}

/** NIP-11 with a description and limits, an older one of every fourth; certificate, place, network. */
function documents(online: number, at: number): string {
  return `
    with given as (
      select r, t.type, t.ago, t.data
      from generate_series(1, ${online}) r
      cross join lateral (values
        ('nip11', 100, nip11(r, 1)), ('nip11', 500000, case when r % 4 = 0 then nip11(r, 0) end),
        ('tls', 100, jsonb_build_object('valid', r % 20 > 0, 'protocol', 'TLSv1.3',
          'issuer', 'CN=R' || r % 12, 'validTo', ${at} + r * 100)),
        ('geo', 100, jsonb_build_object('country', (array['DE','US','FI','NL','JP','FR'])[1 + r % 6],
          'city', 'City ' || r % 40)),
        ('net', 100, jsonb_build_object('asn', 64500 + r % 30, 'organisation', 'Host ' || r % 30)),
        ('nip77', 100, jsonb_build_object('ok', r % 3 = 0)),
        ('nip42', 100, jsonb_build_object('ok', r % 2 = 0))
      ) as t(type, ago, data)
      where t.data is not null
    ), made as (
      insert into metadata (type, hash, data)
      select distinct on (2, 1) type, sha256(convert_to(data::text, 'UTF8')), data from given
      order by 2, 1 returning id, type, hash
    )
    insert into relay_metadata (relay_id, type, generated_at, metadata_id, confirmed_at)
    select g.r, g.type, ${at} - 86400 - g.ago, m.id, ${at} - g.ago
    from given g join made m
      on m.type = g.type and m.hash = sha256(convert_to(g.data::text, 'UTF8'))`
    .replaceAll(/nip11\(r, (\d)\)/g, (_, version: string) =>
      `jsonb_build_object(
        'name', 'Relay ' || r, 'description', repeat('A relay for everyone. ', 1 + r % 20),
        'software', 'git+https://github.com/example/software' || r % 15,
        'version', '1.${version}.' || r % 7,
        'supported_nips', to_jsonb((array[1, 2, 4, 9, 11, 42, 45, 50, 65, 70, 77, 99])[:3 + r % 9]),
        'limitation', jsonb_build_object('auth_required', r % 10 = 0,
          'payment_required', r % 12 = 0, 'max_limit', 500))`);
}

/** Events by number: authors of whom few write much, kinds as on the network, each on four relays. */
function eventBatch(from: number, to: number, relays: number, at: number): string {
  const online = Math.floor(relays / 4);
  return `
    with made as materialized (
      select n, sha256(int8send(n)) as id, sha256(int8send(-a.author::bigint - 1)) as pubkey,
        ${at} - (${TWO_YEARS} * pow((n * 7919 % 1000003) / 1000003.0, 2))::bigint - 60 as created_at,
        (array[1,1,1,1,1,1,7,7,7,7,7,7,6,6,9735,0,10002,3,1059,30166])[1 + n * 13 % 20] as kind,
        sha256(int8send((n * 31) % ${from} + 1)) as other
      from generate_series(${from}::bigint, ${to}) n
      cross join lateral (
        select (${AUTHORS} * pow((n * 104729 % 1000033) / 1000033.0, 3))::bigint as author) a
    ), tagged as materialized (
      select made.*, t.tags, t.keys
      from made cross join lateral (
        select case
          when kind in (1, 6, 7, 9735) then
            '[["e","' || encode(other, 'hex') || '"],["p","' || encode(pubkey, 'hex') || '"]]'
          when kind = 10002 then '[["r","wss://relay' || 1 + n % ${online} || '.example.com/"],'
            || '["r","wss://relay' || 1 + n * 7 % ${online} || '.example.com/","read"]]'
          when kind = 30166 then '[["d","wss://relay' || 1 + n % ${relays} || '.example.com/"],'
            || '["n","clearnet"],["rtt-open","' || 30 + n % 300 || '"],["N","1"],["N","11"],'
            || '["R","!payment"]]'
          else '[]' end as tags,
          case
          when kind in (1, 6, 7, 9735) then
            array[tag_key('e', encode(other, 'hex')), tag_key('p', encode(pubkey, 'hex'))]
          when kind = 30166 then
            array[tag_key('d', 'wss://relay' || 1 + n % ${relays} || '.example.com/'),
              tag_key('n', 'clearnet')]
          else '{}'::bigint[] end as keys
      ) t
    ), stored as (
      select (event_insert(string_agg(id, '' order by n), string_agg(
          case when kind = 30166 then sha256(int8send(-n % 4 - 9000000)) else pubkey end,
          '' order by n),
        string_agg(id || id, '' order by n), array_agg(created_at order by n),
        array_agg(kind order by n), array_agg(tags order by n),
        array_agg(case when kind in (1, 0, 9735) then repeat('words of people ', 1 + (n % 40)::int)
          else '' end::text order by n),
        array_agg(''::text order by n), array_agg(keys::text order by n))).seqs
      from tagged
    )
    select event_relay_insert(array_agg(s.seq), array_agg(
        (1 + floor(${online} * pow((s.seq * 31 + k * 7717) % 9973 / 9973.0, 2)))::int + k),
      array_agg(${at}::bigint - 1000 + k))
    from stored cross join unnest(stored.seqs) as s(seq)
    cross join generate_series(0, ${SIGHTINGS - 1}) k`;
}
