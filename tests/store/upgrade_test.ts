// Every schema that ever was, with data in it, becomes the newest one, and the data is what it was. Data
// is put into each of them by the functions that it had.
import assert from "node:assert/strict";
import { migrate, MIGRATIONS, schemaVersion } from "../../src/store/migrate.ts";
import type { Store } from "../../src/store/connect.ts";
import { readEvents, writeBatch } from "../../src/store/events.ts";
import { readEventStats, refreshStatistics } from "../../src/store/statistics.ts";
import { insertRelays, relaysByUrl } from "../../src/store/relays.ts";
import { parseRelayUrl, type RelayUrl } from "../../src/model/relay_url.ts";
import { generateEvents } from "../support/events.ts";
import { postgresMissing, postgresNote } from "../support/postgres_server.ts";
import { freshStore } from "../support/store.ts";

/** From here on the functions that write events and relays are there; before, tables alone. */
const FIRST_WITH_FUNCTIONS = 3;
const FIRST_WITH_JOBS = MIGRATIONS.findIndex(({ name }) => name === "0013_dvm") + 1;
const URLS = ["wss://one.example.com", "wss://two.example.com"].map(relayUrl);
const EVENTS = generateEvents(60, { seed: 12, oddShare: 0.3 });

Deno.test({
  name: `a database at any earlier version, with data in it, becomes the newest, data intact` +
    postgresNote,
  ignore: postgresMissing,
  fn: async (t) => {
    for (let version = 1; version < MIGRATIONS.length; version++) {
      const name = MIGRATIONS[version - 1]?.name;
      await t.step(`from ${version} (${name})`, async () => {
        await using own = await freshStore("postgres", { migrated: false });
        const { store } = own;
        const layout = { partitionEvents: 50, idPartitions: 2 };
        await migrate(store, { migrations: MIGRATIONS.slice(0, version), layout });
        assert.equal(await schemaVersion(store), version);
        const tables = await fill(store, version);
        const before = await rowsOf(store, tables);
        await migrate(store);
        assert.equal(await schemaVersion(store), MIGRATIONS.length);
        assertKept(await rowsOf(store, tables), before);
        await assertWorks(store, version);
      });
    }
  },
});

/** Puts into every table what that version could; says which tables have rows. */
async function fill(store: Store, version: number): Promise<string[]> {
  await store.run("fill", (sql) =>
    sql.unsafe(`
      insert into candidate (url, network, source, found_at, named_at, next_attempt_at)
        values ('wss://maybe.example.com', 'clearnet', 'seed', 1, 1, 1);
      insert into filter (hash, filter) values ('\\x01', '{}');
      insert into metadata (type, hash, data) values
        ('nip11', '\\x02', '{"name": "one", "software": "x", "supported_nips": [1, 11]}');
      insert into service_state values ('finder', 'cursor', '{"seq": 3}', 5)`));
  if (version >= FIRST_WITH_JOBS) {
    await store.run("fill", (sql) =>
      sql.unsafe(`
        insert into dvm_job (request_id, kind, pubkey, received_at, request)
          values ('\\x03', 5400, '\\x04', 7, '{}')`));
  }
  if (version < FIRST_WITH_FUNCTIONS) {
    await store.run("fill", (sql) =>
      sql.unsafe(`
        insert into relay (url, network, discovered_at)
          values ('${URLS[0]}', 'clearnet', 1), ('${URLS[1]}', 'clearnet', 2);
        insert into relay_status (relay_id) select id from relay`));
  } else {
    await insertRelays(store, URLS, { at: 1 });
    const ids = await relaysByUrl(store, URLS);
    const sightings = EVENTS.flatMap(({ id }, i) =>
      URLS.slice(0, 1 + i % 2).map((url) => ({
        eventId: id,
        relayId: ids.get(url) ?? 0,
        seenAt: 1_700_000_000 + i,
      }))
    );
    await writeEvents(store, sightings);
  }
  await store.run("fill", (sql) =>
    sql.unsafe(`
      insert into relay_check (relay_id, checked_at, ok, rtt_open_ms)
        select id, 100, true, 5 from relay;
      insert into relay_metadata select r.id, 'nip11', 100, m.id, 200 from relay r, metadata m;
      insert into relay_report select id, '\\x05', '\\x06', 9 from relay;
      insert into coverage (relay_id, filter_id, since, until, state, proof, updated_at)
        select r.id, f.id, 0, 50, 'closed', 'eose_empty', 9 from relay r, filter f`));
  const filled = await store.run("filled", (sql) =>
    sql<{ name: string }[]>`
      select relname as name from pg_class where relnamespace = 'public'::regnamespace
        and relkind in ('r', 'p') and not relispartition
        and relname !~ '^(stat_|schema_migration|archive)' order by 1`);
  const names = [];
  for (const { name } of filled) {
    const [row] = await store.run("any", (sql) => sql.unsafe(`select true from ${name} limit 1`));
    if (row !== undefined) names.push(name);
  }
  assert.ok(names.length >= 10, names.join());
  return names;
}

/** By the functions of that version; what tells of tags and texts is made in the program. */
async function writeEvents(
  store: Store,
  sightings: { eventId: string; relayId: number; seenAt: number }[],
): Promise<void> {
  const { newEvents } = await writeBatch(store, { events: EVENTS, sightings });
  assert.equal(newEvents, EVENTS.length);
}

type Rows = Record<string, Record<string, unknown>[]>;

function rowsOf(store: Store, tables: readonly string[]): Promise<Rows> {
  return store.run("rows", async (sql) => {
    const all: Rows = {};
    for (const name of tables) {
      const rows = await sql.unsafe(`select to_jsonb(t) as row from ${name} t order by t::text`);
      all[name] = rows.map(({ row }) => row);
    }
    return all;
  });
}

/** Each row is there still, in all the columns that it had; new columns may stand beside them. */
function assertKept(after: Rows, before: Rows): void {
  for (const [table, rows] of Object.entries(before)) {
    const columns = Object.keys(rows[0] ?? {});
    const cut = (after[table] ?? []).map((row) =>
      JSON.stringify(columns.map((column) => row[column]))
    );
    const wanted = rows.map((row) => JSON.stringify(columns.map((column) => row[column])));
    assert.deepEqual(cut.sort(), wanted.sort(), table);
  }
}

/** What is built over the rows counts those that were there before it. */
async function assertWorks(store: Store, version: number): Promise<void> {
  if (version < FIRST_WITH_FUNCTIONS) await writeEvents(store, []);
  for (;;) {
    const { behind } = await refreshStatistics(store, { maxRows: 1_000, at: 2_000_000_000 });
    if (behind === 0) break;
  }
  assert.equal((await readEventStats(store)).events, EVENTS.length);
  const { events } = await readEvents(store, { limit: 1_000 });
  assert.deepEqual(
    events.map(({ seq: _seq, ...event }) => event),
    EVENTS.toSorted((a, b) => b.created_at - a.created_at || (a.id < b.id ? -1 : 1)),
  );
}

function relayUrl(text: string): RelayUrl {
  const url = parseRelayUrl(text);
  assert.ok(url.ok);
  return url.value;
}
