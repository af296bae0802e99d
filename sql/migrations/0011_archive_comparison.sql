-- What a relay was seen to hold, as sums: comparing it with the relay once more (NIP-77) reads what
-- is new, not what is stored.

-- Sums over the ids of the events seen on a relay that a filter takes, by segments of created_at:
-- all sightings up to sighting_seq. Days (created_at / 86400) of which events were deleted since are
-- stale; each deletion raises the version, so that sums computed before it are not stored after it.
create table relay_fingerprint (
  relay_id int not null references relay on delete cascade,
  filter_id int not null references filter,
  version int not null default 0,
  sighting_seq bigint not null default 0,
  stale_days bigint[] not null default '{}',
  segments bytea not null default '',
  primary key (relay_id, filter_id)
) with (fillfactor = 80);

-- The sums of a relay and filter; an empty row is made first, so that no deletion escapes it.
create function relay_fingerprint_open(of_relay_id int, filter_text text)
returns setof relay_fingerprint language plpgsql as $$
declare f int; h bytea := sha256(convert_to(filter_text, 'UTF8'));
begin
  insert into filter (hash, filter)
  select h, filter_text where not exists (select from filter where hash = h)
  on conflict (hash) do nothing;
  select id into f from filter where hash = h;
  insert into relay_fingerprint (relay_id, filter_id) values (of_relay_id, f)
  on conflict do nothing;
  return query select * from relay_fingerprint p where p.relay_id = of_relay_id and p.filter_id = f;
end $$;

-- Stores sums, unless events were deleted or others stored theirs since that version was opened.
create function relay_fingerprint_store(
  of_relay_id int, of_filter_id int, of_version int, up_to bigint, new_segments bytea
) returns bool language plpgsql as $$
begin
  update relay_fingerprint
  set version = version + 1, sighting_seq = up_to, stale_days = '{}', segments = new_segments
  where relay_id = of_relay_id and filter_id = of_filter_id and version = of_version;
  return found;
end $$;

-- The i-th relay has lost an event of the i-th day: of many days, all sums are void.
create function relay_fingerprint_outdate(relay_ids int[], days bigint[]) returns void
language plpgsql set plan_cache_mode = force_custom_plan as $$
begin
  with lost as (
    select g.relay_id, array_agg(distinct g.day) as days
    from unnest(relay_ids, days) as g(relay_id, day) group by g.relay_id
  ), stale as (
    select p.relay_id, p.filter_id,
      array(select distinct d from unnest(p.stale_days || l.days) as d) as days
    from relay_fingerprint p join lost l using (relay_id)
  )
  update relay_fingerprint p
  set version = p.version + 1,
    stale_days = case when cardinality(s.days) > 4000 then '{}' else s.days end,
    sighting_seq = case when cardinality(s.days) > 4000 then 0 else p.sighting_seq end,
    segments = case when cardinality(s.days) > 4000 then '' else p.segments end
  from stale s where p.relay_id = s.relay_id and p.filter_id = s.filter_id;
end $$;

-- Sightings or events are deleted, by whatever way: whichever goes first finds the other.
create function relay_fingerprint_on_delete() returns trigger
language plpgsql set plan_cache_mode = force_custom_plan as $$
begin
  if not exists (select from relay_fingerprint) then return null; end if;
  if tg_argv[0] = 'sightings' then
    perform relay_fingerprint_outdate(array_agg(l.relay_id), array_agg(l.day))
    from (
      select distinct g.relay_id, e.created_at / 86400 as day
      from gone g join event e on e.seq = g.event_seq) l;
  else
    perform relay_fingerprint_outdate(array_agg(l.relay_id), array_agg(l.day))
    from (
      select distinct r.relay_id, g.created_at / 86400 as day
      from gone g join event_relay r on r.event_seq = g.seq) l;
  end if;
  return null;
end $$;
create trigger relay_fingerprint_sightings after delete on event_relay
  referencing old table as gone
  for each statement execute function relay_fingerprint_on_delete('sightings');
create trigger relay_fingerprint_events after delete on event
  referencing old table as gone
  for each statement execute function relay_fingerprint_on_delete('events');
