// The database is killed in the middle of a turn and comes back: the turn waits for it, and ends with
// everything, once.
import assert from "node:assert/strict";
import { openStore, type StoreHealth } from "../../src/store/connect.ts";
import { migrate } from "../../src/store/migrate.ts";
import { type Behaviour, cap, startHostileRelay } from "../relay/mod.ts";
import { generateEvents, REGULAR_KINDS } from "../support/events.ts";
import { postgresMissing, postgresNote, PostgresServer } from "../support/postgres_server.ts";
import { tempFolder } from "../support/temp_folder.ts";
import { ALL_CLOSED, openArchive, words } from "../synchronizer/archive.ts";

const events = generateEvents(3_000, { kinds: REGULAR_KINDS });

Deno.test({
  name: `a turn outlives a kill -9 of the database, and counts nothing twice${postgresNote}`,
  ignore: postgresMissing || Deno.env.get("DATABASE_URL") !== undefined,
  fn: async () => {
    await using server = await PostgresServer.create({ fsync: true });
    await using folder = await tempFolder();
    const states: StoreHealth["state"][] = [];
    await using store = await openStore({
      dataDir: folder.path,
      databaseUrl: server.url(),
      unavailableTimeoutMs: 60_000,
      onStateChange: ({ state }) => states.push(state),
    });
    await migrate(store);
    let reqs = 0;
    let outage: Promise<void> | undefined;
    const crashes: Behaviour = {
      name: "the database is killed at the 20th request",
      handle: ({ type }) => {
        if (type === "REQ" && ++reqs === 20) outage = server.kill().then(() => server.start());
        return false;
      },
    };
    await using relay = await startHostileRelay({ events, behaviours: [crashes, cap(50)] });
    await using archive = await openArchive(store);
    let told = 0;
    const report = await archive.sync(relay.url, {
      onProgress: ({ newEvents }) => {
        told = newEvents;
      },
    }, { idleMs: 20_000 });
    await outage;
    assert.ok(reqs >= 20, `${reqs} requests`);
    assert.deepEqual(words(report.coverage), ALL_CLOSED);
    const [rows] = await store.run(
      "count",
      (sql) =>
        sql<{ events: number; sightings: number }[]>`select
        (select count(*)::int from event) as events,
        (select count(*)::int from event_relay) as sightings`,
    );
    assert.deepEqual({ ...rows }, { events: events.length, sightings: events.length });
    // A batch whose COMMIT was lost with the connection was in the database, or is written again:
    // what is reported is never more than there is.
    assert.ok(told <= events.length && report.newEvents === told, `${told} were reported`);
    assert.ok(states.includes("down") && states.at(-1) === "up", states.join(" "));
  },
});
