-- The first schema. Integer keys inside, text at the edges (views): see sql/README.md for what each
-- table is for and what was measured. All changes go through the functions below; each takes sets.

-- Relays and candidates -------------------------------------------------------------------------

create table relay (
  id int generated always as identity primary key,
  url text not null unique check (octet_length(url) between 1 and 2048),
  network text not null,
  discovered_at bigint not null
);

-- One row a relay, rewritten with each check and claim. No index but the key and half-empty pages:
-- every update is heap-only (HOT), and a claim reads 10,000 rows in 2 ms.
create table relay_status (
  relay_id int primary key references relay on delete cascade,
  state text not null default 'unknown'
    check (state in ('unknown', 'online', 'unreachable', 'dead')),
  failures int not null default 0,
  checked_at bigint,
  online_at bigint,
  rtt_open_ms int,
  next_check_at bigint not null default 0,
  check_claimed_until bigint not null default 0,
  check_claimed_by text,
  next_sync_at bigint not null default 0,
  sync_claimed_until bigint not null default 0,
  sync_claimed_by text
) with (fillfactor = 50);

create table candidate (
  url text primary key check (octet_length(url) between 1 and 2048),
  network text not null,
  source text not null,
  state text not null default 'pending' check (state in ('pending', 'junk')),
  found_at bigint not null,
  named_at bigint not null,
  attempts int not null default 0,
  next_attempt_at bigint not null,
  claimed_until bigint not null default 0,
  last_reason text
);
create index candidate_due on candidate (next_attempt_at);

-- Events and sightings --------------------------------------------------------------------------

-- How this database was made: one row, from the settings that src/store/migrate.ts hands over.
-- Partitions exist for sequence numbers below partitioned_to; 0 events a partition: one for all.
create table archive (
  one bool primary key default true check (one),
  profile text not null,
  partition_events bigint not null check (partition_events >= 0),
  partitions int not null default 0,
  partitioned_to bigint not null default 0
);
insert into archive (profile, partition_events) values (
  coalesce(nullif(current_setting('bigbrotr.profile', true), ''), 'full'),
  coalesce(nullif(current_setting('bigbrotr.partition_events', true), ''), '0')::bigint);

create sequence event_seq_seq;
create sequence event_relay_seq_seq;

-- Fixed widths first, no nullable column: no padding, no null bitmap. Partitions are ranges of seq:
-- what is new, and most of what is read by seq, is in the last one, whose indexes stay in memory. To
-- look an id up and add a sighting takes 24 µs; with 16 partitions by hash of the id it took 47, as
-- each look-up by seq asked all of them (sql/README.md).
create table event (
  seq bigint not null default nextval('event_seq_seq'),
  created_at bigint not null,
  kind int not null,
  id bytea not null,
  pubkey bytea not null,
  sig bytea not null,
  tags text not null,
  content text not null,
  content_raw text not null default '',
  tag_keys bigint[] not null default '{}',
  primary key (seq)
) partition by range (seq);
alter sequence event_seq_seq owned by event.seq;
-- Only values over 2 kB are compressed; lz4 does it five times as fast where the server has it.
do $$ begin
  alter table event alter tags set compression lz4, alter content set compression lz4;
exception when feature_not_supported then null;
end $$;
create index event_created on event (created_at);
create index event_kind on event (kind, created_at);
create index event_pubkey on event (substring(pubkey, 1, 8), created_at, kind);
-- What waits to be sorted in takes room: at most 512 kB of it, not 4 MB.
create index event_tag on event using gin (tag_keys) with (gin_pending_list_limit = 512);

-- Where an id is, for all partitions: 16 bytes of it (event_half) take half the room of the whole.
-- Whoever finds one here compares the whole id.
create table event_id (
  half uuid not null primary key,
  seq bigint not null
) partition by hash (half);
do $$
declare n int := coalesce(nullif(current_setting('bigbrotr.id_partitions', true), ''), '1')::int;
begin
  for i in 0 .. n - 1 loop
    execute format('create table event_id_%s partition of event_id
      for values with (modulus %s, remainder %s)', i, n, i);
  end loop;
end $$;

-- No foreign keys: 0.9 million checks per million events, for rows that only the functions write.
create table event_relay (
  event_seq bigint not null,
  seq bigint not null default nextval('event_relay_seq_seq'),
  relay_id int not null,
  seen_at int not null,
  primary key (event_seq, relay_id)
) partition by range (event_seq);
alter sequence event_relay_seq_seq owned by event_relay.seq;
-- New sightings, and those of one relay, without a btree (30 bytes a sighting): of 5,000 sightings a
-- range knows which relays are among them, in 0.05 bytes a sighting.
create index event_relay_seq on event_relay
  using brin (seq, relay_id int4_bloom_ops (n_distinct_per_range = 200)) with (pages_per_range = 32);

-- Adds partitions of event and event_relay up to this sequence number. Attaching one hinders
-- neither readers nor writers. Runs as its owner: those who write events may not change tables.
-- In a light archive event has but one (0015_light.sql).
create function event_partition_add(up_to bigint) returns void
language plpgsql security definer set search_path from current as $$
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
end $$;
select event_partition_add(0);

-- Documents of relays ---------------------------------------------------------------------------

create table metadata (
  id int generated always as identity primary key,
  type text not null,
  hash bytea not null,
  data jsonb not null,
  constraint metadata_content unique (hash, type)
);

-- A row per change; confirmed_at moves while the document stays the same.
create table relay_metadata (
  relay_id int not null references relay on delete cascade,
  type text not null,
  generated_at bigint not null,
  metadata_id int not null references metadata,
  confirmed_at bigint not null,
  primary key (relay_id, type, generated_at)
) with (fillfactor = 80);
create index relay_metadata_document on relay_metadata (metadata_id);

-- Checks and reports ----------------------------------------------------------------------------

-- The phases of the dial and the address as columns: as jsonb they took three times the bytes.
-- next_in: seconds until the next check was planned; how long this one vouches follows from it.
create table relay_check (
  relay_id int not null references relay on delete cascade,
  checked_at bigint not null,
  ok bool not null,
  reason text,
  rtt_open_ms int,
  rtt_read_ms int,
  rtt_write_ms int,
  rtt_nip11_ms int,
  detail jsonb,
  next_in int,
  dns_ms int,
  tcp_ms int,
  tls_ms int,
  upgrade_ms int,
  ip text,
  primary key (relay_id, checked_at)
);

create table relay_report (
  relay_id int primary key references relay on delete cascade,
  content_hash bytea not null,
  event_id bytea not null,
  published_at bigint not null
);

-- Coverage --------------------------------------------------------------------------------------

create table filter (
  id int generated always as identity primary key,
  hash bytea not null unique,
  filter text not null
);

create table coverage (
  relay_id int not null references relay on delete cascade,
  filter_id int not null references filter,
  since bigint not null,
  until bigint not null,
  state text not null check (state in ('closed', 'open', 'gap')),
  proof text,
  reason text,
  missing bigint,
  updated_at bigint not null,
  primary key (relay_id, filter_id, since),
  check (until >= since)
);

-- Services --------------------------------------------------------------------------------------

create table service_state (
  service text not null,
  key text not null,
  value jsonb not null,
  updated_at bigint not null,
  primary key (service, key)
) with (fillfactor = 80);
