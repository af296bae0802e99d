-- How relays' documents and the memory of services change.
-- Every function takes sets (arrays of equal length, or one jsonb array of objects where rows are
-- few) and returns what it did. Called twice with the same sets it does the same as once, unless it
-- says otherwise.

-- Metadata --------------------------------------------------------------------------------------

-- Held shared by whoever is about to name a document: one that nobody names must not be deleted then.
create function metadata_lock() returns bigint language sql immutable as $$ select 7166253194463::bigint $$;

-- Documents by content. Rows: type, hash (hex), data. Gives the ids in the order of the input.
create function metadata_insert(rows jsonb) returns int[] language plpgsql as $$
begin
  perform pg_advisory_xact_lock_shared(metadata_lock());
  -- By elements: a recordset would turn a document that is null into no value.
  insert into metadata (type, hash, data)
  select distinct on (2, 1) g.row ->> 'type', decode(g.row ->> 'hash', 'hex'), g.row -> 'data'
  from jsonb_array_elements(rows) as g(row)
  where not exists (
    select from metadata m
    where m.hash = decode(g.row ->> 'hash', 'hex') and m.type = g.row ->> 'type')
  order by 2, 1
  on conflict on constraint metadata_content do nothing;
  return (
    select array_agg(m.id order by g.n)
    from jsonb_array_elements(rows) with ordinality as g(row, n)
    left join metadata m on m.hash = decode(g.row ->> 'hash', 'hex') and m.type = g.row ->> 'type'
  );
end $$;

-- What relays said of themselves. Rows: relay_id, type, hash, data, generated_at. A document equal
-- to the relay's latest moves its confirmed_at; another makes a row. Gives the number of changes.
create function relay_metadata_insert_cascade(rows jsonb) returns int language plpgsql as $$
declare n int; metadata_ids int[];
begin
  metadata_ids := metadata_insert(rows);
  with given as materialized (
    select distinct on (g.row ->> 'relay_id', g.row ->> 'type')
      (g.row ->> 'relay_id')::int as relay_id, g.row ->> 'type' as type,
      (g.row ->> 'generated_at')::bigint as generated_at, metadata_ids[g.n::int] as metadata_id
    from jsonb_array_elements(rows) with ordinality as g(row, n)
    order by g.row ->> 'relay_id', g.row ->> 'type', (g.row ->> 'generated_at')::bigint desc
  ), latest as materialized (
    select g.relay_id, g.type, g.generated_at, g.metadata_id, m.generated_at as since,
      m.metadata_id as latest_id
    from given g
    left join lateral (
      select * from relay_metadata m
      where m.relay_id = g.relay_id and m.type = g.type order by m.generated_at desc limit 1
    ) m on true
  ), confirmed as (
    update relay_metadata m set confirmed_at = greatest(m.confirmed_at, l.generated_at)
    from latest l
    where l.latest_id = l.metadata_id and m.relay_id = l.relay_id and m.type = l.type
      and m.generated_at = l.since
  )
  insert into relay_metadata (relay_id, type, generated_at, metadata_id, confirmed_at)
  select relay_id, type, generated_at, metadata_id, generated_at
  from latest
  where latest_id is distinct from metadata_id and generated_at > coalesce(since, generated_at - 1)
  on conflict do nothing;
  get diagnostics n = row_count;
  return n;
end $$;

-- History older than `before`, and of each relay and type all but the `newest` rows, of which there is
-- one at least: the latest stays.
create function relay_metadata_delete_expired(before bigint, newest int, max_rows int) returns int
language plpgsql as $$
declare expired int; surplus int;
begin
  delete from relay_metadata m
  where (m.relay_id, m.type, m.generated_at) in (
    select o.relay_id, o.type, o.generated_at from relay_metadata o
    where o.confirmed_at < before and exists (
      select from relay_metadata newer
      where newer.relay_id = o.relay_id and newer.type = o.type
        and newer.generated_at > o.generated_at)
    limit max_rows
  );
  get diagnostics expired = row_count;
  delete from relay_metadata m
  where (m.relay_id, m.type, m.generated_at) in (
    select o.relay_id, o.type, o.generated_at
    from (
      select h.relay_id, h.type, count(*) - greatest(newest, 1) as surplus
      from relay_metadata h group by h.relay_id, h.type having count(*) > greatest(newest, 1)
    ) g
    cross join lateral (
      select h.relay_id, h.type, h.generated_at from relay_metadata h
      where h.relay_id = g.relay_id and h.type = g.type
      order by h.generated_at limit g.surplus
    ) o
    limit max_rows - expired
  );
  get diagnostics surplus = row_count;
  return expired + surplus;
end $$;

create function orphan_metadata_delete(max_rows int) returns int language plpgsql as $$
declare n int;
begin
  perform pg_advisory_xact_lock(metadata_lock());
  delete from metadata m where m.id in (
    select o.id from metadata o
    where not exists (select from relay_metadata r where r.metadata_id = o.id) limit max_rows
  );
  get diagnostics n = row_count;
  return n;
end $$;

-- Service state ---------------------------------------------------------------------------------

create function service_state_upsert(of_service text, of_key text, new_value jsonb, at bigint)
returns void language sql as $$
  insert into service_state (service, key, value, updated_at)
  values (of_service, of_key, new_value, at)
  on conflict (service, key) do update
  set value = excluded.value, updated_at = excluded.updated_at
$$;

-- Puts a value only in place of `old_value` (null: of none); false when another stands there.
create function service_state_replace(
  of_service text, of_key text, old_value jsonb, new_value jsonb, at bigint
) returns bool language plpgsql as $$
begin
  if old_value is null then
    insert into service_state (service, key, value, updated_at)
    values (of_service, of_key, new_value, at)
    on conflict do nothing;
  else
    update service_state set value = new_value, updated_at = at
    where service = of_service and key = of_key and value = old_value;
  end if;
  return found;
end $$;

create function service_state_get(of_service text, of_key text) returns jsonb
language sql stable as $$
  select value from service_state where service = of_service and key = of_key
$$;

create function service_state_delete(of_service text, of_key text) returns bool
language plpgsql as $$
begin
  delete from service_state where service = of_service and key = of_key;
  return found;
end $$;
