import assert from "node:assert/strict";
import { parseRelayUrl, type RelayUrl } from "../../src/model/relay_url.ts";
import type { Store } from "../../src/store/connect.ts";
import {
  type CheckRow,
  claimRelaysForCheck,
  insertChecks,
  putReports,
  readReports,
} from "../../src/store/relay_checks.ts";
import { claimRelaysForSync, extendSync, releaseSync } from "../../src/store/relay_sync.ts";
import { insertRelays, relaysByUrl } from "../../src/store/relays.ts";
import { hexOf } from "../support/arbitrary_events.ts";
import { storeTest } from "../support/store.ts";

async function relays(store: Store, count: number): Promise<{ urls: RelayUrl[]; ids: number[] }> {
  const urls = Array.from({ length: count }, (_, i) => {
    const url = parseRelayUrl(`wss://r${String(i).padStart(3, "0")}.example.com`);
    assert.ok(url.ok);
    return url.value;
  });
  await insertRelays(store, urls, { at: 1 });
  const ids = await relaysByUrl(store, urls);
  return { urls, ids: urls.map((url) => ids.get(url) ?? 0) };
}

function check(relayId: number, o: Partial<CheckRow> = {}): CheckRow {
  return {
    relayId,
    checkedAt: 100,
    ok: true,
    rttOpenMs: 12,
    state: "online",
    failures: 0,
    nextCheckAt: 200,
    ...o,
  };
}

function claimAt(
  store: Store,
  at: number,
  o: { limit?: number; owner?: string } = {},
): ReturnType<typeof claimRelaysForCheck> {
  const { limit = 100, owner = "me" } = o;
  return claimRelaysForCheck(store, { limit, at, leaseSeconds: 60, networks: ["clearnet"], owner });
}

storeTest("a relay is due for a check at once, then when its last one said", async (store) => {
  const { ids: [id = 0], urls: [url] } = await relays(store, 1);
  assert.deepEqual(await claimAt(store, 50), [
    { id, url, network: "clearnet", state: "unknown", failures: 0, discoveredAt: 1 },
  ]);
  assert.deepEqual(await claimAt(store, 50), []);
  await insertChecks(store, [check(id)]);
  assert.deepEqual(await claimAt(store, 199), []);
  assert.deepEqual(await claimAt(store, 200), [
    {
      id,
      url,
      network: "clearnet",
      state: "online",
      failures: 0,
      discoveredAt: 1,
      checkedAt: 100,
      onlineAt: 100,
    },
  ]);
  await insertChecks(store, [
    check(id, {
      checkedAt: 210,
      ok: false,
      rttOpenMs: undefined,
      reason: "refused\0",
      detail: { phase: "tcp", "evil\0key": "\ud800" },
      state: "unreachable",
      failures: 1,
      nextCheckAt: 300,
    }),
  ]);
  const [claim] = await claimAt(store, 300);
  assert.deepEqual([claim?.state, claim?.failures, claim?.checkedAt, claim?.onlineAt], [
    "unreachable",
    1,
    210,
    100,
  ]);
  const rows = await store.run(
    "view",
    (sql) => sql`select * from relay_check_view order by checked_at`,
  );
  assert.deepEqual(
    rows.map(({ ok, reason, rtt_open_ms, detail }) => [ok, reason, rtt_open_ms, detail]),
    [
      [true, null, 12, null],
      [false, "refused\ufffd", null, { phase: "tcp", "evil\ufffdkey": "\ufffd" }],
    ],
  );
});

storeTest("the longest due relays come first, and a killed owner's come back", async (store) => {
  const { ids } = await relays(store, 5);
  await insertChecks(store, ids.map((id, i) => check(id, { nextCheckAt: 1000 - i })));
  assert.deepEqual((await claimAt(store, 998, { limit: 2 })).map((claim) => claim.id), [
    ids[4],
    ids[3],
  ]);
  assert.deepEqual((await claimAt(store, 998)).map((claim) => claim.id), [ids[2]]);
  assert.equal((await claimAt(store, 1000 + 60)).length, 5);
});

storeTest("owners at the same time check each relay once", async (store) => {
  await relays(store, 80);
  const claims = await Promise.all(
    Array.from({ length: 8 }, (_, i) => claimAt(store, 10, { limit: 10, owner: `o${i}` })),
  );
  const ids = claims.flat().map((claim) => claim.id);
  assert.equal(ids.length, 80);
  assert.equal(new Set(ids).size, 80);
});

storeTest("an older check that comes late does not turn the status back", async (store) => {
  const { ids: [id = 0] } = await relays(store, 1);
  await insertChecks(store, [check(id, { checkedAt: 300, state: "online" })]);
  await insertChecks(store, [check(id, { checkedAt: 250, ok: false, state: "dead", failures: 9 })]);
  const [row] = await store.run("view", (sql) => sql`select state, checked_at from relay_view`);
  assert.deepEqual({ ...row }, { state: "online", checked_at: 300 });
  // The same check twice is one row; one of a relay that is not there is left out.
  await insertChecks(store, [check(id, { checkedAt: 300 }), check(999_999)]);
  await insertChecks(store, []);
  const [count] = await store.run(
    "count",
    (sql) => sql<{ n: number }[]>`select count(*) as n from relay_check`,
  );
  assert.equal(count?.n, 2);
});

storeTest("published reports are remembered until the next one", async (store) => {
  const { ids: [id = 0] } = await relays(store, 1);
  const report = { relayId: id, contentHash: hexOf(1), eventId: hexOf(2), publishedAt: 5 };
  assert.equal((await readReports(store, [id])).size, 0);
  await putReports(store, [report]);
  await putReports(store, [{ ...report, eventId: hexOf(3), publishedAt: 9 }]);
  assert.deepEqual(
    await readReports(store, [id, 77]),
    new Map([
      [id, { ...report, eventId: hexOf(3), publishedAt: 9 }],
    ]),
  );
});

storeTest(
  "only relays online are claimed for synchronizing, unless others are asked for",
  async (store) => {
    const { ids } = await relays(store, 3);
    await insertChecks(store, [
      check(ids[0] ?? 0),
      check(ids[1] ?? 0, { ok: false, state: "dead", failures: 4 }),
    ]);
    const o = { limit: 9, at: 10, leaseSeconds: 60, networks: ["clearnet"], owner: "me" } as const;
    assert.deepEqual((await claimRelaysForSync(store, o)).map((claim) => claim.id), [ids[0]]);
    const others = await claimRelaysForSync(store, { ...o, states: ["unknown", "dead"] });
    assert.deepEqual(others.map((claim) => claim.state).sort(), ["dead", "unknown"]);
  },
);

storeTest("a lease is extended and released by its owner alone", async (store) => {
  const { ids: [id = 0] } = await relays(store, 1);
  await insertChecks(store, [check(id)]);
  const claim = (owner: string, at: number): ReturnType<typeof claimRelaysForSync> =>
    claimRelaysForSync(store, { limit: 9, at, leaseSeconds: 60, networks: ["clearnet"], owner });
  assert.equal((await claim("first", 100)).length, 1);
  assert.equal(await extendSync(store, id, { owner: "first", until: 500 }), true);
  assert.deepEqual(await claim("second", 200), []);
  // The first one is gone; its lease runs out and another takes over.
  assert.equal((await claim("second", 500)).length, 1);
  assert.equal(await extendSync(store, id, { owner: "first", until: 900 }), false);
  assert.equal(await releaseSync(store, id, { owner: "first", nextSyncAt: 0 }), false);
  assert.equal(await releaseSync(store, id, { owner: "second", nextSyncAt: 700 }), true);
  assert.deepEqual(await claim("third", 699), []);
  assert.deepEqual((await claim("third", 700)).map((each) => each.nextSyncAt), [700]);
});
