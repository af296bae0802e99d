-- The users of the database, for psql as a superuser; again is the same as once, and sets the
-- passwords. They stand in files, in the folder that PASSWORDS names. What each may do is given by
-- `bigbrotr migrate --writer bigbrotr_writer --reader bigbrotr_reader`, run as bigbrotr.
\set ON_ERROR_STOP on
\set owner `cat "$PASSWORDS/db_owner_password"`
\set writer `cat "$PASSWORDS/db_writer_password"`
\set reader `cat "$PASSWORDS/db_reader_password"`
set password_encryption = 'scram-sha-256';
-- A statement with a password in it belongs into no log.
set log_min_duration_statement = -1;
set log_statement = 'none';
select format('create role %I login', name)
from unnest(array['bigbrotr', 'bigbrotr_writer', 'bigbrotr_reader']) as name
where not exists (select from pg_roles where rolname = name) \gexec
alter role bigbrotr password :'owner';
alter role bigbrotr_writer password :'writer';
alter role bigbrotr_reader password :'reader';
select 'create database bigbrotr owner bigbrotr'
where not exists (select from pg_database where datname = 'bigbrotr') \gexec
revoke all on database bigbrotr from public;
grant connect on database bigbrotr to bigbrotr_writer, bigbrotr_reader;
-- A reader's mistake is refused before it is tried, and a question of his holds nothing for ever.
alter role bigbrotr_reader in database bigbrotr set default_transaction_read_only = on;
