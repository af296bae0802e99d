import assert from "node:assert/strict";
import net from "node:net";
import { openStore, type Store } from "../../src/store/connect.ts";
import { CommitUnknown, StatementTimeout, StoreUnavailable } from "../../src/store/errors.ts";
import { migrate } from "../../src/store/migrate.ts";
import { listStates, putState } from "../../src/store/service_state.ts";
import {
  adminQuery,
  createDatabase,
  freePort,
  postgresMissing,
  postgresNote,
  PostgresServer,
  sharedPostgres,
} from "../support/postgres_server.ts";
import { TransactionPooler } from "../support/transaction_pooler.ts";

// The folder is for the embedded store alone.
const dataDir = "/nonexistent";

function serverTest(name: string, fn: () => Promise<void>): void {
  Deno.test({ name: `${name}${postgresNote}`, ignore: postgresMissing, fn });
}

serverTest("a server that stops, starts, is killed and starts again costs no row", async () => {
  // Real durability: without it a kill may take acknowledged rows, rightly.
  await using server = await PostgresServer.create({ fsync: true });
  const states: string[] = [];
  await using store = await openStore({
    dataDir,
    databaseUrl: server.url(),
    pool: { max: 4 },
    onStateChange: (health) => states.push(health.state),
  });
  await migrate(store);
  await store.run("table", (sql) => sql`create table once (writer int, n int)`);

  const stop = new AbortController();
  const done: { idempotent: number[]; once: number[]; unknown: number } = {
    idempotent: [],
    once: [],
    unknown: 0,
  };
  const idempotent = async (): Promise<void> => {
    for (let n = 0; !stop.signal.aborted; n++) {
      await putState(store, "outage", String(n), n);
      done.idempotent.push(n);
    }
  };
  const once = async (writer: number): Promise<void> => {
    for (let n = writer; !stop.signal.aborted; n += 2) {
      try {
        await store.run("insert", (sql) => sql`insert into once values (${writer}, ${n})`);
        done.once.push(n);
      } catch (error) {
        // Whether it is there is not known, so it was not tried again.
        assert.ok(error instanceof CommitUnknown, String(error));
        done.unknown += 1;
      }
    }
  };
  const writers = [idempotent(), once(0), once(1)];
  const more = async (rows: number): Promise<void> => {
    const enough = done.idempotent.length + rows;
    while (done.idempotent.length < enough) await new Promise((go) => setTimeout(go, 10));
  };
  await more(50);
  await server.stop();
  while (store.health().state === "up") await new Promise((go) => setTimeout(go, 10));
  assert.equal(await store.ping({ timeoutMs: 500 }), false);
  await server.start();
  await more(50);
  await server.kill();
  await server.start();
  await more(50);
  stop.abort();
  await Promise.all(writers);

  assert.equal(await store.ping(), true);
  assert.deepEqual(states.slice(0, 2), ["down", "up"]);
  assert.equal(store.health().state, "up");
  const keys = (await listStates(store, "outage")).map((row) => row.value as number);
  assert.deepEqual(keys.sort((a, b) => a - b), done.idempotent);
  const rows = await store.run(
    "read",
    (sql) => sql<{ n: number; times: number }[]>`select n, count(*) as times from once group by n`,
  );
  const times = new Map(rows.map((row) => [row.n, row.times]));
  for (const n of done.once) assert.equal(times.get(n), 1, `row ${n}`);
  assert.ok([...times.values()].every((count) => count === 1), "a row was inserted twice");
  assert.ok(times.size <= done.once.length + done.unknown);
});

serverTest("a server that is not there is waited for, but not for ever", async () => {
  const port = await freePort();
  const databaseUrl = `postgres://postgres@127.0.0.1:${port}/postgres`;
  await assert.rejects(
    openStore({ dataDir, databaseUrl, openTimeoutMs: 300 }),
    (error) => error instanceof StoreUnavailable && !error.message.includes("postgres@"),
  );
});

serverTest("a server that comes late is found", async () => {
  await using server = await PostgresServer.create();
  await server.stop();
  const opening = openStore({ dataDir, databaseUrl: server.url() });
  await new Promise((go) => setTimeout(go, 300));
  await server.start();
  await using store = await opening;
  assert.equal(await store.ping(), true);
});

serverTest("opening ends when its signal is aborted", async () => {
  const port = await freePort();
  const reason = new Error("not today");
  const signal = AbortSignal.abort(reason);
  const databaseUrl = `postgres://postgres@127.0.0.1:${port}/postgres`;
  await assert.rejects(openStore({ dataDir, databaseUrl, signal }), reason);
  const later = new AbortController();
  const opening = openStore({ dataDir, databaseUrl, signal: later.signal });
  setTimeout(() => later.abort(reason), 100);
  await assert.rejects(opening, reason);
});

serverTest(
  "a database that does not exist is refused at once, with the server's words",
  async () => {
    const url = new URL(await sharedPostgres());
    url.pathname = "/bigbrotr_no_such_database";
    await assert.rejects(openStore({ dataDir, databaseUrl: url.href }), /does not exist/);
  },
);

serverTest("an idle connection that the server ended is replaced unnoticed", async () => {
  await using database = await createDatabase(await sharedPostgres());
  await using store = await openStore({ dataDir, databaseUrl: database.url });
  await store.run("warm", (sql) => sql`select 1`);
  await adminQuery(
    await sharedPostgres(),
    `select pg_terminate_backend(pid) from pg_stat_activity where datname = '${database.name}'`,
  );
  const [row] = await store.run("again", (sql) => sql`select 2 as n`);
  assert.equal(row?.n, 2);
});

serverTest("a connection on which nothing comes any more ends at the deadline", async () => {
  await using database = await createDatabase(await sharedPostgres());
  const target = new URL(database.url);
  let silent = false;
  const sockets = new Set<net.Socket>();
  // A proxy whose wire is cut without a word.
  const proxy = net.createServer((client) => {
    const upstream = net.connect(Number(target.port || 5432), target.hostname);
    for (const [from, to] of [[client, upstream], [upstream, client]] as const) {
      sockets.add(from);
      from.on("data", (chunk) => silent || to.write(chunk));
      from.on("error", () => to.destroy());
      from.on("close", () => {
        sockets.delete(from);
        to.destroy();
      });
    }
  });
  await new Promise<void>((go) => proxy.listen(0, "127.0.0.1", () => go()));
  const { port } = proxy.address() as net.AddressInfo;
  const through = new URL(database.url);
  through.host = `127.0.0.1:${port}`;
  try {
    await using store = await openStore({ dataDir, databaseUrl: through.href, pool: { max: 1 } });
    silent = true;
    await assert.rejects(
      store.run("silence", (sql) => sql`select 1`, { statementTimeoutMs: 50 }),
      StatementTimeout,
    );
    silent = false;
    const [row] = await store.run("again", (sql) => sql`select 2 as n`);
    assert.equal(row?.n, 2);
  } finally {
    for (const socket of sockets) socket.destroy();
    await new Promise<void>((go) => proxy.close(() => go()));
  }
});

serverTest(
  "behind a pooler in transaction mode all works, without prepared statements",
  async () => {
    const server = new URL(await sharedPostgres());
    await using database = await createDatabase(server.href);
    await using pooler = await TransactionPooler.listen({
      serverPort: Number(server.port || 5432),
      database: database.name,
      size: 3,
    });
    const databaseUrl = `postgres://postgres@127.0.0.1:${pooler.port}/${database.name}`;
    const open = (): Promise<Store> => openStore({ dataDir, databaseUrl, pool: { max: 6 } });
    await using first = await open();
    await using second = await open();
    const versions = await Promise.all([migrate(first), migrate(second)]);
    assert.equal(versions[0]?.version, versions[1]?.version);
    const put = (store: Store, n: number): Promise<void> => putState(store, "pooled", String(n), n);
    await Promise.all(Array.from({ length: 200 }, (_, n) => put(n % 2 === 0 ? first : second, n)));
    assert.equal((await listStates(first, "pooled")).length, 200);
    // The deadline holds here too, though a session's setting would be lost.
    await assert.rejects(
      first.run("slow", (sql) => sql`select pg_sleep(2)`, { statementTimeoutMs: 50 }),
      StatementTimeout,
    );
    const settings = await Promise.all(
      Array.from({ length: 9 }, () => adminQuery(databaseUrl, "show statement_timeout")),
    );
    assert.ok(settings.flat().every((row) => row.statement_timeout === "0"), "a setting leaked");
  },
);

serverTest("prepared statements that a pooler loses are done without", async () => {
  const server = new URL(await sharedPostgres());
  await using database = await createDatabase(server.href);
  await using pooler = await TransactionPooler.listen({
    serverPort: Number(server.port || 5432),
    database: database.name,
    size: 3,
  });
  const databaseUrl = `postgres://postgres@127.0.0.1:${pooler.port}/${database.name}`;
  await using store = await openStore({ dataDir, databaseUrl, prepare: true, pool: { max: 6 } });
  const ask = (n: number): Promise<unknown> =>
    store.run("ask", (sql) => sql`select ${n}::int as n, pg_sleep(0.01)`);
  for (let round = 0; round < 5; round++) {
    await Promise.all(Array.from({ length: 20 }, (_, n) => ask(n)));
  }
  // Once a connection, at most.
  assert.ok(store.stats().retries <= 6, `${store.stats().retries} retries`);
});
