// What each user of the database may do is found out by trying it: what must work, and what must not.
import assert from "node:assert/strict";
import { CATALOGUE } from "../../src/queries/catalogue.ts";
import { grantAccess, readAccess } from "../../src/store/access.ts";
import { openStore, type Store } from "../../src/store/connect.ts";
import { sqlState } from "../../src/store/errors.ts";
import { maintain } from "../../src/store/maintain.ts";
import { migrate, MIGRATIONS, SchemaTooOld, schemaVersion } from "../../src/store/migrate.ts";
import { insertRelays } from "../../src/store/relays.ts";
import { fillArchive, WIDE } from "../queries/archive.ts";
import { type DatabaseUsers, databaseUsers } from "../support/database_users.ts";
import { postgresMissing, postgresNote, sharedPostgres } from "../support/postgres_server.ts";
import { freshStore, STORE_KINDS } from "../support/store.ts";

const INSUFFICIENT_PRIVILEGE = "42501";

/** A migrated database with its three users, and a store for each. */
async function withUsers(
  fn: (stores: Record<"owner" | "writer" | "reader", Store>, users: DatabaseUsers) => Promise<void>,
): Promise<void> {
  await using users = await databaseUsers(await sharedPostgres());
  const open = ({ url }: { url: string }): Promise<Store> =>
    openStore({ dataDir: "/nonexistent", databaseUrl: url });
  await using owner = await open(users.owner);
  await migrate(owner);
  await grantAccess(owner, [
    { name: users.writer.name, level: "writer" },
    { name: users.reader.name, level: "reader" },
  ]);
  await using writer = await open(users.writer);
  await using reader = await open(users.reader);
  await fn({ owner, writer, reader }, users);
}

/** Every statement is refused for want of a right, and for nothing else. */
async function assertRefused(store: Store, statements: readonly string[]): Promise<void> {
  for (const statement of statements) {
    const failure = await store.run("try", (sql) => sql.unsafe(statement)).then(
      () => "it worked",
      (error: unknown) => sqlState(error) ?? error,
    );
    assert.equal(failure, INSUFFICIENT_PRIVILEGE, statement);
  }
}

/** What neither a writer nor a reader may do. */
function forbiddenToAll({ owner, writer, reader, admin }: DatabaseUsers): string[] {
  const database = new URL(admin).pathname.slice(1);
  return [
    "insert into relay (url, network, discovered_at) values ('wss://x', 'clearnet', 1)",
    "update relay_status set failures = 0",
    "delete from event",
    "truncate event_relay",
    "update schema_migration set hash = ''",
    "insert into access_role values ('x', 'writer')",
    "select nextval('event_seq_seq')",
    "create table mine (n int)",
    "create temporary table mine (n int)",
    "create schema mine",
    "create function mine() returns int language sql as 'select 1'",
    "create or replace view relay_view as select 1 as id",
    "drop table candidate",
    "alter table event add column mine int",
    "alter function relay_insert(text[], text[], bigint) security invoker",
    `select access_grant('${writer.name}', 'writer')`,
    "select access_refresh()",
    `grant select on relay to public; alter role ${reader.name} superuser`,
    `set role ${owner.name}`,
    "set session authorization postgres",
    `create role mine_${crypto.randomUUID().slice(0, 8)}`,
    `alter database ${database} set work_mem = '1GB'`,
    "select * from pg_authid",
    "select pg_read_file('/etc/passwd')",
    "copy (select 1) to program 'true'",
    "select pg_reload_conf()",
    "select * from pg_ls_dir('.')",
  ];
}

/** Functions that only read, and still run as the owner: one value of a table that readers don't see. */
const READ_FOR_OTHERS: ReadonlySet<string> = new Set(["relay_check_rolled_up()"]);

const REAL = { ignore: postgresMissing };

Deno.test({
  ...REAL,
  name:
    `a reader asks every question of the catalogue, and gets what the owner gets${postgresNote}`,
  fn: () =>
    withUsers(async ({ owner, reader }) => {
      await fillArchive(owner, 60);
      let rows = 0;
      for (const query of CATALOGUE) {
        // A relay that is there: of one that is not, nothing is read.
        const known = "relay" in query.params.shape ? [{ relay: "alpha.example.com" }] : [];
        for (const given of [query.example, ...known]) {
          if (query.check(given).length > 0) continue;
          const [ours, theirs] = [
            await query.ask(owner, { ...given }, WIDE),
            await query.ask(reader, { ...given }, WIDE),
          ];
          assert.ok(ours.ok && theirs.ok, `${query.name}: ${JSON.stringify(theirs)}`);
          assert.equal(theirs.value.rows.length, ours.value.rows.length, query.name);
          rows += theirs.value.rows.length;
        }
      }
      assert.ok(rows > 20, `${rows} rows`);
    }),
});

Deno.test({
  ...REAL,
  name: `a reader changes nothing, sees no customer's request and makes nothing${postgresNote}`,
  fn: () =>
    withUsers(async ({ reader }, users) => {
      await assertRefused(reader, [
        ...forbiddenToAll(users),
        "select relay_insert(array['wss://x'], array['clearnet'], 1)",
        "select event_delete(array[1]::bigint[])",
        "select event_partition_add(1)",
        "select statistics_horizon()",
        "select sightings_summarize()",
        "select * from dvm_job",
        "select * from service_state",
        "select service_state_get('monitor', 'x')",
      ]);
    }),
});

Deno.test({
  ...REAL,
  name: `a writer does its work by the functions and by nothing else${postgresNote}`,
  fn: () =>
    withUsers(async ({ writer }, users) => {
      await assertRefused(writer, forbiddenToAll(users));
      assert.equal(await insertRelays(writer, [], { at: 1 }), 0);
      await fillArchive(writer, 60);
      await maintain(writer);
      // New partitions are the owner's, and need no right of the writer's.
      await writer.run("grow", (sql) => sql`select event_partition_add(60000000)`);
      const [row] = await writer.run("count", (sql) => sql`select count(*)::int as n from event`);
      assert.equal(row?.n, 60);
    }),
});

Deno.test({
  ...REAL,
  name: `a writer starts on a schema that is complete, and refuses an older one${postgresNote}`,
  fn: async () => {
    await using users = await databaseUsers(await sharedPostgres());
    const [first] = MIGRATIONS;
    assert.ok(first);
    await using owner = await openStore({ dataDir: "/x", databaseUrl: users.owner.url });
    await using writer = await openStore({ dataDir: "/x", databaseUrl: users.writer.url });
    await assert.rejects(migrate(writer), SchemaTooOld);
    await migrate(owner, { migrations: MIGRATIONS.slice(0, -1) });
    await grantAccess(owner, [{ name: users.writer.name, level: "writer" }]);
    await assert.rejects(migrate(writer), SchemaTooOld);
    await migrate(owner);
    assert.deepEqual(await migrate(writer), { applied: 0, version: MIGRATIONS.length });
  },
});

Deno.test({
  ...REAL,
  name: `what a superuser migrates belongs to the owner of the rest${postgresNote}`,
  fn: async () => {
    await using users = await databaseUsers(await sharedPostgres());
    await using owner = await openStore({ dataDir: "/x", databaseUrl: users.owner.url });
    await migrate(owner, { migrations: MIGRATIONS.slice(0, 3) });
    await using admin = await openStore({ dataDir: "/x", databaseUrl: users.admin });
    await migrate(admin);
    await grantAccess(admin, [{ name: users.reader.name, level: "reader" }]);
    const owners = await admin.run(
      "owners",
      (sql) =>
        sql`select distinct pg_get_userbyid(o) as name from (
        select relowner as o from pg_class where relnamespace = 'public'::regnamespace
        union all select proowner from pg_proc where pronamespace = 'public'::regnamespace) x`,
    );
    assert.deepEqual(owners.map((row) => row.name), [users.owner.name]);
    assert.equal(await schemaVersion(admin), MIGRATIONS.length);
  },
});

for (const kind of STORE_KINDS) {
  const ignore = kind === "postgres" && postgresMissing;

  Deno.test({
    name: `no table and no function of any migration is forgotten, nor open to all [${kind}]` +
      (ignore ? postgresNote : ""),
    ignore,
    fn: async () => {
      await using own = await freshStore(kind);
      const { store } = own;
      const tag = crypto.randomUUID().slice(0, 8);
      const [writer, reader] = [`bb_writer_${tag}`, `bb_reader_${tag}`];
      for (const name of [writer, reader]) {
        await store.run("create", (sql) => sql.unsafe(`create role ${name}`));
      }
      try {
        await grantAccess(store, [
          { name: writer, level: "writer" },
          { name: reader, level: "reader" },
        ]);
        // A function and a table of a later program.
        await migrate(store, {
          migrations: [...MIGRATIONS, {
            name: "9999_later",
            sql: `create table later (n int);
              create function later_add(n int) returns void language sql as
                'insert into later values (n)';
              create function later_count() returns int language sql stable as
                'select count(*)::int from later';
              create or replace function relay_insert(urls text[], networks text[], at bigint)
                returns int language sql as 'select 0'`,
          }],
        });
        assert.deepEqual(await readAccess(store), [
          { name: reader, level: "reader" },
          { name: writer, level: "writer" },
        ]);
        const functions = await store.run("functions", (sql) =>
          sql<FunctionRow[]>`
            select p.oid::regprocedure::text as name, p.provolatile = 'v' as changes,
              p.proname like 'access\\_%' as "ofOwner",
              p.prosecdef as "asOwner", coalesce(p.proconfig::text, '') as settings,
              has_function_privilege(${writer}, p.oid, 'execute') as writer,
              has_function_privilege(${reader}, p.oid, 'execute') as reader,
              exists (select from aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a
                where a.grantee = 0) as public
            from pg_proc p where p.pronamespace = 'public'::regnamespace
              and p.prorettype <> 'trigger'::regtype`);
        assert.ok(functions.some(({ name }) => name === "later_add(integer)"));
        for (const f of functions) {
          assert.equal(f.public, false, f.name);
          assert.equal(f.writer, !f.ofOwner, f.name);
          assert.equal(f.reader, !f.ofOwner && !f.changes, f.name);
          if (f.ofOwner) continue;
          assert.equal(f.asOwner, f.changes || READ_FOR_OTHERS.has(f.name), f.name);
          // Not even a temporary table of the caller comes before ours.
          if (f.asOwner) assert.match(f.settings, /search_path=public, pg_temp/, f.name);
        }
        const tables = await store.run("tables", (sql) =>
          sql<TableRow[]>`
            select c.relname as name,
              has_table_privilege(${writer}, c.oid, 'select') as writer,
              has_table_privilege(${reader}, c.oid, 'select') as reader,
              has_table_privilege(${writer}, c.oid, 'insert, update, delete, truncate, trigger')
                or has_table_privilege(${reader}, c.oid, 'insert, update, delete, truncate, trigger')
                as changeable
            from pg_class c where c.relnamespace = 'public'::regnamespace
              and c.relkind in ('r', 'p', 'v') and not c.relispartition`);
        assert.ok(tables.length > 30);
        for (const t of tables) {
          assert.equal(t.changeable, false, t.name);
          assert.equal(t.writer, true, t.name);
          assert.equal(t.reader, !["dvm_job", "service_state"].includes(t.name), t.name);
        }
      } finally {
        for (const name of [writer, reader]) {
          await store.run("drop", (sql) => sql.unsafe(`drop owned by ${name}; drop role ${name}`));
        }
      }
    },
  });
}

Deno.test({
  ...REAL,
  name: `no level is given to a user that is not there, or that may do more${postgresNote}`,
  fn: () =>
    withUsers(async ({ owner }, users) => {
      const grant = (name: string): Promise<void> =>
        grantAccess(owner, [{ name, level: "writer" }]);
      await assert.rejects(grant("nobody_of_that_name"), /there is no user/);
      await assert.rejects(grant(users.owner.name), /has more rights/);
      await assert.rejects(grant("postgres"), /has more rights/);
    }),
});

interface FunctionRow {
  name: string;
  changes: boolean;
  ofOwner: boolean;
  asOwner: boolean;
  settings: string;
  writer: boolean;
  reader: boolean;
  public: boolean;
}

interface TableRow {
  name: string;
  writer: boolean;
  reader: boolean;
  changeable: boolean;
}
