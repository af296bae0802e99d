-- How relays and what is known of them change: candidates, relays, checks, turns, coverage.
-- Every function takes sets (arrays of equal length, or one jsonb array of objects where rows are
-- few) and returns what it did. Called twice with the same sets it does the same as once, unless it
-- says otherwise.

-- Relays ----------------------------------------------------------------------------------------

-- New relays of the list: asked for first, so that known ones don't burn ids.
create function relay_insert(urls text[], networks text[], at bigint) returns int
language plpgsql as $$
declare n int;
begin
  with fresh as (
    insert into relay (url, network, discovered_at)
    select distinct on (g.url) g.url, g.network, at
    from unnest(urls, networks) as g(url, network)
    where not exists (select from relay r where r.url = g.url)
    order by g.url
    on conflict (url) do nothing
    returning id
  )
  insert into relay_status (relay_id) select id from fresh;
  get diagnostics n = row_count;
  return n;
end $$;

-- Candidates ------------------------------------------------------------------------------------

-- New candidates of the list: neither relays nor candidates yet. One that is known keeps its state
-- and its wait; that it was named again is noted once an hour at most.
create function candidate_insert(urls text[], networks text[], sources text[], at bigint)
returns int language plpgsql as $$
declare n int;
begin
  update candidate c set named_at = at
  from unnest(urls) as g(url)
  where c.url = g.url and c.named_at < at - 3600;
  insert into candidate (url, network, source, found_at, named_at, next_attempt_at)
  select distinct on (g.url) g.url, g.network, g.source, at, at, at
  from unnest(urls, networks, sources) as g(url, network, source)
  where not exists (select from relay r where r.url = g.url)
  order by g.url
  on conflict (url) do nothing;
  get diagnostics n = row_count;
  return n;
end $$;

-- Up to `max_rows` candidates that are due, the longest due first, leased to the caller.
create function candidate_claim(of_networks text[], at bigint, lease_seconds bigint, max_rows int)
returns table (url text, attempts int) language plpgsql as $$
begin
  return query
  with due as materialized (
    select d.url from candidate d
    where d.next_attempt_at <= at and d.claimed_until <= at and d.network = any (of_networks)
    order by d.next_attempt_at, d.url
    limit max_rows
    for update skip locked
  ), claimed as (
    update candidate c set claimed_until = at + lease_seconds
    where c.url in (select due.url from due)
    returning c.url, c.attempts, c.next_attempt_at
  )
  select c.url, c.attempts from claimed c order by c.next_attempt_at, c.url;
end $$;

-- Ends a lease after a failed try, and counts the try each time. Rows: url, next_attempt_at, reason, junk.
create function candidate_postpone(rows jsonb) returns int language plpgsql as $$
declare n int;
begin
  update candidate c
  set attempts = c.attempts + 1, next_attempt_at = g.next_attempt_at, last_reason = g.reason,
    state = case when g.junk then 'junk' else 'pending' end, claimed_until = 0
  from jsonb_to_recordset(rows) as g(url text, next_attempt_at bigint, reason text, junk bool)
  where c.url = g.url;
  get diagnostics n = row_count;
  return n;
end $$;

-- Ends leases without a try: nothing is counted. Rows: url, next_attempt_at (null for no change).
create function candidate_release(rows jsonb) returns int language plpgsql as $$
declare n int;
begin
  update candidate c
  set next_attempt_at = coalesce(g.next_attempt_at, c.next_attempt_at), claimed_until = 0
  from jsonb_to_recordset(rows) as g(url text, next_attempt_at bigint)
  where c.url = g.url;
  get diagnostics n = row_count;
  return n;
end $$;

-- Candidates that proved to be relays.
create function candidate_promote(urls text[], networks text[], at bigint) returns int
language plpgsql as $$
begin
  delete from candidate c using unnest(urls) as g(url) where c.url = g.url;
  return relay_insert(urls, networks, at);
end $$;

-- Junk that no list has named since `before`.
create function candidate_forget(before bigint, max_rows int) returns int language plpgsql as $$
declare n int;
begin
  delete from candidate c where c.url in (
    select d.url from candidate d where d.state = 'junk' and d.named_at < before limit max_rows
  );
  get diagnostics n = row_count;
  return n;
end $$;

-- Checks ----------------------------------------------------------------------------------------

-- Relays whose check is due, the longest due first, leased to `owner`.
create function relay_claim_for_check(
  of_networks text[], at bigint, lease_seconds bigint, owner text, max_rows int
) returns table (
  id int, url text, network text, state text, failures int, discovered_at bigint,
  checked_at bigint, online_at bigint
) language plpgsql as $$
begin
  return query
  with due as materialized (
    select d.relay_id from relay_status d join relay q on q.id = d.relay_id
    where d.next_check_at <= at and d.check_claimed_until <= at
      and q.network = any (of_networks)
    order by d.next_check_at, d.relay_id
    limit max_rows
    for update of d skip locked
  ), claimed as (
    update relay_status s set check_claimed_until = at + lease_seconds, check_claimed_by = owner
    where s.relay_id in (select due.relay_id from due)
    returning s.*
  )
  select r.id, r.url, r.network, c.state, c.failures, r.discovered_at, c.checked_at, c.online_at
  from claimed c join relay r on r.id = c.relay_id
  order by c.next_check_at, c.relay_id;
end $$;

-- Ends leases that `owner` still has, without a check: the status stays as it is. Rows: relay_id,
-- next_check_at (null for no change).
create function relay_release_check(rows jsonb, owner text) returns int language plpgsql as $$
declare n int;
begin
  update relay_status s
  set next_check_at = coalesce(g.next_check_at, s.next_check_at), check_claimed_until = 0,
    check_claimed_by = null
  from jsonb_to_recordset(rows) as g(relay_id int, next_check_at bigint)
  where s.relay_id = g.relay_id and s.check_claimed_by is not distinct from owner;
  get diagnostics n = row_count;
  return n;
end $$;

-- Published reports (kind 30166). Rows: relay_id, content_hash (hex), event_id (hex), published_at.
create function relay_report_upsert(rows jsonb) returns int language plpgsql as $$
declare n int;
begin
  insert into relay_report (relay_id, content_hash, event_id, published_at)
  select g.relay_id, decode(g.content_hash, 'hex'), decode(g.event_id, 'hex'), g.published_at
  from jsonb_to_recordset(rows) as g(
    relay_id int, content_hash text, event_id text, published_at bigint)
  on conflict (relay_id) do update
  set content_hash = excluded.content_hash, event_id = excluded.event_id,
    published_at = excluded.published_at;
  get diagnostics n = row_count;
  return n;
end $$;

-- Synchronizing ---------------------------------------------------------------------------------

-- Relays in one of `of_states` whose synchronizing is due, the longest due first, leased to `owner`:
-- without the named ones, which have slots of their own, or of them alone.
create function relay_claim_for_sync(
  of_networks text[], of_states text[], at bigint, lease_seconds bigint, owner text, max_rows int,
  named text[], named_only bool
) returns table (id int, url text, network text, state text, next_sync_at bigint)
language plpgsql as $$
begin
  return query
  with due as materialized (
    select d.relay_id from relay_status d join relay q on q.id = d.relay_id
    where d.next_sync_at <= at and d.sync_claimed_until <= at
      and q.network = any (of_networks) and d.state = any (of_states)
      and (q.url = any (named)) = named_only
    order by d.next_sync_at, d.relay_id
    limit max_rows
    for update of d skip locked
  ), claimed as (
    update relay_status s set sync_claimed_until = at + lease_seconds, sync_claimed_by = owner
    where s.relay_id in (select due.relay_id from due)
    returning s.*
  )
  select r.id, r.url, r.network, c.state, c.next_sync_at
  from claimed c join relay r on r.id = c.relay_id
  order by c.next_sync_at, c.relay_id;
end $$;

-- Ends a lease that `owner` still has; false when another has taken it over.
create function relay_release_sync(of_relay_id int, owner text, next_at bigint) returns bool
language plpgsql as $$
begin
  update relay_status s
  set next_sync_at = next_at, sync_claimed_until = 0, sync_claimed_by = null
  where s.relay_id = of_relay_id and s.sync_claimed_by is not distinct from owner;
  return found;
end $$;

-- Prolongs a lease that `owner` still has; false when another has taken it over.
create function relay_extend_sync(of_relay_id int, owner text, until_at bigint) returns bool
language plpgsql as $$
begin
  update relay_status s set sync_claimed_until = until_at
  where s.relay_id = of_relay_id and s.sync_claimed_by is not distinct from owner;
  return found;
end $$;

-- The whole ledger of one relay and filter, in place of what stood there. Rows: since, until, state,
-- proof, reason, missing, updated_at.
create function coverage_replace(of_relay_id int, filter_text text, rows jsonb) returns int
language plpgsql as $$
declare n int; f int; h bytea := sha256(convert_to(filter_text, 'UTF8'));
begin
  insert into filter (hash, filter)
  select h, filter_text where not exists (select from filter where hash = h)
  on conflict (hash) do nothing;
  select id into f from filter where hash = h;
  delete from coverage c where c.relay_id = of_relay_id and c.filter_id = f
    and not exists (
      select from jsonb_to_recordset(rows) as g(since bigint) where g.since = c.since);
  insert into coverage (
    relay_id, filter_id, since, until, state, proof, reason, missing, updated_at)
  select of_relay_id, f, g.since, g.until, g.state, g.proof, g.reason, g.missing, g.updated_at
  from jsonb_to_recordset(rows) as g(
    since bigint, until bigint, state text, proof text, reason text, missing bigint,
    updated_at bigint)
  on conflict (relay_id, filter_id, since) do update
  set until = excluded.until, state = excluded.state, proof = excluded.proof,
    reason = excluded.reason, missing = excluded.missing, updated_at = excluded.updated_at
  where coverage is distinct from excluded;
  get diagnostics n = row_count;
  return n;
end $$;
