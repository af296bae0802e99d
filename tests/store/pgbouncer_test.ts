// The store behind a real PgBouncer in transaction mode, where one is installed. All other tests of the
// store run behind it by `deno task test:pgbouncer`.
import assert from "node:assert/strict";
import { openStore } from "../../src/store/connect.ts";
import { knownEvents, readEvents, writeBatch } from "../../src/store/events.ts";
import { migrate, MIGRATIONS } from "../../src/store/migrate.ts";
import { refreshStatistics } from "../../src/store/statistics.ts";
import { generateEvents } from "../support/events.ts";
import { pgbouncerNote, pgbouncerProgram, startPgBouncer } from "../support/pgbouncer.ts";
import { postgresMissing, postgresNote, PostgresServer } from "../support/postgres_server.ts";

Deno.test({
  name: `behind PgBouncer several stores migrate, write and read at once${pgbouncerNote}` +
    postgresNote,
  ignore: postgresMissing || pgbouncerProgram() === undefined,
  fn: async () => {
    await using server = await PostgresServer.create();
    await using database = await server.createDatabase();
    await using pooler = await startPgBouncer(server.url());
    const open = (): ReturnType<typeof openStore> =>
      openStore({ dataDir: "/nonexistent", databaseUrl: pooler.through(database.url) });
    // Connections of ours together are more than the pooler has to the server.
    await using a = await open();
    await using b = await open();
    const versions = await Promise.all([a, b].map((store) => migrate(store)));
    assert.equal(versions.reduce((sum, { applied }) => sum + applied, 0), MIGRATIONS.length);
    const events = generateEvents(400, { seed: 5 });
    await Promise.all(Array.from({ length: 16 }, (_, i) =>
      writeBatch(i % 2 === 0 ? a : b, {
        events: events.slice(i * 20, i * 20 + 100),
        sightings: [],
      })));
    assert.equal((await knownEvents(b, events.map(({ id }) => id))).size, events.length);
    await refreshStatistics(a, { maxRows: 10_000 });
    assert.equal((await readEvents(b, { limit: 1_000 })).events.length, events.length);
    // What a session keeps would show here: the pooler refuses named statements of another session.
    const pids = await Promise.all(Array.from({ length: 12 }, () =>
      a.run("pid", async (sql) => {
        const [row] = await sql`select pg_backend_pid() as pid, pg_sleep(0.02)`;
        return Number(row?.pid);
      })));
    assert.ok(new Set(pids).size <= 4, `${new Set(pids).size} server connections`);
  },
});
