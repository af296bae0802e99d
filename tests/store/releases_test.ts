import assert from "node:assert/strict";
import { parseRelayUrl, type RelayUrl } from "../../src/model/relay_url.ts";
import {
  claimCandidates,
  insertCandidates,
  postponeCandidates,
  releaseCandidates,
} from "../../src/store/candidates.ts";
import type { Store } from "../../src/store/connect.ts";
import {
  type CheckClaim,
  claimRelaysForCheck,
  insertChecks,
  onlineRelays,
  releaseChecks,
} from "../../src/store/relay_checks.ts";
import { insertRelays, relaysByUrl } from "../../src/store/relays.ts";
import { listStates, replaceState } from "../../src/store/service_state.ts";
import { storeTest } from "../support/store.ts";

const URLS = Array.from({ length: 4 }, (_, i) => relayUrl(`wss://r${i}.example.com`));

async function addRelays(store: Store): Promise<number[]> {
  await insertRelays(store, URLS, { at: 1 });
  const ids = await relaysByUrl(store, URLS);
  return URLS.map((url) => ids.get(url) ?? 0);
}

async function claim(store: Store, at: number, owner = "me"): Promise<CheckClaim[]> {
  return await claimRelaysForCheck(store, {
    limit: 100,
    at,
    leaseSeconds: 900,
    networks: ["clearnet"],
    owner,
  });
}

function ids(claims: readonly CheckClaim[]): number[] {
  return claims.map(({ id }) => id);
}

storeTest(
  "a released relay is due as it was, or when it was said, and not checked",
  async (store) => {
    const [a = 0, b = 0, c = 0, d = 0] = await addRelays(store);
    assert.deepEqual(ids(await claim(store, 100)), [a, b, c, d]);
    await releaseChecks(store, [{ relayId: a }, { relayId: b, nextCheckAt: 500 }], { owner: "me" });
    assert.deepEqual(await claim(store, 101), [
      { id: a, url: URLS[0], network: "clearnet", state: "unknown", failures: 0, discoveredAt: 1 },
    ]);
    assert.deepEqual(ids(await claim(store, 499)), []);
    assert.deepEqual(ids(await claim(store, 500)), [b]);
  },
);

storeTest("nobody releases what another has claimed", async (store) => {
  const [a = 0] = await addRelays(store);
  await claim(store, 100, "one");
  await releaseChecks(store, [{ relayId: a, nextCheckAt: 7 }], { owner: "two" });
  assert.deepEqual(ids(await claim(store, 101, "two")), []);
});

storeTest("of two checks in one second the one that found it alive counts", async (store) => {
  const [a = 0] = await addRelays(store);
  const alive = {
    relayId: a,
    checkedAt: 100,
    ok: true,
    rttOpenMs: 5,
    state: "online" as const,
    failures: 0,
    nextCheckAt: 200,
  };
  const failed = {
    relayId: a,
    checkedAt: 100,
    ok: false,
    reason: "timeout",
    state: "dead" as const,
    failures: 9,
    nextCheckAt: 150,
  };
  await insertChecks(store, [alive]);
  await insertChecks(store, [failed]);
  assert.deepEqual(await onlineRelays(store, { network: "clearnet", limit: 10 }), [URLS[0]]);
  await insertChecks(store, [{ ...failed, checkedAt: 101 }]);
  assert.deepEqual(await onlineRelays(store, { network: "clearnet", limit: 10 }), []);
});

storeTest("relays known to be online come latest first, of their network alone", async (store) => {
  const relayIds = await addRelays(store);
  const onion = relayUrl(`ws://${"a".repeat(56)}.onion`);
  await insertRelays(store, [onion], { at: 1 });
  const onionId = (await relaysByUrl(store, [onion])).get(onion) ?? 0;
  await insertChecks(
    store,
    [...relayIds.slice(0, 3), onionId].map((relayId, i) => ({
      relayId,
      checkedAt: 100 + i,
      ok: true,
      state: "online" as const,
      failures: i === 1 ? 1 : 0,
      nextCheckAt: 1_000,
    })),
  );
  const found = await onlineRelays(store, { network: "clearnet", limit: 10 });
  assert.deepEqual(found, [URLS[2], URLS[0]]);
  assert.deepEqual(await onlineRelays(store, { network: "clearnet", limit: 1 }), [URLS[2]]);
});

storeTest(
  "a released candidate keeps its count, and is due as it was or when said",
  async (store) => {
    const [a, b] = [relayUrl("wss://a.example.com"), relayUrl("wss://b.example.com")];
    const list = [a, b].map((url) => ({ url, source: "test" }));
    await insertCandidates(store, list, { at: 10 });
    const claimAt = async (at: number): Promise<[string, number][]> => {
      const claims = await claimCandidates(store, {
        limit: 10,
        at,
        leaseSeconds: 900,
        networks: ["clearnet"],
      });
      return claims.map(({ url, attempts }) => [url, attempts]);
    };
    await claimAt(10);
    await postponeCandidates(store, [
      { url: a, nextAttemptAt: 20, reason: "timeout", junk: false },
      { url: b, nextAttemptAt: 20, reason: "timeout", junk: false },
    ]);
    assert.deepEqual(await claimAt(20), [[a, 1], [b, 1]]);
    await releaseCandidates(store, [{ url: a }, { url: b, nextAttemptAt: 50 }]);
    assert.deepEqual(await claimAt(21), [[a, 1]]);
    assert.deepEqual(await claimAt(50), [[b, 1]]);
  },
);

storeTest("a remembered value is replaced by whoever saw the latest", async (store) => {
  const replace = (from: unknown, to: unknown): Promise<boolean> =>
    replaceState(store, "test", "key", { from, to, at: 5 });
  assert.equal(await replace({ a: 1 }, { a: 2 }), false, "nothing stands there yet");
  assert.equal(await replace(undefined, { a: 1, b: [null] }), true);
  assert.equal(await replace(undefined, { a: 9 }), false);
  assert.equal(await replace({ b: [null], a: 1 }, { a: 2 }), true);
  assert.equal(await replace({ b: [null], a: 1 }, { a: 3 }), false);
  const results = await Promise.all([3, 4, 5, 6].map((a) => replace({ a: 2 }, { a })));
  assert.equal(results.filter((done) => done).length, 1);
  const [row] = await listStates(store, "test");
  assert.deepEqual(row?.value, { a: 3 + results.indexOf(true) });
});

function relayUrl(text: string): RelayUrl {
  const url = parseRelayUrl(text);
  assert.ok(url.ok);
  return url.value;
}
