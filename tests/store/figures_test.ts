import assert from "node:assert/strict";
import { parseRelayUrl, type RelayUrl } from "../../src/model/relay_url.ts";
import { insertCandidates } from "../../src/store/candidates.ts";
import { replaceCoverage } from "../../src/store/coverage.ts";
import { writeBatch } from "../../src/store/events.ts";
import { type Figure, readFigures } from "../../src/store/figures.ts";
import { insertRelays, relaysByUrl } from "../../src/store/relays.ts";
import { refreshStatistics } from "../../src/store/statistics.ts";
import { generateEvents } from "../support/events.ts";
import { storeTest } from "../support/store.ts";

function url(name: string): RelayUrl {
  const parsed = parseRelayUrl(name);
  assert.ok(parsed.ok, name);
  return parsed.value;
}

const A = url("wss://a.example.com");
const B = url("wss://b.example.com");
const ONION = url(`ws://${"a".repeat(56)}.onion`);

/** Figures as "label/label" to value. */
function table<L extends string>(figures: readonly Figure<L>[]): Record<string, number> {
  return Object.fromEntries(figures.map(({ labels, value }) => [
    Object.values(labels).join("/"),
    value,
  ]));
}

storeTest("an empty database has figures, all of them nothing", async (store) => {
  const figures = await readFigures(store, { at: 1000 });
  assert.deepEqual(figures.relays, []);
  assert.deepEqual(figures.behindSeconds, []);
  assert.deepEqual([figures.events, figures.sightings, figures.uncountedRows], [0, 0, 0]);
  assert.ok(figures.databaseBytes > 100_000);
  const tables = table(figures.tableBytes);
  assert.ok((tables["event"] ?? 0) > 0 && (tables["relay"] ?? 0) > 0, JSON.stringify(tables));
});

storeTest("figures count relays, what is due, the ledger and its lag by network", async (store) => {
  await insertRelays(store, [A, B, ONION], { at: 1 });
  await insertCandidates(store, [
    { url: url("wss://c.example.com"), source: "test" },
    { url: url("wss://d.example.com"), source: "test" },
  ], { at: 5 });
  await store.run("settle", async (sql) => {
    await sql`update relay_status set state = 'online', next_check_at = 100, next_sync_at = 2000`;
    await sql`update candidate set next_attempt_at = 9999 where url like '%//d.%'`;
    await sql`update relay_status set state = 'dead', next_check_at = 5000
      where relay_id = (select id from relay where url = ${B})`;
  });
  const ids = await relaysByUrl(store, [A, ONION]);
  await replaceCoverage(store, ids.get(A) ?? 0, "{}", [
    { since: 0, until: 99, state: "gap", reason: "dense_second", at: 1 },
    { since: 100, until: 899, state: "closed", proof: "eose_empty", at: 1 },
  ]);
  const events = generateEvents(10, { seed: 1 });
  await writeBatch(store, {
    events,
    sightings: events.map(({ id }) => ({ eventId: id, relayId: ids.get(A) ?? 0, seenAt: 1 })),
  });
  const figures = await readFigures(store, { at: 1000 });
  assert.deepEqual(table(figures.relays), {
    "clearnet/dead": 1,
    "clearnet/online": 1,
    "tor/online": 1,
  });
  assert.deepEqual(table(figures.candidates), { "clearnet/pending": 2 });
  assert.deepEqual(table(figures.due), {
    "clearnet/check": 1,
    "tor/check": 1,
    "clearnet/sync": 0,
    "tor/sync": 0,
    "clearnet/try": 1,
  });
  assert.deepEqual(table(figures.spans), { "clearnet/closed": 1, "clearnet/gap": 1 });
  assert.deepEqual(table(figures.spanSeconds), { "clearnet/closed": 800, "clearnet/gap": 100 });
  assert.deepEqual(table(figures.gaps), { dense_second: 1 });
  assert.deepEqual(table(figures.uncovered), { clearnet: 0, tor: 1 });
  assert.deepEqual(table(figures.behindSeconds), { "clearnet/0.5": 101, "clearnet/0.95": 101 });
  assert.deepEqual([figures.events, figures.uncountedRows], [0, 20]);

  // What is followed live is archived, though nothing has proven it complete yet.
  await store.run("follow", async (sql) => {
    await sql`insert into relay_tail (relay_id, spans) values
      (${ids.get(A) ?? 0}, '[[10, 20], [890, 990]]'), (${ids.get(ONION) ?? 0}, '[]')`;
  });
  const followed = await readFigures(store, { at: 1000 });
  assert.deepEqual(table(followed.behindSeconds), { "clearnet/0.5": 10, "clearnet/0.95": 10 });

  await refreshStatistics(store, { maxRows: 1000 });
  const counted = await readFigures(store, { at: 1000 });
  assert.deepEqual([counted.events, counted.sightings, counted.uncountedRows], [10, 10, 0]);
});
