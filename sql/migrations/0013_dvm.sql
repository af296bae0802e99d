-- The jobs of the data vending machine, and their payment. Each request is here once; its signed answer
-- stands with it before it is published, so that a restart publishes the same again. The invoice
-- stands with its job before the customer sees it, and that it is paid stands there before the work
-- begins: over crashes and restarts a paid job is never charged again, and never lost.

create table dvm_job (
  request_id bytea primary key,
  kind int not null,
  pubkey bytea not null,
  received_at bigint not null,
  expires_at bigint,
  request text not null,
  relay_url text,
  state text not null default 'received' check (state in (
    'received', 'unpaid', 'processing', 'answered', 'failed', 'expired', 'cancelled')),
  attempts int not null default 0,
  claimed_until bigint not null default 0,
  answer text,
  answered_at bigint,
  published_at bigint,
  amount_msats bigint,
  invoice text,
  payment_hash bytea,
  invoice_expires_at bigint,
  -- When the wallet is asked next whether it is paid, and how often it has been; null when it is not
  -- asked any more.
  look_at bigint,
  looks int not null default 0,
  paid_at bigint,
  preimage bytea
) with (fillfactor = 80);
create index dvm_job_waiting on dvm_job (received_at) where state in ('received', 'processing');
create index dvm_job_unpublished on dvm_job (answered_at)
  where answer is not null and published_at is null;
create index dvm_job_look on dvm_job (look_at) where look_at is not null;

-- Work ------------------------------------------------------------------------------------------

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

-- Jobs to work on, first received first (our clock, never the customer's). Expired ones are ended;
-- what is paid for is done even when its request has expired meanwhile.
create function dvm_job_claim(at bigint, lease_seconds bigint, max_rows int)
returns setof dvm_job language plpgsql as $$
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
end $$;

-- Puts a job that is worked on back until `until_at`: what stood in its way may pass.
create function dvm_job_postpone(of_request_id bytea, until_at bigint) returns bool
language plpgsql as $$
begin
  update dvm_job j set state = 'received', claimed_until = until_at
  where j.request_id = of_request_id and j.state = 'processing';
  return found;
end $$;

-- Keeps the signed terminal event before it is published. False when the job already has an answer
-- or was cancelled: the first one stays.
create function dvm_job_answer(of_request_id bytea, new_state text, new_answer text, at bigint)
returns bool language plpgsql as $$
begin
  update dvm_job j
  set state = new_state, answer = new_answer, answered_at = at, claimed_until = 0,
    -- Of a job that was paid late, the error before may be marked as out only now.
    published_at = null
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
    and j.state in ('received', 'unpaid', 'processing');
  return found;
end $$;

create function dvm_job_delete_expired(before bigint, max_rows int) returns int
language plpgsql as $$
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
end $$;

-- Payment ---------------------------------------------------------------------------------------

-- How many jobs wait for payment, in all and of one customer.
create function dvm_job_unpaid_counts(of_pubkey bytea)
returns table (total int, own int) language sql stable as $$
  select count(*)::int, (count(*) filter (where j.pubkey = of_pubkey))::int
  from dvm_job j where j.state = 'unpaid' and j.look_at is not null
$$;

-- Keeps the invoice of a job that is worked on and has none; from now on it waits for payment. False
-- when the job was cancelled meanwhile: show nobody the invoice then.
create function dvm_job_bill(
  of_request_id bytea, msats bigint, of_invoice text, hash bytea, expires bigint, next_look bigint
) returns bool language plpgsql as $$
begin
  update dvm_job j
  set state = 'unpaid', claimed_until = 0, amount_msats = msats, invoice = of_invoice,
    payment_hash = hash, invoice_expires_at = expires, look_at = next_look, looks = 0
  where j.request_id = of_request_id and j.state = 'processing' and j.paid_at is null;
  return found;
end $$;

-- Jobs whose invoice is due to be looked at, leased to the caller by their next look. Those that wait
-- for it come first; those that are over (cancelled, not paid in time) may have been paid late.
create function dvm_job_look(at bigint, lease_seconds bigint, max_rows int)
returns setof dvm_job language plpgsql as $$
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
end $$;

-- Null for never again.
create function dvm_job_look_again(of_request_id bytea, next_look bigint) returns bool
language plpgsql as $$
begin
  update dvm_job j set look_at = next_look
  where j.request_id = of_request_id and j.look_at is not null;
  return found;
end $$;

-- The invoice is paid: the job may be done, even if it was cancelled, or its customer was told that it
-- is too late: money that has come can't be given back. True once, however often the wallet says so.
create function dvm_job_paid(of_request_id bytea, of_preimage bytea, at bigint) returns bool
language plpgsql as $$
begin
  update dvm_job j
  set state = 'received', claimed_until = 0, attempts = 0, paid_at = at, preimage = of_preimage,
    look_at = null, answer = null, answered_at = null, published_at = null
  where j.request_id = of_request_id and j.look_at is not null and j.paid_at is null;
  return found;
end $$;

-- Ends a job that nobody paid; never one that somebody did. It is looked at once more by `next_look`.
create function dvm_job_unpaid_end(
  of_request_id bytea, new_answer text, at bigint, next_look bigint
) returns bool language plpgsql as $$
begin
  update dvm_job j
  set state = 'failed', answer = new_answer, answered_at = at, look_at = next_look
  where j.request_id = of_request_id and j.state = 'unpaid' and j.answer is null;
  return found;
end $$;
