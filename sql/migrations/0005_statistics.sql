-- Statistics move with the data: each refresh reads what is new since the last one, and what time
-- has moved into or out of a window since then, and commits the counts together with the point that
-- it reached. A rebuild gives the same rows.
--
-- A window of 1 h, 24 h, 7 d or 30 d holds the events with created_at in (at - width, at], where
-- `at` is when the statistics were last refreshed, to the second. An event dated later is in none
-- until its time has come, but in all time at once; one that arrives late is counted where its date
-- belongs. All counts, distinct ones too, are exact.

-- Tables ----------------------------------------------------------------------------------------

-- One row: up to where the stat_ tables have counted, and the totals at that point. Sightings that
-- are counted are always of events that are.
create table stat_total (
  one bool primary key default true check (one),
  event_seq bigint not null default 0,
  sighting_seq bigint not null default 0,
  at bigint not null default 0,
  events bigint not null default 0,
  sightings bigint not null default 0,
  pubkeys bigint not null default 0,
  pubkeys_1h bigint not null default 0,
  pubkeys_24h bigint not null default 0,
  pubkeys_7d bigint not null default 0,
  pubkeys_30d bigint not null default 0
) with (fillfactor = 20);
insert into stat_total default values;

create table stat_kind (
  kind int primary key,
  events bigint not null,
  events_1h bigint not null,
  events_24h bigint not null,
  events_7d bigint not null,
  events_30d bigint not null,
  pubkeys bigint not null,
  pubkeys_1h bigint not null,
  pubkeys_24h bigint not null,
  pubkeys_7d bigint not null,
  pubkeys_30d bigint not null
) with (fillfactor = 50);

-- Authors have numbers here, 4 bytes in place of 33 in the tables below; one whose events were all
-- deleted gets another when he comes back.
create sequence stat_pubkey_id as int;
create table stat_pubkey (
  id int primary key,
  events int not null,
  events_1h int not null,
  events_24h int not null,
  events_7d int not null,
  events_30d int not null,
  pubkey bytea not null unique
) with (fillfactor = 90);
alter sequence stat_pubkey_id owned by stat_pubkey.id;

create table stat_pubkey_kind (
  pubkey_id int not null,
  kind int not null,
  events int not null,
  events_1h int not null,
  events_24h int not null,
  events_7d int not null,
  events_30d int not null,
  primary key (pubkey_id, kind)
) with (fillfactor = 90);

create table stat_relay (
  relay_id int primary key,
  sightings bigint not null,
  sightings_1h bigint not null,
  sightings_24h bigint not null,
  sightings_7d bigint not null,
  sightings_30d bigint not null,
  pubkeys int not null,
  pubkeys_1h int not null,
  pubkeys_24h int not null,
  pubkeys_7d int not null,
  pubkeys_30d int not null,
  kinds int not null,
  kinds_1h int not null,
  kinds_24h int not null,
  kinds_7d int not null,
  kinds_30d int not null
) with (fillfactor = 50);

create table stat_kind_relay (
  relay_id int not null,
  kind int not null,
  sightings bigint not null,
  sightings_1h bigint not null,
  sightings_24h bigint not null,
  sightings_7d bigint not null,
  sightings_30d bigint not null,
  primary key (relay_id, kind)
) with (fillfactor = 70);

create table stat_pubkey_relay (
  pubkey_id int not null,
  relay_id int not null,
  sightings int not null,
  sightings_1h int not null,
  sightings_24h int not null,
  sightings_7d int not null,
  sightings_30d int not null,
  primary key (pubkey_id, relay_id)
) with (fillfactor = 90);
create index stat_pubkey_relay_relay on stat_pubkey_relay (relay_id, pubkey_id);

-- Events by UTC day (days since 1970-01-01), up to the year 9999, and kind: of each author, and of
-- all together, there with kind -1 for all kinds.
create table stat_pubkey_day (
  pubkey_id int not null,
  day int not null,
  kind int not null,
  events int not null,
  primary key (pubkey_id, day, kind)
) with (fillfactor = 90);

create table stat_day (
  day int not null,
  kind int not null,
  events bigint not null,
  pubkeys bigint not null,
  primary key (day, kind)
) with (fillfactor = 70);

-- What is where ---------------------------------------------------------------------------------

-- A point at or below which every sequence number is committed or will never be. Takes the writers'
-- lock for a moment, so call it in a transaction of its own that ends at once.
create function statistics_horizon(out event_seq bigint, out sighting_seq bigint)
language plpgsql as $$
begin
  perform pg_advisory_xact_lock(ingest_lock());
  select case when is_called then last_value else 0 end into event_seq from event_seq_seq;
  select case when is_called then last_value else 0 end into sighting_seq from event_relay_seq_seq;
end $$;

-- The NIP-01 class of a kind.
create function event_class(kind int) returns text
language sql immutable strict parallel safe as $$
  select case
    when kind between 20000 and 29999 then 'ephemeral'
    when kind between 30000 and 39999 then 'addressable'
    when kind between 10000 and 19999 or kind in (0, 3) then 'replaceable'
    else 'regular'
  end
$$;

-- 1 when an event of this time is in the window of this width that ends at `at`, else 0.
create function statistics_within(created_at bigint, at bigint, width int) returns int
language sql immutable parallel safe as $$
  select (created_at <= at and created_at > at - width)::int
$$;

-- 1 when it comes into the window as that moves, -1 when it leaves; null is a moment that has none.
create function statistics_move(created_at bigint, at_from bigint, at_to bigint, width int)
returns int language sql immutable parallel safe as $$
  select coalesce(statistics_within(created_at, at_to, width), 0)
    - coalesce(statistics_within(created_at, at_from, width), 0)
$$;

-- The widths of the windows, and 0 for the present moment, each with the next narrower one.
create function statistics_widths() returns table (width bigint, narrower bigint)
language sql immutable rows 5 as $$
  values (0::bigint, null::bigint), (3600, 0), (86400, 3600), (604800, 86400), (2592000, 604800)
$$;

-- The spans of created_at, without overlap, whose events a move from one moment to another changes.
create function statistics_edges(at_from bigint, at_to bigint)
returns table (after bigint, up_to bigint) language sql immutable rows 5 as $$
  select least(at_from, at_to) - w.width,
    least(greatest(at_from, at_to) - w.width, least(at_from, at_to) - w.narrower)
  from statistics_widths() w
  where at_from <> at_to
$$;

-- How far towards `at_wanted` the windows may move so that at each edge no more than `max_rows`
-- events change; by a second at least. Time goes backwards when a clock was wrong.
create function statistics_step(at_from bigint, at_wanted bigint, max_rows bigint) returns bigint
language plpgsql stable set plan_cache_mode = force_custom_plan as $$
declare w record; stop bigint; reached bigint := at_wanted;
begin
  if at_wanted = at_from then return at_from; end if;
  for w in select * from statistics_widths() loop
    if at_wanted > at_from then
      select e.created_at + w.width - 1 into stop from event e
      where e.created_at > at_from - w.width and e.created_at <= reached - w.width
      order by e.created_at offset max_rows limit 1;
      reached := greatest(least(reached, stop), at_from + 1);
    else
      select e.created_at + w.width into stop from event e
      where e.created_at > reached - w.width and e.created_at <= at_from - w.width
      order by e.created_at desc offset max_rows limit 1;
      reached := least(greatest(reached, stop), at_from - 1);
    end if;
  end loop;
  return reached;
end $$;

-- Changes ---------------------------------------------------------------------------------------

-- What changes by event: those in (seq_from, seq_to] are new, counted ones come into windows or
-- leave them between at_from and at_to, and those in `gone` are taken off. A function, so that no
-- plan above it depends on a guess at how many they are.
create function statistics_event_changes(
  seq_from bigint, seq_to bigint, at_from bigint, at_to bigint, gone bigint[]
) returns table (
  created_at bigint, kind int, pubkey bytea, n int, n_1h int, n_24h int, n_7d int, n_30d int
) language plpgsql stable rows 20000 set plan_cache_mode = force_custom_plan as $$
declare edge record;
begin
  if seq_to > seq_from then
    return query
    select e.created_at, e.kind, e.pubkey, 1, statistics_move(e.created_at, null, at_to, 3600),
      statistics_move(e.created_at, null, at_to, 86400),
      statistics_move(e.created_at, null, at_to, 604800),
      statistics_move(e.created_at, null, at_to, 2592000)
    from event e where e.seq > seq_from and e.seq <= seq_to;
  end if;
  for edge in select * from statistics_edges(at_from, at_to) loop
    return query
    select e.created_at, e.kind, e.pubkey, 0,
      statistics_move(e.created_at, at_from, at_to, 3600),
      statistics_move(e.created_at, at_from, at_to, 86400),
      statistics_move(e.created_at, at_from, at_to, 604800),
      statistics_move(e.created_at, at_from, at_to, 2592000)
    from event e
    where e.created_at > edge.after and e.created_at <= edge.up_to and e.seq <= seq_from;
  end loop;
  if gone <> '{}' then
    return query
    select e.created_at, e.kind, e.pubkey, -1, statistics_move(e.created_at, at_from, null, 3600),
      statistics_move(e.created_at, at_from, null, 86400),
      statistics_move(e.created_at, at_from, null, 604800),
      statistics_move(e.created_at, at_from, null, 2592000)
    from (select distinct g.seq from unnest(gone) as g(seq)) g
    cross join lateral (select * from event e where e.seq = g.seq limit 1) e
    where e.seq <= seq_from;
  end if;
end $$;

-- The same by sighting. `gone_relays` names a relay for each of `gone_seqs`; null for all of them.
create function statistics_sighting_changes(
  seq_from bigint, seq_to bigint, at_from bigint, at_to bigint, gone_seqs bigint[],
  gone_relays int[]
) returns table (
  relay_id int, kind int, pubkey bytea, n int, n_1h int, n_24h int, n_7d int, n_30d int
) language plpgsql stable rows 50000 set plan_cache_mode = force_custom_plan as $$
declare edge record;
begin
  if seq_to > seq_from then
    return query
    with own as materialized (
      select r.event_seq, array_agg(r.relay_id) as relays from event_relay r
      where r.seq > seq_from and r.seq <= seq_to group by r.event_seq
    )
    select unnest(o.relays), e.kind, e.pubkey, 1, statistics_move(e.created_at, null, at_to, 3600),
      statistics_move(e.created_at, null, at_to, 86400),
      statistics_move(e.created_at, null, at_to, 604800),
      statistics_move(e.created_at, null, at_to, 2592000)
    from own o
    cross join lateral (
      select e.kind, e.pubkey, e.created_at from event e where e.seq = o.event_seq limit 1
    ) e;
  end if;
  for edge in select * from statistics_edges(at_from, at_to) loop
    return query
    select unnest(r.relays), e.kind, e.pubkey, 0,
      statistics_move(e.created_at, at_from, at_to, 3600),
      statistics_move(e.created_at, at_from, at_to, 86400),
      statistics_move(e.created_at, at_from, at_to, 604800),
      statistics_move(e.created_at, at_from, at_to, 2592000)
    from event e
    cross join lateral (
      select array_agg(r.relay_id) as relays from event_relay r
      where r.event_seq = e.seq and r.seq <= seq_from
    ) r
    where e.created_at > edge.after and e.created_at <= edge.up_to;
  end loop;
  if gone_seqs <> '{}' then
    return query
    select unnest(r.relays), e.kind, e.pubkey, -1,
      statistics_move(e.created_at, at_from, null, 3600),
      statistics_move(e.created_at, at_from, null, 86400),
      statistics_move(e.created_at, at_from, null, 604800),
      statistics_move(e.created_at, at_from, null, 2592000)
    from (
      select g.seq, array_agg(g.relay_id) as only
      from unnest(gone_seqs, gone_relays) as g(seq, relay_id) group by g.seq
    ) g
    cross join lateral (
      select e.kind, e.pubkey, e.created_at from event e where e.seq = g.seq limit 1
    ) e
    cross join lateral (
      select array_agg(r.relay_id) as relays from event_relay r
      where r.event_seq = g.seq and r.seq <= seq_from
        and (gone_relays is null or r.relay_id = any (g.only))
    ) r;
  end if;
end $$;

-- Counts the changes by event, and puts the row of stat_total on. The caller holds that row. Large
-- tables are reached by key alone (upserts, look-ups by sub-select): changes alone cost something.
create function statistics_count_events(
  t stat_total, seq_to bigint, at_to bigint, gone bigint[]
) returns bigint language plpgsql set plan_cache_mode = force_custom_plan set jit = off as $$
declare new_events bigint;
begin
  with changes as materialized (
    select * from statistics_event_changes(t.event_seq, seq_to, t.at, at_to, gone)
  ), authors as materialized (
    select coalesce(a.known_id, nextval('stat_pubkey_id')::int) as id, a.*
    from (
      select c.pubkey, (select s.id from stat_pubkey s where s.pubkey = c.pubkey) as known_id,
        sum(c.n)::int as n, sum(c.n_1h)::int as n_1h, sum(c.n_24h)::int as n_24h,
        sum(c.n_7d)::int as n_7d, sum(c.n_30d)::int as n_30d
      from changes c group by c.pubkey
    ) a
  ), put_authors as (
    insert into stat_pubkey as s (id, events, events_1h, events_24h, events_7d, events_30d, pubkey)
    select a.id, a.n, a.n_1h, a.n_24h, a.n_7d, a.n_30d, a.pubkey from authors a order by a.id
    on conflict (pubkey) do update
    set events = s.events + excluded.events, events_1h = s.events_1h + excluded.events_1h,
      events_24h = s.events_24h + excluded.events_24h, events_7d = s.events_7d + excluded.events_7d,
      events_30d = s.events_30d + excluded.events_30d
    returning s.id, s.events, s.events_1h, s.events_24h, s.events_7d, s.events_30d
  ), author_turns as (
    select sum((s.events > 0)::int - (s.events > a.n)::int) as n,
      sum((s.events_1h > 0)::int - (s.events_1h > a.n_1h)::int) as n_1h,
      sum((s.events_24h > 0)::int - (s.events_24h > a.n_24h)::int) as n_24h,
      sum((s.events_7d > 0)::int - (s.events_7d > a.n_7d)::int) as n_7d,
      sum((s.events_30d > 0)::int - (s.events_30d > a.n_30d)::int) as n_30d
    from authors a join put_authors s on s.id = a.id
  ), pairs as materialized (
    select a.id, c.kind, sum(c.n)::int as n, sum(c.n_1h)::int as n_1h, sum(c.n_24h)::int as n_24h,
      sum(c.n_7d)::int as n_7d, sum(c.n_30d)::int as n_30d
    from changes c join authors a on a.pubkey = c.pubkey
    group by a.id, c.kind
  ), put_pairs as (
    insert into stat_pubkey_kind as s
      (pubkey_id, kind, events, events_1h, events_24h, events_7d, events_30d)
    select p.id, p.kind, p.n, p.n_1h, p.n_24h, p.n_7d, p.n_30d from pairs p order by p.id, p.kind
    on conflict (pubkey_id, kind) do update
    set events = s.events + excluded.events, events_1h = s.events_1h + excluded.events_1h,
      events_24h = s.events_24h + excluded.events_24h, events_7d = s.events_7d + excluded.events_7d,
      events_30d = s.events_30d + excluded.events_30d
    returning s.pubkey_id, s.kind, s.events, s.events_1h, s.events_24h, s.events_7d, s.events_30d
  ), kinds as (
    insert into stat_kind as s (kind, events, events_1h, events_24h, events_7d, events_30d,
      pubkeys, pubkeys_1h, pubkeys_24h, pubkeys_7d, pubkeys_30d)
    select p.kind, sum(p.n), sum(p.n_1h), sum(p.n_24h), sum(p.n_7d), sum(p.n_30d),
      sum((w.events > 0)::int - (w.events > p.n)::int),
      sum((w.events_1h > 0)::int - (w.events_1h > p.n_1h)::int),
      sum((w.events_24h > 0)::int - (w.events_24h > p.n_24h)::int),
      sum((w.events_7d > 0)::int - (w.events_7d > p.n_7d)::int),
      sum((w.events_30d > 0)::int - (w.events_30d > p.n_30d)::int)
    from pairs p join put_pairs w on w.pubkey_id = p.id and w.kind = p.kind
    group by p.kind
    on conflict (kind) do update
    set events = s.events + excluded.events, events_1h = s.events_1h + excluded.events_1h,
      events_24h = s.events_24h + excluded.events_24h, events_7d = s.events_7d + excluded.events_7d,
      events_30d = s.events_30d + excluded.events_30d, pubkeys = s.pubkeys + excluded.pubkeys,
      pubkeys_1h = s.pubkeys_1h + excluded.pubkeys_1h,
      pubkeys_24h = s.pubkeys_24h + excluded.pubkeys_24h,
      pubkeys_7d = s.pubkeys_7d + excluded.pubkeys_7d,
      pubkeys_30d = s.pubkeys_30d + excluded.pubkeys_30d
  ), days as materialized (
    select a.id, (c.created_at / 86400)::int as day, c.kind, sum(c.n)::int as n
    from changes c join authors a on a.pubkey = c.pubkey
    where c.n <> 0 and c.created_at between 0 and 253402300799
    group by a.id, 2, c.kind
  ), put_author_days as (
    insert into stat_pubkey_day as s (pubkey_id, day, kind, events)
    select d.id, d.day, d.kind, d.n from days d order by d.id, d.day, d.kind
    on conflict (pubkey_id, day, kind) do update set events = s.events + excluded.events
    returning s.pubkey_id, s.day, s.kind, s.events
  ), day_turns as (
    select d.day, d.kind, d.n, (s.events > 0)::int - (s.events > d.n)::int as pubkeys
    from days d
    join put_author_days s on s.pubkey_id = d.id and s.day = d.day and s.kind = d.kind
    union all
    select d.day, -1, d.n, (d.before + d.n > 0)::int - (d.before > 0)::int
    from (
      -- As before this statement, whatever it changes.
      select d.day, d.n, coalesce((
        select sum(s.events) from stat_pubkey_day s where s.pubkey_id = d.id and s.day = d.day
      ), 0) as before
      from (select id, day, sum(n)::int as n from days group by id, day) d
    ) d
  ), put_days as (
    insert into stat_day as s (day, kind, events, pubkeys)
    select d.day, d.kind, sum(d.n), sum(d.pubkeys) from day_turns d group by d.day, d.kind
    on conflict (day, kind) do update
    set events = s.events + excluded.events, pubkeys = s.pubkeys + excluded.pubkeys
  ), sums as (
    select coalesce(sum(n), 0) as n from authors
  )
  update stat_total s
  set event_seq = seq_to, at = at_to, events = s.events + sums.n,
    pubkeys = s.pubkeys + coalesce(a.n, 0), pubkeys_1h = s.pubkeys_1h + coalesce(a.n_1h, 0),
    pubkeys_24h = s.pubkeys_24h + coalesce(a.n_24h, 0),
    pubkeys_7d = s.pubkeys_7d + coalesce(a.n_7d, 0),
    pubkeys_30d = s.pubkeys_30d + coalesce(a.n_30d, 0)
  from author_turns a, sums
  returning sums.n into new_events;
  return new_events;
end $$;

-- Counts the changes by sighting, as above; `t` is the row of stat_total as it was before either.
create function statistics_count_sightings(
  t stat_total, seq_to bigint, at_to bigint, gone_seqs bigint[], gone_relays int[]
) returns bigint language plpgsql set plan_cache_mode = force_custom_plan set jit = off as $$
declare new_sightings bigint;
begin
  with changes as materialized (
    select * from statistics_sighting_changes(
      t.sighting_seq, seq_to, t.at, at_to, gone_seqs, gone_relays)
  ), authors as materialized (
    select c.pubkey, (select s.id from stat_pubkey s where s.pubkey = c.pubkey) as id
    from changes c group by c.pubkey
  ), pairs as materialized (
    select a.id, c.relay_id, sum(c.n)::int as n, sum(c.n_1h)::int as n_1h,
      sum(c.n_24h)::int as n_24h, sum(c.n_7d)::int as n_7d, sum(c.n_30d)::int as n_30d
    from changes c join authors a on a.pubkey = c.pubkey
    group by a.id, c.relay_id
  ), put_pairs as (
    insert into stat_pubkey_relay as s
      (pubkey_id, relay_id, sightings, sightings_1h, sightings_24h, sightings_7d, sightings_30d)
    select p.id, p.relay_id, p.n, p.n_1h, p.n_24h, p.n_7d, p.n_30d
    from pairs p order by p.id, p.relay_id
    on conflict (pubkey_id, relay_id) do update
    set sightings = s.sightings + excluded.sightings,
      sightings_1h = s.sightings_1h + excluded.sightings_1h,
      sightings_24h = s.sightings_24h + excluded.sightings_24h,
      sightings_7d = s.sightings_7d + excluded.sightings_7d,
      sightings_30d = s.sightings_30d + excluded.sightings_30d
    returning s.*
  ), author_turns as (
    select p.relay_id, sum((s.sightings > 0)::int - (s.sightings > p.n)::int) as n,
      sum((s.sightings_1h > 0)::int - (s.sightings_1h > p.n_1h)::int) as n_1h,
      sum((s.sightings_24h > 0)::int - (s.sightings_24h > p.n_24h)::int) as n_24h,
      sum((s.sightings_7d > 0)::int - (s.sightings_7d > p.n_7d)::int) as n_7d,
      sum((s.sightings_30d > 0)::int - (s.sightings_30d > p.n_30d)::int) as n_30d
    from pairs p join put_pairs s on s.pubkey_id = p.id and s.relay_id = p.relay_id
    group by p.relay_id
  ), kinds as materialized (
    select c.relay_id, c.kind, sum(c.n) as n, sum(c.n_1h) as n_1h, sum(c.n_24h) as n_24h,
      sum(c.n_7d) as n_7d, sum(c.n_30d) as n_30d
    from changes c group by c.relay_id, c.kind
  ), put_kinds as (
    insert into stat_kind_relay as s
      (relay_id, kind, sightings, sightings_1h, sightings_24h, sightings_7d, sightings_30d)
    select k.relay_id, k.kind, k.n, k.n_1h, k.n_24h, k.n_7d, k.n_30d
    from kinds k order by k.relay_id, k.kind
    on conflict (relay_id, kind) do update
    set sightings = s.sightings + excluded.sightings,
      sightings_1h = s.sightings_1h + excluded.sightings_1h,
      sightings_24h = s.sightings_24h + excluded.sightings_24h,
      sightings_7d = s.sightings_7d + excluded.sightings_7d,
      sightings_30d = s.sightings_30d + excluded.sightings_30d
    returning s.*
  ), relays as (
    select k.relay_id, sum(k.n) as n, sum(k.n_1h) as n_1h, sum(k.n_24h) as n_24h,
      sum(k.n_7d) as n_7d, sum(k.n_30d) as n_30d,
      sum((s.sightings > 0)::int - (s.sightings > k.n)::int) as kinds,
      sum((s.sightings_1h > 0)::int - (s.sightings_1h > k.n_1h)::int) as kinds_1h,
      sum((s.sightings_24h > 0)::int - (s.sightings_24h > k.n_24h)::int) as kinds_24h,
      sum((s.sightings_7d > 0)::int - (s.sightings_7d > k.n_7d)::int) as kinds_7d,
      sum((s.sightings_30d > 0)::int - (s.sightings_30d > k.n_30d)::int) as kinds_30d
    from kinds k join put_kinds s on s.relay_id = k.relay_id and s.kind = k.kind
    group by k.relay_id
  ), put_relays as (
    insert into stat_relay as s (relay_id, sightings, sightings_1h, sightings_24h, sightings_7d,
      sightings_30d, pubkeys, pubkeys_1h, pubkeys_24h, pubkeys_7d, pubkeys_30d, kinds, kinds_1h,
      kinds_24h, kinds_7d, kinds_30d)
    select r.relay_id, r.n, r.n_1h, r.n_24h, r.n_7d, r.n_30d, a.n, a.n_1h, a.n_24h, a.n_7d, a.n_30d,
      r.kinds, r.kinds_1h, r.kinds_24h, r.kinds_7d, r.kinds_30d
    from relays r join author_turns a on a.relay_id = r.relay_id
    on conflict (relay_id) do update
    set sightings = s.sightings + excluded.sightings,
      sightings_1h = s.sightings_1h + excluded.sightings_1h,
      sightings_24h = s.sightings_24h + excluded.sightings_24h,
      sightings_7d = s.sightings_7d + excluded.sightings_7d,
      sightings_30d = s.sightings_30d + excluded.sightings_30d,
      pubkeys = s.pubkeys + excluded.pubkeys, pubkeys_1h = s.pubkeys_1h + excluded.pubkeys_1h,
      pubkeys_24h = s.pubkeys_24h + excluded.pubkeys_24h,
      pubkeys_7d = s.pubkeys_7d + excluded.pubkeys_7d,
      pubkeys_30d = s.pubkeys_30d + excluded.pubkeys_30d,
      kinds = s.kinds + excluded.kinds, kinds_1h = s.kinds_1h + excluded.kinds_1h,
      kinds_24h = s.kinds_24h + excluded.kinds_24h, kinds_7d = s.kinds_7d + excluded.kinds_7d,
      kinds_30d = s.kinds_30d + excluded.kinds_30d
  ), sums as (
    select coalesce(sum(n), 0) as n from kinds
  )
  update stat_total s set sighting_seq = seq_to, sightings = s.sightings + sums.n
  from sums
  returning sums.n into new_sightings;
  return new_sightings;
end $$;

-- Refresh ---------------------------------------------------------------------------------------

-- Advances by at most max_rows sequence numbers of events and as many of sightings, up to a horizon
-- taken before, and moves the windows towards `at` (Unix seconds) as far as that changes about
-- max_rows events. Gives what was counted, and how many sequence numbers and seconds are left; nothing
-- while another counts, who may be at it for long (all_statistics_refresh).
create function statistics_refresh(
  event_horizon bigint, sighting_horizon bigint, max_rows bigint, at bigint,
  out events bigint, out sightings bigint, out behind bigint
) language plpgsql as $$
declare t stat_total; event_to bigint; sighting_to bigint; at_to bigint;
begin
  select * into t from stat_total for update skip locked;
  if not found then
    events := 0; sightings := 0; behind := 0;
    return;
  end if;
  event_to := greatest(t.event_seq, least(event_horizon, t.event_seq + max_rows));
  sighting_to := t.sighting_seq;
  -- Both ends of a horizon belong together: below it, the event of every sighting is there.
  if event_to >= event_horizon then
    sighting_to := greatest(t.sighting_seq, least(sighting_horizon, t.sighting_seq + max_rows));
  end if;
  if t.event_seq = 0 then t.at := at; end if;
  at_to := statistics_step(t.at, at, max_rows);
  events := statistics_count_events(t, event_to, at_to, '{}');
  sightings := statistics_count_sightings(t, sighting_to, at_to, '{}', null);
  behind := greatest(event_horizon - event_to, 0) + greatest(sighting_horizon - sighting_to, 0)
    + abs(at - at_to);
end $$;

-- Everything from nothing, up to a horizon taken before and as of `at`: reads all there is.
create function all_statistics_refresh(event_horizon bigint, sighting_horizon bigint, at bigint)
returns void language plpgsql set plan_cache_mode = force_custom_plan as $$
begin
  perform from stat_total for update;
  delete from stat_kind;
  delete from stat_pubkey;
  delete from stat_pubkey_kind;
  delete from stat_relay;
  delete from stat_kind_relay;
  delete from stat_pubkey_relay;
  delete from stat_pubkey_day;
  delete from stat_day;
  -- Unlike setval() undone with the transaction. Each rebuild numbers all authors.
  alter sequence stat_pubkey_id restart;

  insert into stat_pubkey (id, events, events_1h, events_24h, events_7d, events_30d, pubkey)
  select nextval('stat_pubkey_id'), a.n, a.n_1h, a.n_24h, a.n_7d, a.n_30d, a.pubkey
  from (
    select e.pubkey, count(*) as n, min(e.seq) as first,
      sum(statistics_within(e.created_at, at, 3600)) as n_1h,
      sum(statistics_within(e.created_at, at, 86400)) as n_24h,
      sum(statistics_within(e.created_at, at, 604800)) as n_7d,
      sum(statistics_within(e.created_at, at, 2592000)) as n_30d
    from event e where e.seq <= event_horizon group by e.pubkey order by first
  ) a;

  insert into stat_pubkey_kind
    (pubkey_id, kind, events, events_1h, events_24h, events_7d, events_30d)
  select s.id, e.kind, count(*), sum(statistics_within(e.created_at, at, 3600)),
    sum(statistics_within(e.created_at, at, 86400)),
    sum(statistics_within(e.created_at, at, 604800)),
    sum(statistics_within(e.created_at, at, 2592000))
  from event e join stat_pubkey s on s.pubkey = e.pubkey
  where e.seq <= event_horizon group by s.id, e.kind order by s.id, e.kind;

  insert into stat_kind (kind, events, events_1h, events_24h, events_7d, events_30d, pubkeys,
    pubkeys_1h, pubkeys_24h, pubkeys_7d, pubkeys_30d)
  select k.kind, sum(k.events), sum(k.events_1h), sum(k.events_24h), sum(k.events_7d),
    sum(k.events_30d), count(*), sum((k.events_1h > 0)::int), sum((k.events_24h > 0)::int),
    sum((k.events_7d > 0)::int), sum((k.events_30d > 0)::int)
  from stat_pubkey_kind k group by k.kind;

  with counts as materialized (
    select r.relay_id, s.id, e.kind, count(*) as n,
      sum(statistics_within(e.created_at, at, 3600)) as n_1h,
      sum(statistics_within(e.created_at, at, 86400)) as n_24h,
      sum(statistics_within(e.created_at, at, 604800)) as n_7d,
      sum(statistics_within(e.created_at, at, 2592000)) as n_30d
    from event_relay r join event e on e.seq = r.event_seq join stat_pubkey s on s.pubkey = e.pubkey
    where r.seq <= sighting_horizon
    group by grouping sets ((r.relay_id, s.id), (r.relay_id, e.kind))
  ), by_author as (
    insert into stat_pubkey_relay
      (pubkey_id, relay_id, sightings, sightings_1h, sightings_24h, sightings_7d, sightings_30d)
    select c.id, c.relay_id, c.n, c.n_1h, c.n_24h, c.n_7d, c.n_30d
    from counts c where c.id is not null order by c.id, c.relay_id
  )
  insert into stat_kind_relay
    (relay_id, kind, sightings, sightings_1h, sightings_24h, sightings_7d, sightings_30d)
  select c.relay_id, c.kind, c.n, c.n_1h, c.n_24h, c.n_7d, c.n_30d
  from counts c where c.kind is not null order by c.relay_id, c.kind;

  insert into stat_relay (relay_id, sightings, sightings_1h, sightings_24h, sightings_7d,
    sightings_30d, pubkeys, pubkeys_1h, pubkeys_24h, pubkeys_7d, pubkeys_30d, kinds, kinds_1h,
    kinds_24h, kinds_7d, kinds_30d)
  select k.relay_id, k.n, k.n_1h, k.n_24h, k.n_7d, k.n_30d, a.n, a.n_1h, a.n_24h, a.n_7d, a.n_30d,
    k.kinds, k.kinds_1h, k.kinds_24h, k.kinds_7d, k.kinds_30d
  from (
    select k.relay_id, sum(k.sightings) as n, sum(k.sightings_1h) as n_1h,
      sum(k.sightings_24h) as n_24h, sum(k.sightings_7d) as n_7d, sum(k.sightings_30d) as n_30d,
      count(*) as kinds, sum((k.sightings_1h > 0)::int) as kinds_1h,
      sum((k.sightings_24h > 0)::int) as kinds_24h, sum((k.sightings_7d > 0)::int) as kinds_7d,
      sum((k.sightings_30d > 0)::int) as kinds_30d
    from stat_kind_relay k group by k.relay_id
  ) k join (
    select p.relay_id, count(*) as n, sum((p.sightings_1h > 0)::int) as n_1h,
      sum((p.sightings_24h > 0)::int) as n_24h, sum((p.sightings_7d > 0)::int) as n_7d,
      sum((p.sightings_30d > 0)::int) as n_30d
    from stat_pubkey_relay p group by p.relay_id
  ) a on a.relay_id = k.relay_id;

  insert into stat_pubkey_day (pubkey_id, day, kind, events)
  select s.id, (e.created_at / 86400)::int, e.kind, count(*)
  from event e join stat_pubkey s on s.pubkey = e.pubkey
  where e.seq <= event_horizon and e.created_at between 0 and 253402300799
  group by 1, 2, 3 order by 1, 2, 3;

  insert into stat_day (day, kind, events, pubkeys)
  select d.day, d.kind, sum(d.events), count(*) from stat_pubkey_day d group by d.day, d.kind
  union all
  select d.day, -1, sum(d.n), count(*)
  from (select pubkey_id, day, sum(events) as n from stat_pubkey_day group by pubkey_id, day) d
  group by d.day;

  update stat_total t
  set event_seq = event_horizon, sighting_seq = sighting_horizon, at = all_statistics_refresh.at,
    events = a.events, pubkeys = a.pubkeys, pubkeys_1h = a.pubkeys_1h,
    pubkeys_24h = a.pubkeys_24h, pubkeys_7d = a.pubkeys_7d, pubkeys_30d = a.pubkeys_30d,
    sightings = (select coalesce(sum(r.sightings), 0) from stat_relay r)
  from (
    select coalesce(sum(s.events), 0) as events, count(*) as pubkeys,
      count(*) filter (where s.events_1h > 0) as pubkeys_1h,
      count(*) filter (where s.events_24h > 0) as pubkeys_24h,
      count(*) filter (where s.events_7d > 0) as pubkeys_7d,
      count(*) filter (where s.events_30d > 0) as pubkeys_30d
    from stat_pubkey s
  ) a;
end $$;

-- Deletion --------------------------------------------------------------------------------------

-- Rows that deletions brought to nothing, of these authors, relays and days.
create function statistics_prune(pubkey_ids int[], relay_ids int[], days int[]) returns void
language plpgsql set plan_cache_mode = force_custom_plan as $$
begin
  delete from stat_kind where events = 0;
  delete from stat_pubkey_kind where pubkey_id = any (pubkey_ids) and events = 0;
  delete from stat_pubkey_relay where pubkey_id = any (pubkey_ids) and sightings = 0;
  delete from stat_pubkey_day
  where pubkey_id = any (pubkey_ids) and day = any (days) and events = 0;
  delete from stat_pubkey where id = any (pubkey_ids) and events = 0;
  delete from stat_kind_relay where relay_id = any (relay_ids) and sightings = 0;
  delete from stat_relay where relay_id = any (relay_ids) and sightings = 0;
  delete from stat_day where day = any (days) and events = 0;
end $$;

-- Deletes events with their sightings, and takes what was counted of them off the statistics.
-- Holds the writers' lock: no sighting of a deleted event may slip in. It comes last, for whoever has
-- one of the others may have it for long (a rebuild), and writers must not wait for that.
create function event_delete(event_seqs bigint[]) returns int
language plpgsql set plan_cache_mode = force_custom_plan as $$
declare t stat_total; deleted int; pubkey_ids int[]; relay_ids int[]; days int[];
begin
  select * into t from stat_total for update;
  perform pg_advisory_xact_lock(mark_lock());
  perform pg_advisory_xact_lock(ingest_lock());
  perform statistics_count_sightings(t, t.sighting_seq, t.at, event_seqs, null);
  perform statistics_count_events(t, t.event_seq, t.at, event_seqs);
  with gone as (
    delete from event e where e.seq = any (event_seqs) returning e.pubkey, e.created_at
  )
  select count(*), array_agg(distinct (select s.id from stat_pubkey s where s.pubkey = g.pubkey)),
    array_agg(distinct (least(g.created_at, 253402300799) / 86400)::int)
  into deleted, pubkey_ids, days from gone g;
  with gone as (
    delete from event_relay r where r.event_seq = any (event_seqs) returning r.relay_id
  )
  select array_agg(distinct g.relay_id) into relay_ids from gone g;
  perform statistics_prune(pubkey_ids, relay_ids, days);
  return deleted;
end $$;

-- Deletes sightings, the i-th event's on the i-th relay, as above; the events stay.
create function event_relay_delete(event_seqs bigint[], of_relays int[]) returns int
language plpgsql set plan_cache_mode = force_custom_plan as $$
declare t stat_total; deleted int; pubkey_ids int[]; relay_ids int[];
begin
  select * into t from stat_total for update;
  perform pg_advisory_xact_lock(ingest_lock());
  perform statistics_count_sightings(t, t.sighting_seq, t.at, event_seqs, of_relays);
  with gone as (
    delete from event_relay r using unnest(event_seqs, of_relays) as g(event_seq, relay_id)
    where r.event_seq = g.event_seq and r.relay_id = g.relay_id
    returning r.event_seq, r.relay_id
  )
  select count(*), array_agg(distinct g.relay_id), array_agg(distinct (
    select s.id from event e join stat_pubkey s on s.pubkey = e.pubkey where e.seq = g.event_seq))
  into deleted, relay_ids, pubkey_ids from gone g;
  perform statistics_prune(pubkey_ids, relay_ids, '{}');
  return deleted;
end $$;

-- Deletes the events in (after_seq, after_seq + max_rows] that no relay was seen to hold. Mostly there
-- are none, and then no writer has to wait. None during a rebuild: the next pass finds them.
create function orphan_event_delete(after_seq bigint, max_rows int) returns int
language plpgsql as $$
declare seqs bigint[];
begin
  seqs := array(
    select e.seq from event e
    where e.seq > after_seq and e.seq <= after_seq + max_rows
      and not exists (select from event_relay r where r.event_seq = e.seq));
  if seqs = '{}' or not event_delete_free() then return 0; end if;
  return event_delete(seqs);
end $$;

-- Views -----------------------------------------------------------------------------------------

-- span: 1h, 24h, 7d, 30d or all; as_of: the moment the windows end at.
create view event_stats as
select w.span, t.at as as_of, w.events, w.sightings, w.pubkeys, w.kinds, w.relays, w.regular,
  w.replaceable, w.ephemeral, w.addressable
from stat_total t
cross join lateral (
  select s.span, coalesce(sum(k.events), 0)::bigint as events,
    coalesce(r.sightings, 0) as sightings, s.pubkeys,
    count(*) filter (where k.events > 0) as kinds, coalesce(r.relays, 0) as relays,
    coalesce(sum(k.events) filter (where k.class = 'regular'), 0)::bigint as regular,
    coalesce(sum(k.events) filter (where k.class = 'replaceable'), 0)::bigint as replaceable,
    coalesce(sum(k.events) filter (where k.class = 'ephemeral'), 0)::bigint as ephemeral,
    coalesce(sum(k.events) filter (where k.class = 'addressable'), 0)::bigint as addressable
  from (values ('1h', t.pubkeys_1h), ('24h', t.pubkeys_24h), ('7d', t.pubkeys_7d),
    ('30d', t.pubkeys_30d), ('all', t.pubkeys)) as s(span, pubkeys)
  left join (
    select event_class(k.kind) as class, v.span, v.events from stat_kind k
    cross join lateral (values ('1h', k.events_1h), ('24h', k.events_24h), ('7d', k.events_7d),
      ('30d', k.events_30d), ('all', k.events)) as v(span, events)
  ) k on k.span = s.span
  left join (
    select v.span, coalesce(sum(v.sightings), 0)::bigint as sightings,
      count(*) filter (where v.sightings > 0) as relays
    from stat_relay r
    cross join lateral (values ('1h', r.sightings_1h), ('24h', r.sightings_24h),
      ('7d', r.sightings_7d), ('30d', r.sightings_30d), ('all', r.sightings)) as v(span, sightings)
    group by v.span
  ) r on r.span = s.span
  group by s.span, s.pubkeys, r.sightings, r.relays
) w;

create view relay_stats as
select r.url as relay_url, r.network, w.span, coalesce(w.events, 0) as events,
  coalesce(w.pubkeys, 0) as pubkeys, coalesce(w.kinds, 0) as kinds
from relay r left join stat_relay s on s.relay_id = r.id
cross join lateral (values
  ('1h', s.sightings_1h, s.pubkeys_1h, s.kinds_1h),
  ('24h', s.sightings_24h, s.pubkeys_24h, s.kinds_24h),
  ('7d', s.sightings_7d, s.pubkeys_7d, s.kinds_7d),
  ('30d', s.sightings_30d, s.pubkeys_30d, s.kinds_30d),
  ('all', s.sightings, s.pubkeys, s.kinds)) as w(span, events, pubkeys, kinds);

create view kind_counts as
select k.kind, event_class(k.kind) as class, w.span, w.events, w.pubkeys
from stat_kind k
cross join lateral (values ('1h', k.events_1h, k.pubkeys_1h), ('24h', k.events_24h, k.pubkeys_24h),
  ('7d', k.events_7d, k.pubkeys_7d), ('30d', k.events_30d, k.pubkeys_30d),
  ('all', k.events, k.pubkeys)) as w(span, events, pubkeys)
where w.events > 0;

create view kind_counts_by_relay as
select r.url as relay_url, k.kind, w.span, w.events
from stat_kind_relay k join relay r on r.id = k.relay_id
cross join lateral (values ('1h', k.sightings_1h), ('24h', k.sightings_24h), ('7d', k.sightings_7d),
  ('30d', k.sightings_30d), ('all', k.sightings)) as w(span, events)
where w.events > 0;

create view pubkey_counts as
select encode(p.pubkey, 'hex') as pubkey, w.span, w.events
from stat_pubkey p
cross join lateral (values ('1h', p.events_1h), ('24h', p.events_24h), ('7d', p.events_7d),
  ('30d', p.events_30d), ('all', p.events)) as w(span, events)
where w.events > 0;

create view pubkey_counts_by_relay as
select r.url as relay_url, encode(a.pubkey, 'hex') as pubkey, w.span, w.events
from stat_pubkey_relay p join relay r on r.id = p.relay_id join stat_pubkey a on a.id = p.pubkey_id
cross join lateral (values ('1h', p.sightings_1h), ('24h', p.sightings_24h), ('7d', p.sightings_7d),
  ('30d', p.sightings_30d), ('all', p.sightings)) as w(span, events)
where w.events > 0;

create view event_daily_counts as
select to_char(to_timestamp(d.day::bigint * 86400) at time zone 'UTC', 'YYYY-MM-DD') as day,
  d.day::bigint * 86400 as since, nullif(d.kind, -1) as kind, d.events, d.pubkeys
from stat_day d;
