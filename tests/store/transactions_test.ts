import assert from "node:assert/strict";
import {
  AcquireTimeout,
  DiskFull,
  isDataError,
  StatementTimeout,
  StoreClosed,
} from "../../src/store/errors.ts";
import { freshStore, STORE_KINDS, storeTest } from "../support/store.ts";
import { postgresMissing, postgresNote } from "../support/postgres_server.ts";

async function values(store: Parameters<Parameters<typeof storeTest>[1]>[0]): Promise<string[]> {
  const rows = await store.run(
    "read",
    (sql) => sql<{ key: string }[]>`select key from service_state order by key`,
  );
  return rows.map((row) => row.key);
}

storeTest("work is committed when its function resolves", async (store) => {
  const answer = await store.transaction("write", async (sql) => {
    await sql`select service_state_upsert('t', 'a', '1', 0)`;
    await sql`select service_state_upsert('t', 'b', '1', 0)`;
    return 42;
  });
  assert.equal(answer, 42);
  assert.deepEqual(await values(store), ["a", "b"]);
});

storeTest("work is rolled back when its function throws", async (store) => {
  const failure = new Error("no");
  await assert.rejects(
    store.transaction("write", async (sql) => {
      await sql`select service_state_upsert('t', 'a', '1', 0)`;
      throw failure;
    }),
    failure,
  );
  assert.deepEqual(await values(store), []);
});

storeTest("a statement's error rolls everything before it back", async (store) => {
  await assert.rejects(
    store.transaction("write", async (sql) => {
      await sql`select service_state_upsert('t', 'a', '1', 0)`;
      await sql`select 1 / ${0}::int`;
    }),
    (error) => isDataError(error),
  );
  assert.deepEqual(await values(store), []);
});

storeTest("an error that its function swallowed is not committed in silence", async (store) => {
  await assert.rejects(
    store.transaction("write", async (sql) => {
      await sql`select service_state_upsert('t', 'a', '1', 0)`;
      await assert.rejects(sql`select 1 / ${0}::int`);
    }),
    /Cannot commit/,
  );
  assert.deepEqual(await values(store), []);
});

storeTest("an aborted signal ends the wait, and the work leaves nothing behind", async (store) => {
  const controller = new AbortController();
  const reason = new Error("enough");
  const work = store.transaction("slow", async (sql) => {
    await sql`select service_state_upsert('t', 'a', '1', 0)`;
    setTimeout(() => controller.abort(reason), 20);
    await sql`select pg_sleep(0.2)`;
  }, { signal: controller.signal });
  await assert.rejects(work, reason);
  assert.deepEqual(await values(store), []);
  await assert.rejects(
    store.run("late", (sql) => sql`select 1`, { signal: controller.signal }),
    reason,
  );
});

storeTest("work over its deadline is rejected as such and rolled back", async (store) => {
  await assert.rejects(
    store.transaction("slow", async (sql) => {
      await sql`select service_state_upsert('t', 'a', '1', 0)`;
      await sql`select pg_sleep(0.4)`;
    }, { statementTimeoutMs: 100 }),
    StatementTimeout,
  );
  assert.deepEqual(await values(store), []);
});

storeTest("many calls at once share the connections and don't mix", async (store) => {
  const calls = Array.from({ length: 60 }, (_, i) =>
    store.transaction("own", async (sql) => {
      const [first] = await sql<{ n: number }[]>`select ${i}::int as n`;
      const [second] = await sql<{ n: number }[]>`select ${i}::int + 1 as n`;
      return [first?.n, second?.n];
    }));
  assert.deepEqual(await Promise.all(calls), calls.map((_, i) => [i, i + 1]));
  const { inUse, waiting, open, max } = store.stats();
  assert.deepEqual([inUse, waiting], [0, 0]);
  assert.ok(open <= max);
});

storeTest("parameters and rows of ten megabytes pass whole", async (store) => {
  const text = "0123456789abcdef é🤙".repeat(500_000);
  const [row] = await store.run(
    "big",
    (sql) =>
      sql<{ text: string; n: number }[]>`select ${text}::text as text, length(${text}::text) as n`,
  );
  assert.equal(row?.n, [..."0123456789abcdef é🤙"].length * 500_000);
  assert.ok(row?.text === text);
});

storeTest("a cursor walks through more rows than are held at once", async (store) => {
  const sum = await store.run("cursor", async (sql) => {
    let total = 0;
    const rows = sql<{ i: number }[]>`select i from generate_series(1, ${5000}::int) as i`;
    for await (const page of rows.cursor(700)) for (const { i } of page) total += i;
    return total;
  });
  assert.equal(sum, 5000 * 5001 / 2);
});

storeTest("each piece of work is counted, failed ones too", async (store) => {
  const before = store.stats();
  await store.run("good", (sql) => sql`select 1`);
  await assert.rejects(store.run("bad", (sql) => sql`select nonsense`));
  const after = store.stats();
  assert.equal(after.queries - before.queries, 2);
  assert.equal(after.failures - before.failures, 1);
});

storeTest("fragments composed outside run inside, and nothing runs outside", async (store) => {
  const condition = store.sql`where i > ${3}`;
  const rows = await store.run(
    "fragment",
    (sql) => sql`select i from generate_series(1, 5) as i ${condition}`,
  );
  assert.deepEqual(rows.map((row) => row.i), [4, 5]);
  await assert.rejects(Promise.resolve(store.sql`select 1`), /use store.run/);
});

storeTest(
  "a full disk is told until what it refused succeeds, whatever is read meanwhile",
  async (store) => {
    const write = (isFull: boolean): Promise<unknown> =>
      store.run("write", async (sql) => {
        if (isFull) {
          await sql.unsafe("do $$ begin raise 'no room' using errcode = 'disk_full'; end $$");
        }
        await sql`select service_state_upsert('t', 'a', '1', 0)`;
      });
    await assert.rejects(write(true), DiskFull);
    assert.equal(store.health().state, "down");
    assert.deepEqual(await values(store), []);
    assert.equal(store.health().state, "down");
    await write(false);
    assert.equal(store.health().state, "up");
  },
);

storeTest("a ping is answered", async (store) => {
  assert.equal(await store.ping(), true);
  assert.equal(store.health().state, "up");
});

for (const kind of STORE_KINDS) {
  const ignore = kind === "postgres" && postgresMissing;
  const note = ignore ? postgresNote : "";

  Deno.test({
    name: `a call waits for a connection no longer than it may [${kind}]${note}`,
    ignore,
    fn: async () => {
      await using own = await freshStore(kind, { pool: { max: 1, acquireTimeoutMs: 50 } });
      const { store } = own;
      const slow = store.run("slow", (sql) => sql`select pg_sleep(0.4)`);
      await assert.rejects(store.run("blocked", (sql) => sql`select 1`), AcquireTimeout);
      await slow;
      await store.run("free", (sql) => sql`select 1`);
    },
  });

  Deno.test({
    name: `a closed store says so, and ends what was under way [${kind}]${note}`,
    ignore,
    fn: async () => {
      await using own = await freshStore(kind);
      const { store } = own;
      const slow = store.run("slow", (sql) => sql`select pg_sleep(0.3)`);
      const ended = assert.rejects(slow, StoreClosed);
      await store[Symbol.asyncDispose]();
      await ended;
      await assert.rejects(store.run("late", (sql) => sql`select 1`), StoreClosed);
    },
  });
}

storeTest("transactions that block each other are tried again until both pass", async (store) => {
  for (const key of ["a", "b"]) {
    await store.run("put", (sql) => sql`select service_state_upsert('t', ${key}, '0', 0)`);
  }
  let bothHold = (): void => {};
  let holding = 0;
  const both = new Promise<void>((resolve) => bothHold = resolve);
  const cross = (first: string, second: string): Promise<void> =>
    store.transaction("cross", async (sql) => {
      await sql`update service_state set updated_at = updated_at + 1 where key = ${first}`;
      if (++holding === 2) bothHold();
      await both;
      await sql`update service_state set updated_at = updated_at + 1 where key = ${second}`;
    });
  await Promise.all([cross("a", "b"), cross("b", "a")]);
  const rows = await store.run(
    "read",
    (sql) => sql<{ updated_at: number }[]>`select updated_at from service_state`,
  );
  assert.deepEqual(rows.map((row) => row.updated_at), [2, 2]);
  assert.ok(store.stats().retries > 0);
}, { kinds: ["postgres"] });
