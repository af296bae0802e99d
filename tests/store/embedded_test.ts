import assert from "node:assert/strict";
import { openStore, type StoreHealth } from "../../src/store/connect.ts";
import { CommitUnknown, DataDirLocked, StoreUnavailable } from "../../src/store/errors.ts";
import { migrate, schemaVersion } from "../../src/store/migrate.ts";
import { listStates, putState } from "../../src/store/service_state.ts";
import { freshStore } from "../support/store.ts";

const WRITER = new URL("./embedded_writer.ts", import.meta.url).pathname;
// What the embedded store needs, and nothing else: the folder, PGlite's own files, the two names
// that the driver looks up in the environment.
const PERMISSIONS = [
  "--allow-read",
  "--allow-write",
  "--allow-env=PGAPPNAME,PGTARGETSESSIONATTRS",
];

Deno.test("a new folder is made, closed and opened again with what it held", async () => {
  const dataDir = await Deno.makeTempDir();
  try {
    {
      await using store = await openStore({ dataDir, fsync: false });
      await migrate(store);
      await putState(store, "t", "k", { n: 1 });
    }
    {
      await using store = await openStore({ dataDir, fsync: false });
      assert.ok(await schemaVersion(store) > 0);
      assert.deepEqual((await listStates(store, "t")).map((row) => row.value), [{ n: 1 }]);
    }
    const names = [...Deno.readDirSync(dataDir)].map((entry) => entry.name).sort();
    assert.deepEqual(names, ["lock", "pglite"]);
  } finally {
    await Deno.remove(dataDir, { recursive: true });
  }
});

Deno.test("a folder that is in use is refused, naming the process", async () => {
  await using own = await freshStore("pglite");
  await assert.rejects(
    openStore({ dataDir: own.options.dataDir }),
    (error) => error instanceof DataDirLocked && error.message.includes(`process ${Deno.pid}`),
  );
  // The first one was not disturbed, and gives the folder free when it closes.
  assert.equal(await own.store.ping(), true);
  await own.store[Symbol.asyncDispose]();
  const { template: _template, ...options } = own.options;
  await using again = await openStore(options);
  assert.equal(await again.ping(), true);
});

Deno.test("a folder whose making was cut short is made anew", async () => {
  const dataDir = await Deno.makeTempDir();
  try {
    await Deno.mkdir(`${dataDir}/pglite.unfinished/base`, { recursive: true });
    await Deno.writeTextFile(`${dataDir}/pglite.unfinished/PG_VERSION`, "18");
    await using store = await openStore({ dataDir, fsync: false });
    assert.equal(await store.ping(), true);
  } finally {
    await Deno.remove(dataDir, { recursive: true });
  }
});

Deno.test("kill -9 in the middle of writing loses no acknowledged row, three times over", async () => {
  const dataDir = await Deno.makeTempDir();
  try {
    let acknowledged = -1;
    for (let round = 0; round < 3; round++) {
      const process = new Deno.Command(Deno.execPath(), {
        args: ["run", "--no-prompt", "--quiet", ...PERMISSIONS, WRITER, dataDir],
        stdout: "piped",
      }).spawn();
      const enough = 40 + round * 60;
      let seen = "";
      for await (const chunk of process.stdout.pipeThrough(new TextDecoderStream())) {
        seen += chunk;
        if (seen.split("\n").length > enough) break;
      }
      process.kill("SIGKILL");
      await process.status;
      const last = seen.slice(0, seen.lastIndexOf("\n")).split("\n").at(-1);
      acknowledged = Math.max(acknowledged, Number(last));
      await using store = await openStore({ dataDir, fsync: false });
      const keys = new Set((await listStates(store, "kill")).map((row) => Number(row.key)));
      for (let i = 0; i <= acknowledged; i++) assert.ok(keys.has(i), `row ${i} is gone`);
    }
  } finally {
    await Deno.remove(dataDir, { recursive: true });
  }
});

Deno.test("a server that dies under work is noticed, reported and started again", async () => {
  const states: StoreHealth["state"][] = [];
  await using own = await freshStore("pglite", {
    migrated: false,
    unavailableTimeoutMs: 60_000,
    onStateChange: (health) => states.push(health.state),
  });
  const { store, options } = own;
  await store.run("table", (sql) => sql`create table t (n int, filler text)`);
  // Without its folder the write-ahead log can't grow: a PANIC, as with a disk that is full.
  const log = `${options.dataDir}/pglite/pg_wal`;
  await Deno.rename(log, `${log}.away`);
  let acknowledged = 0;
  const write = (): Promise<unknown> =>
    store.run(
      "write",
      (sql) =>
        sql`insert into t select ${acknowledged}::int, string_agg(md5(random()::text), '')
        from generate_series(1, 20000)`,
    );
  const died = await (async (): Promise<unknown> => {
    for (;; acknowledged++) {
      try {
        await write();
      } catch (error) {
        return error;
      }
    }
  })();
  assert.ok(died instanceof CommitUnknown || died instanceof StoreUnavailable, String(died));
  assert.equal(store.health().state, "down");
  await Deno.rename(`${log}.away`, log);
  const rows = await store.run("read", (sql) => sql<{ n: number }[]>`select n from t order by n`);
  assert.deepEqual(rows.map((row) => row.n), Array.from({ length: acknowledged }, (_, i) => i));
  assert.deepEqual(states, ["down", "up"]);
});

Deno.test("the write-ahead log stays within its bound while rows pour in", async () => {
  await using own = await freshStore("pglite");
  const { store, options } = own;
  const log = `${options.dataDir}/pglite/pg_wal`;
  // max_wal_size, which old segments are kept for, and the segment that is being begun.
  const bound = (128 + 16) * 2 ** 20;
  let written = 0;
  for (let round = 0; round < 100; round++) {
    await store.run(
      "filler",
      (sql) => sql`select pg_logical_emit_message(true, 'filler', ${"x".repeat(5_000_000)}::text)`,
    );
    written += 5_000_000;
    // A checkpoint comes after the answer, and before the next one.
    await store.ping();
    let kept = 0;
    for await (const file of Deno.readDir(log)) {
      if (file.isFile) kept += (await Deno.stat(`${log}/${file.name}`)).size;
    }
    assert.ok(kept <= bound, `${kept} bytes kept of ${written}`);
  }
});
