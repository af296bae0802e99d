-- Who may do what. One user may be everything: then nothing of this is noticed. Where users are apart,
-- the owner migrates, a writer reads and calls the functions, a reader reads (sql/README.md). Users
-- belong to the whole server, so they are made outside; here stands what each may do in this database.

-- Users that were given a level, so that every later migration covers them too.
create table access_role (
  name text primary key,
  level text not null check (level in ('writer', 'reader'))
);

-- What readers don't see: customers' requests and invoices, what services remember.
create function access_hidden() returns text[] language sql immutable as $$
  select array['dvm_job', 'service_state']
$$;

-- Brings every right up to date; src/store/migrate.ts calls it after the last migration. Functions
-- that change something run as their owner with a fixed search path, so that a writer needs no right
-- on any table but to read it, and can change nothing by other ways than these functions.
create function access_refresh() returns void language plpgsql as $$
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
end $$;

-- Gives a user of this server a level. From then on strangers to this database make no objects in it,
-- not even temporary ones.
create function access_grant(role_name text, role_level text) returns void language plpgsql as $$
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
end $$;

-- The sightings' BRIN index learns of new rows. The owner's right, so a function of his.
create function sightings_summarize() returns int language sql as $$
  select coalesce(sum(brin_summarize_new_values(inhrelid)), 0)::int from pg_inherits
  where inhparent = 'event_relay_seq'::regclass
$$;
