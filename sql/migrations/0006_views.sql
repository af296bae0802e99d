-- The tables as people and other programs read them: relays by URL, ids and keys as hex, times as
-- Unix seconds. Nothing here is written to.

create view relay_view as
select r.url, r.network, r.discovered_at, s.state, s.failures, s.checked_at, s.online_at,
  s.rtt_open_ms, s.next_check_at, s.next_sync_at
from relay r join relay_status s on s.relay_id = r.id;

-- content has U+FFFD in place of NULs and lone surrogates; content_json is exact.
create view event_view as
select encode(id, 'hex') as id, encode(pubkey, 'hex') as pubkey, created_at, kind,
  event_tags(event)::json as tags, content, nullif(content_raw, '')::json as content_json,
  encode(sig, 'hex') as sig, seq
from event;

create view event_relay_view as
select encode(e.id, 'hex') as event_id, r.url as relay_url, s.seen_at + 1577836800::bigint as seen_at
from event_relay s join event e on e.seq = s.event_seq join relay r on r.id = s.relay_id;

create view relay_metadata_view as
select r.url as relay_url, m.type, m.generated_at, m.confirmed_at, encode(d.hash, 'hex') as hash,
  d.data
from relay_metadata m join relay r on r.id = m.relay_id join metadata d on d.id = m.metadata_id;

create view relay_metadata_latest as
select r.url as relay_url, l.type, l.generated_at, l.confirmed_at, encode(d.hash, 'hex') as hash,
  d.data
from (
  select distinct on (relay_id, type) * from relay_metadata
  order by relay_id, type, generated_at desc
) l
join relay r on r.id = l.relay_id join metadata d on d.id = l.metadata_id;

create view relay_check_view as
select r.url as relay_url, c.checked_at, c.ok, c.reason, c.rtt_open_ms, c.rtt_read_ms,
  c.rtt_write_ms, c.rtt_nip11_ms, c.detail
from relay_check c join relay r on r.id = c.relay_id;

create view coverage_view as
select r.url as relay_url, f.filter, c.since, c.until, c.state, c.proof, c.reason, c.missing,
  c.updated_at
from coverage c join relay r on r.id = c.relay_id join filter f on f.id = c.filter_id;

create view event_stats as
select t.events, t.sightings, t.pubkeys, k.kinds, k.regular, k.replaceable, k.ephemeral,
  k.addressable
from stat_total t, (
  select count(*) as kinds,
    coalesce(sum(events) filter (where event_class(kind) = 'regular'), 0)::bigint as regular,
    coalesce(sum(events) filter (where event_class(kind) = 'replaceable'), 0)::bigint
      as replaceable,
    coalesce(sum(events) filter (where event_class(kind) = 'ephemeral'), 0)::bigint as ephemeral,
    coalesce(sum(events) filter (where event_class(kind) = 'addressable'), 0)::bigint
      as addressable
  from stat_kind
) k;

create view relay_stats as
select r.url as relay_url, r.network, coalesce(s.sightings, 0) as events,
  coalesce(s.pubkeys, 0) as pubkeys,
  (select count(*) from stat_kind_relay k where k.relay_id = r.id) as kinds
from relay r left join stat_relay s on s.relay_id = r.id;

create view kind_counts as
select kind, event_class(kind) as class, events from stat_kind;

create view kind_counts_by_relay as
select r.url as relay_url, k.kind, k.sightings as events
from stat_kind_relay k join relay r on r.id = k.relay_id;

create view pubkey_counts as
select encode(pubkey, 'hex') as pubkey, events from stat_pubkey;

create view pubkey_counts_by_relay as
select r.url as relay_url, encode(p.pubkey, 'hex') as pubkey, p.sightings as events
from stat_pubkey_relay p join relay r on r.id = p.relay_id;
