// The whole process with the rights of a writer, its questions with those of a reader, behind a schema
// that its owner made: as the deployments run it.
import assert from "node:assert/strict";
import { startIndependentRelay } from "../interop/nostr_relay.ts";
import { runCommand, startChild } from "../support/child.ts";
import { databaseUsers } from "../support/database_users.ts";
import { generateEvents } from "../support/events.ts";
import {
  adminQuery,
  freePort,
  postgresMissing,
  postgresNote,
  sharedPostgres,
} from "../support/postgres_server.ts";
import { tempFolder } from "../support/temp_folder.ts";

const PATIENCE_MS = 90_000;

Deno.test({
  name: `a writer runs every stage, and a reader answers, after the owner migrated${postgresNote}`,
  ignore: postgresMissing,
  fn: async () => {
    await using users = await databaseUsers(await sharedPostgres());
    await using folder = await tempFolder();
    const events = generateEvents(150, { seed: 14 });
    await using relay = await startIndependentRelay({ events });
    const asWriter = { DATABASE_URL: users.writer.url };

    const early = await runCommand(["run", "--once", "--data", folder.path], asWriter);
    assert.equal(early.code, 1);
    assert.match(early.stderr, /run "bigbrotr migrate" as its owner/);
    // Nor does a question make a schema, even by a user who could.
    for (const words of [["query", "event_stats"], ["status"]]) {
      const asked = await runCommand([...words, "--data", folder.path], {
        DATABASE_URL: users.owner.url,
      });
      assert.equal(asked.code, 1);
      assert.match(asked.stderr, /schema is at version 0, .* "bigbrotr migrate" changes that/);
    }

    const granted = await runCommand(
      ["migrate", "--writer", users.writer.name, "--reader", users.reader.name, "--json"],
      { DATABASE_URL: users.owner.url },
    );
    assert.equal(granted.code, 0, granted.stderr);
    assert.equal(JSON.parse(granted.stdout).users.length, 2);

    const port = await freePort();
    await folder.write("seeds.txt", `${relay.url}\n`);
    const config = await folder.write(
      "bigbrotr.yaml",
      JSON.stringify({
        networks: { local: { enabled: true } },
        seeder: { file: `${folder.path}/seeds.txt` },
        finder: { interval: "1s", lists: [] },
        validator: { interval: "1s" },
        monitor: { interval: "1s", publish: { relays: [relay.url] } },
        synchronizer: { interval: "1s", settle: "0s" },
        refresher: { interval: "1s" },
        dvm: { relays: [relay.url] },
        store: {
          figures_interval: "1s",
          cleanup_interval: "1s",
          delete_orphans: true,
          retention: [{ kinds: [21_000], older_than: "1h" }],
        },
      }),
    );
    await using child = startChild({
      config,
      dataDir: `${folder.path}/data`,
      port,
      env: { ...asWriter, DATABASE_READER_URL: users.reader.url },
    });
    const endMs = performance.now() + PATIENCE_MS;
    for (;;) {
      const page = await child.get("/v1/event_stats") as { rows: { events: number }[] } | undefined;
      // The relay also has what was published to it.
      if ((page?.rows[0]?.events ?? 0) >= events.length) break;
      if (performance.now() > endMs) assert.fail(child.log.join("\n"));
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
    const sessions = await adminQuery(
      users.admin,
      `select distinct usename from pg_stat_activity where datname = current_database()
       and usename like 'bb_%' order by 1`,
    );
    assert.deepEqual(
      sessions.map(({ usename }) => usename),
      [users.reader.name, users.writer.name],
    );
    // What an operator types in the same shell: the writer's and the reader's URL are all it has.
    const both = { ...asWriter, DATABASE_READER_URL: users.reader.url };
    const out = `${folder.path}/archive.jsonl`;
    for (
      const words of [
        ["status"],
        ["query", "event_stats"],
        ["sync", relay.url, "--set", "networks.local.enabled=true"],
        ["export", "--out", out, "--with-sightings"],
        ["import", out.replace(".jsonl", ".manifest.json")],
      ]
    ) {
      const done = await runCommand([...words, "--data", folder.path], both);
      assert.equal(done.code, 0, `${words[0]}: ${done.stderr}`);
    }
    const metrics = (await child.ask("/metrics"))?.text ?? "";
    assert.match(metrics, /bigbrotr_store_up\{store="reader"\} 1/);
    const { code } = await child.stop();
    assert.equal(code, 0);
    const said = child.log.join("\n");
    assert.doesNotMatch(said, /permission denied|must be owner|read-only/, said);
  },
});
