import assert from "node:assert/strict";
import { Secret } from "../../src/lib/secret.ts";
import { parseDatabaseUrl } from "../../src/store/server_address.ts";

Deno.test("a database URL gives address, user, password and database", () => {
  assert.deepEqual(parseDatabaseUrl(new Secret("postgres://me:p%40ss@db.example.com:6432/data")), {
    host: "db.example.com",
    port: 6432,
    user: "me",
    password: "p@ss",
    database: "data",
    ssl: false,
  });
  const short = parseDatabaseUrl("postgresql://db.example.com", new Secret("from elsewhere"));
  assert.deepEqual([short.port, short.user, short.password, short.database], [
    5432,
    "postgres",
    "from elsewhere",
    "postgres",
  ]);
  assert.equal(parseDatabaseUrl("postgres://[::1]:5433/x").host, "::1");
  const local = parseDatabaseUrl("postgres://me@localhost:5433/x?host=/run/postgresql");
  assert.equal(local.path, "/run/postgresql/.s.PGSQL.5433");
});

Deno.test("sslmode is read as libpq reads it", () => {
  const ssl = (mode: string): unknown => parseDatabaseUrl(`postgres://h/d?sslmode=${mode}`).ssl;
  assert.deepEqual(["disable", "prefer", "require"].map(ssl), [false, "prefer", "require"]);
  assert.deepEqual(["verify-ca", "verify-full"].map(ssl), ["verify", "verify"]);
  assert.throws(() => ssl("always"), TypeError);
});

Deno.test("what is no database URL is refused without repeating it", () => {
  const wrong = [
    "",
    "db.example.com/hunter2",
    "mysql://me:hunter2@h/d",
    "postgres://u:hunter2@h:0/d",
    "postgres://u:hunter2%@h/d",
  ];
  for (const text of [...wrong, `postgres://h/${"hunter2".repeat(1000)}`]) {
    assert.throws(
      () => parseDatabaseUrl(text),
      (error) => error instanceof TypeError && !error.message.includes("hunter2"),
    );
  }
});
