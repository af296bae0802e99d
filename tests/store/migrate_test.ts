import assert from "node:assert/strict";
import { openStore } from "../../src/store/connect.ts";
import {
  migrate,
  type Migration,
  MigrationMismatch,
  MIGRATIONS,
  SchemaTooNew,
  schemaVersion,
} from "../../src/store/migrate.ts";
import {
  createDatabase,
  postgresMissing,
  postgresNote,
  sharedPostgres,
} from "../support/postgres_server.ts";
import { dumpSchema, SCHEMA_FILE } from "../support/schema_dump.ts";
import { freshStore, STORE_KINDS, storeTest } from "../support/store.ts";

const STEPS: readonly Migration[] = [
  { name: "0001_one", sql: "create table one (n int); insert into one values (1)" },
  { name: "0002_two", sql: "create table two (n int); insert into one values (2)" },
];

for (const kind of STORE_KINDS) {
  const ignore = kind === "postgres" && postgresMissing;
  const note = `[${kind}]${ignore ? postgresNote : ""}`;

  Deno.test({
    name: `migrations are applied once, in order, and each one alone ${note}`,
    ignore,
    fn: async () => {
      await using own = await freshStore(kind, { migrated: false });
      const { store } = own;
      assert.equal(await schemaVersion(store), 0);
      const first = STEPS.slice(0, 1);
      assert.deepEqual(await migrate(store, { migrations: first }), { applied: 1, version: 1 });
      assert.deepEqual(await migrate(store, { migrations: STEPS }), { applied: 1, version: 2 });
      assert.deepEqual(await migrate(store, { migrations: STEPS }), { applied: 0, version: 2 });
      assert.equal(await schemaVersion(store), 2);
      const rows = await store.run("read", (sql) => sql<{ n: number }[]>`select n from one`);
      assert.deepEqual(rows.map((row) => row.n), [1, 2]);
    },
  });

  Deno.test({
    name: `a migration that fails leaves nothing, and those before it stay ${note}`,
    ignore,
    fn: async () => {
      await using own = await freshStore(kind, { migrated: false });
      const { store } = own;
      const broken = { name: "0002_two", sql: "create table two (n int); select 1 / 0" };
      await assert.rejects(migrate(store, { migrations: [...STEPS.slice(0, 1), broken] }));
      assert.equal(await schemaVersion(store), 1);
      const [two] = await store.run("two", (sql) => sql`select to_regclass('two') as name`);
      assert.equal(two?.name, null);
      assert.deepEqual(await migrate(store, { migrations: STEPS }), { applied: 1, version: 2 });
    },
  });

  Deno.test({
    name: `a schema of a newer program, or of another one, is refused and left alone ${note}`,
    ignore,
    fn: async () => {
      await using own = await freshStore(kind, { migrated: false });
      const { store } = own;
      await migrate(store, { migrations: STEPS });
      await assert.rejects(migrate(store, { migrations: STEPS.slice(0, 1) }), SchemaTooNew);
      const edited = [{ name: "0001_one", sql: "create table one (n bigint)" }, ...STEPS.slice(1)];
      await assert.rejects(migrate(store, { migrations: edited }), MigrationMismatch);
      assert.equal(await schemaVersion(store), 2);
    },
  });
}

Deno.test({
  name: `processes that start at once apply each migration once${postgresNote}`,
  ignore: postgresMissing,
  fn: async () => {
    await using database = await createDatabase(await sharedPostgres());
    const open = (): ReturnType<typeof openStore> =>
      openStore({ dataDir: "/nonexistent", databaseUrl: database.url });
    const stores = await Promise.all(Array.from({ length: 5 }, open));
    try {
      const results = await Promise.all(stores.map((store) => migrate(store)));
      const applied = results.reduce((sum, result) => sum + result.applied, 0);
      assert.equal(applied, MIGRATIONS.length);
      assert.ok(results.every((result) => result.version === MIGRATIONS.length));
    } finally {
      for (const store of stores) await store[Symbol.asyncDispose]();
    }
  },
});

storeTest("sql/schema.sql is what the migrations make", async (store) => {
  const kept = await Deno.readTextFile(SCHEMA_FILE);
  assert.ok(
    await dumpSchema(store) === kept,
    "run: deno run -A tests/support/schema_dump.ts",
  );
}, { kinds: ["pglite"] });

Deno.test("migrations are numbered upwards, and their files bear their names", async () => {
  const files: string[] = [];
  for await (const file of Deno.readDir(new URL("../../sql/migrations/", import.meta.url))) {
    files.push(file.name);
  }
  assert.deepEqual(files.sort(), MIGRATIONS.map((migration) => `${migration.name}.sql`));
  const numbers = MIGRATIONS.map(({ name }) => Number(name.slice(0, 4)));
  assert.ok(numbers.every((number, i) => number > (numbers[i - 1] ?? 0)));
});
