-- Payment of the data vending machine's jobs. The invoice stands with its job before the customer
-- sees it, and that it is paid stands there before the work begins: over crashes and restarts a paid
-- job is never charged again, and never lost.

alter table dvm_job
  add column amount_msats bigint,
  add column invoice text,
  add column payment_hash bytea,
  add column invoice_expires_at bigint,
  -- When the wallet is asked next whether it is paid, and how often it has been; null when it is not
  -- asked any more.
  add column look_at bigint,
  add column looks int not null default 0,
  add column paid_at bigint,
  add column preimage bytea;
alter table dvm_job drop constraint dvm_job_state_check;
alter table dvm_job add constraint dvm_job_state_check check (state in (
  'received', 'unpaid', 'processing', 'answered', 'failed', 'expired', 'cancelled'));
create index dvm_job_look on dvm_job (look_at) where look_at is not null;

-- As before, but what is paid for is done even when its request has expired meanwhile.
create or replace function dvm_job_claim(at bigint, lease_seconds bigint, max_rows int)
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

-- Only the customer may cancel, and only what is not answered yet.
create or replace function dvm_job_cancel(of_request_id bytea, of_pubkey bytea) returns bool
language plpgsql as $$
begin
  update dvm_job j set state = 'cancelled', claimed_until = 0
  where j.request_id = of_request_id and j.pubkey = of_pubkey
    and j.state in ('received', 'unpaid', 'processing');
  return found;
end $$;

create or replace function dvm_job_delete_expired(before bigint, max_rows int) returns int
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
