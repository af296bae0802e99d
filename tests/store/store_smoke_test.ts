import assert from "node:assert/strict";
import { storeTest } from "../support/store.ts";
storeTest("a statement is answered", async (store) => {
  const rows = await store.run("one", (sql) => sql`select 1 as n`);
  assert.equal(rows[0]?.n, 1);
});
