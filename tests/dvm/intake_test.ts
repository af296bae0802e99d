// The way in, over real stores and a real verifier: each defect that machines are known for.
import assert from "node:assert/strict";
import type { DvmBase } from "../../src/dvm/deps.ts";
import { Intake } from "../../src/dvm/intake.ts";
import { Quota } from "../../src/dvm/quota.ts";
import type { NostrEvent } from "../../src/model/event.ts";
import type { Store } from "../../src/store/connect.ts";
import { claimJobs, countJobs } from "../../src/store/dvm_jobs.ts";
import type { Verifier } from "../../src/verify/verifier.ts";
import { relayUrl } from "../queries/archive.ts";
import { forgeContent, forgeId, forgeSig, makeAuthor } from "../support/events.ts";
import { ManualClock } from "../support/manual_clock.ts";
import { storeTest } from "../support/store.ts";
import { baseOf, CUSTOMER, MACHINE, nowSeconds, request, testVerifier } from "./support.ts";

const RELAY = relayUrl("wss://one.example.com");
const OTHER_RELAY = relayUrl("wss://two.example.com");
const { signal } = new AbortController();

let verifier: Verifier;
Deno.test.beforeAll(async () => {
  verifier = await testVerifier();
});
Deno.test.afterAll(async () => await verifier[Symbol.asyncDispose]());

interface Door {
  base: DvmBase;
  intake: Intake;
  accepted: string[];
  refused: string[];
  cancelled: string[];
}

async function open(
  store: Store,
  options: { full?: boolean; perPubkey?: number; clock?: ManualClock } = {},
): Promise<Door> {
  const { clock } = options;
  const base = await baseOf(store, { verifier, ...(clock === undefined ? {} : { clock }) });
  const quota = new Quota({ perPubkey: options.perPubkey ?? 100, total: 1_000, refusals: 2 });
  const door: Omit<Door, "intake"> = { base, accepted: [], refused: [], cancelled: [] };
  const intake = new Intake(base, quota, {
    accepted: (id) => void door.accepted.push(id),
    isFull: () => options.full ?? false,
    refuse: (_event, _relay, text) => {
      door.refused.push(text);
      return Promise.resolve();
    },
    cancelled: (id) => void door.cancelled.push(id),
  });
  return { ...door, intake };
}

function take(door: Door, event: unknown, relay = RELAY): Promise<string> {
  return door.intake.take(event, relay, { signal });
}

storeTest(
  "a request becomes one job, by whatever relays it comes and after a restart too",
  async (store) => {
    const door = await open(store);
    const event = request(5400, { content: "{}" });
    assert.equal(await take(door, event), "accepted");
    assert.equal(await take(door, event, OTHER_RELAY), "duplicate");
    const restarted = await open(store);
    assert.equal(await take(restarted, event), "duplicate");
    assert.deepEqual(door.accepted, [event.id]);
    assert.deepEqual(restarted.accepted, []);
    assert.deepEqual(await countJobs(store), new Map([["received", 1]]));
  },
);

storeTest("the same request on several relays at the same time becomes one job", async (store) => {
  // It counts once against the quota, too.
  const door = await open(store, { perPubkey: 1 });
  const event = request(5410);
  const verdicts = await Promise.all(Array.from({ length: 5 }, () => take(door, event)));
  assert.deepEqual(verdicts.toSorted(), [
    "accepted",
    "duplicate",
    "duplicate",
    "duplicate",
    "duplicate",
  ]);
  assert.equal(door.accepted.length, 1);
  assert.deepEqual(door.refused, []);
});

storeTest("a forged request is dropped, and does not keep the real one out", async (store) => {
  const door = await open(store);
  const event = request(5400, { content: "{}" });
  for (
    const forged of [forgeId(event), forgeSig(event), { ...forgeContent(event), id: event.id }]
  ) {
    assert.equal(await take(door, forged), "forged");
  }
  assert.equal(await take(door, event), "accepted");
});

storeTest(
  "expired, stale and misaddressed requests are ignored, future ones are taken",
  async (store) => {
    const door = await open(store);
    const now = nowSeconds();
    const cases: [NostrEvent, string][] = [
      [request(5400, { tags: [["expiration", String(now - 1)]] }), "expired"],
      [request(5400, { tags: [["expiration", String(now + 60)]] }), "accepted"],
      [request(5400, { createdAt: now - 3_600 }), "stale"],
      [request(5400, { createdAt: now + 86_400 * 365 }), "accepted"],
      [request(5400, { tags: [["p", CUSTOMER.pubkey]] }), "addressed_to_others"],
      [request(5400, { tags: [["p", CUSTOMER.pubkey], ["p", MACHINE.pubkey]] }), "accepted"],
      [request(5050), "not_a_job"],
      [request(1), "not_a_job"],
    ];
    for (const [event, verdict] of cases) assert.equal(await take(door, event), verdict);
    assert.equal(door.accepted.length, 3);
  },
);

storeTest(
  "jobs are done in the order in which they came, whatever their dates say",
  async (store) => {
    const now = nowSeconds();
    const clock = new ManualClock(now * 1000);
    const door = await open(store, { clock });
    const came: string[] = [];
    for (const createdAt of [now + 1_000_000, now - 100, now + 50, now]) {
      const event = request(5400, { createdAt });
      assert.equal(await take(door, event), "accepted");
      came.push(event.id);
      await clock.advance(1_000);
    }
    const done: string[] = [];
    for (let i = 0; i < 4; i++) {
      const [job] = await claimJobs(store, { limit: 1, at: now + 10, leaseSeconds: 10 });
      done.push(job?.requestId ?? "");
    }
    assert.deepEqual(done, came);
  },
);

storeTest(
  "strangers' nonsense is malformed, without a look at signature or database",
  async (store) => {
    const door = await open(store);
    const event = request(5400);
    const nonsense: unknown[] = [
      null,
      "event",
      [],
      {},
      { ...event, id: 7 },
      { ...event, tags: [["p", 7]] },
      { ...event, content: "x".repeat(70_000) },
      { ...event, tags: Array(1_001).fill(["t"]) },
    ];
    for (const value of nonsense) assert.equal(await take(door, value), "malformed");
  },
);

storeTest("over quota a customer is told a few times and then met with silence", async (store) => {
  const door = await open(store, { perPubkey: 2 });
  const verdicts: string[] = [];
  for (let i = 0; i < 6; i++) {
    verdicts.push(await take(door, request(5400, { content: String(i) })));
  }
  assert.deepEqual(verdicts, [
    "accepted",
    "accepted",
    "over_quota",
    "over_quota",
    "flood",
    "flood",
  ]);
  assert.deepEqual(door.refused.length, 2);
  assert.match(door.refused[0] ?? "", /try again in a minute/);
  assert.equal(await take(door, request(5400, { author: makeAuthor(9, 3) })), "accepted");
});

storeTest("a full queue refuses with a word", async (store) => {
  const door = await open(store, { full: true });
  assert.equal(await take(door, request(5400)), "busy");
  assert.match(door.refused[0] ?? "", /Too busy/);
});

storeTest(
  "the customer, and nobody else, can take a job back, also before it arrives",
  async (store) => {
    const door = await open(store);
    const event = request(5400, { content: "{}" });
    const deletion = (id: string, author = CUSTOMER): NostrEvent =>
      request(5, { tags: [["e", id], ["k", "5400"]], author });
    await take(door, event);
    assert.equal(await take(door, deletion(event.id, makeAuthor(9, 3))), "deletion");
    assert.deepEqual(door.cancelled, []);
    assert.equal(await take(door, forgeSig(deletion(event.id))), "forged");
    assert.equal(await take(door, deletion(event.id)), "deletion");
    assert.deepEqual(door.cancelled, [event.id]);
    assert.deepEqual(await countJobs(store), new Map([["cancelled", 1]]));

    const late = request(5400, { content: "[]" });
    await take(door, deletion(late.id));
    assert.equal(await take(door, late), "cancelled");
  },
);
