-- The schema after 0015_light, generated: don't edit (tests/support/schema_dump.ts).

create sequence event_relay_seq_seq;

create sequence event_seq_seq;

create sequence stat_pubkey_id;

create table access_role (
  name text not null,
  level text not null,
  constraint access_role_level_check CHECK ((level = ANY (ARRAY['writer'::text, 'reader'::text]))),
  constraint access_role_pkey PRIMARY KEY (name)
);

create table archive (
  one boolean not null default true,
  profile text not null,
  partition_events bigint not null,
  partitions integer not null default 0,
  partitioned_to bigint not null default 0,
  constraint archive_one_check CHECK (one),
  constraint archive_partition_events_check CHECK ((partition_events >= 0)),
  constraint archive_pkey PRIMARY KEY (one)
);

create table candidate (
  url text not null,
  network text not null,
  source text not null,
  state text not null default 'pending'::text,
  found_at bigint not null,
  named_at bigint not null,
  attempts integer not null default 0,
  next_attempt_at bigint not null,
  claimed_until bigint not null default 0,
  last_reason text,
  constraint candidate_pkey PRIMARY KEY (url),
  constraint candidate_state_check CHECK ((state = ANY (ARRAY['pending'::text, 'junk'::text]))),
  constraint candidate_url_check CHECK (((octet_length(url) >= 1) AND (octet_length(url) <= 2048)))
);

create table coverage (
  relay_id integer not null,
  filter_id integer not null,
  since bigint not null,
  until bigint not null,
  state text not null,
  proof text,
  reason text,
  missing bigint,
  updated_at bigint not null,
  constraint coverage_check CHECK ((until >= since)),
  constraint coverage_filter_id_fkey FOREIGN KEY (filter_id) REFERENCES filter(id),
  constraint coverage_pkey PRIMARY KEY (relay_id, filter_id, since),
  constraint coverage_relay_id_fkey FOREIGN KEY (relay_id) REFERENCES relay(id) ON DELETE CASCADE,
  constraint coverage_state_check CHECK ((state = ANY (ARRAY['closed'::text, 'open'::text, 'gap'::text])))
);

create table dvm_job (
  request_id bytea not null,
  kind integer not null,
  pubkey bytea not null,
  received_at bigint not null,
  expires_at bigint,
  request text not null,
  relay_url text,
  state text not null default 'received'::text,
  attempts integer not null default 0,
  claimed_until bigint not null default 0,
  answer text,
  answered_at bigint,
  published_at bigint,
  amount_msats bigint,
  invoice text,
  payment_hash bytea,
  invoice_expires_at bigint,
  look_at bigint,
  looks integer not null default 0,
  paid_at bigint,
  preimage bytea,
  constraint dvm_job_pkey PRIMARY KEY (request_id),
  constraint dvm_job_state_check CHECK ((state = ANY (ARRAY['received'::text, 'unpaid'::text, 'processing'::text, 'answered'::text, 'failed'::text, 'expired'::text, 'cancelled'::text])))
) with (fillfactor=80);

create table event (
  seq bigint not null default nextval('event_seq_seq'::regclass),
  created_at bigint not null,
  kind integer not null,
  id bytea not null,
  pubkey bytea not null,
  sig bytea not null,
  tags text not null,
  content text not null,
  content_raw text not null default ''::text,
  tag_keys bigint[] not null default '{}'::bigint[],
  constraint event_pkey PRIMARY KEY (seq)
) partition by RANGE (seq);

create table event_deletion (
  event_seq bigint not null,
  until bigint not null,
  target uuid not null,
  constraint event_deletion_pkey PRIMARY KEY (target, event_seq)
);

create table event_expiry (
  event_seq bigint not null,
  expires_at bigint not null,
  constraint event_expiry_pkey PRIMARY KEY (event_seq)
);

create table event_id (
  half uuid not null,
  seq bigint not null,
  constraint event_id_pkey PRIMARY KEY (half)
) partition by HASH (half);

create table event_relay (
  event_seq bigint not null,
  seq bigint not null default nextval('event_relay_seq_seq'::regclass),
  relay_id integer not null,
  seen_at integer not null,
  constraint event_relay_pkey PRIMARY KEY (event_seq, relay_id)
) partition by RANGE (event_seq);

create table event_version (
  event_seq bigint not null,
  created_at bigint not null,
  address uuid not null,
  latest boolean not null,
  constraint event_version_pkey PRIMARY KEY (event_seq)
) with (fillfactor=90);

create table filter (
  id integer not null generated always as identity,
  hash bytea not null,
  filter text not null,
  constraint filter_hash_key UNIQUE (hash),
  constraint filter_pkey PRIMARY KEY (id)
);

create table mark_checkpoint (
  one boolean not null default true,
  event_seq bigint not null,
  constraint mark_checkpoint_one_check CHECK (one),
  constraint mark_checkpoint_pkey PRIMARY KEY (one)
) with (fillfactor=20);

create table metadata (
  id integer not null generated always as identity,
  type text not null,
  hash bytea not null,
  data jsonb not null,
  constraint metadata_content UNIQUE (hash, type),
  constraint metadata_pkey PRIMARY KEY (id)
);

create table relay (
  id integer not null generated always as identity,
  url text not null,
  network text not null,
  discovered_at bigint not null,
  constraint relay_pkey PRIMARY KEY (id),
  constraint relay_url_check CHECK (((octet_length(url) >= 1) AND (octet_length(url) <= 2048))),
  constraint relay_url_key UNIQUE (url)
);

create table relay_check (
  relay_id integer not null,
  checked_at bigint not null,
  ok boolean not null,
  reason text,
  rtt_open_ms integer,
  rtt_read_ms integer,
  rtt_write_ms integer,
  rtt_nip11_ms integer,
  detail jsonb,
  next_in integer,
  dns_ms integer,
  tcp_ms integer,
  tls_ms integer,
  upgrade_ms integer,
  ip text,
  constraint relay_check_pkey PRIMARY KEY (relay_id, checked_at),
  constraint relay_check_relay_id_fkey FOREIGN KEY (relay_id) REFERENCES relay(id) ON DELETE CASCADE
);

create table relay_check_daily (
  relay_id integer not null,
  day integer not null,
  checks integer not null,
  online integer not null,
  known_seconds integer not null,
  up_seconds integer not null,
  first_at bigint,
  last_at bigint,
  rtt_open_ms integer,
  rtt_read_ms integer,
  rtt_write_ms integer,
  reasons jsonb not null default '{}'::jsonb,
  constraint relay_check_daily_pkey PRIMARY KEY (relay_id, day),
  constraint relay_check_daily_relay_id_fkey FOREIGN KEY (relay_id) REFERENCES relay(id) ON DELETE CASCADE
);

create table relay_facts (
  relay_id integer not null,
  name text,
  description text,
  software text,
  version text,
  nips integer[] not null default '{}'::integer[],
  nips_proven integer[] not null default '{}'::integer[],
  nips_refuted integer[] not null default '{}'::integer[],
  auth boolean,
  payment boolean,
  restricted boolean,
  country text,
  city text,
  asn bigint,
  organisation text,
  cdn text,
  tls_valid boolean,
  tls_expires_at bigint,
  uptime_24h real,
  uptime_7d real,
  uptime_30d real,
  constraint relay_facts_pkey PRIMARY KEY (relay_id),
  constraint relay_facts_relay_id_fkey FOREIGN KEY (relay_id) REFERENCES relay(id) ON DELETE CASCADE
) with (fillfactor=80);

create table relay_fingerprint (
  relay_id integer not null,
  filter_id integer not null,
  version integer not null default 0,
  sighting_seq bigint not null default 0,
  stale_days bigint[] not null default '{}'::bigint[],
  segments bytea not null default '\x'::bytea,
  constraint relay_fingerprint_filter_id_fkey FOREIGN KEY (filter_id) REFERENCES filter(id),
  constraint relay_fingerprint_pkey PRIMARY KEY (relay_id, filter_id),
  constraint relay_fingerprint_relay_id_fkey FOREIGN KEY (relay_id) REFERENCES relay(id) ON DELETE CASCADE
) with (fillfactor=80);

create table relay_metadata (
  relay_id integer not null,
  type text not null,
  generated_at bigint not null,
  metadata_id integer not null,
  confirmed_at bigint not null,
  constraint relay_metadata_metadata_id_fkey FOREIGN KEY (metadata_id) REFERENCES metadata(id),
  constraint relay_metadata_pkey PRIMARY KEY (relay_id, type, generated_at),
  constraint relay_metadata_relay_id_fkey FOREIGN KEY (relay_id) REFERENCES relay(id) ON DELETE CASCADE
) with (fillfactor=80);

create table relay_report (
  relay_id integer not null,
  content_hash bytea not null,
  event_id bytea not null,
  published_at bigint not null,
  constraint relay_report_pkey PRIMARY KEY (relay_id),
  constraint relay_report_relay_id_fkey FOREIGN KEY (relay_id) REFERENCES relay(id) ON DELETE CASCADE
);

create table relay_status (
  relay_id integer not null,
  state text not null default 'unknown'::text,
  failures integer not null default 0,
  checked_at bigint,
  online_at bigint,
  rtt_open_ms integer,
  next_check_at bigint not null default 0,
  check_claimed_until bigint not null default 0,
  check_claimed_by text,
  next_sync_at bigint not null default 0,
  sync_claimed_until bigint not null default 0,
  sync_claimed_by text,
  constraint relay_status_pkey PRIMARY KEY (relay_id),
  constraint relay_status_relay_id_fkey FOREIGN KEY (relay_id) REFERENCES relay(id) ON DELETE CASCADE,
  constraint relay_status_state_check CHECK ((state = ANY (ARRAY['unknown'::text, 'online'::text, 'unreachable'::text, 'dead'::text])))
) with (fillfactor=50);

create table relay_tail (
  relay_id integer not null,
  claimed_by text,
  claimed_until bigint not null default 0,
  due_at bigint not null default 0,
  failures integer not null default 0,
  reason text,
  rate real not null default 0,
  filter text not null default ''::text,
  spans jsonb not null default '[]'::jsonb,
  constraint relay_tail_pkey PRIMARY KEY (relay_id),
  constraint relay_tail_relay_id_fkey FOREIGN KEY (relay_id) REFERENCES relay(id) ON DELETE CASCADE
) with (fillfactor=50);

create table relay_transition (
  relay_id integer not null,
  at bigint not null,
  state text not null,
  before text not null,
  constraint relay_transition_pkey PRIMARY KEY (relay_id, at),
  constraint relay_transition_relay_id_fkey FOREIGN KEY (relay_id) REFERENCES relay(id) ON DELETE CASCADE
);

create table schema_migration (
  version integer not null,
  name text not null,
  hash text not null,
  applied_at timestamp with time zone not null default now(),
  constraint schema_migration_pkey PRIMARY KEY (version)
);

create table service_state (
  service text not null,
  key text not null,
  value jsonb not null,
  updated_at bigint not null,
  constraint service_state_pkey PRIMARY KEY (service, key)
) with (fillfactor=80);

create table stat_day (
  day integer not null,
  kind integer not null,
  events bigint not null,
  pubkeys bigint not null,
  constraint stat_day_pkey PRIMARY KEY (day, kind)
) with (fillfactor=70);

create table stat_kind (
  kind integer not null,
  events bigint not null,
  events_1h bigint not null,
  events_24h bigint not null,
  events_7d bigint not null,
  events_30d bigint not null,
  pubkeys bigint not null,
  pubkeys_1h bigint not null,
  pubkeys_24h bigint not null,
  pubkeys_7d bigint not null,
  pubkeys_30d bigint not null,
  constraint stat_kind_pkey PRIMARY KEY (kind)
) with (fillfactor=50);

create table stat_kind_relay (
  relay_id integer not null,
  kind integer not null,
  sightings bigint not null,
  sightings_1h bigint not null,
  sightings_24h bigint not null,
  sightings_7d bigint not null,
  sightings_30d bigint not null,
  constraint stat_kind_relay_pkey PRIMARY KEY (relay_id, kind)
) with (fillfactor=70);

create table stat_pubkey (
  id integer not null,
  events integer not null,
  events_1h integer not null,
  events_24h integer not null,
  events_7d integer not null,
  events_30d integer not null,
  pubkey bytea not null,
  constraint stat_pubkey_pkey PRIMARY KEY (id),
  constraint stat_pubkey_pubkey_key UNIQUE (pubkey)
) with (fillfactor=90);

create table stat_pubkey_day (
  pubkey_id integer not null,
  day integer not null,
  kind integer not null,
  events integer not null,
  constraint stat_pubkey_day_pkey PRIMARY KEY (pubkey_id, day, kind)
) with (fillfactor=90);

create table stat_pubkey_kind (
  pubkey_id integer not null,
  kind integer not null,
  events integer not null,
  events_1h integer not null,
  events_24h integer not null,
  events_7d integer not null,
  events_30d integer not null,
  constraint stat_pubkey_kind_pkey PRIMARY KEY (pubkey_id, kind)
) with (fillfactor=90);

create table stat_pubkey_relay (
  pubkey_id integer not null,
  relay_id integer not null,
  sightings integer not null,
  sightings_1h integer not null,
  sightings_24h integer not null,
  sightings_7d integer not null,
  sightings_30d integer not null,
  constraint stat_pubkey_relay_pkey PRIMARY KEY (pubkey_id, relay_id)
) with (fillfactor=90);

create table stat_relay (
  relay_id integer not null,
  sightings bigint not null,
  sightings_1h bigint not null,
  sightings_24h bigint not null,
  sightings_7d bigint not null,
  sightings_30d bigint not null,
  pubkeys integer not null,
  pubkeys_1h integer not null,
  pubkeys_24h integer not null,
  pubkeys_7d integer not null,
  pubkeys_30d integer not null,
  kinds integer not null,
  kinds_1h integer not null,
  kinds_24h integer not null,
  kinds_7d integer not null,
  kinds_30d integer not null,
  constraint stat_relay_pkey PRIMARY KEY (relay_id)
) with (fillfactor=50);

create table stat_total (
  one boolean not null default true,
  event_seq bigint not null default 0,
  sighting_seq bigint not null default 0,
  at bigint not null default 0,
  events bigint not null default 0,
  sightings bigint not null default 0,
  pubkeys bigint not null default 0,
  pubkeys_1h bigint not null default 0,
  pubkeys_24h bigint not null default 0,
  pubkeys_7d bigint not null default 0,
  pubkeys_30d bigint not null default 0,
  constraint stat_total_one_check CHECK (one),
  constraint stat_total_pkey PRIMARY KEY (one)
) with (fillfactor=20);

CREATE INDEX candidate_due ON public.candidate USING btree (next_attempt_at);

CREATE INDEX dvm_job_look ON public.dvm_job USING btree (look_at) WHERE (look_at IS NOT NULL);

CREATE INDEX dvm_job_unpublished ON public.dvm_job USING btree (answered_at) WHERE ((answer IS NOT NULL) AND (published_at IS NULL));

CREATE INDEX dvm_job_waiting ON public.dvm_job USING btree (received_at) WHERE (state = ANY (ARRAY['received'::text, 'processing'::text]));

CREATE INDEX event_created ON ONLY public.event USING btree (created_at);

CREATE INDEX event_deletion_event ON public.event_deletion USING btree (event_seq);

CREATE INDEX event_kind ON ONLY public.event USING btree (kind, created_at);

CREATE INDEX event_pubkey ON ONLY public.event USING btree ("substring"(pubkey, 1, 8), created_at, kind);

CREATE INDEX event_relay_seq ON ONLY public.event_relay USING brin (seq, relay_id int4_bloom_ops (n_distinct_per_range='200')) WITH (pages_per_range='32');

CREATE INDEX event_tag ON ONLY public.event USING gin (tag_keys) WITH (gin_pending_list_limit='512');

CREATE INDEX event_version_address ON public.event_version USING btree (address, created_at);

CREATE INDEX relay_metadata_changed ON public.relay_metadata USING btree (generated_at);

CREATE INDEX relay_metadata_document ON public.relay_metadata USING btree (metadata_id);

CREATE INDEX relay_transition_at ON public.relay_transition USING btree (at);

CREATE INDEX stat_pubkey_relay_relay ON public.stat_pubkey_relay USING btree (relay_id, pubkey_id);

CREATE OR REPLACE FUNCTION public.access_grant(role_name text, role_level text)
 RETURNS void
 LANGUAGE plpgsql
AS $function$
begin
  if not exists (select from pg_roles where rolname = role_name) then
    raise exception 'there is no user "%"', role_name using errcode = 'undefined_object';
  end if;
  if exists (
    select from pg_roles where rolname = role_name
      and (rolsuper or rolcreaterole or pg_has_role(rolname, current_user, 'member'))
  ) then
    raise exception '"%" has more rights than a % already', role_name, role_level
      using errcode = 'invalid_grant_operation';
  end if;
  insert into access_role (name, level) values (role_name, role_level)
  on conflict (name) do update set level = excluded.level;
  execute format('revoke create, temporary on database %I from public', current_database());
  begin
    execute format('revoke create on schema %I from public', current_schema());
  exception when insufficient_privilege then
    null; -- Another one's schema; from PostgreSQL 15 on nobody has that right on "public".
  end;
  perform access_refresh();
end $function$;

CREATE OR REPLACE FUNCTION public.access_hidden()
 RETURNS text[]
 LANGUAGE sql
 IMMUTABLE
AS $function$
  select array['dvm_job', 'service_state']
$function$;

CREATE OR REPLACE FUNCTION public.access_refresh()
 RETURNS void
 LANGUAGE plpgsql
AS $function$
declare f record; r record; here text := current_schema(); hidden text;
begin
  for f in
    select p.oid::regprocedure as signature, p.prosecdef as as_owner,
      p.provolatile = 'v' and p.prorettype <> 'trigger'::regtype as changes
    from pg_proc p
    where p.pronamespace = here::regnamespace and p.prokind = 'f'
      and p.proowner = (select oid from pg_roles where rolname = current_user)
      and p.proname not like 'access\_%'
  loop
    execute format('revoke all on function %s from public', f.signature);
    if f.changes or f.as_owner then
      execute format('alter function %s security definer set search_path = %I, pg_temp',
        f.signature, here);
    end if;
  end loop;
  revoke all on function access_hidden(), access_refresh(), access_grant(text, text) from public;

  for r in select a.name, a.level from access_role a join pg_roles p on p.rolname = a.name loop
    execute format('grant usage on schema %I to %I', here, r.name);
    execute format('revoke all on all tables in schema %I from %I', here, r.name);
    execute format('revoke all on all functions in schema %I from %I', here, r.name);
    execute format('grant select on all tables in schema %I to %I', here, r.name);
    -- To read how far they are; not to draw a number.
    execute format('grant select on all sequences in schema %I to %I', here, r.name);
    if r.level = 'reader' then
      foreach hidden in array access_hidden() loop
        execute format('revoke all on %I.%I from %I', here, hidden, r.name);
      end loop;
    end if;
    for f in
      select p.oid::regprocedure as signature
      from pg_proc p
      where p.pronamespace = here::regnamespace and p.prokind = 'f'
        and p.proowner = (select oid from pg_roles where rolname = current_user)
        and p.proname not like 'access\_%' and p.prorettype <> 'trigger'::regtype
        and (r.level = 'writer' or p.provolatile <> 'v')
    loop
      execute format('grant execute on function %s to %I', f.signature, r.name);
    end loop;
  end loop;
end $function$;

CREATE OR REPLACE FUNCTION public.all_event_marks_refresh(event_horizon bigint)
 RETURNS void
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
AS $function$
begin
  perform pg_advisory_xact_lock(mark_lock());
  delete from event_version;
  delete from event_expiry;
  delete from event_deletion;
  delete from mark_checkpoint;
  perform event_marks_refresh(event_horizon, event_horizon);
end $function$;

CREATE OR REPLACE FUNCTION public.all_statistics_refresh(event_horizon bigint, sighting_horizon bigint, at bigint)
 RETURNS void
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET plan_cache_mode TO 'force_custom_plan'
 SET search_path TO 'public', 'pg_temp'
AS $function$
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
end $function$;

CREATE OR REPLACE FUNCTION public.candidate_claim(of_networks text[], at bigint, lease_seconds bigint, max_rows integer)
 RETURNS TABLE(url text, attempts integer)
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
AS $function$
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
end $function$;

CREATE OR REPLACE FUNCTION public.candidate_forget(before bigint, max_rows integer)
 RETURNS integer
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
AS $function$
declare n int;
begin
  delete from candidate c where c.url in (
    select d.url from candidate d where d.state = 'junk' and d.named_at < before limit max_rows
  );
  get diagnostics n = row_count;
  return n;
end $function$;

CREATE OR REPLACE FUNCTION public.candidate_insert(urls text[], networks text[], sources text[], at bigint)
 RETURNS integer
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
AS $function$
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
end $function$;

CREATE OR REPLACE FUNCTION public.candidate_postpone(rows jsonb)
 RETURNS integer
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
AS $function$
declare n int;
begin
  update candidate c
  set attempts = c.attempts + 1, next_attempt_at = g.next_attempt_at, last_reason = g.reason,
    state = case when g.junk then 'junk' else 'pending' end, claimed_until = 0
  from jsonb_to_recordset(rows) as g(url text, next_attempt_at bigint, reason text, junk bool)
  where c.url = g.url;
  get diagnostics n = row_count;
  return n;
end $function$;

CREATE OR REPLACE FUNCTION public.candidate_promote(urls text[], networks text[], at bigint)
 RETURNS integer
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
AS $function$
begin
  delete from candidate c using unnest(urls) as g(url) where c.url = g.url;
  return relay_insert(urls, networks, at);
end $function$;

CREATE OR REPLACE FUNCTION public.candidate_release(rows jsonb)
 RETURNS integer
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
AS $function$
declare n int;
begin
  update candidate c
  set next_attempt_at = coalesce(g.next_attempt_at, c.next_attempt_at), claimed_until = 0
  from jsonb_to_recordset(rows) as g(url text, next_attempt_at bigint)
  where c.url = g.url;
  get diagnostics n = row_count;
  return n;
end $function$;

CREATE OR REPLACE FUNCTION public.claimed_nips(data jsonb)
 RETURNS integer[]
 LANGUAGE sql
 IMMUTABLE PARALLEL SAFE
AS $function$
  select coalesce(array_agg(distinct (c.value #>> '{}')::int), '{}')
  from jsonb_array_elements(case when jsonb_typeof(data -> 'supported_nips') = 'array'
    then data -> 'supported_nips' else '[]' end) with ordinality as c(value, place)
  where c.place <= 500 and c.value #>> '{}' ~ '^[0-9]{1,5}$'
$function$;

CREATE OR REPLACE FUNCTION public.coverage_replace(of_relay_id integer, filter_text text, rows jsonb)
 RETURNS integer
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
AS $function$
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
end $function$;

CREATE OR REPLACE FUNCTION public.dvm_job_answer(of_request_id bytea, new_state text, new_answer text, at bigint)
 RETURNS boolean
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
AS $function$
begin
  update dvm_job j
  set state = new_state, answer = new_answer, answered_at = at, claimed_until = 0,
    -- Of a job that was paid late, the error before may be marked as out only now.
    published_at = null
  where j.request_id = of_request_id and j.answer is null
    and j.state in ('received', 'processing');
  return found;
end $function$;

CREATE OR REPLACE FUNCTION public.dvm_job_bill(of_request_id bytea, msats bigint, of_invoice text, hash bytea, expires bigint, next_look bigint)
 RETURNS boolean
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
AS $function$
begin
  update dvm_job j
  set state = 'unpaid', claimed_until = 0, amount_msats = msats, invoice = of_invoice,
    payment_hash = hash, invoice_expires_at = expires, look_at = next_look, looks = 0
  where j.request_id = of_request_id and j.state = 'processing' and j.paid_at is null;
  return found;
end $function$;

CREATE OR REPLACE FUNCTION public.dvm_job_cancel(of_request_id bytea, of_pubkey bytea)
 RETURNS boolean
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
AS $function$
begin
  update dvm_job j set state = 'cancelled', claimed_until = 0
  where j.request_id = of_request_id and j.pubkey = of_pubkey
    and j.state in ('received', 'unpaid', 'processing');
  return found;
end $function$;

CREATE OR REPLACE FUNCTION public.dvm_job_claim(at bigint, lease_seconds bigint, max_rows integer)
 RETURNS SETOF dvm_job
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
AS $function$
begin
  update dvm_job j set state = 'expired'
  where j.state in ('received', 'processing') and j.claimed_until <= at and j.expires_at < at
    and j.paid_at is null;
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
end $function$;

CREATE OR REPLACE FUNCTION public.dvm_job_delete_expired(before bigint, max_rows integer)
 RETURNS integer
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
AS $function$
declare n int;
begin
  delete from dvm_job j where j.request_id in (
    select d.request_id from dvm_job d
    where d.received_at < before and d.state not in ('received', 'unpaid', 'processing')
      and (d.answer is null or d.published_at is not null)
    limit max_rows
  );
  get diagnostics n = row_count;
  return n;
end $function$;

CREATE OR REPLACE FUNCTION public.dvm_job_insert(of_request_id bytea, of_kind integer, of_pubkey bytea, at bigint, until_at bigint, of_request text, of_relay_url text)
 RETURNS boolean
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
AS $function$
begin
  insert into dvm_job (request_id, kind, pubkey, received_at, expires_at, request, relay_url)
  values (of_request_id, of_kind, of_pubkey, at, until_at, of_request, of_relay_url)
  on conflict do nothing;
  return found;
end $function$;

CREATE OR REPLACE FUNCTION public.dvm_job_look(at bigint, lease_seconds bigint, max_rows integer)
 RETURNS SETOF dvm_job
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
AS $function$
begin
  return query
  with due as materialized (
    select d.request_id from dvm_job d where d.look_at <= at
    order by d.state <> 'unpaid', d.look_at, d.request_id
    limit max_rows
    for update skip locked
  ), claimed as (
    update dvm_job j set look_at = at + lease_seconds, looks = j.looks + 1
    where j.request_id in (select due.request_id from due)
    returning j.*
  )
  select * from claimed c order by c.received_at, c.request_id;
end $function$;

CREATE OR REPLACE FUNCTION public.dvm_job_look_again(of_request_id bytea, next_look bigint)
 RETURNS boolean
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
AS $function$
begin
  update dvm_job j set look_at = next_look
  where j.request_id = of_request_id and j.look_at is not null;
  return found;
end $function$;

CREATE OR REPLACE FUNCTION public.dvm_job_paid(of_request_id bytea, of_preimage bytea, at bigint)
 RETURNS boolean
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
AS $function$
begin
  update dvm_job j
  set state = 'received', claimed_until = 0, attempts = 0, paid_at = at, preimage = of_preimage,
    look_at = null, answer = null, answered_at = null, published_at = null
  where j.request_id = of_request_id and j.look_at is not null and j.paid_at is null;
  return found;
end $function$;

CREATE OR REPLACE FUNCTION public.dvm_job_postpone(of_request_id bytea, until_at bigint)
 RETURNS boolean
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
AS $function$
begin
  update dvm_job j set state = 'received', claimed_until = until_at
  where j.request_id = of_request_id and j.state = 'processing';
  return found;
end $function$;

CREATE OR REPLACE FUNCTION public.dvm_job_published(of_request_id bytea, at bigint)
 RETURNS boolean
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
AS $function$
begin
  update dvm_job j set published_at = at
  where j.request_id = of_request_id and j.published_at is null;
  return found;
end $function$;

CREATE OR REPLACE FUNCTION public.dvm_job_unpaid_counts(of_pubkey bytea)
 RETURNS TABLE(total integer, own integer)
 LANGUAGE sql
 STABLE
AS $function$
  select count(*)::int, (count(*) filter (where j.pubkey = of_pubkey))::int
  from dvm_job j where j.state = 'unpaid' and j.look_at is not null
$function$;

CREATE OR REPLACE FUNCTION public.dvm_job_unpaid_end(of_request_id bytea, new_answer text, at bigint, next_look bigint)
 RETURNS boolean
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
AS $function$
begin
  update dvm_job j
  set state = 'failed', answer = new_answer, answered_at = at, look_at = next_look
  where j.request_id = of_request_id and j.state = 'unpaid' and j.answer is null;
  return found;
end $function$;

CREATE OR REPLACE FUNCTION public.event_address(pubkey bytea, kind integer, d text)
 RETURNS uuid
 LANGUAGE sql
 IMMUTABLE PARALLEL SAFE STRICT
AS $function$
  select encode(substring(sha256('\x02'::bytea || pubkey || int4send(kind)
    || case when kind between 30000 and 39999 then convert_to(d, 'UTF8') else '\x2222'::bytea end),
    1, 16), 'hex')::uuid
$function$;

CREATE OR REPLACE FUNCTION public.event_bytes(e event)
 RETURNS integer
 LANGUAGE sql
 STABLE PARALLEL SAFE
AS $function$
  select octet_length(e.tags) + octet_length(e.content) + octet_length(e.content_raw)
$function$;

CREATE OR REPLACE FUNCTION public.event_class(kind integer)
 RETURNS text
 LANGUAGE sql
 IMMUTABLE PARALLEL SAFE STRICT
AS $function$
  select case
    when kind between 20000 and 29999 then 'ephemeral'
    when kind between 30000 and 39999 then 'addressable'
    when kind between 10000 and 19999 or kind in (0, 3) then 'replaceable'
    else 'regular'
  end
$function$;

CREATE OR REPLACE FUNCTION public.event_delete(event_seqs bigint[])
 RETURNS integer
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET plan_cache_mode TO 'force_custom_plan'
 SET search_path TO 'public', 'pg_temp'
AS $function$
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
end $function$;

CREATE OR REPLACE FUNCTION public.event_delete_free()
 RETURNS boolean
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
AS $function$
begin
  perform from stat_total for update skip locked;
  return found and pg_try_advisory_xact_lock(mark_lock());
end $function$;

CREATE OR REPLACE FUNCTION public.event_found(ids bytea)
 RETURNS bigint[]
 LANGUAGE plpgsql
 STABLE
 SET plan_cache_mode TO 'force_custom_plan'
AS $function$
begin
  return array(
    select (
      select e.seq from event e
      where e.seq = (select i.seq from event_id i where i.half = event_half(g.id)) and e.id = g.id
    )
    from (
      select substring(ids, n * 32 + 1, 32) as id
      from generate_series(0, length(ids) / 32 - 1) as n offset 0
    ) g
  );
end $function$;

CREATE OR REPLACE FUNCTION public.event_half(id bytea)
 RETURNS uuid
 LANGUAGE sql
 IMMUTABLE PARALLEL SAFE STRICT
AS $function$
  select encode(substring(id, 1, 8) || substring(id, 25, 8), 'hex')::uuid
$function$;

CREATE OR REPLACE FUNCTION public.event_id_forget()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
begin
  if tg_op = 'TRUNCATE' then
    delete from event_id;
  else
    delete from event_id i using gone g where i.half = event_half(g.id) and i.seq = g.seq;
  end if;
  return null;
end $function$;

CREATE OR REPLACE FUNCTION public.event_insert(ids bytea, pubkeys bytea, sigs bytea, created_ats bigint[], kinds integer[], tags text[], contents text[], content_raws text[], tag_keys text[], OUT inserted integer, OUT seqs bigint[])
 RETURNS record
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET plan_cache_mode TO 'force_custom_plan'
 SET search_path TO 'public', 'pg_temp'
AS $function$
declare halves uuid[]; fresh_halves uuid[]; own bigint[];
begin
  perform pg_advisory_xact_lock_shared(ingest_lock());
  halves := array(
    select event_half(substring(ids, n * 32 + 1, 32))
    from generate_series(0, length(ids) / 32 - 1) as n order by n);
  with fresh as (
    insert into event_id (half, seq)
    select h, nextval('event_seq_seq') from unnest(halves) as h
    on conflict do nothing
    returning half, seq
  )
  select count(*), array_agg(half), array_agg(seq) into inserted, fresh_halves, own from fresh;
  if inserted > 0 and fresh_halves is distinct from halves then
    -- Some are known: the new ones' numbers go where they stand in the input, once each.
    own := array(
      select case when row_number() over (partition by g.half order by g.n) = 1 then f.seq end
      from unnest(halves) with ordinality as g(half, n)
      left join unnest(fresh_halves, own) as f(half, seq) on f.half = g.half
      order by g.n);
  end if;
  if inserted > 0 then
    if (select max(s) from unnest(own) as s) >= (select partitioned_to from archive) then
      perform event_partition_add((select max(s) from unnest(own) as s));
    end if;
    perform event_store(
      own, ids, pubkeys, sigs, created_ats, kinds, tags, contents, content_raws, tag_keys);
  end if;
  if inserted = cardinality(halves) then
    seqs := own;
  else
    -- A new statement, and so a new snapshot: it sees what a concurrent writer was first to insert.
    seqs := event_found(ids);
  end if;
end $function$;

CREATE OR REPLACE FUNCTION public.event_known(ids bytea)
 RETURNS bigint[]
 LANGUAGE plpgsql
 STABLE
 SET plan_cache_mode TO 'force_custom_plan'
AS $function$
begin
  return array(
    select (
      select i.seq from event_id i
      where i.half = event_half(substring(ids, n * 32 + 1, 32))
    )
    from generate_series(0, length(ids) / 32 - 1) as n
  );
end $function$;

CREATE OR REPLACE FUNCTION public.event_marks_add(seq_from bigint, seq_to bigint)
 RETURNS bigint
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET plan_cache_mode TO 'force_custom_plan'
 SET search_path TO 'public', 'pg_temp'
AS $function$
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
end $function$;

CREATE OR REPLACE FUNCTION public.event_marks_forget()
 RETURNS trigger
 LANGUAGE plpgsql
 SET plan_cache_mode TO 'force_custom_plan'
AS $function$
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
end $function$;

CREATE OR REPLACE FUNCTION public.event_marks_refresh(event_horizon bigint, max_rows bigint, OUT made bigint, OUT behind bigint)
 RETURNS record
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
AS $function$
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
end $function$;

CREATE OR REPLACE FUNCTION public.event_partition_add(up_to bigint)
 RETURNS void
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
AS $function$
declare a archive; starts text; ends text; part text;
begin
  select * into a from archive for update;
  while a.partitioned_to <= up_to loop
    starts := case when a.partitions = 0 then 'minvalue' else a.partitioned_to::text end;
    a.partitions := a.partitions + 1;
    a.partitioned_to := case when a.partition_events = 0 then 9223372036854775807
      else a.partitioned_to + a.partition_events end;
    for part in values ('event'), ('event_relay') loop
      if part = 'event' and a.profile = 'light' then
        continue when a.partitions > 1;
        ends := 'maxvalue';
      else
        ends := case when a.partition_events = 0 then 'maxvalue' else a.partitioned_to::text end;
      end if;
      execute format('create table %1$I (like %2$I including all excluding indexes)',
        part || '_' || a.partitions, part);
      execute format('alter table %2$I attach partition %1$I for values from (%3$s) to (%4$s)',
        part || '_' || a.partitions, part, starts, ends);
    end loop;
  end loop;
  update archive set partitions = a.partitions, partitioned_to = a.partitioned_to;
end $function$;

CREATE OR REPLACE FUNCTION public.event_relay_delete(event_seqs bigint[], of_relays integer[])
 RETURNS integer
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET plan_cache_mode TO 'force_custom_plan'
 SET search_path TO 'public', 'pg_temp'
AS $function$
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
end $function$;

CREATE OR REPLACE FUNCTION public.event_relay_insert(event_seqs bigint[], relay_ids integer[], seen_ats bigint[])
 RETURNS integer
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
AS $function$
declare n int; wanted bigint[]; held bigint[];
begin
  perform pg_advisory_xact_lock_shared(ingest_lock());
  wanted := array(select distinct s from unnest(event_seqs) as s);
  held := array(select e.seq from event e where e.seq = any (wanted));
  insert into event_relay (event_seq, relay_id, seen_at)
  select g.event_seq, g.relay_id, g.seen_at - 1577836800
  from unnest(event_seqs, relay_ids, seen_ats) as g(event_seq, relay_id, seen_at)
  where cardinality(held) = cardinality(wanted) or g.event_seq = any (held)
  on conflict do nothing;
  get diagnostics n = row_count;
  return n;
end $function$;

CREATE OR REPLACE FUNCTION public.event_relay_insert_cascade(urls text[], networks text[], seen_ats bigint[], ids bytea, pubkeys bytea, sigs bytea, created_ats bigint[], kinds integer[], tags text[], contents text[], content_raws text[], tag_keys text[])
 RETURNS integer
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
AS $function$
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
end $function$;

CREATE OR REPLACE FUNCTION public.event_retention_delete(of_kind integer, except_kinds integer[], before bigint, from_created_at bigint, max_rows integer, OUT deleted integer, OUT reached bigint, OUT more boolean)
 RETURNS record
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET plan_cache_mode TO 'force_custom_plan'
 SET search_path TO 'public', 'pg_temp'
AS $function$
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
end $function$;

CREATE OR REPLACE FUNCTION public.event_store(seqs bigint[], ids bytea, pubkeys bytea, sigs bytea, created_ats bigint[], kinds integer[], tags text[], contents text[], content_raws text[], tag_keys text[])
 RETURNS integer
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
AS $function$
declare n int;
begin
  insert into event (seq, created_at, kind, id, pubkey, sig, tags, content, content_raw, tag_keys)
  select g.seq, g.created_at, g.kind, substring(ids, g.n::int * 32 - 31, 32),
    substring(pubkeys, g.n::int * 32 - 31, 32), substring(sigs, g.n::int * 64 - 63, 64),
    g.tags, g.content, g.raw, g.keys::bigint[]
  from unnest(seqs, created_ats, kinds, event_store.tags, contents, content_raws,
    event_store.tag_keys) with ordinality as g(seq, created_at, kind, tags, content, raw, keys, n)
  where g.seq is not null;
  get diagnostics n = row_count;
  return n;
end $function$;

CREATE OR REPLACE FUNCTION public.event_tags(e event)
 RETURNS text
 LANGUAGE sql
 STABLE PARALLEL SAFE
AS $function$ select e.tags $function$;

CREATE OR REPLACE FUNCTION public.event_target(pubkey bytea, id bytea)
 RETURNS uuid
 LANGUAGE sql
 IMMUTABLE PARALLEL SAFE STRICT
AS $function$
  select encode(substring(sha256('\x01'::bytea || pubkey || id), 1, 16), 'hex')::uuid
$function$;

CREATE OR REPLACE FUNCTION public.ingest_lock()
 RETURNS bigint
 LANGUAGE sql
 IMMUTABLE
AS $function$ select 7166253194461::bigint $function$;

CREATE OR REPLACE FUNCTION public.json_bigint(data jsonb, field text)
 RETURNS bigint
 LANGUAGE sql
 IMMUTABLE PARALLEL SAFE
AS $function$
  select case when jsonb_typeof(data -> field) = 'number' and data ->> field ~ '^[0-9]{1,15}$'
    then (data ->> field)::bigint end
$function$;

CREATE OR REPLACE FUNCTION public.json_bool(data jsonb, field text)
 RETURNS boolean
 LANGUAGE sql
 IMMUTABLE PARALLEL SAFE
AS $function$
  select case when jsonb_typeof(data -> field) = 'boolean' then (data ->> field)::bool end
$function$;

CREATE OR REPLACE FUNCTION public.json_text(data jsonb, field text, max_chars integer)
 RETURNS text
 LANGUAGE sql
 IMMUTABLE PARALLEL SAFE
AS $function$
  select case when jsonb_typeof(data -> field) = 'string' then left(data ->> field, max_chars) end
$function$;

CREATE OR REPLACE FUNCTION public.mark_lock()
 RETURNS bigint
 LANGUAGE sql
 IMMUTABLE
AS $function$ select 7166253194462::bigint $function$;

CREATE OR REPLACE FUNCTION public.metadata_insert(rows jsonb)
 RETURNS integer[]
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
AS $function$
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
end $function$;

CREATE OR REPLACE FUNCTION public.metadata_lock()
 RETURNS bigint
 LANGUAGE sql
 IMMUTABLE
AS $function$ select 7166253194463::bigint $function$;

CREATE OR REPLACE FUNCTION public.orphan_event_delete(after_seq bigint, max_rows integer)
 RETURNS integer
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
AS $function$
declare seqs bigint[];
begin
  seqs := array(
    select e.seq from event e
    where e.seq > after_seq and e.seq <= after_seq + max_rows
      and not exists (select from event_relay r where r.event_seq = e.seq));
  if seqs = '{}' or not event_delete_free() then return 0; end if;
  return event_delete(seqs);
end $function$;

CREATE OR REPLACE FUNCTION public.orphan_metadata_delete(max_rows integer)
 RETURNS integer
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
AS $function$
declare n int;
begin
  perform pg_advisory_xact_lock(metadata_lock());
  delete from metadata m where m.id in (
    select o.id from metadata o
    where not exists (select from relay_metadata r where r.metadata_id = o.id) limit max_rows
  );
  get diagnostics n = row_count;
  return n;
end $function$;

CREATE OR REPLACE FUNCTION public.relay_check_insert(rows jsonb)
 RETURNS integer
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
AS $function$
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
end $function$;

CREATE OR REPLACE FUNCTION public.relay_check_roll_up(of_day integer, after_id integer, max_relays integer)
 RETURNS integer
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
AS $function$
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
end $function$;

CREATE OR REPLACE FUNCTION public.relay_check_rolled_up()
 RETURNS integer
 LANGUAGE sql
 STABLE SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
AS $function$
  select (s.value ->> 'day')::int from service_state s
  where s.service = 'monitor' and s.key = 'roll_up'
$function$;

CREATE OR REPLACE FUNCTION public.relay_check_spans(relay_ids integer[], from_at bigint, to_at bigint)
 RETURNS TABLE(relay_id integer, checked_at bigint, ends_at bigint, ok boolean, reason text, rtt_open_ms integer, rtt_read_ms integer, rtt_write_ms integer)
 LANGUAGE sql
 STABLE
AS $function$
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
$function$;

CREATE OR REPLACE FUNCTION public.relay_claim_for_check(of_networks text[], at bigint, lease_seconds bigint, owner text, max_rows integer)
 RETURNS TABLE(id integer, url text, network text, state text, failures integer, discovered_at bigint, checked_at bigint, online_at bigint)
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
AS $function$
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
end $function$;

CREATE OR REPLACE FUNCTION public.relay_claim_for_sync(of_networks text[], of_states text[], at bigint, lease_seconds bigint, owner text, max_rows integer, named text[], named_only boolean)
 RETURNS TABLE(id integer, url text, network text, state text, next_sync_at bigint)
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
AS $function$
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
end $function$;

CREATE OR REPLACE FUNCTION public.relay_claim_for_tail(of_networks text[], named text[], at bigint, lease_seconds bigint, owner text, above real, max_rows integer)
 RETURNS TABLE(id integer, url text, network text, is_named boolean, failures integer, rate real, filter text, spans jsonb)
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
AS $function$
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
end $function$;

CREATE OR REPLACE FUNCTION public.relay_extend_sync(of_relay_id integer, owner text, until_at bigint)
 RETURNS boolean
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
AS $function$
begin
  update relay_status s set sync_claimed_until = until_at
  where s.relay_id = of_relay_id and s.sync_claimed_by is not distinct from owner;
  return found;
end $function$;

CREATE OR REPLACE FUNCTION public.relay_facts_refresh(relay_ids integer[], at bigint)
 RETURNS integer
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET plan_cache_mode TO 'force_custom_plan'
 SET search_path TO 'public', 'pg_temp'
AS $function$
declare n int;
begin
  with documents as materialized (
    select l.relay_id, jsonb_object_agg(l.type, d.data) as data
    from (
      select r.id as relay_id, t.type, m.metadata_id
      from unnest(relay_ids) as r(id)
      cross join unnest(array['nip11', 'tls', 'geo', 'net', 'write', 'nip42', 'nip45', 'nip50',
        'nip77']) as t(type)
      cross join lateral (
        select k.metadata_id from relay_metadata k
        where k.relay_id = r.id and k.type = t.type order by k.generated_at desc limit 1
      ) m
    ) l join metadata d on d.id = l.metadata_id
    group by l.relay_id
  ), probed as materialized (
    select o.relay_id,
      array_agg(p.nip order by p.nip) filter (where json_bool(o.data -> p.type, 'ok')) as proven,
      array_agg(p.nip order by p.nip) filter (where not json_bool(o.data -> p.type, 'ok'))
        as refuted
    from documents o
    cross join (values (42, 'nip42'), (45, 'nip45'), (50, 'nip50'), (77, 'nip77')) as p(nip, type)
    group by o.relay_id
  ), uptimes as materialized (
    select u.relay_id,
      max(u.up_seconds::real / u.known_seconds) filter (where u.span = '24h') as day,
      max(u.up_seconds::real / u.known_seconds) filter (where u.span = '7d') as week,
      max(u.up_seconds::real / u.known_seconds) filter (where u.span = '30d') as month
    from relay_uptime(relay_ids, at) u where u.known_seconds > 0 group by u.relay_id
  ), drawn as (
    select r.id as relay_id,
      json_text(o.data -> 'nip11', 'name', 200) as name,
      json_text(o.data -> 'nip11', 'description', 1000) as description,
      json_text(o.data -> 'nip11', 'software', 200) as software,
      json_text(o.data -> 'nip11', 'version', 100) as version,
      claimed_nips(o.data -> 'nip11') as nips,
      coalesce(p.proven, '{}') as nips_proven, coalesce(p.refuted, '{}') as nips_refuted,
      case
        when o.data -> 'write' ->> 'prefix' = 'auth-required'
          or json_bool(o.data -> 'write', 'loggedIn') then true
        when json_bool(c.detail -> 'auth', 'required') is not null
          then json_bool(c.detail -> 'auth', 'required')
        when c.ok and c.rtt_read_ms is not null and not coalesce(c.detail ? 'auth', false) then false
        else json_bool(o.data -> 'nip11' -> 'limitation', 'auth_required')
      end as auth,
      case
        when o.data -> 'write' ->> 'prefix' = 'payment-required' then true
        when json_bool(o.data -> 'write', 'ok') then false
        else json_bool(o.data -> 'nip11' -> 'limitation', 'payment_required')
      end as payment,
      case
        when o.data -> 'write' ->> 'prefix' in ('restricted', 'payment-required') then true
        when json_bool(o.data -> 'write', 'ok') then false
        else json_bool(o.data -> 'nip11' -> 'limitation', 'restricted_writes')
      end as restricted,
      case when o.data -> 'net' ->> 'cdn' is null then json_text(o.data -> 'geo', 'country', 2) end
        as country,
      case when o.data -> 'net' ->> 'cdn' is null then json_text(o.data -> 'geo', 'city', 100) end
        as city,
      json_bigint(o.data -> 'net', 'asn') as asn,
      json_text(o.data -> 'net', 'organisation', 200) as organisation,
      json_text(o.data -> 'net', 'cdn', 100) as cdn,
      json_bool(o.data -> 'tls', 'valid') as tls_valid,
      json_bigint(o.data -> 'tls', 'validTo') as tls_expires_at,
      u.day as uptime_24h, u.week as uptime_7d, u.month as uptime_30d
    from unnest(relay_ids) as r(id)
    join relay known on known.id = r.id
    left join documents o on o.relay_id = r.id
    left join probed p on p.relay_id = r.id
    left join uptimes u on u.relay_id = r.id
    left join lateral (
      select k.ok, k.rtt_read_ms, k.detail from relay_check k
      where k.relay_id = r.id order by k.checked_at desc limit 1
    ) c on true
  )
  insert into relay_facts select * from drawn
  on conflict (relay_id) do update
  set name = excluded.name, description = excluded.description, software = excluded.software,
    version = excluded.version, nips = excluded.nips, nips_proven = excluded.nips_proven,
    nips_refuted = excluded.nips_refuted, auth = excluded.auth, payment = excluded.payment,
    restricted = excluded.restricted, country = excluded.country, city = excluded.city,
    asn = excluded.asn, organisation = excluded.organisation, cdn = excluded.cdn,
    tls_valid = excluded.tls_valid, tls_expires_at = excluded.tls_expires_at,
    uptime_24h = excluded.uptime_24h, uptime_7d = excluded.uptime_7d,
    uptime_30d = excluded.uptime_30d
  where relay_facts is distinct from excluded;
  get diagnostics n = row_count;
  return n;
end $function$;

CREATE OR REPLACE FUNCTION public.relay_fingerprint_on_delete()
 RETURNS trigger
 LANGUAGE plpgsql
 SET plan_cache_mode TO 'force_custom_plan'
AS $function$
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
end $function$;

CREATE OR REPLACE FUNCTION public.relay_fingerprint_open(of_relay_id integer, filter_text text)
 RETURNS SETOF relay_fingerprint
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
AS $function$
declare f int; h bytea := sha256(convert_to(filter_text, 'UTF8'));
begin
  insert into filter (hash, filter)
  select h, filter_text where not exists (select from filter where hash = h)
  on conflict (hash) do nothing;
  select id into f from filter where hash = h;
  insert into relay_fingerprint (relay_id, filter_id) values (of_relay_id, f)
  on conflict do nothing;
  return query select * from relay_fingerprint p where p.relay_id = of_relay_id and p.filter_id = f;
end $function$;

CREATE OR REPLACE FUNCTION public.relay_fingerprint_outdate(relay_ids integer[], days bigint[])
 RETURNS void
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET plan_cache_mode TO 'force_custom_plan'
 SET search_path TO 'public', 'pg_temp'
AS $function$
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
end $function$;

CREATE OR REPLACE FUNCTION public.relay_fingerprint_store(of_relay_id integer, of_filter_id integer, of_version integer, up_to bigint, new_segments bytea)
 RETURNS boolean
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
AS $function$
begin
  update relay_fingerprint
  set version = version + 1, sighting_seq = up_to, stale_days = '{}', segments = new_segments
  where relay_id = of_relay_id and filter_id = of_filter_id and version = of_version;
  return found;
end $function$;

CREATE OR REPLACE FUNCTION public.relay_history_delete_expired(check_before bigint, transition_before bigint, before_day integer, after_id integer, max_relays integer)
 RETURNS integer
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
AS $function$
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
end $function$;

CREATE OR REPLACE FUNCTION public.relay_insert(urls text[], networks text[], at bigint)
 RETURNS integer
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
AS $function$
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
end $function$;

CREATE OR REPLACE FUNCTION public.relay_metadata_delete_expired(before bigint, newest integer, max_rows integer)
 RETURNS integer
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
AS $function$
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
end $function$;

CREATE OR REPLACE FUNCTION public.relay_metadata_insert_cascade(rows jsonb)
 RETURNS integer
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
AS $function$
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
end $function$;

CREATE OR REPLACE FUNCTION public.relay_release_check(rows jsonb, owner text)
 RETURNS integer
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
AS $function$
declare n int;
begin
  update relay_status s
  set next_check_at = coalesce(g.next_check_at, s.next_check_at), check_claimed_until = 0,
    check_claimed_by = null
  from jsonb_to_recordset(rows) as g(relay_id int, next_check_at bigint)
  where s.relay_id = g.relay_id and s.check_claimed_by is not distinct from owner;
  get diagnostics n = row_count;
  return n;
end $function$;

CREATE OR REPLACE FUNCTION public.relay_release_sync(of_relay_id integer, owner text, next_at bigint)
 RETURNS boolean
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
AS $function$
begin
  update relay_status s
  set next_sync_at = next_at, sync_claimed_until = 0, sync_claimed_by = null
  where s.relay_id = of_relay_id and s.sync_claimed_by is not distinct from owner;
  return found;
end $function$;

CREATE OR REPLACE FUNCTION public.relay_release_tail(rows jsonb, owner text)
 RETURNS integer
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
AS $function$
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
end $function$;

CREATE OR REPLACE FUNCTION public.relay_report_upsert(rows jsonb)
 RETURNS integer
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
AS $function$
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
end $function$;

CREATE OR REPLACE FUNCTION public.relay_tail_rate(of_relay_id integer, measured real)
 RETURNS void
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
AS $function$
begin
  insert into relay_tail as t (relay_id, rate) values (of_relay_id, measured)
  on conflict (relay_id) do update set rate = excluded.rate where t.rate <> excluded.rate;
end $function$;

CREATE OR REPLACE FUNCTION public.relay_tail_save(rows jsonb, owner text, until_at bigint)
 RETURNS SETOF integer
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
AS $function$
begin
  return query
  update relay_tail t
  set claimed_until = until_at, filter = g.filter, spans = g.spans
  from jsonb_to_recordset(rows) as g(relay_id int, filter text, spans jsonb)
  where t.relay_id = g.relay_id and t.claimed_by = owner
  returning t.relay_id;
end $function$;

CREATE OR REPLACE FUNCTION public.relay_uptime(relay_ids integer[], at bigint)
 RETURNS TABLE(relay_id integer, n integer, span text, since bigint, known_seconds bigint, up_seconds bigint, checks bigint, online bigint, first_at bigint, last_at bigint, reasons jsonb)
 LANGUAGE sql
 STABLE
AS $function$
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
$function$;

CREATE OR REPLACE FUNCTION public.service_state_delete(of_service text, of_key text)
 RETURNS boolean
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
AS $function$
begin
  delete from service_state where service = of_service and key = of_key;
  return found;
end $function$;

CREATE OR REPLACE FUNCTION public.service_state_get(of_service text, of_key text)
 RETURNS jsonb
 LANGUAGE sql
 STABLE
AS $function$
  select value from service_state where service = of_service and key = of_key
$function$;

CREATE OR REPLACE FUNCTION public.service_state_replace(of_service text, of_key text, old_value jsonb, new_value jsonb, at bigint)
 RETURNS boolean
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
AS $function$
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
end $function$;

CREATE OR REPLACE FUNCTION public.service_state_upsert(of_service text, of_key text, new_value jsonb, at bigint)
 RETURNS void
 LANGUAGE sql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
AS $function$
  insert into service_state (service, key, value, updated_at)
  values (of_service, of_key, new_value, at)
  on conflict (service, key) do update
  set value = excluded.value, updated_at = excluded.updated_at
$function$;

CREATE OR REPLACE FUNCTION public.sightings_summarize()
 RETURNS integer
 LANGUAGE sql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
AS $function$
  select coalesce(sum(brin_summarize_new_values(inhrelid)), 0)::int from pg_inherits
  where inhparent = 'event_relay_seq'::regclass
$function$;

CREATE OR REPLACE FUNCTION public.statistics_count_events(t stat_total, seq_to bigint, at_to bigint, gone bigint[])
 RETURNS bigint
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET plan_cache_mode TO 'force_custom_plan'
 SET jit TO 'off'
 SET search_path TO 'public', 'pg_temp'
AS $function$
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
end $function$;

CREATE OR REPLACE FUNCTION public.statistics_count_sightings(t stat_total, seq_to bigint, at_to bigint, gone_seqs bigint[], gone_relays integer[])
 RETURNS bigint
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET plan_cache_mode TO 'force_custom_plan'
 SET jit TO 'off'
 SET search_path TO 'public', 'pg_temp'
AS $function$
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
end $function$;

CREATE OR REPLACE FUNCTION public.statistics_edges(at_from bigint, at_to bigint)
 RETURNS TABLE(after bigint, up_to bigint)
 LANGUAGE sql
 IMMUTABLE ROWS 5
AS $function$
  select least(at_from, at_to) - w.width,
    least(greatest(at_from, at_to) - w.width, least(at_from, at_to) - w.narrower)
  from statistics_widths() w
  where at_from <> at_to
$function$;

CREATE OR REPLACE FUNCTION public.statistics_event_changes(seq_from bigint, seq_to bigint, at_from bigint, at_to bigint, gone bigint[])
 RETURNS TABLE(created_at bigint, kind integer, pubkey bytea, n integer, n_1h integer, n_24h integer, n_7d integer, n_30d integer)
 LANGUAGE plpgsql
 STABLE ROWS 20000
 SET plan_cache_mode TO 'force_custom_plan'
AS $function$
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
end $function$;

CREATE OR REPLACE FUNCTION public.statistics_horizon(OUT event_seq bigint, OUT sighting_seq bigint)
 RETURNS record
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
AS $function$
begin
  perform pg_advisory_xact_lock(ingest_lock());
  select case when is_called then last_value else 0 end into event_seq from event_seq_seq;
  select case when is_called then last_value else 0 end into sighting_seq from event_relay_seq_seq;
end $function$;

CREATE OR REPLACE FUNCTION public.statistics_move(created_at bigint, at_from bigint, at_to bigint, width integer)
 RETURNS integer
 LANGUAGE sql
 IMMUTABLE PARALLEL SAFE
AS $function$
  select coalesce(statistics_within(created_at, at_to, width), 0)
    - coalesce(statistics_within(created_at, at_from, width), 0)
$function$;

CREATE OR REPLACE FUNCTION public.statistics_prune(pubkey_ids integer[], relay_ids integer[], days integer[])
 RETURNS void
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET plan_cache_mode TO 'force_custom_plan'
 SET search_path TO 'public', 'pg_temp'
AS $function$
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
end $function$;

CREATE OR REPLACE FUNCTION public.statistics_refresh(event_horizon bigint, sighting_horizon bigint, max_rows bigint, at bigint, OUT events bigint, OUT sightings bigint, OUT behind bigint)
 RETURNS record
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
AS $function$
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
end $function$;

CREATE OR REPLACE FUNCTION public.statistics_sighting_changes(seq_from bigint, seq_to bigint, at_from bigint, at_to bigint, gone_seqs bigint[], gone_relays integer[])
 RETURNS TABLE(relay_id integer, kind integer, pubkey bytea, n integer, n_1h integer, n_24h integer, n_7d integer, n_30d integer)
 LANGUAGE plpgsql
 STABLE ROWS 50000
 SET plan_cache_mode TO 'force_custom_plan'
AS $function$
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
end $function$;

CREATE OR REPLACE FUNCTION public.statistics_step(at_from bigint, at_wanted bigint, max_rows bigint)
 RETURNS bigint
 LANGUAGE plpgsql
 STABLE
 SET plan_cache_mode TO 'force_custom_plan'
AS $function$
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
end $function$;

CREATE OR REPLACE FUNCTION public.statistics_widths()
 RETURNS TABLE(width bigint, narrower bigint)
 LANGUAGE sql
 IMMUTABLE ROWS 5
AS $function$
  values (0::bigint, null::bigint), (3600, 0), (86400, 3600), (604800, 86400), (2592000, 604800)
$function$;

CREATE OR REPLACE FUNCTION public.statistics_within(created_at bigint, at bigint, width integer)
 RETURNS integer
 LANGUAGE sql
 IMMUTABLE PARALLEL SAFE
AS $function$
  select (created_at <= at and created_at > at - width)::int
$function$;

CREATE OR REPLACE FUNCTION public.tag_key(letter text, value text)
 RETURNS bigint
 LANGUAGE sql
 IMMUTABLE PARALLEL SAFE STRICT
AS $function$
  select (case when value ~ '^[0-9a-f]{64}$' then ('x' || substr(value, 1, 16))::bit(64)
    else ('x' || encode(substring(sha256(convert_to(value, 'UTF8')), 1, 8), 'hex'))::bit(64)
  end)::bigint # (ascii(letter)::bigint << 56)
$function$;

CREATE TRIGGER event_id_forget AFTER DELETE ON public.event REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION event_id_forget();

CREATE TRIGGER event_id_forget_all AFTER TRUNCATE ON public.event FOR EACH STATEMENT EXECUTE FUNCTION event_id_forget();

CREATE TRIGGER event_marks_forget AFTER DELETE ON public.event REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION event_marks_forget();

CREATE TRIGGER event_marks_forget_all AFTER TRUNCATE ON public.event FOR EACH STATEMENT EXECUTE FUNCTION event_marks_forget();

CREATE TRIGGER relay_fingerprint_events AFTER DELETE ON public.event REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION relay_fingerprint_on_delete('events');

CREATE TRIGGER relay_fingerprint_sightings AFTER DELETE ON public.event_relay REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION relay_fingerprint_on_delete('sightings');

create view coverage_view as
 SELECT r.url AS relay_url,
    f.filter,
    c.since,
    c.until,
    c.state,
    c.proof,
    c.reason,
    c.missing,
    c.updated_at
   FROM ((coverage c
     JOIN relay r ON ((r.id = c.relay_id)))
     JOIN filter f ON ((f.id = c.filter_id)));

create view event_daily_counts as
 SELECT to_char((to_timestamp((((day)::bigint * 86400))::double precision) AT TIME ZONE 'UTC'::text), 'YYYY-MM-DD'::text) AS day,
    ((day)::bigint * 86400) AS since,
    NULLIF(kind, '-1'::integer) AS kind,
    events,
    pubkeys
   FROM stat_day d;

create view event_mark_view as
 SELECT encode(id, 'hex'::text) AS id,
    deleted,
    expired,
    replaced,
    ( SELECT x.expires_at
           FROM event_expiry x
          WHERE (x.event_seq = e.seq)) AS expires_at
   FROM event_marked e
  WHERE (deleted OR expired OR replaced);

create view event_marked as
 SELECT seq,
    created_at,
    kind,
    id,
    pubkey,
    sig,
    event_tags(e.*) AS tags,
    content,
    content_raw,
    tag_keys,
    ((kind <> 5) AND ((( SELECT true
           FROM event_deletion d
          WHERE (d.target = event_target(e.pubkey, e.id))
         LIMIT 1) IS TRUE) OR (( SELECT true
           FROM (event_version v
             JOIN event_deletion d ON ((d.target = v.address)))
          WHERE ((v.event_seq = e.seq) AND (d.until >= e.created_at))
         LIMIT 1) IS TRUE))) AS deleted,
    (( SELECT (x.expires_at <= (EXTRACT(epoch FROM now()))::bigint)
           FROM event_expiry x
          WHERE (x.event_seq = e.seq)) IS TRUE) AS expired,
    (( SELECT (NOT v.latest)
           FROM event_version v
          WHERE (v.event_seq = e.seq)) IS TRUE) AS replaced
   FROM event e;

create view event_relay_view as
 SELECT encode(e.id, 'hex'::text) AS event_id,
    r.url AS relay_url,
    (s.seen_at + (1577836800)::bigint) AS seen_at
   FROM ((event_relay s
     JOIN event e ON ((e.seq = s.event_seq)))
     JOIN relay r ON ((r.id = s.relay_id)));

create view event_stats as
 SELECT w.span,
    t.at AS as_of,
    w.events,
    w.sightings,
    w.pubkeys,
    w.kinds,
    w.relays,
    w.regular,
    w.replaceable,
    w.ephemeral,
    w.addressable
   FROM (stat_total t
     CROSS JOIN LATERAL ( SELECT s.span,
            (COALESCE(sum(k.events), (0)::numeric))::bigint AS events,
            COALESCE(r.sightings, (0)::bigint) AS sightings,
            s.pubkeys,
            count(*) FILTER (WHERE (k.events > 0)) AS kinds,
            COALESCE(r.relays, (0)::bigint) AS relays,
            (COALESCE(sum(k.events) FILTER (WHERE (k.class = 'regular'::text)), (0)::numeric))::bigint AS regular,
            (COALESCE(sum(k.events) FILTER (WHERE (k.class = 'replaceable'::text)), (0)::numeric))::bigint AS replaceable,
            (COALESCE(sum(k.events) FILTER (WHERE (k.class = 'ephemeral'::text)), (0)::numeric))::bigint AS ephemeral,
            (COALESCE(sum(k.events) FILTER (WHERE (k.class = 'addressable'::text)), (0)::numeric))::bigint AS addressable
           FROM ((( VALUES ('1h'::text,t.pubkeys_1h), ('24h'::text,t.pubkeys_24h), ('7d'::text,t.pubkeys_7d), ('30d'::text,t.pubkeys_30d), ('all'::text,t.pubkeys)) s(span, pubkeys)
             LEFT JOIN ( SELECT event_class(k_1.kind) AS class,
                    v.span,
                    v.events
                   FROM (stat_kind k_1
                     CROSS JOIN LATERAL ( VALUES ('1h'::text,k_1.events_1h), ('24h'::text,k_1.events_24h), ('7d'::text,k_1.events_7d), ('30d'::text,k_1.events_30d), ('all'::text,k_1.events)) v(span, events))) k ON ((k.span = s.span)))
             LEFT JOIN ( SELECT v.span,
                    (COALESCE(sum(v.sightings), (0)::numeric))::bigint AS sightings,
                    count(*) FILTER (WHERE (v.sightings > 0)) AS relays
                   FROM (stat_relay r_1
                     CROSS JOIN LATERAL ( VALUES ('1h'::text,r_1.sightings_1h), ('24h'::text,r_1.sightings_24h), ('7d'::text,r_1.sightings_7d), ('30d'::text,r_1.sightings_30d), ('all'::text,r_1.sightings)) v(span, sightings))
                  GROUP BY v.span) r ON ((r.span = s.span)))
          GROUP BY s.span, s.pubkeys, r.sightings, r.relays) w);

create view event_view as
 SELECT encode(id, 'hex'::text) AS id,
    encode(pubkey, 'hex'::text) AS pubkey,
    created_at,
    kind,
    (event_tags(event.*))::json AS tags,
    content,
    (NULLIF(content_raw, ''::text))::json AS content_json,
    encode(sig, 'hex'::text) AS sig,
    seq
   FROM event;

create view kind_counts as
 SELECT k.kind,
    event_class(k.kind) AS class,
    w.span,
    w.events,
    w.pubkeys
   FROM (stat_kind k
     CROSS JOIN LATERAL ( VALUES ('1h'::text,k.events_1h,k.pubkeys_1h), ('24h'::text,k.events_24h,k.pubkeys_24h), ('7d'::text,k.events_7d,k.pubkeys_7d), ('30d'::text,k.events_30d,k.pubkeys_30d), ('all'::text,k.events,k.pubkeys)) w(span, events, pubkeys))
  WHERE (w.events > 0);

create view kind_counts_by_relay as
 SELECT r.url AS relay_url,
    k.kind,
    w.span,
    w.events
   FROM ((stat_kind_relay k
     JOIN relay r ON ((r.id = k.relay_id)))
     CROSS JOIN LATERAL ( VALUES ('1h'::text,k.sightings_1h), ('24h'::text,k.sightings_24h), ('7d'::text,k.sightings_7d), ('30d'::text,k.sightings_30d), ('all'::text,k.sightings)) w(span, events))
  WHERE (w.events > 0);

create view latest_addressable_events as
 SELECT encode(e.id, 'hex'::text) AS id,
    encode(e.pubkey, 'hex'::text) AS pubkey,
    e.created_at,
    e.kind,
    (e.tags)::json AS tags,
    e.content,
    (NULLIF(e.content_raw, ''::text))::json AS content_json,
    encode(e.sig, 'hex'::text) AS sig,
    e.deleted,
    e.expired
   FROM (event_version v
     JOIN event_marked e ON ((e.seq = v.event_seq)))
  WHERE (v.latest AND (event_class(e.kind) = 'addressable'::text));

create view latest_replaceable_events as
 SELECT encode(e.id, 'hex'::text) AS id,
    encode(e.pubkey, 'hex'::text) AS pubkey,
    e.created_at,
    e.kind,
    (e.tags)::json AS tags,
    e.content,
    (NULLIF(e.content_raw, ''::text))::json AS content_json,
    encode(e.sig, 'hex'::text) AS sig,
    e.deleted,
    e.expired
   FROM (event_version v
     JOIN event_marked e ON ((e.seq = v.event_seq)))
  WHERE (v.latest AND (event_class(e.kind) = 'replaceable'::text));

create view pubkey_counts as
 SELECT encode(p.pubkey, 'hex'::text) AS pubkey,
    w.span,
    w.events
   FROM (stat_pubkey p
     CROSS JOIN LATERAL ( VALUES ('1h'::text,p.events_1h), ('24h'::text,p.events_24h), ('7d'::text,p.events_7d), ('30d'::text,p.events_30d), ('all'::text,p.events)) w(span, events))
  WHERE (w.events > 0);

create view pubkey_counts_by_relay as
 SELECT r.url AS relay_url,
    encode(a.pubkey, 'hex'::text) AS pubkey,
    w.span,
    w.events
   FROM (((stat_pubkey_relay p
     JOIN relay r ON ((r.id = p.relay_id)))
     JOIN stat_pubkey a ON ((a.id = p.pubkey_id)))
     CROSS JOIN LATERAL ( VALUES ('1h'::text,p.sightings_1h), ('24h'::text,p.sightings_24h), ('7d'::text,p.sightings_7d), ('30d'::text,p.sightings_30d), ('all'::text,p.sightings)) w(span, events))
  WHERE (w.events > 0);

create view relay_change_view as
 SELECT r.url AS relay_url,
    m.type,
    m.generated_at AS changed_at,
    p.confirmed_at AS held_until,
    o.data AS before,
    d.data AS after
   FROM ((((relay_metadata m
     JOIN relay r ON ((r.id = m.relay_id)))
     JOIN LATERAL ( SELECT p_1.relay_id,
            p_1.type,
            p_1.generated_at,
            p_1.metadata_id,
            p_1.confirmed_at
           FROM relay_metadata p_1
          WHERE ((p_1.relay_id = m.relay_id) AND (p_1.type = m.type) AND (p_1.generated_at < m.generated_at))
          ORDER BY p_1.generated_at DESC
         LIMIT 1) p ON (true))
     JOIN metadata o ON ((o.id = p.metadata_id)))
     JOIN metadata d ON ((d.id = m.metadata_id)))
UNION ALL
 SELECT r.url AS relay_url,
    'state'::text AS type,
    t.at AS changed_at,
    t.at AS held_until,
    to_jsonb(t.before) AS before,
    to_jsonb(t.state) AS after
   FROM (relay_transition t
     JOIN relay r ON ((r.id = t.relay_id)));

create view relay_check_daily_view as
 SELECT r.url AS relay_url,
    to_char((to_timestamp((((d.day)::bigint * 86400))::double precision) AT TIME ZONE 'UTC'::text), 'YYYY-MM-DD'::text) AS day,
    d.checks,
    d.online,
    d.known_seconds,
    d.up_seconds,
    d.first_at,
    d.last_at,
    d.rtt_open_ms,
    d.rtt_read_ms,
    d.rtt_write_ms,
    d.reasons
   FROM (relay_check_daily d
     JOIN relay r ON ((r.id = d.relay_id)));

create view relay_check_view as
 SELECT r.url AS relay_url,
    c.checked_at,
    c.ok,
    c.reason,
    c.rtt_open_ms,
    c.rtt_read_ms,
    c.rtt_write_ms,
    c.rtt_nip11_ms,
    c.detail,
    c.next_in,
    c.dns_ms,
    c.tcp_ms,
    c.tls_ms,
    c.upgrade_ms,
    c.ip
   FROM (relay_check c
     JOIN relay r ON ((r.id = c.relay_id)));

create view relay_facts_view as
 SELECT r.url AS relay_url,
    f.name,
    f.description,
    f.software,
    f.version,
    f.nips,
    f.nips_proven,
    f.nips_refuted,
    f.auth,
    f.payment,
    f.restricted,
    f.country,
    f.city,
    f.asn,
    f.organisation,
    f.cdn,
    f.tls_valid,
    f.tls_expires_at,
    f.uptime_24h,
    f.uptime_7d,
    f.uptime_30d
   FROM (relay_facts f
     JOIN relay r ON ((r.id = f.relay_id)));

create view relay_metadata_latest as
 SELECT r.url AS relay_url,
    l.type,
    l.generated_at,
    l.confirmed_at,
    encode(d.hash, 'hex'::text) AS hash,
    d.data
   FROM ((( SELECT DISTINCT ON (relay_metadata.relay_id, relay_metadata.type) relay_metadata.relay_id,
            relay_metadata.type,
            relay_metadata.generated_at,
            relay_metadata.metadata_id,
            relay_metadata.confirmed_at
           FROM relay_metadata
          ORDER BY relay_metadata.relay_id, relay_metadata.type, relay_metadata.generated_at DESC) l
     JOIN relay r ON ((r.id = l.relay_id)))
     JOIN metadata d ON ((d.id = l.metadata_id)));

create view relay_metadata_view as
 SELECT r.url AS relay_url,
    m.type,
    m.generated_at,
    m.confirmed_at,
    encode(d.hash, 'hex'::text) AS hash,
    d.data
   FROM ((relay_metadata m
     JOIN relay r ON ((r.id = m.relay_id)))
     JOIN metadata d ON ((d.id = m.metadata_id)));

create view relay_stats as
 SELECT r.url AS relay_url,
    r.network,
    w.span,
    COALESCE(w.events, (0)::bigint) AS events,
    COALESCE(w.pubkeys, 0) AS pubkeys,
    COALESCE(w.kinds, 0) AS kinds
   FROM ((relay r
     LEFT JOIN stat_relay s ON ((s.relay_id = r.id)))
     CROSS JOIN LATERAL ( VALUES ('1h'::text,s.sightings_1h,s.pubkeys_1h,s.kinds_1h), ('24h'::text,s.sightings_24h,s.pubkeys_24h,s.kinds_24h), ('7d'::text,s.sightings_7d,s.pubkeys_7d,s.kinds_7d), ('30d'::text,s.sightings_30d,s.pubkeys_30d,s.kinds_30d), ('all'::text,s.sightings,s.pubkeys,s.kinds)) w(span, events, pubkeys, kinds));

create view relay_uptime_view as
 SELECT r.url AS relay_url,
    u.span,
    u.since,
    u.known_seconds,
    u.up_seconds,
    ((u.up_seconds)::double precision / (NULLIF(u.known_seconds, 0))::double precision) AS uptime,
    u.checks,
    u.online,
    u.first_at,
    u.last_at,
    u.reasons
   FROM (relay r
     CROSS JOIN LATERAL relay_uptime(ARRAY[r.id], (EXTRACT(epoch FROM now()))::bigint) u(relay_id, n, span, since, known_seconds, up_seconds, checks, online, first_at, last_at, reasons));

create view relay_view as
 SELECT r.url,
    r.network,
    r.discovered_at,
    s.state,
    s.failures,
    s.checked_at,
    s.online_at,
    s.rtt_open_ms,
    s.next_check_at,
    s.next_sync_at
   FROM (relay r
     JOIN relay_status s ON ((s.relay_id = r.id)));
