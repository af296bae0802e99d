-- The storage profile `light` (sql/README.md): of an event its id, key, time, kind and the values of
-- its tags; no content, no signature. Nothing happens here in an archive of another profile.
--
-- What makes it small: values of 64 hex digits (most are) as bytes, the first 8 of them only as the
-- key in tag_keys; indexes on kind and author without the time, which PostgreSQL keeps as lists; ids
-- found by an index on the event's own row, so `event` is one partition (sightings have theirs).
do $profile$ begin
if (select profile from archive) <> 'light' then return; end if;

-- Of each tag in the order of tag_keys' first ones: the letter, and bytes 9 to 32 of its value.
alter table event add column packed bytea not null default '';
alter table event alter packed set storage external;
drop index event_kind;
create index event_kind on event (kind);
drop index event_pubkey;
create index event_pubkey on event (substring(pubkey, 1, 8));
drop trigger event_id_forget on event;
drop trigger event_id_forget_all on event;
drop function event_id_forget;
drop table event_id;
create unique index event_1_half on event_1 (event_half(id));

-- The tags by name and value: those of packed first, then the others.
create or replace function event_tags(e event) returns text
language sql stable parallel safe as $$
  select case when e.packed = '' then e.tags else (
    select '[' || string_agg(
      '["' || chr(get_byte(p.items, i * 25)) || '","'
        || encode(int8send(k.key # (get_byte(p.items, i * 25)::bigint << 56)), 'hex')
        || encode(substring(p.items, i * 25 + 2, 24), 'hex') || '"]', ',' order by i)
      || case when e.tags = '[]' then ']' else ',' || substr(e.tags, 2) end
    -- Whole in memory, or each substring would be read from the disk by itself.
    from (select e.packed || ''::bytea as items offset 0) p
    cross join generate_series(0, length(e.packed) / 25 - 1) as i
    join unnest(e.tag_keys) with ordinality as k(key, n) on k.n = i + 1
  ) end
$$;

-- A tag of packed comes out as 73 bytes of text.
create or replace function event_bytes(e event) returns int
language sql stable parallel safe as $$
  select octet_length(e.tags) + octet_length(e.packed) / 25 * 73 + octet_length(e.content)
    + octet_length(e.content_raw)
$$;

create or replace function event_known(ids bytea) returns bigint[]
language plpgsql stable set plan_cache_mode = force_custom_plan as $$
begin
  return array(
    select (
      select e.seq from event e where event_half(e.id) = event_half(g.id) and e.id = g.id
    )
    from (
      select substring(ids, n * 32 + 1, 32) as id
      from generate_series(0, length(ids) / 32 - 1) as n offset 0
    ) g
  );
end $$;

create or replace function event_found(ids bytea) returns bigint[]
language plpgsql stable set plan_cache_mode = force_custom_plan as $$
begin
  return array(
    select (
      select e.seq from event e where event_half(e.id) = event_half(g.id) and e.id = g.id
    )
    from (
      select substring(ids, n * 32 + 1, 32) as id
      from generate_series(0, length(ids) / 32 - 1) as n offset 0
    ) g
  );
end $$;

create or replace function event_store(
  seqs bigint[], ids bytea, pubkeys bytea, sigs bytea, created_ats bigint[], kinds int[],
  tags text[], contents text[], content_raws text[], tag_keys text[]
) returns int language plpgsql as $$
declare n int;
begin
  with given as materialized (
    select g.n::int, g.seq, g.created_at, g.kind, g.tags, g.keys::bigint[] as keys
    from unnest(seqs, created_ats, kinds, event_store.tags, event_store.tag_keys)
      with ordinality as g(seq, created_at, kind, tags, keys, n)
    where g.seq is not null
  ), tag as materialized (
    -- Of two tags `d` the first counts, so these stay in their order.
    select g.n, t.place, t.tag::text as tag,
      t.tag::text ~ '^\["[a-ce-zA-Z]","[0-9a-f]{64}"[],]' as fits
    from given g
    cross join lateral json_array_elements(g.tags::json) with ordinality as t(tag, place)
  ), fitting as (
    select t.n, array_agg(t.key order by t.place) as keys,
      string_agg(t.item, ''::bytea order by t.place) as items
    from (
      select t.n, t.place,
        ('x' || substr(t.tag, 7, 16))::bit(64)::bigint # (ascii(substr(t.tag, 3, 1))::bigint << 56)
          as key,
        decode(to_hex(ascii(substr(t.tag, 3, 1))) || substr(t.tag, 23, 48), 'hex') as item
      from tag t where t.fits
    ) t
    group by t.n
  ), other as (
    -- Names are letters, or mean something to the archive: when an event ends, where relays are.
    select t.n, '[' || string_agg(t.pair || ']', ',' order by t.place) || ']' as tags
    from (
      select t.n, t.place, substring(
        t.tag from '^(?:\["(?:[a-zA-Z]|relay|expiration)","(?:[^"\\]|\\.)*")') as pair
      from tag t where not t.fits
    ) t
    where t.pair is not null
    group by t.n
  )
  insert into event (seq, created_at, kind, id, pubkey, sig, tags, content, tag_keys, packed)
  select g.seq, g.created_at, g.kind, substring(ids, g.n * 32 - 31, 32),
    substring(pubkeys, g.n * 32 - 31, 32), '', coalesce(o.tags, '[]'), '',
    case when f.keys is null then g.keys
      else f.keys || array(select k from unnest(g.keys) as k where k <> all (f.keys)) end,
    coalesce(f.items, '')
  from given g left join fitting f on f.n = g.n left join other o on o.n = g.n
  order by g.n
  on conflict do nothing;
  get diagnostics n = row_count;
  return n;
end $$;

create or replace function event_insert(
  ids bytea, pubkeys bytea, sigs bytea, created_ats bigint[], kinds int[],
  tags text[], contents text[], content_raws text[], tag_keys text[],
  out inserted int, out seqs bigint[]
) language plpgsql set plan_cache_mode = force_custom_plan as $$
declare own bigint[]; highest bigint;
begin
  perform pg_advisory_xact_lock_shared(ingest_lock());
  own := array(
    select case when g.fresh then nextval('event_seq_seq') end
    from (
      select u.n, k.seq is null and row_number() over (
        partition by substring(ids, u.n * 32 - 31, 32) order by u.n) = 1 as fresh
      from generate_series(1, length(ids) / 32) as u(n)
      join unnest(event_known(ids)) with ordinality as k(seq, n) on k.n = u.n
    ) g
    order by g.n);
  highest := (select max(s) from unnest(own) as s);
  if highest >= (select partitioned_to from archive) then
    perform event_partition_add(highest);
  end if;
  inserted := event_store(
    own, ids, pubkeys, sigs, created_ats, kinds, tags, contents, content_raws, tag_keys);
  if inserted = cardinality(own) then
    seqs := own;
  else
    -- A new statement, and so a new snapshot: it sees what a concurrent writer was first to insert.
    seqs := event_found(ids);
  end if;
end $$;
end $profile$;
