-- All changes to the tables. Every function takes sets (arrays of equal length, or one jsonb array of
-- objects where rows are few), returns what it did, and is safe to call twice with the same sets.

-- Writers of events and sightings hold this lock shared, statistics_horizon() for a moment
-- exclusively: so it knows a point below which every sequence number is committed or gone.
create function ingest_lock() returns bigint language sql immutable as $$ select 7166253194461::bigint $$;

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

-- Ends a lease after a failed try. Rows: url, next_attempt_at, reason, junk.
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

-- Events and sightings --------------------------------------------------------------------------

-- The key under which the GIN index knows a single-letter tag: 8 bytes of the value's hex if it is
-- 64 hex digits, else of its SHA-256; the letter goes into the first byte. Keys can collide, so
-- whoever searches by them compares the tags themselves after. events.ts computes the same.
create function tag_key(letter text, value text) returns bigint
language sql immutable strict parallel safe as $$
  select (case when value ~ '^[0-9a-f]{64}$' then ('x' || substr(value, 1, 16))::bit(64)
    else ('x' || encode(substring(sha256(convert_to(value, 'UTF8')), 1, 8), 'hex'))::bit(64)
  end)::bigint # (ascii(letter)::bigint << 56)
$$;

-- Sequence numbers of the ids (32 bytes each, concatenated) in their order, null for the unknown.
-- A look-up per id: the planner can't turn it into a hash join over the whole table, which took
-- 10 µs an id at 50,000 events instead of 2.
create function event_known(ids bytea) returns bigint[] language plpgsql stable as $$
begin
  return array(
    select (select e.seq from event e where e.id = substring(ids, n * 32 + 1, 32))
    from generate_series(0, length(ids) / 32 - 1) as n
  );
end $$;

-- Inserts the events that are new and gives the sequence number of each in the order of the input.
-- Ids, keys and signatures come as concatenations (32, 32, 64 bytes each), tag keys as array texts.
create function event_insert(
  ids bytea, pubkeys bytea, sigs bytea, created_ats bigint[], kinds int[],
  tags text[], contents text[], content_raws text[], tag_keys text[],
  out inserted int, out seqs bigint[]
) language plpgsql set plan_cache_mode = force_custom_plan as $$
declare same bool;
begin
  perform pg_advisory_xact_lock_shared(ingest_lock());
  with fresh as (
    insert into event (created_at, kind, id, pubkey, sig, tags, content, content_raw, tag_keys)
    select g.created_at, g.kind, substring(ids, g.n::int * 32 - 31, 32),
      substring(pubkeys, g.n::int * 32 - 31, 32), substring(sigs, g.n::int * 64 - 63, 64),
      g.tags, g.content, g.raw, g.keys::bigint[]
    from unnest(created_ats, kinds, event_insert.tags, contents, content_raws, event_insert.tag_keys)
      with ordinality as g(created_at, kind, tags, content, raw, keys, n)
    on conflict (id) do nothing
    returning seq, id
  )
  -- The comparison proves that the numbers came back in the order of the input.
  select count(*), array_agg(seq), string_agg(id, '') = ids into inserted, seqs, same from fresh;
  if same is distinct from true then
    -- A new statement, and so a new snapshot: it sees what a concurrent writer was first to insert.
    seqs := event_known(ids);
  end if;
end $$;

-- Sightings by sequence number; seen_ats are Unix seconds. Gives the number of new ones. One of an
-- event that was deleted meanwhile is left out (0.8 µs each; a foreign key's trigger takes 5).
create function event_relay_insert(event_seqs bigint[], relay_ids int[], seen_ats bigint[])
returns int language plpgsql as $$
declare n int;
begin
  perform pg_advisory_xact_lock_shared(ingest_lock());
  insert into event_relay (event_seq, relay_id, seen_at)
  select g.event_seq, g.relay_id, g.seen_at - 1577836800
  from unnest(event_seqs, relay_ids, seen_ats) as g(event_seq, relay_id, seen_at)
  where (select true from event e where e.seq = g.event_seq)
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

-- Metadata --------------------------------------------------------------------------------------

-- Documents by content. Rows: type, hash (hex), data. Gives the ids in the order of the input.
create function metadata_insert(rows jsonb) returns int[] language plpgsql as $$
begin
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

-- History older than `before`; the latest row of each relay and type stays.
create function relay_metadata_delete_expired(before bigint, max_rows int) returns int
language plpgsql as $$
declare n int;
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
  get diagnostics n = row_count;
  return n;
end $$;

create function orphan_metadata_delete(max_rows int) returns int language plpgsql as $$
declare n int;
begin
  delete from metadata m where m.id in (
    select o.id from metadata o
    where not exists (select from relay_metadata r where r.metadata_id = o.id) limit max_rows
  );
  get diagnostics n = row_count;
  return n;
end $$;

-- Checks ----------------------------------------------------------------------------------------

-- Relays whose check is due, the longest due first, leased to `owner`.
create function relay_claim_for_check(
  of_networks text[], at bigint, lease_seconds bigint, owner text, max_rows int
) returns table (
  id int, url text, network text, state text, failures int, checked_at bigint, online_at bigint
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
  select r.id, r.url, r.network, c.state, c.failures, c.checked_at, c.online_at
  from claimed c join relay r on r.id = c.relay_id
  order by c.next_check_at, c.relay_id;
end $$;

-- Finished checks with the status that follows from them; ends their leases. The latest check counts;
-- of two in the same second, by two processes, the one that found it alive. Rows: relay_id,
-- checked_at, ok, reason, rtt_open_ms, rtt_read_ms, rtt_write_ms, rtt_nip11_ms, detail, state,
-- failures, next_check_at.
create function relay_check_insert(rows jsonb) returns int language plpgsql as $$
declare n int;
begin
  update relay_status s
  set state = g.state, failures = g.failures, checked_at = g.checked_at,
    online_at = case when g.ok then g.checked_at else s.online_at end,
    rtt_open_ms = case when g.ok then g.rtt_open_ms else s.rtt_open_ms end,
    next_check_at = g.next_check_at, check_claimed_until = 0, check_claimed_by = null
  from (
    select distinct on (relay_id) *
    from jsonb_to_recordset(rows) as g(
      relay_id int, checked_at bigint, ok bool, rtt_open_ms int, state text, failures int,
      next_check_at bigint)
    order by relay_id, checked_at desc, ok desc
  ) g
  where s.relay_id = g.relay_id and g.checked_at >= coalesce(s.checked_at, g.checked_at)
    and (g.ok or g.checked_at > coalesce(s.online_at, 0));
  insert into relay_check (
    relay_id, checked_at, ok, reason, rtt_open_ms, rtt_read_ms, rtt_write_ms, rtt_nip11_ms, detail)
  select g.relay_id, g.checked_at, g.ok, g.reason, g.rtt_open_ms, g.rtt_read_ms, g.rtt_write_ms,
    g.rtt_nip11_ms, g.detail
  from jsonb_to_recordset(rows) as g(
    relay_id int, checked_at bigint, ok bool, reason text, rtt_open_ms int, rtt_read_ms int,
    rtt_write_ms int, rtt_nip11_ms int, detail jsonb)
  join relay r on r.id = g.relay_id
  on conflict do nothing;
  get diagnostics n = row_count;
  return n;
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

-- Relays in one of `of_states` whose synchronizing is due, the longest due first, leased to `owner`.
create function relay_claim_for_sync(
  of_networks text[], of_states text[], at bigint, lease_seconds bigint, owner text, max_rows int
) returns table (id int, url text, network text, state text, next_sync_at bigint)
language plpgsql as $$
begin
  return query
  with due as materialized (
    select d.relay_id from relay_status d join relay q on q.id = d.relay_id
    where d.next_sync_at <= at and d.sync_claimed_until <= at
      and q.network = any (of_networks) and d.state = any (of_states)
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

-- DVM jobs --------------------------------------------------------------------------------------

-- False when the request is known: the one gate against answering twice.
create function dvm_job_insert(
  of_request_id bytea, of_kind int, of_pubkey bytea, at bigint, until_at bigint, of_request text,
  of_relay_url text
) returns bool language plpgsql as $$
begin
  insert into dvm_job (request_id, kind, pubkey, received_at, expires_at, request, relay_url)
  values (of_request_id, of_kind, of_pubkey, at, until_at, of_request, of_relay_url)
  on conflict do nothing;
  return found;
end $$;

-- Jobs to work on, first received first (our clock, never the customer's); expired ones are ended.
create function dvm_job_claim(at bigint, lease_seconds bigint, max_rows int)
returns setof dvm_job language plpgsql as $$
begin
  update dvm_job j set state = 'expired'
  where j.state in ('received', 'processing') and j.claimed_until <= at and j.expires_at < at;
  return query
  with due as materialized (
    select d.request_id from dvm_job d
    where d.state in ('received', 'processing') and d.claimed_until <= at
    order by d.received_at, d.request_id
    limit max_rows
    for update skip locked
  ), claimed as (
    update dvm_job j
    set state = 'processing', attempts = j.attempts + 1, claimed_until = at + lease_seconds
    where j.request_id in (select due.request_id from due)
    returning j.*
  )
  select * from claimed c order by c.received_at, c.request_id;
end $$;

-- Keeps the signed terminal event before it is published. False when the job already has an answer
-- or was cancelled: the first one stays.
create function dvm_job_answer(of_request_id bytea, new_state text, new_answer text, at bigint)
returns bool language plpgsql as $$
begin
  update dvm_job j
  set state = new_state, answer = new_answer, answered_at = at, claimed_until = 0
  where j.request_id = of_request_id and j.answer is null
    and j.state in ('received', 'processing');
  return found;
end $$;

create function dvm_job_published(of_request_id bytea, at bigint) returns bool
language plpgsql as $$
begin
  update dvm_job j set published_at = at
  where j.request_id = of_request_id and j.published_at is null;
  return found;
end $$;

-- Only the customer may cancel, and only what is not answered yet.
create function dvm_job_cancel(of_request_id bytea, of_pubkey bytea) returns bool
language plpgsql as $$
begin
  update dvm_job j set state = 'cancelled', claimed_until = 0
  where j.request_id = of_request_id and j.pubkey = of_pubkey
    and j.state in ('received', 'processing');
  return found;
end $$;

create function dvm_job_delete_expired(before bigint, max_rows int) returns int
language plpgsql as $$
declare n int;
begin
  delete from dvm_job j where j.request_id in (
    select d.request_id from dvm_job d
    where d.received_at < before and d.state not in ('received', 'processing')
      and (d.answer is null or d.published_at is not null)
    limit max_rows
  );
  get diagnostics n = row_count;
  return n;
end $$;
