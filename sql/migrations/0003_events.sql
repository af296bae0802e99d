-- How events and sightings are written.
-- Every function takes sets (arrays of equal length, or one jsonb array of objects where rows are
-- few) and returns what it did. Called twice with the same sets it does the same as once, unless it
-- says otherwise.

-- Writers of events and sightings hold this lock shared, statistics_horizon() for a moment
-- exclusively: so it knows a point below which every sequence number is committed or gone.
create function ingest_lock() returns bigint language sql immutable as $$ select 7166253194461::bigint $$;

-- The key under which the GIN index knows a single-letter tag: 8 bytes of the value's hex if it is
-- 64 hex digits, else of its SHA-256; the letter goes into the first byte. Keys can collide, so
-- whoever searches by them compares the tags themselves after. src/store/tag_key.ts computes
-- the same.
create function tag_key(letter text, value text) returns bigint
language sql immutable strict parallel safe as $$
  select (case when value ~ '^[0-9a-f]{64}$' then ('x' || substr(value, 1, 16))::bit(64)
    else ('x' || encode(substring(sha256(convert_to(value, 'UTF8')), 1, 8), 'hex'))::bit(64)
  end)::bigint # (ascii(letter)::bigint << 56)
$$;

-- What event_id knows an id by: its first and last 8 bytes. Nobody meets two ids that agree in these
-- by accident; 2^64 hashes make a pair of one's own, of which the second is refused.
create function event_half(id bytea) returns uuid language sql immutable strict parallel safe as $$
  select encode(substring(id, 1, 8) || substring(id, 25, 8), 'hex')::uuid
$$;

-- Sequence numbers of the ids (32 bytes each, concatenated) in their order, null for the unknown: by
-- the half alone, because this is asked for most of what relays send; event_found is exact.
-- A look-up per id: the planner can't turn it into a hash join over the whole table, which took
-- 10 µs an id at 50,000 events instead of 2.
create function event_known(ids bytea) returns bigint[]
language plpgsql stable set plan_cache_mode = force_custom_plan as $$
begin
  return array(
    select (
      select i.seq from event_id i
      where i.half = event_half(substring(ids, n * 32 + 1, 32))
    )
    from generate_series(0, length(ids) / 32 - 1) as n
  );
end $$;

-- The same with the whole id compared, for whoever answers by it.
create function event_found(ids bytea) returns bigint[]
language plpgsql stable set plan_cache_mode = force_custom_plan as $$
begin
  return array(
    select (
      select e.seq from event e
      where e.seq = (select i.seq from event_id i where i.half = event_half(g.id)) and e.id = g.id
    )
    from (
      select substring(ids, n * 32 + 1, 32) as id
      from generate_series(0, length(ids) / 32 - 1) as n offset 0
    ) g
  );
end $$;

-- The tags of an event as JSON text, as far as they are kept: `tags` alone unless a storage profile
-- has it otherwise. The planner takes this for the column.
create function event_tags(e event) returns text
language sql stable parallel safe as $$ select e.tags $$;

-- About how many bytes reading an event gives: by lengths, which are known without its texts.
create function event_bytes(e event) returns int language sql stable parallel safe as $$
  select octet_length(e.tags) + octet_length(e.content) + octet_length(e.content_raw)
$$;

-- Writes the rows of new events and says how many; with event_tags the functions that a storage
-- profile replaces (sql/README.md). Of each event whose number is not null; the arguments are those
-- of event_insert.
create function event_store(
  seqs bigint[], ids bytea, pubkeys bytea, sigs bytea, created_ats bigint[], kinds int[],
  tags text[], contents text[], content_raws text[], tag_keys text[]
) returns int language plpgsql as $$
declare n int;
begin
  insert into event (seq, created_at, kind, id, pubkey, sig, tags, content, content_raw, tag_keys)
  select g.seq, g.created_at, g.kind, substring(ids, g.n::int * 32 - 31, 32),
    substring(pubkeys, g.n::int * 32 - 31, 32), substring(sigs, g.n::int * 64 - 63, 64),
    g.tags, g.content, g.raw, g.keys::bigint[]
  from unnest(seqs, created_ats, kinds, event_store.tags, contents, content_raws,
    event_store.tag_keys) with ordinality as g(seq, created_at, kind, tags, content, raw, keys, n)
  where g.seq is not null;
  get diagnostics n = row_count;
  return n;
end $$;

-- Whoever deletes events, their ids go with them: an id without its event would keep it out.
create function event_id_forget() returns trigger language plpgsql as $$
begin
  if tg_op = 'TRUNCATE' then
    delete from event_id;
  else
    delete from event_id i using gone g where i.half = event_half(g.id) and i.seq = g.seq;
  end if;
  return null;
end $$;
create trigger event_id_forget after delete on event referencing old table as gone
for each statement execute function event_id_forget();
create trigger event_id_forget_all after truncate on event
for each statement execute function event_id_forget();

-- Inserts the events that are new and gives the sequence number of each in the order of the input.
-- Ids, keys and signatures come as concatenations (32, 32, 64 bytes each), tag keys as array texts.
create function event_insert(
  ids bytea, pubkeys bytea, sigs bytea, created_ats bigint[], kinds int[],
  tags text[], contents text[], content_raws text[], tag_keys text[],
  out inserted int, out seqs bigint[]
) language plpgsql set plan_cache_mode = force_custom_plan as $$
declare halves uuid[]; fresh_halves uuid[]; own bigint[];
begin
  perform pg_advisory_xact_lock_shared(ingest_lock());
  halves := array(
    select event_half(substring(ids, n * 32 + 1, 32))
    from generate_series(0, length(ids) / 32 - 1) as n order by n);
  with fresh as (
    insert into event_id (half, seq)
    select h, nextval('event_seq_seq') from unnest(halves) as h
    on conflict do nothing
    returning half, seq
  )
  select count(*), array_agg(half), array_agg(seq) into inserted, fresh_halves, own from fresh;
  if inserted > 0 and fresh_halves is distinct from halves then
    -- Some are known: the new ones' numbers go where they stand in the input, once each.
    own := array(
      select case when row_number() over (partition by g.half order by g.n) = 1 then f.seq end
      from unnest(halves) with ordinality as g(half, n)
      left join unnest(fresh_halves, own) as f(half, seq) on f.half = g.half
      order by g.n);
  end if;
  if inserted > 0 then
    if (select max(s) from unnest(own) as s) >= (select partitioned_to from archive) then
      perform event_partition_add((select max(s) from unnest(own) as s));
    end if;
    perform event_store(
      own, ids, pubkeys, sigs, created_ats, kinds, tags, contents, content_raws, tag_keys);
  end if;
  if inserted = cardinality(halves) then
    seqs := own;
  else
    -- A new statement, and so a new snapshot: it sees what a concurrent writer was first to insert.
    seqs := event_found(ids);
  end if;
end $$;

-- Sightings by sequence number; seen_ats are Unix seconds. Gives the number of new ones. One of an
-- event that was deleted meanwhile is left out. The lock keeps deletions away, so the events are asked
-- for once, and each sighting only when one of them is missing: 5.9 µs a sighting in all, 6.7 with a
-- look-up for each, 11 with a foreign key's trigger.
create function event_relay_insert(event_seqs bigint[], relay_ids int[], seen_ats bigint[])
returns int language plpgsql as $$
declare n int; wanted bigint[]; held bigint[];
begin
  perform pg_advisory_xact_lock_shared(ingest_lock());
  wanted := array(select distinct s from unnest(event_seqs) as s);
  held := array(select e.seq from event e where e.seq = any (wanted));
  insert into event_relay (event_seq, relay_id, seen_at)
  select g.event_seq, g.relay_id, g.seen_at - 1577836800
  from unnest(event_seqs, relay_ids, seen_ats) as g(event_seq, relay_id, seen_at)
  where cardinality(held) = cardinality(wanted) or g.event_seq = any (held)
  on conflict do nothing;
  get diagnostics n = row_count;
  return n;
end $$;

-- Relays, events and their sightings in one call: the i-th event was seen on the i-th relay.
create function event_relay_insert_cascade(
  urls text[], networks text[], seen_ats bigint[],
  ids bytea, pubkeys bytea, sigs bytea, created_ats bigint[], kinds int[],
  tags text[], contents text[], content_raws text[], tag_keys text[]
) returns int language plpgsql as $$
declare seqs bigint[];
begin
  perform relay_insert(urls, networks, (select min(t) from unnest(seen_ats) as t));
  seqs := (event_insert(
    ids, pubkeys, sigs, created_ats, kinds, tags, contents, content_raws, tag_keys)).seqs;
  return event_relay_insert(
    seqs,
    (select array_agg(r.id order by g.n)
     from unnest(urls) with ordinality as g(url, n) join relay r on r.url = g.url),
    seen_ats);
end $$;
