/**
 * The configurations of the services beside BigBrotr, read by those services: PostgreSQL from an npm
 * package, PgBouncer and Tor where Debian's packages are installed. Real logins go through PgBouncer.
 */
import assert from "node:assert/strict";
import postgres from "postgres";
import { freePort, listens } from "../support/ports.ts";
import { postgresMissing, postgresNote, PostgresServer } from "../support/postgres_server.ts";
import { tempFolder } from "../support/temp_folder.ts";
import { eventually } from "../support/within.ts";
import { rootPath, text } from "./files.ts";
import { tool, toolMissing, toolNote } from "./tools.ts";

const SHARED = "deployments/_shared";
const DEPLOYMENTS = ["bigbrotr", "lilbrotr", "_template"];
/** The settings of a deployment, its own after the shared ones. */
async function settingsOf(deployment: string): Promise<[string, string][]> {
  const own = await text(`deployments/${deployment}/postgresql.conf`);
  assert.match(own, /^include 'common\.conf'$/m);
  const both = `${await text(`${SHARED}/postgres/common.conf`)}\n${own}`;
  return [...both.matchAll(/^(\w+) = '?([^'\n]*)'?$/gm)]
    .map(([, name = "", value = ""]) => [name, value]);
}

Deno.test({
  name: `PostgreSQL takes every setting of every deployment${postgresNote}`,
  ignore: postgresMissing || Deno.env.get("DATABASE_URL") !== undefined,
  async fn(): Promise<void> {
    await using server = await PostgresServer.create();
    await using database = await server.createDatabase();
    const sql = postgres(database.url, { max: 1, onnotice: () => {} });
    try {
      const known = await sql`select name, enumvals from pg_settings`;
      for (const deployment of DEPLOYMENTS) {
        const settings = await settingsOf(deployment);
        assert.ok(settings.length > 20, deployment);
        for (const [name, value] of settings) {
          const setting = known.find((row) => row.name === name);
          assert.ok(setting, `${deployment}: PostgreSQL knows no ${name}`);
          // Debian's builds have lz4, the npm package's has not.
          if (value === "lz4" && !setting.enumvals.includes(value)) continue;
          // Judges the value at once, and would hold from the next start on.
          await sql.unsafe(`alter system set ${name} = '${value}'`);
        }
      }
    } finally {
      await sql.end();
    }
  },
});

Deno.test({
  name: `through PgBouncer, by SCRAM and in transaction mode, the right password works${
    toolNote("pgbouncer")
  }`,
  ignore: toolMissing("pgbouncer") || postgresMissing || Deno.env.get("DATABASE_URL") !== undefined,
  async fn(): Promise<void> {
    await using server = await PostgresServer.create();
    await using database = await server.createDatabase();
    const password = `it"s a 'secret'`;
    const admin = postgres(database.url, { max: 1, onnotice: () => {} });
    await admin`set password_encryption = 'scram-sha-256'`;
    await admin.unsafe(`create role pooled login superuser password 'it"s a ''secret'''`);
    await admin.end();
    await using folder = await tempFolder();
    const port = await freePort();
    const ini = (await text(`${SHARED}/pgbouncer/pgbouncer.ini`))
      .replace(
        "host=postgres port=5432 dbname=bigbrotr",
        `host=127.0.0.1 port=${server.port} dbname=${database.name}`,
      )
      .replace("listen_addr = 0.0.0.0", "listen_addr = 127.0.0.1")
      .replace("listen_port = 6432", `listen_port = ${port}`)
      .replace("/run/pgbouncer", folder.path);
    const path = await folder.write("pgbouncer.ini", ini);
    await folder.write("password", `${password}\n`);
    await folder.write("another_password", "x\n");
    await Deno.chmod(folder.path, 0o777);
    await using _pooler = await startPooler({
      DB_USERS: "pooled=password another=another_password",
      FILES_DIR: folder.path,
      RUN_DIR: folder.path,
      PGBOUNCER_INI: path,
    }, port);
    const options = { host: "127.0.0.1", port, user: "pooled", database: "bigbrotr", max: 1 };
    const right = postgres({ ...options, password, prepare: false });
    assert.deepEqual([...await right`select current_user as name`], [{ name: "pooled" }]);
    await right.end();
    const wrong = postgres({ ...options, password: "another", prepare: false });
    await assert.rejects(() => wrong`select 1`, /SASL|password|auth/i);
    await wrong.end();
  },
});

Deno.test({
  name: "PgBouncer does not start without a password",
  async fn(): Promise<void> {
    await using folder = await tempFolder();
    const env = {
      DB_USERS: "x=password",
      FILES_DIR: (await folder.write("password", "")).replace(/\/[^/]*$/, ""),
      RUN_DIR: folder.path,
    };
    const { code, text: said } = await tool(rootPath(`${SHARED}/pgbouncer/start`), [], { env });
    assert.equal(code, 1);
    assert.match(said, /empty or missing/);
  },
});

Deno.test({
  name: `Tor takes its configuration${toolNote("tor")}`,
  ignore: toolMissing("tor"),
  async fn(): Promise<void> {
    await using folder = await tempFolder();
    const torrc = (await text(`${SHARED}/tor/torrc`)).replace("/var/lib/tor", folder.path);
    const path = await folder.write("torrc", torrc);
    const { code, text: said } = await tool("tor", ["--verify-config", "-f", path]);
    assert.equal(code, 0, said);
  },
});

/** PgBouncer by the script of its image; as nobody, for it refuses to run as root. */
async function startPooler(env: Record<string, string>, port: number): Promise<AsyncDisposable> {
  const nobody = Deno.uid() === 0 ? { uid: 65534, gid: 65534 } : {};
  const child = new Deno.Command(rootPath(`${SHARED}/pgbouncer/start`), {
    env,
    ...nobody,
    stdout: "null",
    stderr: "null",
  }).spawn();
  await eventually("PgBouncer listens", () => listens(port));
  return {
    async [Symbol.asyncDispose](): Promise<void> {
      child.kill("SIGKILL");
      await child.status;
    },
  };
}
