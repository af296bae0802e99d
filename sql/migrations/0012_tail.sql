-- The live tail: which relays are followed by a standing subscription, by whom, and what ground it has
-- followed.

-- A relay's tail. `spans` are seconds of created_at during which the subscription stood, as pairs,
-- oldest first, under `filter`; they belong to whoever has the lease.
create table relay_tail (
  relay_id int primary key references relay on delete cascade,
  claimed_by text,
  claimed_until bigint not null default 0,
  -- Not followed before.
  due_at bigint not null default 0,
  -- Sessions in a row that did not last.
  failures int not null default 0,
  -- How the last session ended.
  reason text,
  -- Events a day, as last measured.
  rate real not null default 0,
  filter text not null default '',
  spans jsonb not null default '[]'
) with (fillfactor = 50);

-- Relays to follow, leased to `owner`: the named ones first, whatever their state, then those online
-- with the most events a day. With `above`, only named ones and those with more events than that.
create function relay_claim_for_tail(
  of_networks text[], named text[], at bigint, lease_seconds bigint, owner text, above real,
  max_rows int
) returns table (
  id int, url text, network text, is_named bool, failures int, rate real, filter text, spans jsonb
) language plpgsql as $$
begin
  return query
  with due as materialized (
    select d.relay_id, q.url = any (named) as is_named
    from relay_status d
    join relay q on q.id = d.relay_id
    left join relay_tail t on t.relay_id = d.relay_id
    where q.network = any (of_networks)
      and (d.state = 'online' or q.url = any (named))
      and coalesce(t.due_at, 0) <= at and coalesce(t.claimed_until, 0) <= at
      and (above is null or t.rate > above or q.url = any (named))
    order by q.url = any (named) desc, coalesce(t.rate, 0) desc, d.relay_id
    limit max_rows
    for update of d skip locked
  ), claimed as (
    insert into relay_tail as k (relay_id, claimed_by, claimed_until)
    select due.relay_id, owner, at + lease_seconds from due
    on conflict (relay_id) do update
    set claimed_by = excluded.claimed_by, claimed_until = excluded.claimed_until
    -- Another process may have taken it since `due` was read.
    where k.claimed_until <= at
    returning k.*
  )
  select r.id, r.url, r.network, due.is_named, c.failures, c.rate, c.filter, c.spans
  from claimed c join relay r on r.id = c.relay_id join due on due.relay_id = c.relay_id
  order by due.is_named desc, c.rate desc, r.id;
end $$;

-- Prolongs the leases that `owner` still has, with what has been followed up to now. Rows: relay_id,
-- filter, spans. Returns the relays; those that are missing were taken over by another.
create function relay_tail_save(rows jsonb, owner text, until_at bigint) returns setof int
language plpgsql as $$
begin
  return query
  update relay_tail t
  set claimed_until = until_at, filter = g.filter, spans = g.spans
  from jsonb_to_recordset(rows) as g(relay_id int, filter text, spans jsonb)
  where t.relay_id = g.relay_id and t.claimed_by = owner
  returning t.relay_id;
end $$;

-- Ends leases that `owner` still has. Rows: relay_id, due_at, failures, reason, filter, spans, rate
-- (null for no change).
create function relay_release_tail(rows jsonb, owner text) returns int language plpgsql as $$
declare n int;
begin
  update relay_tail t
  set claimed_by = null, claimed_until = 0, due_at = g.due_at, failures = g.failures,
    reason = g.reason, filter = g.filter, spans = g.spans, rate = coalesce(g.rate, t.rate)
  from jsonb_to_recordset(rows) as g(
    relay_id int, due_at bigint, failures int, reason text, filter text, spans jsonb, rate real)
  where t.relay_id = g.relay_id and t.claimed_by = owner;
  get diagnostics n = row_count;
  return n;
end $$;

-- How much a relay gets, as a turn has measured it.
create function relay_tail_rate(of_relay_id int, measured real) returns void
language plpgsql as $$
begin
  insert into relay_tail as t (relay_id, rate) values (of_relay_id, measured)
  on conflict (relay_id) do update set rate = excluded.rate where t.rate <> excluded.rate;
end $$;
