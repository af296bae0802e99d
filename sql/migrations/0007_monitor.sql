-- What the monitor knows over time: checks as narrow rows, days that outlive them, uptime by what
-- the checks vouch for, and what changed.

-- Checks ----------------------------------------------------------------------------------------

-- When a relay came to stand otherwise than before.
create table relay_transition (
  relay_id int not null references relay on delete cascade,
  at bigint not null,
  state text not null,
  before text not null,
  primary key (relay_id, at)
);
create index relay_transition_at on relay_transition (at);

-- A relay's checks of one UTC day (days since 1970-01-01), and for how much of it they vouch.
create table relay_check_daily (
  relay_id int not null references relay on delete cascade,
  day int not null,
  checks int not null,
  online int not null,
  known_seconds int not null,
  up_seconds int not null,
  first_at bigint,
  last_at bigint,
  rtt_open_ms int,
  rtt_read_ms int,
  rtt_write_ms int,
  reasons jsonb not null default '{}',
  primary key (relay_id, day)
);

create index relay_metadata_changed on relay_metadata (generated_at);

-- Finished checks with the status that follows from them; ends their leases. Rows: relay_id,
-- checked_at, ok, reason, rtt_open_ms, rtt_read_ms, rtt_write_ms, rtt_nip11_ms, dns_ms, tcp_ms,
-- tls_ms, upgrade_ms, ip, detail, state, failures, next_check_at.
create function relay_check_insert(rows jsonb) returns int language plpgsql as $$
declare n int;
begin
  with given as (
    select distinct on (relay_id) *
    from jsonb_to_recordset(rows) as g(
      relay_id int, checked_at bigint, ok bool, rtt_open_ms int, state text, failures int,
      next_check_at bigint)
    order by relay_id, checked_at desc, ok desc
  ), standing as materialized (
    select g.*, s.state as before
    from given g join relay_status s on s.relay_id = g.relay_id
    where g.checked_at >= coalesce(s.checked_at, g.checked_at)
      and (g.ok or g.checked_at > coalesce(s.online_at, 0))
  ), moved as (
    insert into relay_transition (relay_id, at, state, before)
    select relay_id, checked_at, state, before from standing where state <> before
    on conflict do nothing
  )
  update relay_status s
  set state = g.state, failures = g.failures, checked_at = g.checked_at,
    online_at = case when g.ok then g.checked_at else s.online_at end,
    rtt_open_ms = case when g.ok then g.rtt_open_ms else s.rtt_open_ms end,
    next_check_at = g.next_check_at, check_claimed_until = 0, check_claimed_by = null
  from standing g
  where s.relay_id = g.relay_id and g.checked_at >= coalesce(s.checked_at, g.checked_at)
    and (g.ok or g.checked_at > coalesce(s.online_at, 0));
  insert into relay_check (
    relay_id, checked_at, ok, reason, rtt_open_ms, rtt_read_ms, rtt_write_ms, rtt_nip11_ms, detail,
    next_in, dns_ms, tcp_ms, tls_ms, upgrade_ms, ip)
  select g.relay_id, g.checked_at, g.ok, g.reason, g.rtt_open_ms, g.rtt_read_ms, g.rtt_write_ms,
    g.rtt_nip11_ms, g.detail,
    least(greatest(g.next_check_at - g.checked_at, 0), 1000000000), g.dns_ms, g.tcp_ms, g.tls_ms,
    g.upgrade_ms, g.ip
  from jsonb_to_recordset(rows) as g(
    relay_id int, checked_at bigint, ok bool, reason text, rtt_open_ms int, rtt_read_ms int,
    rtt_write_ms int, rtt_nip11_ms int, detail jsonb, next_check_at bigint, dns_ms int, tcp_ms int,
    tls_ms int, upgrade_ms int, ip text)
  join relay r on r.id = g.relay_id
  on conflict do nothing;
  get diagnostics n = row_count;
  return n;
end $$;

-- Uptime ----------------------------------------------------------------------------------------

-- The checks that vouch for any of [from_at, to_at), each with the moment up to which it does: the
-- next check, but at most twice the time until that was planned. So a relay that is asked seldom
-- because it is down counts as down between, and time when nobody looked counts as nothing.
create function relay_check_spans(relay_ids int[], from_at bigint, to_at bigint)
returns table (
  relay_id int, checked_at bigint, ends_at bigint, ok bool, reason text, rtt_open_ms int,
  rtt_read_ms int, rtt_write_ms int
) language sql stable as $$
  select c.relay_id, c.checked_at, c.ends_at, c.ok, c.reason, c.rtt_open_ms, c.rtt_read_ms,
    c.rtt_write_ms
  from (
    select k.*, least(
        lead(k.checked_at, 1, to_at) over (partition by k.relay_id order by k.checked_at),
        k.checked_at + 2 * coalesce(k.next_in, 3600), to_at) as ends_at
    from unnest(relay_ids) as r(id)
    cross join lateral (
      select * from relay_check c
      where c.relay_id = r.id and c.checked_at < to_at and c.checked_at >= coalesce((
        select p.checked_at from relay_check p
        where p.relay_id = r.id and p.checked_at < from_at
        order by p.checked_at desc limit 1), from_at)
    ) k
  ) c
  where c.ends_at > from_at or c.checked_at >= from_at
$$;

-- Writes one finished day of the next `max_relays` relays after `after_id`. Returns the last one's
-- id, null when there are no more. A day may be written again, with the same result.
create function relay_check_roll_up(of_day int, after_id int, max_relays int) returns int
language plpgsql as $$
declare ids int[]; from_at bigint := of_day::bigint * 86400;
begin
  select array_agg(r.id order by r.id) into ids
  from (select id from relay where id > after_id order by id limit max_relays) r;
  if ids is null then return null; end if;
  with spans as materialized (
    select s.*, s.ends_at - greatest(s.checked_at, from_at) as seconds, s.checked_at >= from_at as own
    from relay_check_spans(ids, from_at, from_at + 86400) s
  ), reasons as materialized (
    select g.relay_id, jsonb_object_agg(g.reason, g.n) as reasons
    from (
      select s.relay_id, s.reason, count(*) as n from spans s
      where s.own and not s.ok and s.reason is not null group by s.relay_id, s.reason
    ) g
    group by g.relay_id
  )
  insert into relay_check_daily (
    relay_id, day, checks, online, known_seconds, up_seconds, first_at, last_at, rtt_open_ms,
    rtt_read_ms, rtt_write_ms, reasons)
  select d.*, coalesce(r.reasons, '{}')
  from (
    select s.relay_id, of_day, count(*) filter (where s.own), count(*) filter (where s.own and s.ok),
      sum(s.seconds), coalesce(sum(s.seconds) filter (where s.ok), 0),
      min(s.checked_at) filter (where s.own), max(s.checked_at) filter (where s.own),
      percentile_disc(0.5) within group (order by s.rtt_open_ms) filter (where s.own),
      percentile_disc(0.5) within group (order by s.rtt_read_ms) filter (where s.own),
      percentile_disc(0.5) within group (order by s.rtt_write_ms) filter (where s.own)
    from spans s
    group by s.relay_id
  ) d
  left join reasons r on r.relay_id = d.relay_id
  on conflict (relay_id, day) do update
  set checks = excluded.checks, online = excluded.online, known_seconds = excluded.known_seconds,
    up_seconds = excluded.up_seconds, first_at = excluded.first_at, last_at = excluded.last_at,
    rtt_open_ms = excluded.rtt_open_ms, rtt_read_ms = excluded.rtt_read_ms,
    rtt_write_ms = excluded.rtt_write_ms, reasons = excluded.reasons;
  return ids[array_upper(ids, 1)];
end $$;

-- Deletes checks and transitions from before their times, and days before `before_day`, of the next
-- `max_relays` relays after `after_id`; never a relay's latest check. Returns as relay_check_roll_up.
create function relay_history_delete_expired(
  check_before bigint, transition_before bigint, before_day int, after_id int, max_relays int
) returns int language plpgsql as $$
declare ids int[];
begin
  select array_agg(r.id order by r.id) into ids
  from (select id from relay where id > after_id order by id limit max_relays) r;
  if ids is null then return null; end if;
  delete from relay_check c using unnest(ids) as r(id)
  where c.relay_id = r.id and c.checked_at < check_before and c.checked_at < (
    select max(k.checked_at) from relay_check k where k.relay_id = r.id);
  delete from relay_transition t using unnest(ids) as r(id)
  where t.relay_id = r.id and t.at < transition_before;
  delete from relay_check_daily d using unnest(ids) as r(id)
  where d.relay_id = r.id and d.day < before_day;
  return ids[array_upper(ids, 1)];
end $$;

-- The last day that was written: the monitor's checkpoint, told to readers too, who see nothing else
-- of what services remember.
create function relay_check_rolled_up() returns int
language sql stable security definer set search_path from current as $$
  select (s.value ->> 'day')::int from service_state s
  where s.service = 'monitor' and s.key = 'roll_up'
$$;

-- How much of a span of time relays were up, as of `at`, of the time that is known, with what it
-- rests on. 1h, 24h and 7d come from the checks; 30d (30 whole days and today) and all from the days
-- and the checks since the last of them.
create function relay_uptime(relay_ids int[], at bigint)
returns table (
  relay_id int, n int, span text, since bigint, known_seconds bigint, up_seconds bigint,
  checks bigint, online bigint, first_at bigint, last_at bigint, reasons jsonb
) language sql stable as $$
  with rolled as materialized (
    select least(coalesce(relay_check_rolled_up(), -1), (at / 86400)::int - 1) as day
  ), spans_of_time as materialized (
    select w.n, w.span, w.from_at, w.from_day, rolled.day as rolled_day,
      case when w.from_day is null then w.from_at
        else greatest(w.from_day, rolled.day + 1)::bigint * 86400 end as checks_from
    from (values
      (1, '1h', at - 3600, null::int),
      (2, '24h', at - 86400, null),
      (3, '7d', at - 604800, null),
      (4, '30d', ((at / 86400) - 30) * 86400, (at / 86400)::int - 30),
      (5, 'all', null, 0)
    ) as w(n, span, from_at, from_day), rolled
  ), checks as materialized (
    select c.* from relay_check_spans(
      relay_ids, (select min(checks_from) from spans_of_time), at) c
  ), parts as (
    select c.relay_id, w.n, sum(c.ends_at - greatest(c.checked_at, w.checks_from)) as known,
      sum(c.ends_at - greatest(c.checked_at, w.checks_from)) filter (where c.ok) as up,
      count(*) filter (where c.checked_at >= w.checks_from) as checks,
      count(*) filter (where c.checked_at >= w.checks_from and c.ok) as online,
      min(c.checked_at) filter (where c.checked_at >= w.checks_from) as first_at,
      max(c.checked_at) filter (where c.checked_at >= w.checks_from) as last_at
    from checks c join spans_of_time w on c.ends_at > w.checks_from
    group by c.relay_id, w.n
    union all
    select d.relay_id, w.n, sum(d.known_seconds), sum(d.up_seconds), sum(d.checks), sum(d.online),
      min(d.first_at), max(d.last_at)
    from relay_check_daily d
    join spans_of_time w on d.day >= w.from_day and d.day <= w.rolled_day
    where d.relay_id = any (relay_ids)
    group by d.relay_id, w.n
  ), sums as (
    select p.relay_id, p.n, sum(p.known)::bigint as known, coalesce(sum(p.up), 0)::bigint as up,
      sum(p.checks)::bigint as checks, sum(p.online)::bigint as online, min(p.first_at) as first_at,
      max(p.last_at) as last_at
    from parts p group by p.relay_id, p.n
  ), failures as (
    select f.relay_id, f.n, jsonb_object_agg(f.reason, f.times) as reasons
    from (
      select u.relay_id, u.n, u.reason, sum(u.times)::bigint as times
      from (
        select c.relay_id, w.n, c.reason, count(*) as times
        from checks c join spans_of_time w on c.checked_at >= w.checks_from
        where not c.ok and c.reason is not null
        group by c.relay_id, w.n, c.reason
        union all
        select d.relay_id, w.n, e.key, e.value::bigint
        from relay_check_daily d
        join spans_of_time w on d.day >= w.from_day and d.day <= w.rolled_day
        cross join jsonb_each_text(d.reasons) e
        where d.relay_id = any (relay_ids)
      ) u
      group by u.relay_id, u.n, u.reason
    ) f
    group by f.relay_id, f.n
  )
  select r.id, w.n, w.span, coalesce(w.from_at, s.first_at), coalesce(s.known, 0),
    coalesce(s.up, 0), coalesce(s.checks, 0), coalesce(s.online, 0), s.first_at, s.last_at,
    coalesce(f.reasons, '{}')
  from unnest(relay_ids) as r(id)
  cross join spans_of_time w
  left join sums s on s.relay_id = r.id and s.n = w.n
  left join failures f on f.relay_id = r.id and f.n = w.n
$$;

-- Views -----------------------------------------------------------------------------------------

create view relay_check_daily_view as
select r.url as relay_url, to_char(to_timestamp(d.day::bigint * 86400) at time zone 'UTC',
    'YYYY-MM-DD') as day, d.checks, d.online, d.known_seconds, d.up_seconds, d.first_at, d.last_at,
  d.rtt_open_ms, d.rtt_read_ms, d.rtt_write_ms, d.reasons
from relay_check_daily d join relay r on r.id = d.relay_id;

create view relay_uptime_view as
select r.url as relay_url, u.span, u.since, u.known_seconds, u.up_seconds,
  u.up_seconds::double precision / nullif(u.known_seconds, 0) as uptime, u.checks, u.online,
  u.first_at, u.last_at, u.reasons
from relay r
cross join lateral relay_uptime(array[r.id], extract(epoch from now())::bigint) u;

-- A document that took another one's place, with both, and up to when the old one was seen to hold.
create view relay_change_view as
select r.url as relay_url, m.type, m.generated_at as changed_at, p.confirmed_at as held_until,
  o.data as before, d.data as after
from relay_metadata m
join relay r on r.id = m.relay_id
join lateral (
  select * from relay_metadata p
  where p.relay_id = m.relay_id and p.type = m.type and p.generated_at < m.generated_at
  order by p.generated_at desc limit 1
) p on true
join metadata o on o.id = p.metadata_id
join metadata d on d.id = m.metadata_id
union all
select r.url, 'state', t.at, t.at, to_jsonb(t.before), to_jsonb(t.state)
from relay_transition t join relay r on r.id = t.relay_id;
