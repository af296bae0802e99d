// The disk fills up in the middle of a turn: the work stops with an error that says so, what was
// acknowledged is there, and with room again the rest is archived, nothing twice.
import assert from "node:assert/strict";
import { openStore, type Store } from "../../src/store/connect.ts";
import { DiskFull } from "../../src/store/errors.ts";
import { migrate } from "../../src/store/migrate.ts";
import { cap, type HostileRelay, startHostileRelay } from "../relay/mod.ts";
import { generateEvents, REGULAR_KINDS } from "../support/events.ts";
import {
  adminQuery,
  postgresMissing,
  postgresNote,
  PostgresServer,
} from "../support/postgres_server.ts";
import { smallDisk, smallDiskMissing, smallDiskNote } from "../support/small_disk.ts";
import { ALL_CLOSED, openArchive, words } from "../synchronizer/archive.ts";

const events = generateEvents(2_000, { kinds: REGULAR_KINDS, textLength: 6_000 });
const MEBIBYTE = 2 ** 20;
/** The relay is not silent, however busy the machine. */
const PATIENT = { idleMs: 20_000 };
/** Whom the test server runs as, when we are root. */
const NOBODY = 65534;

function relayWithAll(): Promise<HostileRelay> {
  return startHostileRelay({ events, behaviours: [cap(100)] });
}

/** A turn that ends by a full disk; what was committed before. */
async function untilFull(store: Store, relay: HostileRelay): Promise<number> {
  await using archive = await openArchive(store);
  let committed = 0;
  await assert.rejects(
    archive.sync(relay.url, {
      onProgress: ({ newEvents }) => {
        committed = newEvents;
      },
    }, PATIENT),
    (error) => {
      assert.ok(error instanceof DiskFull, String(error));
      assert.match(error.message, /disk .*is full/);
      return true;
    },
  );
  assert.equal(store.health().state, "down");
  return committed;
}

async function assertComplete(store: Store, relay: HostileRelay, before: number): Promise<void> {
  await using archive = await openArchive(store);
  const held = (): Promise<{ events: number; sightings: number } | undefined> =>
    store.run("count", async (sql) => {
      const [row] = await sql<{ events: number; sightings: number }[]>`select
        (select count(*)::int from event) as events,
        (select count(*)::int from event_relay) as sightings`;
      return row && { ...row };
    });
  const first = await held();
  assert.ok((first?.events ?? 0) >= before, "what was acknowledged is there");
  assert.equal(first?.events, first?.sightings);
  const report = await archive.sync(relay.url, {}, PATIENT);
  assert.equal(report.newEvents, events.length - (first?.events ?? 0));
  assert.deepEqual(words(report.coverage), ALL_CLOSED);
  assert.deepEqual(await held(), { events: events.length, sightings: events.length });
}

Deno.test({
  name: `the embedded database stops on a full disk, and goes on with room${smallDiskNote}`,
  ignore: smallDiskMissing,
  fn: async () => {
    await using disk = await smallDisk(160);
    await using relay = await relayWithAll();
    let before = 0;
    {
      await using store = await openStore({ dataDir: disk.path });
      await migrate(store);
      await disk.fill(3 * MEBIBYTE);
      before = await untilFull(store, relay);
      assert.ok(before > 0 && before < events.length, `${before} were archived`);
    }
    await assert.rejects(openStore({ dataDir: disk.path }), DiskFull);
    await disk.clear();
    await using store = await openStore({ dataDir: disk.path });
    await assertComplete(store, relay, before);
  },
});

Deno.test({
  name: "a server's tablespace on a full disk stops the work until there is room" +
    smallDiskNote + postgresNote,
  ignore: smallDiskMissing || postgresMissing || Deno.env.get("DATABASE_URL") !== undefined,
  fn: async () => {
    await using disk = await smallDisk(64, NOBODY);
    await using server = await PostgresServer.create();
    await using relay = await relayWithAll();
    await adminQuery(
      server.url(),
      `create tablespace small location '${disk.path}'`,
      "create database bigbrotr tablespace small",
    );
    const dataDir = await Deno.makeTempDir({ prefix: "bigbrotr-test-" });
    try {
      await using store = await openStore({ dataDir, databaseUrl: server.url("bigbrotr") });
      await migrate(store);
      await disk.fill(2 * MEBIBYTE);
      const before = await untilFull(store, relay);
      assert.ok(before > 0 && before < events.length, `${before} were archived`);
      await disk.clear();
      await assertComplete(store, relay, before);
      assert.equal(store.health().state, "up");
    } finally {
      await Deno.remove(dataDir, { recursive: true });
    }
  },
});
