import assert from "node:assert/strict";
import type { CoverageInterval } from "../../src/model/coverage.ts";
import { coverageWords } from "../../src/model/coverage_words.ts";
import type { RelayUrl } from "../../src/model/relay_url.ts";
import { completeness } from "../../src/queries/completeness.ts";
import { coverage } from "../../src/queries/coverage.ts";
import type { Row } from "../../src/queries/query.ts";
import type { Store } from "../../src/store/connect.ts";
import { replaceCoverage } from "../../src/store/coverage.ts";
import { insertRelays, relaysByUrl } from "../../src/store/relays.ts";
import { OPEN_REASONS } from "../../src/synchronizer/reasons.ts";
import { storeTest } from "../support/store.ts";
import { allPages, WIDE } from "./archive.ts";

const ONE = "wss://one.example.com/" as RelayUrl;
const TWO = "wss://two.example.com/" as RelayUrl;
const closed = { state: "closed", at: 1 } as const;

storeTest("a relay's ledger is summed up in a row", async (store) => {
  await write(store, ONE, "{}", [
    { since: 0, until: 99, ...closed, proof: "eose_empty" },
    { since: 100, until: 100, state: "gap", reason: "dense_second", missing: 7, at: 1 },
    { since: 101, until: 199, ...closed, proof: "eose_empty" },
    { since: 200, until: 299, ...closed, proof: "reconciled" },
    { since: 300, until: 309, state: "open", reason: "idle", at: 1 },
    { since: 320, until: 329, state: "open", reason: "followed", at: 1 },
  ]);
  await write(store, ONE, '{"kinds":[1]}', [
    { since: 0, until: 9, state: "open", reason: "auth_required", at: 1 },
  ]);
  await store.run("tail", (sql) =>
    sql`insert into relay_tail (relay_id, filter, spans)
      select id, '{}', '[[320, 329], [340, 345]]' from relay where url = ${ONE}`);
  assert.deepEqual(await rows(store, { relay: "one.example.com" }), [
    {
      relay_url: ONE,
      filter: "{}",
      complete_since: 101,
      complete_until: 299,
      proofs: "eose_empty, reconciled",
      followed_until: 345,
      complete_seconds: 299,
      open_seconds: 20,
      open_reasons: "followed, idle",
      gaps: 1,
      missing: 7,
    },
    {
      relay_url: ONE,
      filter: '{"kinds":[1]}',
      complete_since: null,
      complete_until: null,
      proofs: null,
      followed_until: null,
      complete_seconds: 0,
      open_seconds: 10,
      open_reasons: "auth_required",
      gaps: 0,
      missing: 0,
    },
  ]);
});

storeTest("all relays come in pages, each ledger once", async (store) => {
  for (const url of [TWO, ONE]) {
    for (const filter of ["{}", '{"kinds":[1]}', '{"kinds":[7]}']) {
      await write(store, url, filter, [{ since: 0, until: 9, ...closed, proof: "eose_finish" }]);
    }
  }
  const { rows: found } = await allPages(store, completeness, {}, { limit: 2 });
  assert.deepEqual(found.map((row) => [row["relay_url"], row["filter"]]), [
    [ONE, "{}"],
    [ONE, '{"kinds":[1]}'],
    [ONE, '{"kinds":[7]}'],
    [TWO, "{}"],
    [TWO, '{"kinds":[1]}'],
    [TWO, '{"kinds":[7]}'],
  ]);
});

storeTest("every span says what it means", async (store) => {
  await write(store, ONE, "{}", [
    { since: 0, until: 99, ...closed, proof: "eose_finish" },
    { since: 100, until: 100, state: "gap", reason: "dense_second", missing: 7, at: 1 },
    { since: 101, until: 109, state: "open", reason: "rate_limited", at: 1 },
  ]);
  const found = await coverage.ask(store, { relay: ONE }, WIDE);
  assert.ok(found.ok);
  assert.deepEqual(found.value.rows.map((row) => row["meaning"]), [
    "not complete: the relay asked us to slow down",
    "not to be had: more events in one second than the relay gives in a page (7 are missing)",
    "complete: the relay said that it was all (NIP-67)",
  ]);
}, { kinds: ["pglite"] });

Deno.test("every reason of the ledger has its words", () => {
  for (const reason of OPEN_REASONS) {
    assert.notEqual(coverageWords({ state: "open", reason }), `not complete: ${reason}`);
  }
  assert.equal(coverageWords({ state: "open", reason: "later_word" }), "not complete: later_word");
});

async function rows(store: Store, given: Record<string, unknown>): Promise<Row[]> {
  const found = await completeness.ask(store, given, WIDE);
  assert.ok(found.ok, JSON.stringify(found));
  return found.value.rows;
}

async function write(
  store: Store,
  url: RelayUrl,
  filter: string,
  intervals: readonly CoverageInterval[],
): Promise<void> {
  await insertRelays(store, [url], { at: 1 });
  const id = (await relaysByUrl(store, [url])).get(url);
  assert.ok(id !== undefined);
  await replaceCoverage(store, id, filter, intervals);
}
