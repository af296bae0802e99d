import assert from "node:assert/strict";
import { systemClock } from "../../src/lib/clock.ts";
import type { Connection } from "../../src/store/connection.ts";
import { ConnectionPool } from "../../src/store/connection_pool.ts";
import { DEFAULT_POOL } from "../../src/store/store.ts";

Deno.test("a pool that closes waits for the connection that is being opened", async () => {
  const opening = Promise.withResolvers<Connection>();
  const asked = Promise.withResolvers<void>();
  const connect = (): Promise<Connection> => {
    asked.resolve();
    return opening.promise;
  };
  const pool = new ConnectionPool(connect, DEFAULT_POOL, systemClock);
  const { signal } = new AbortController();
  const used = assert.rejects(
    pool.use(() => ({ result: Promise.resolve(), settled: Promise.resolve() }), { signal }),
    /being opened/,
  );
  await asked.promise;
  let closed = false;
  const closing = pool[Symbol.asyncDispose]().then(() => closed = true);
  await new Promise((go) => setTimeout(go, 20));
  assert.equal(closed, false);
  opening.reject(new Error("being opened"));
  await Promise.all([used, closing]);
  assert.deepEqual([pool.stats().open, pool.stats().inUse], [0, 0]);
});
