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
  c.rtt_write_ms, c.rtt_nip11_ms, c.detail, c.next_in, c.dns_ms, c.tcp_ms, c.tls_ms, c.upgrade_ms,
  c.ip
from relay_check c join relay r on r.id = c.relay_id;

create view coverage_view as
select r.url as relay_url, f.filter, c.since, c.until, c.state, c.proof, c.reason, c.missing,
  c.updated_at
from coverage c join relay r on r.id = c.relay_id join filter f on f.id = c.filter_id;
