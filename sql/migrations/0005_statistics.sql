-- Statistics move with the data: each refresh reads what is new since the last one, and commits the
-- counts together with the point it read up to. A rebuild must give the same rows.

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

-- Counts the events in (event_from, event_to] and the sightings in (sighting_from, sighting_to].
-- The caller holds the row of stat_total.
create function statistics_add(
  event_from bigint, event_to bigint, sighting_from bigint, sighting_to bigint,
  out new_events bigint, out new_sightings bigint
) language plpgsql set plan_cache_mode = force_custom_plan as $$
declare new_pubkeys bigint;
begin
  with given as materialized (
    select e.kind, e.pubkey, count(*) as n from event e
    where e.seq > event_from and e.seq <= event_to group by e.kind, e.pubkey
  ), kinds as (
    insert into stat_kind (kind, events) select g.kind, sum(g.n) from given g group by g.kind
    on conflict (kind) do update set events = stat_kind.events + excluded.events
  ), pubkeys as (
    insert into stat_pubkey (pubkey, events)
    select g.pubkey, sum(g.n) from given g group by g.pubkey
    on conflict (pubkey) do update set events = stat_pubkey.events + excluded.events
    returning (xmax = 0) as fresh
  )
  select coalesce((select sum(n) from given), 0),
    (select count(*) from pubkeys where fresh) into new_events, new_pubkeys;

  with given as materialized (
    select r.relay_id, e.kind, e.pubkey, count(*) as n
    from event_relay r join event e on e.seq = r.event_seq
    where r.seq > sighting_from and r.seq <= sighting_to group by r.relay_id, e.kind, e.pubkey
  ), kinds as (
    insert into stat_kind_relay (relay_id, kind, sightings)
    select g.relay_id, g.kind, sum(g.n) from given g group by g.relay_id, g.kind
    on conflict (relay_id, kind) do update
    set sightings = stat_kind_relay.sightings + excluded.sightings
  ), pubkeys as (
    insert into stat_pubkey_relay (relay_id, pubkey, sightings)
    select g.relay_id, g.pubkey, sum(g.n) from given g group by g.relay_id, g.pubkey
    on conflict (relay_id, pubkey) do update
    set sightings = stat_pubkey_relay.sightings + excluded.sightings
    returning relay_id, (xmax = 0) as fresh
  ), relays as (
    insert into stat_relay (relay_id, sightings, pubkeys)
    select g.relay_id, g.n, p.n
    from (select relay_id, sum(n) as n from given group by relay_id) g
    join (select relay_id, count(*) filter (where fresh) as n from pubkeys group by relay_id) p
      using (relay_id)
    on conflict (relay_id) do update
    set sightings = stat_relay.sightings + excluded.sightings,
      pubkeys = stat_relay.pubkeys + excluded.pubkeys
  )
  select coalesce(sum(n), 0) into new_sightings from given;

  update stat_total t
  set event_seq = event_to, sighting_seq = sighting_to, events = t.events + new_events,
    sightings = t.sightings + new_sightings, pubkeys = t.pubkeys + new_pubkeys;
end $$;

-- Advances by at most max_rows events and as many sightings, up to a horizon taken before. Gives
-- what was counted and how many sequence numbers are left.
create function statistics_refresh(
  event_horizon bigint, sighting_horizon bigint, max_rows bigint,
  out events bigint, out sightings bigint, out behind bigint
) language plpgsql as $$
declare t stat_total; event_to bigint; sighting_to bigint;
begin
  select * into t from stat_total for update;
  event_to := greatest(t.event_seq, least(event_horizon, t.event_seq + max_rows));
  sighting_to := greatest(t.sighting_seq, least(sighting_horizon, t.sighting_seq + max_rows));
  select a.new_events, a.new_sightings into events, sightings
  from statistics_add(t.event_seq, event_to, t.sighting_seq, sighting_to) a;
  behind := greatest(event_horizon - event_to, 0) + greatest(sighting_horizon - sighting_to, 0);
end $$;

-- Everything from nothing, up to a horizon taken before.
create function all_statistics_refresh(event_horizon bigint, sighting_horizon bigint)
returns void language plpgsql as $$
begin
  perform from stat_total for update;
  delete from stat_kind;
  delete from stat_pubkey;
  delete from stat_relay;
  delete from stat_kind_relay;
  delete from stat_pubkey_relay;
  update stat_total t set event_seq = 0, sighting_seq = 0, events = 0, sightings = 0, pubkeys = 0;
  perform statistics_add(0, event_horizon, 0, sighting_horizon);
end $$;

-- Deletes events with their sightings, and takes what was counted of them off the statistics.
-- Holds the writers' lock: no sighting of a deleted event may slip in.
create function event_delete(event_seqs bigint[]) returns int
language plpgsql set plan_cache_mode = force_custom_plan as $$
declare t stat_total; deleted int;
begin
  select * into t from stat_total for update;
  perform pg_advisory_xact_lock(ingest_lock());

  with given as materialized (
    select e.kind, e.pubkey, count(*) as n from event e
    where e.seq = any (event_seqs) and e.seq <= t.event_seq group by e.kind, e.pubkey
  ), kinds as (
    update stat_kind k set events = k.events - g.n
    from (select kind, sum(n) as n from given group by kind) g where k.kind = g.kind
  )
  update stat_pubkey p set events = p.events - g.n
  from (select pubkey, sum(n) as n from given group by pubkey) g where p.pubkey = g.pubkey;
  delete from stat_kind where events <= 0;

  with given as materialized (
    select r.relay_id, e.kind, e.pubkey, count(*) as n
    from event e join event_relay r on r.event_seq = e.seq
    where e.seq = any (event_seqs) and r.seq <= t.sighting_seq
    group by r.relay_id, e.kind, e.pubkey
  ), kinds as (
    update stat_kind_relay k set sightings = k.sightings - g.n
    from (select relay_id, kind, sum(n) as n from given group by relay_id, kind) g
    where k.relay_id = g.relay_id and k.kind = g.kind
  ), pubkeys as (
    update stat_pubkey_relay p set sightings = p.sightings - g.n
    from (select relay_id, pubkey, sum(n) as n from given group by relay_id, pubkey) g
    where p.relay_id = g.relay_id and p.pubkey = g.pubkey
  ), relays as (
    update stat_relay s set sightings = s.sightings - g.n
    from (select relay_id, sum(n) as n from given group by relay_id) g
    where s.relay_id = g.relay_id
  )
  update stat_total s set sightings = s.sightings - (select coalesce(sum(n), 0) from given);
  delete from stat_kind_relay k using (
    select distinct r.relay_id, e.kind from event e join event_relay r on r.event_seq = e.seq
    where e.seq = any (event_seqs)) g
  where k.relay_id = g.relay_id and k.kind = g.kind and k.sightings <= 0;
  with gone as (
    delete from stat_pubkey_relay p using (
      select distinct r.relay_id, e.pubkey from event e join event_relay r on r.event_seq = e.seq
      where e.seq = any (event_seqs)) g
    where p.relay_id = g.relay_id and p.pubkey = g.pubkey and p.sightings <= 0
    returning p.relay_id
  )
  update stat_relay s set pubkeys = s.pubkeys - g.n
  from (select relay_id, count(*) as n from gone group by relay_id) g
  where s.relay_id = g.relay_id;
  delete from stat_relay where sightings <= 0;
  with gone as (
    delete from stat_pubkey p using (
      select distinct e.pubkey from event e where e.seq = any (event_seqs)) g
    where p.pubkey = g.pubkey and p.events <= 0
    returning 1
  )
  update stat_total s
  set pubkeys = s.pubkeys - (select count(*) from gone),
    events = s.events - (
      select count(*) from event e where e.seq = any (event_seqs) and e.seq <= t.event_seq);

  delete from event_relay r where r.event_seq = any (event_seqs);
  delete from event e where e.seq = any (event_seqs);
  get diagnostics deleted = row_count;
  return deleted;
end $$;

-- Events in (after_seq, after_seq + max_rows] that no relay was seen to hold.
create function orphan_event_delete(after_seq bigint, max_rows int) returns int
language plpgsql as $$
begin
  return event_delete(array(
    select e.seq from event e
    where e.seq > after_seq and e.seq <= after_seq + max_rows
      and not exists (select from event_relay r where r.event_seq = e.seq)));
end $$;
