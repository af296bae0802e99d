import assert from "node:assert/strict";
import { openStore, type Store } from "../../src/store/connect.ts";
import { makeCertificate } from "../relay/certificates.ts";
import {
  postgresMissing,
  postgresNote,
  PostgresServer,
  sharedPostgres,
} from "../support/postgres_server.ts";

function open(url: string, sslmode: string): Promise<Store> {
  const databaseUrl = `${url}?sslmode=${sslmode}`;
  return openStore({ dataDir: "/nonexistent", databaseUrl, pool: { max: 2 } });
}

async function isEncrypted(store: Store): Promise<boolean> {
  const [row] = await store.run(
    "tls",
    (sql) => sql<{ ssl: boolean }[]>`select ssl from pg_stat_ssl where pid = pg_backend_pid()`,
  );
  return row?.ssl === true;
}

/** Gives it a certificate that only the tests trust, and starts it anew. */
async function speakTls(server: PostgresServer): Promise<void> {
  const { cert, key } = makeCertificate("valid");
  await Deno.writeTextFile(`${server.dataDir}/server.crt`, cert);
  await Deno.writeTextFile(`${server.dataDir}/server.key`, key);
  await Deno.chmod(`${server.dataDir}/server.key`, 0o600);
  const { uid, gid } = await Deno.stat(server.dataDir);
  if (Deno.uid() === 0) await Deno.chown(`${server.dataDir}/server.key`, uid, gid);
  await Deno.writeTextFile(`${server.dataDir}/postgresql.auto.conf`, "ssl = on\n");
  await server.stop();
  await server.start();
}

Deno.test({
  name: `a connection with TLS that the server ended is noticed and replaced${postgresNote}`,
  ignore: postgresMissing,
  fn: async () => {
    await using server = await PostgresServer.create();
    await speakTls(server);
    for (const mode of ["require", "prefer"]) {
      await using store = await open(server.url(), mode);
      assert.ok(await isEncrypted(store), mode);
      await server.stop();
      await server.start();
      assert.ok(await isEncrypted(store), mode);
      // One that was given up has to be dropped, and nothing of it may stay.
      const signal = AbortSignal.timeout(100);
      await assert.rejects(store.run("slow", (sql) => sql`select pg_sleep(60)`, { signal }));
      assert.ok(await isEncrypted(store), mode);
    }
    await assert.rejects(open(server.url(), "verify-full"), /certificate|issuer/i);
  },
});

Deno.test({
  name: `a server without TLS is refused where it is asked for${postgresNote}`,
  ignore: postgresMissing,
  fn: async () => {
    const url = await sharedPostgres();
    await assert.rejects(open(url, "require"), /does not speak TLS/);
    await using store = await open(url, "prefer");
    assert.equal(await isEncrypted(store), false);
  },
});
