-- What relays are searched by, one narrow row each, drawn from their documents and checks whenever
-- one of these changes. To find out by search what tens of thousands of documents say took seconds;
-- a pass over these rows takes milliseconds.
create table relay_facts (
  relay_id int primary key references relay on delete cascade,
  -- Of the NIP-11 document, cut: strangers choose their length.
  name text,
  description text,
  software text,
  version text,
  -- Claimed by the document; shown by a test; tested in vain.
  nips int[] not null default '{}',
  nips_proven int[] not null default '{}',
  nips_refuted int[] not null default '{}',
  -- Whether it asks for a log-in, a payment, a membership to write: as measured, else as stated.
  auth bool,
  payment bool,
  restricted bool,
  -- ISO 3166-1, of the address that was dialled; of one behind a CDN nobody knows.
  country text,
  city text,
  asn bigint,
  organisation text,
  cdn text,
  tls_valid bool,
  tls_expires_at bigint,
  -- Shares of the time that is known, as of the last check.
  uptime_24h real,
  uptime_7d real,
  uptime_30d real
) with (fillfactor = 80);

-- A text of a document, cut; null for whatever is no text.
create function json_text(data jsonb, field text, max_chars int) returns text
language sql immutable parallel safe as $$
  select case when jsonb_typeof(data -> field) = 'string' then left(data ->> field, max_chars) end
$$;

create function json_bool(data jsonb, field text) returns bool
language sql immutable parallel safe as $$
  select case when jsonb_typeof(data -> field) = 'boolean' then (data ->> field)::bool end
$$;

-- What is a number of our own making; a stranger's would not be trusted to fit.
create function json_bigint(data jsonb, field text) returns bigint
language sql immutable parallel safe as $$
  select case when jsonb_typeof(data -> field) = 'number' and data ->> field ~ '^[0-9]{1,15}$'
    then (data ->> field)::bigint end
$$;

-- NIPs that a document claims, as numbers or as texts, each once.
create function claimed_nips(data jsonb) returns int[] language sql immutable parallel safe as $$
  select coalesce(array_agg(distinct (c.value #>> '{}')::int), '{}')
  from jsonb_array_elements(case when jsonb_typeof(data -> 'supported_nips') = 'array'
    then data -> 'supported_nips' else '[]' end) with ordinality as c(value, place)
  where c.place <= 500 and c.value #>> '{}' ~ '^[0-9]{1,5}$'
$$;

-- Draws the rows of these relays anew, uptime as of `at`. Gives the number of rows that changed.
create function relay_facts_refresh(relay_ids int[], at bigint) returns int
language plpgsql set plan_cache_mode = force_custom_plan as $$
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
end $$;

-- What the questions read: everything by the relay's URL.
create view relay_facts_view as
select r.url as relay_url, f.name, f.description, f.software, f.version, f.nips, f.nips_proven,
  f.nips_refuted, f.auth, f.payment, f.restricted, f.country, f.city, f.asn, f.organisation, f.cdn,
  f.tls_valid, f.tls_expires_at, f.uptime_24h, f.uptime_7d, f.uptime_30d
from relay_facts f join relay r on r.id = f.relay_id;
