import assert from "node:assert/strict";
import { parseRelayUrl, type RelayUrl } from "../../src/model/relay_url.ts";
import {
  claimCandidates,
  countCandidates,
  deleteForgottenCandidates,
  insertCandidates,
  postponeCandidates,
  promoteCandidates,
} from "../../src/store/candidates.ts";
import { countRelays, ensureRelay, insertRelays, pageRelays } from "../../src/store/relays.ts";
import { storeTest } from "../support/store.ts";

const NETWORKS = ["clearnet", "tor"] as const;

function url(name: string): RelayUrl {
  const parsed = parseRelayUrl(name);
  assert.ok(parsed.ok, name);
  return parsed.value;
}

const A = url("wss://a.example.com");
const B = url("wss://b.example.com");
const C = url("wss://c.example.com");
const ONION = url(`ws://${"a".repeat(56)}.onion`);

function named(...urls: RelayUrl[]): { url: RelayUrl; source: string }[] {
  return urls.map((each) => ({ url: each, source: "test\0" }));
}

storeTest("a candidate is inserted once, and not when it is a relay", async (store) => {
  await insertRelays(store, [C], { at: 1 });
  assert.equal(await insertCandidates(store, named(A, B, A, C, ONION), { at: 10 }), 3);
  assert.equal(await insertCandidates(store, named(A, B), { at: 11 }), 0);
  assert.equal(await insertCandidates(store, [], { at: 11 }), 0);
  assert.deepEqual(await countCandidates(store, { at: 11 }), { pending: 3, due: 3, junk: 0 });
});

storeTest("due candidates are claimed longest due first, by one claimer each", async (store) => {
  await insertCandidates(store, named(A), { at: 10 });
  await insertCandidates(store, named(B, ONION), { at: 5 });
  const claim = (at: number, limit: number): ReturnType<typeof claimCandidates> =>
    claimCandidates(store, { at, limit, leaseSeconds: 60, networks: NETWORKS });
  assert.deepEqual(await claim(4, 9), []);
  const first = await claim(20, 2);
  assert.deepEqual(first.map((each) => each.url), [ONION, B].sort());
  assert.deepEqual((await claim(20, 9)).map((each) => each.url), [A]);
  assert.deepEqual(await claim(20, 9), []);
  // Leases expire: a claimer that was killed does not keep its candidates.
  assert.equal((await claim(80, 9)).length, 3);
  const onlyTor = await claimCandidates(store, {
    at: 200,
    limit: 9,
    leaseSeconds: 1,
    networks: ["tor"],
  });
  assert.deepEqual(onlyTor.map((each) => each.url), [ONION]);
});

storeTest("claimers at the same time share the candidates without overlap", async (store) => {
  const urls = Array.from({ length: 60 }, (_, i) => url(`wss://r${i}.example.com`));
  await insertCandidates(store, named(...urls), { at: 1 });
  const claims = await Promise.all(
    Array.from(
      { length: 6 },
      () => claimCandidates(store, { at: 2, limit: 10, leaseSeconds: 60, networks: NETWORKS }),
    ),
  );
  const all = claims.flat().map((each) => each.url);
  assert.equal(new Set(all).size, all.length);
  assert.deepEqual(all.toSorted(), urls.toSorted());
});

storeTest("a failed candidate waits, and counts its tries", async (store) => {
  await insertCandidates(store, named(A), { at: 1 });
  const claim = (at: number): ReturnType<typeof claimCandidates> =>
    claimCandidates(store, { at, limit: 9, leaseSeconds: 60, networks: NETWORKS });
  await claim(2);
  const row = { url: A, nextAttemptAt: 50, reason: "refused\0", junk: false };
  assert.equal(await postponeCandidates(store, [row]), 1);
  assert.deepEqual(await claim(49), []);
  assert.deepEqual(await claim(50), [{ url: A, attempts: 1 }]);
});

storeTest(
  "junk is not revived by the next list, and forgotten when no list names it",
  async (store) => {
    await insertCandidates(store, named(A, B), { at: 1 });
    const junk = (each: RelayUrl): Parameters<typeof postponeCandidates>[1][number] => ({
      url: each,
      nextAttemptAt: 1_000_000,
      reason: "not a relay",
      junk: true,
    });
    await postponeCandidates(store, [junk(A), junk(B)]);
    assert.equal(await insertCandidates(store, named(A), { at: 10_000 }), 0);
    assert.deepEqual(await countCandidates(store, { at: 10_000 }), { pending: 0, due: 0, junk: 2 });
    // A was named again at 10,000; B was not.
    assert.equal(await deleteForgottenCandidates(store, { before: 5000 }), 1);
    assert.equal(await insertCandidates(store, named(A, B), { at: 20_000 }), 1);
  },
);

storeTest(
  "a promoted candidate is a relay that is due, and no candidate any more",
  async (store) => {
    await insertCandidates(store, named(A, ONION), { at: 1 });
    assert.equal(await promoteCandidates(store, [A, ONION], { at: 7 }), 2);
    assert.equal(await promoteCandidates(store, [A, B], { at: 8 }), 1);
    assert.deepEqual(await countCandidates(store, { at: 9 }), { pending: 0, due: 0, junk: 0 });
    const relays = await pageRelays(store, { limit: 10 });
    assert.deepEqual(
      relays.map(({ url: each, network, discoveredAt }) => [each, network, discoveredAt]).sort(),
      [[A, "clearnet", 7], [B, "clearnet", 8], [ONION, "tor", 7]].sort(),
    );
    assert.deepEqual(await countRelays(store), [
      { network: "clearnet", state: "unknown", relays: 2 },
      { network: "tor", state: "unknown", relays: 1 },
    ]);
  },
);

storeTest("known relays don't burn ids, and pages follow them", async (store) => {
  const urls = Array.from({ length: 25 }, (_, i) => url(`wss://r${i}.example.com`));
  assert.equal(await insertRelays(store, urls, { at: 1 }), 25);
  for (let i = 0; i < 3; i++) assert.equal(await insertRelays(store, urls, { at: 2 }), 0);
  const id = await ensureRelay(store, A, { at: 3 });
  assert.equal(id, 26);
  assert.equal(await ensureRelay(store, A, { at: 4 }), id);
  const seen: number[] = [];
  for (let afterId = 0;;) {
    const page = await pageRelays(store, { afterId, limit: 10 });
    if (page.length === 0) break;
    seen.push(...page.map((relay) => relay.id));
    afterId = page.at(-1)?.id ?? afterId;
  }
  assert.deepEqual(seen, Array.from({ length: 26 }, (_, i) => i + 1));
});
