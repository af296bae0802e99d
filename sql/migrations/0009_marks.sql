-- What an event's author, or its age, says of it: deleted (NIP-09), expired (NIP-40), replaced by a
-- later version (NIP-01). The archive keeps such events and marks them. Nothing is written into the
-- event: what each event says stands in tables of its own, in the same transaction as the point up
-- to which events have been read, and a mark is what these tables say together. So the order in
-- which events come makes no difference, and a rebuild gives the same rows.

-- Versions of replaceable and addressable events. `latest` is the newest of its address, ties to the
-- lowest id, whatever else is said of it: who deletes the newest does not bring the older one back.
create table event_version (
  event_seq bigint primary key,
  created_at bigint not null,
  address uuid not null,
  latest bool not null
) with (fillfactor = 90);
create index event_version_address on event_version (address, created_at);

create table event_expiry (
  event_seq bigint primary key,
  expires_at bigint not null
);

-- What a deletion names: an event by its id, or all versions at an address up to its own time. The
-- author is part of the target, so nobody's deletion meets another's event; and the target need not
-- be here yet.
create table event_deletion (
  event_seq bigint not null,
  until bigint not null,
  target uuid not null,
  primary key (target, event_seq)
);
create index event_deletion_event on event_deletion (event_seq);

-- At most one row: up to where events have been read.
create table mark_checkpoint (
  one bool primary key default true check (one),
  event_seq bigint not null
) with (fillfactor = 20);

-- Held by whoever changes the tables above: an event that is deleted while it is read must not stay.
create function mark_lock() returns bigint language sql immutable as $$ select 7166253194462::bigint $$;

-- 16 bytes of a hash: collisions can be made with 2^64 work, and only among one author's own events.
create function event_target(pubkey bytea, id bytea) returns uuid
language sql immutable strict parallel safe as $$
  select encode(substring(sha256('\x01'::bytea || pubkey || id), 1, 16), 'hex')::uuid
$$;

-- `d` is the tag's value as JSON text, as JSON.stringify writes it: so it may hold anything.
create function event_address(pubkey bytea, kind int, d text) returns uuid
language sql immutable strict parallel safe as $$
  select encode(substring(sha256('\x02'::bytea || pubkey || int4send(kind)
    || case when kind between 30000 and 39999 then convert_to(d, 'UTF8') else '\x2222'::bytea end),
    1, 16), 'hex')::uuid
$$;

-- Reads the events in (seq_from, seq_to]; gives the number of rows made. The caller holds the lock.
create function event_marks_add(seq_from bigint, seq_to bigint) returns bigint
language plpgsql set plan_cache_mode = force_custom_plan as $$
declare made bigint;
begin
  -- A quote within a JSON string is escaped, so the text below is found nowhere but in a tag. Items
  -- are taken as JSON text (json_array_elements): what unescapes them stumbles over NULs.
  with fresh as materialized (
    select e.seq, e.created_at, e.kind, e.pubkey, e.id,
      case when (e.kind = 5 or e.kind between 30000 and 39999
        or strpos(e.tags, '["expiration",') > 0) and left(e.tags, 1) = '['
        then event_tags(e)
        else '[]' end as tags
    from event e
    where e.seq > seq_from and e.seq <= seq_to
      and (e.kind in (0, 3, 5) or e.kind between 10000 and 19999
        or e.kind between 30000 and 39999 or strpos(e.tags, '["expiration",') > 0)
  ), tag as materialized (
    select f.seq, f.kind, f.pubkey, f.created_at, g.n,
      substring(g.tag::text from '^\["([a-z]+)"') as name,
      (select v.item::text from json_array_elements(g.tag) with ordinality as v(item, n)
       where v.n = 2) as value
    from fresh f cross join lateral json_array_elements(f.tags::json) with ordinality as g(tag, n)
    where g.tag::text ~ '^\["(d|expiration)"[],]'
      or f.kind = 5 and g.tag::text ~ '^\["[ae]"[],]'
  ), expiries as (
    insert into event_expiry (event_seq, expires_at)
    select x.seq, trim('"' from x.value)::bigint
    from (select distinct on (seq) seq, value from tag where name = 'expiration' and value is not null
      order by seq, n) x
    where x.value ~ '^"[0-9]{1,15}"$'
    on conflict do nothing
    returning 1
  ), deletions as (
    insert into event_deletion (event_seq, until, target)
    select distinct on (1, 3) t.seq, g.until, g.target
    from tag t cross join lateral (
      select 9223372036854775807 as until,
        event_target(t.pubkey, decode(substr(t.value, 2, 64), 'hex')) as target
      where t.name = 'e' and t.value ~ '^"[0-9a-f]{64}"$'
      union all
      select t.created_at, event_address(t.pubkey, a.kind, '"' || substr(a.rest, 66))
      from (
        select substring(t.value from '^"([0-9]{1,5}):')::int as kind,
          substr(t.value, strpos(t.value, ':') + 1) as rest
      ) a
      where t.name = 'a' and left(a.rest, 64) = encode(t.pubkey, 'hex')
        and event_class(a.kind) in ('replaceable', 'addressable')
        and substr(a.rest, 65, 1) in (':', '"')
    ) g
    where t.kind = 5
    order by 1, 3
    on conflict do nothing
    returning 1
  ), version as materialized (
    select f.seq, f.created_at, f.id,
      event_address(f.pubkey, f.kind, coalesce(d.value, '""')) as address
    from fresh f left join (
      select distinct on (seq) seq, value from tag where name = 'd' order by seq, n
    ) d on d.seq = f.seq
    where event_class(f.kind) in ('replaceable', 'addressable')
  ), held as materialized (
    -- The one that was the latest; it is compared with the new ones alone.
    select l.event_seq as seq, l.created_at, (select e.id from event e where e.seq = l.event_seq)
      as id, l.address
    from (select distinct address from version) a cross join lateral (
      select v.event_seq, v.created_at, v.address from event_version v
      where v.address = a.address and v.latest order by v.created_at desc limit 1
    ) l
  ), best as materialized (
    select distinct on (address) address, seq from (
      select seq, created_at, id, address from version
      union all select seq, created_at, id, address from held
    ) both_of_them
    order by address, created_at desc, id
  ), demoted as (
    update event_version v set latest = false
    from held h join best b on b.address = h.address
    where v.event_seq = h.seq and b.seq <> h.seq
  ), versions as (
    insert into event_version (event_seq, created_at, address, latest)
    select n.seq, n.created_at, n.address, n.seq = b.seq
    from version n join best b on b.address = n.address
    on conflict do nothing
    returning 1
  )
  select (select count(*) from expiries) + (select count(*) from deletions)
    + (select count(*) from versions) into made;
  return made;
end $$;

-- Reads at most max_rows sequence numbers on, up to a horizon taken before (statistics_horizon).
-- Gives the number of rows made and how many sequence numbers are left; nothing while another has the
-- lock, who may be at it for long (all_event_marks_refresh).
create function event_marks_refresh(
  event_horizon bigint, max_rows bigint, out made bigint, out behind bigint
) language plpgsql as $$
declare seq_from bigint; seq_to bigint;
begin
  made := 0;
  behind := 0;
  if not pg_try_advisory_xact_lock(mark_lock()) then return; end if;
  seq_from := coalesce((select c.event_seq from mark_checkpoint c), 0);
  seq_to := greatest(seq_from, least(event_horizon, seq_from + max_rows));
  if seq_to > seq_from then
    made := event_marks_add(seq_from, seq_to);
    insert into mark_checkpoint as c (event_seq) values (seq_to)
    on conflict (one) do update set event_seq = excluded.event_seq;
  end if;
  behind := greatest(event_horizon - seq_to, 0);
end $$;

-- Everything from nothing, up to a horizon taken before.
create function all_event_marks_refresh(event_horizon bigint) returns void language plpgsql as $$
begin
  perform pg_advisory_xact_lock(mark_lock());
  delete from event_version;
  delete from event_expiry;
  delete from event_deletion;
  delete from mark_checkpoint;
  perform event_marks_refresh(event_horizon, event_horizon);
end $$;

-- Deleted events take with them what they said; the next version becomes the latest again.
create function event_marks_forget() returns trigger
language plpgsql set plan_cache_mode = force_custom_plan as $$
declare addresses uuid[];
begin
  perform pg_advisory_xact_lock(mark_lock());
  if tg_op = 'TRUNCATE' then
    delete from event_version;
    delete from event_expiry;
    delete from event_deletion;
    return null;
  end if;
  delete from event_expiry x using gone g where x.event_seq = g.seq;
  delete from event_deletion d using gone g where d.event_seq = g.seq;
  with lost as (
    delete from event_version v using gone g where v.event_seq = g.seq
    returning v.address, v.latest
  )
  select array_agg(l.address) into addresses from lost l where l.latest;
  if addresses is not null then
    update event_version v set latest = true
    from unnest(addresses) as a(address) cross join lateral (
      select n.event_seq from event_version n join event e on e.seq = n.event_seq
      where n.address = a.address and n.created_at = (
        select max(m.created_at) from event_version m where m.address = a.address)
      order by e.id limit 1
    ) n
    where v.event_seq = n.event_seq;
  end if;
  return null;
end $$;

create trigger event_marks_forget after delete on event referencing old table as gone
for each statement execute function event_marks_forget();
create trigger event_marks_forget_all after truncate on event
for each statement execute function event_marks_forget();

-- Events with their marks, as of the last refresh. A look-up per row and mark, which is what a page
-- needs; the planner can't make a hash of a whole table of it.
create view event_marked as
select e.seq, e.created_at, e.kind, e.id, e.pubkey, e.sig, event_tags(e) as tags, e.content,
  e.content_raw, e.tag_keys,
  e.kind <> 5 and (
    (select true from event_deletion d where d.target = event_target(e.pubkey, e.id) limit 1)
      is true
    or (select true from event_version v join event_deletion d on d.target = v.address
        where v.event_seq = e.seq and d.until >= e.created_at limit 1) is true
  ) as deleted,
  (select x.expires_at <= extract(epoch from now())::bigint from event_expiry x
   where x.event_seq = e.seq) is true as expired,
  (select not v.latest from event_version v where v.event_seq = e.seq) is true as replaced
from event e;

create view event_mark_view as
select encode(e.id, 'hex') as id, e.deleted, e.expired, e.replaced,
  (select x.expires_at from event_expiry x where x.event_seq = e.seq) as expires_at
from event_marked e where e.deleted or e.expired or e.replaced;

create view latest_replaceable_events as
select encode(e.id, 'hex') as id, encode(e.pubkey, 'hex') as pubkey, e.created_at, e.kind,
  e.tags::json as tags, e.content, nullif(e.content_raw, '')::json as content_json,
  encode(e.sig, 'hex') as sig, e.deleted, e.expired
from event_version v join event_marked e on e.seq = v.event_seq
where v.latest and event_class(e.kind) = 'replaceable';

create view latest_addressable_events as
select encode(e.id, 'hex') as id, encode(e.pubkey, 'hex') as pubkey, e.created_at, e.kind,
  e.tags::json as tags, e.content, nullif(e.content_raw, '')::json as content_json,
  encode(e.sig, 'hex') as sig, e.deleted, e.expired
from event_version v join event_marked e on e.seq = v.event_seq
where v.latest and event_class(e.kind) = 'addressable';

-- Takes the locks that event_delete needs first; false when another has one, who may have it for long:
-- what can be deleted later does not wait then.
create function event_delete_free() returns bool language plpgsql as $$
begin
  perform from stat_total for update skip locked;
  return found and pg_try_advisory_xact_lock(mark_lock());
end $$;

-- Deletes the oldest events before a moment: of one kind, or (null) of all but some. Of these only
-- from from_created_at on, so that those others are passed over once. Gives what was deleted, how
-- far it came (null: nothing was left) and whether there may be more. Nothing during a rebuild.
create function event_retention_delete(
  of_kind int, except_kinds int[], before bigint, from_created_at bigint, max_rows int,
  out deleted int, out reached bigint, out more bool
) language plpgsql set plan_cache_mode = force_custom_plan as $$
declare seqs bigint[];
begin
  deleted := 0;
  more := false;
  if of_kind is null then
    select array_agg(g.seq), max(g.created_at) into seqs, reached from (
      select e.seq, e.created_at from event e
      where e.created_at >= from_created_at and e.created_at < before
        and e.kind <> all (except_kinds)
      order by e.created_at limit max_rows
    ) g;
  else
    select array_agg(g.seq), max(g.created_at) into seqs, reached from (
      select e.seq, e.created_at from event e
      where e.kind = of_kind and e.created_at >= from_created_at and e.created_at < before
      order by e.created_at limit max_rows
    ) g;
  end if;
  if seqs is not null and event_delete_free() then
    deleted := event_delete(seqs);
    more := cardinality(seqs) >= max_rows;
  end if;
end $$;
