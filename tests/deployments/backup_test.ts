// Dump and restore as an operator does it: the scripts of the deployments with PostgreSQL's own
// programs against a server of the same version, the users of the deployments, and what is there after.
import assert from "node:assert/strict";
import { fillArchive } from "../queries/archive.ts";
import { migrate, MIGRATIONS } from "../../src/store/migrate.ts";
import { grantAccess } from "../../src/store/access.ts";
import { openStore, type Store } from "../../src/store/connect.ts";
import { refreshStatistics } from "../../src/store/statistics.ts";
import { adminQuery, installedPostgres, PostgresServer } from "../support/postgres_server.ts";
import { tempFolder } from "../support/temp_folder.ts";
import { rootPath } from "./files.ts";
import { tool } from "./tools.ts";

const INSTALLED = installedPostgres();
const BACKUP = rootPath("deployments/_shared/backup/backup");
const ROLES = rootPath("deployments/_shared/postgres/roles.sh");

Deno.test({
  name:
    "a dump is restored into a database made anew with all rows and rights, the newest are kept" +
    (INSTALLED === undefined ? " (ignored: no PostgreSQL server with pg_dump is installed)" : ""),
  ignore: INSTALLED === undefined,
  fn: async () => {
    await using folder = await tempFolder();
    await using server = await PostgresServer.create({ home: INSTALLED });
    const env = {
      PATH: `${INSTALLED}/bin:${Deno.env.get("PATH")}`,
      PGHOST: "127.0.0.1",
      PGPORT: String(server.port),
      PGUSER: "bigbrotr",
      PGDATABASE: "bigbrotr",
    };
    for (const name of ["owner", "writer", "reader"]) {
      await Deno.mkdir(`${folder.path}/secrets`, { recursive: true });
      await folder.write(`secrets/db_${name}_password`, `${name}'s "own"\n`);
    }
    const admin = {
      ...env,
      PGUSER: "postgres",
      PGDATABASE: "postgres",
      PASSWORDS: `${folder.path}/secrets`,
    };
    for (let time = 0; time < 2; time++) {
      const made = await tool(ROLES, [], { env: admin });
      assert.equal(made.code, 0, made.text);
    }
    const url = (user: string): string => `postgres://${user}@127.0.0.1:${server.port}/bigbrotr`;
    const before = await withStore(url("bigbrotr"), async (store) => {
      await migrate(store);
      await grantAccess(store, [
        { name: "bigbrotr_writer", level: "writer" },
        { name: "bigbrotr_reader", level: "reader" },
      ]);
      await fillArchive(store, 300);
      return await everything(store);
    });

    const dumps = `${folder.path}/dumps`;
    let last = "";
    for (let n = 0; n < 3; n++) {
      const dumped = await tool(BACKUP, ["dump", dumps], { env: { ...env, KEEP: "2" } });
      assert.equal(dumped.code, 0, dumped.text);
      last = dumped.stdout.trim();
      // Names have seconds.
      await new Promise((resolve) => setTimeout(resolve, 1_050));
    }
    const kept = (await Array.fromAsync(Deno.readDir(dumps))).map(({ name }) => name);
    assert.equal(kept.length, 4, kept.join());

    const full = await tool(BACKUP, ["restore", last], { env });
    assert.notEqual(full.code, 0);
    assert.match(full.text, /not empty/);

    await adminQuery(server.url(), "drop database bigbrotr with (force)");
    const anew = await tool(ROLES, [], { env: admin });
    assert.equal(anew.code, 0, anew.text);
    // What pg_restore leaves when it is killed in the middle of its work.
    await Deno.mkdir(`${folder.path}/bin`);
    const half = `#!/bin/sh\n"${INSTALLED}/bin/pg_restore" "$@" |
      awk '/^COPY/ { n++ } n == 5 { exit } { print }'\nexit 1\n`;
    await Deno.writeTextFile(`${folder.path}/bin/pg_restore`, half, { mode: 0o755 });
    const broken = await tool(BACKUP, ["restore", last], {
      env: { ...env, PATH: `${folder.path}/bin:${env.PATH}` },
    });
    assert.notEqual(broken.code, 0, broken.text);
    assert.match(broken.text, /nothing was restored/);
    const restored = await tool(BACKUP, ["restore", last], { env });
    assert.equal(restored.code, 0, restored.text);
    assert.equal(restored.text, "", "no warning");
    await withStore(url("bigbrotr"), async (store) => {
      assert.deepEqual(await migrate(store), { applied: 0, version: MIGRATIONS.length });
      assert.deepEqual(await everything(store), before);
    });
    await withStore(url("bigbrotr_writer"), async (store) => {
      await refreshStatistics(store, { maxRows: 10 });
      await assert.rejects(store.run("drop", (sql) => sql`drop table event`), /must be owner/);
    });
    await withStore(url("bigbrotr_reader"), async (store) => {
      await store.run("read", (sql) => sql`select count(*) from event_view`);
      const [row] = await store.run("show", (sql) => sql`show default_transaction_read_only`);
      assert.deepEqual(row, { default_transaction_read_only: "on" });
      await assert.rejects(
        store.run("call", (sql) => sql`select event_delete(array[1]::bigint[])`),
        /permission denied|read-only/,
      );
    });

    await Deno.writeTextFile(last, "x", { append: true });
    await adminQuery(server.url(), "create database third owner bigbrotr");
    const spoilt = await tool(BACKUP, ["restore", last], { env: { ...env, PGDATABASE: "third" } });
    assert.notEqual(spoilt.code, 0);
    assert.match(spoilt.text, /FAILED|did NOT match/);
  },
});

async function withStore<T>(databaseUrl: string, fn: (store: Store) => Promise<T>): Promise<T> {
  await using store = await openStore({ dataDir: "/nonexistent", databaseUrl });
  return await fn(store);
}

/** Every row of every table, as text. */
function everything(store: Store): Promise<Record<string, string[]>> {
  return store.run("everything", async (sql) => {
    const tables = await sql<{ name: string }[]>`
      select relname as name from pg_class where relnamespace = 'public'::regnamespace
        and relkind in ('r', 'p') and not relispartition order by 1`;
    const all: Record<string, string[]> = {};
    for (const { name } of tables) {
      const rows = await sql.unsafe(`select t::text as row from ${name} t`);
      all[name] = rows.map(({ row }) => String(row)).sort();
    }
    return all;
  });
}
