// Metadata, coverage, service state and DVM jobs.
import assert from "node:assert/strict";
import fc from "fast-check";
import { z } from "zod";
import type { CoverageInterval } from "../../src/model/coverage.ts";
import { parseRelayUrl } from "../../src/model/relay_url.ts";
import type { Store } from "../../src/store/connect.ts";
import {
  type CoverageCursor,
  pageCoverage,
  readCoverage,
  replaceCoverage,
} from "../../src/store/coverage.ts";
import {
  cancelJobs,
  claimJobs,
  countJobs,
  deleteOldJobs,
  insertJob,
  markPublished,
  type NewJob,
  storeAnswer,
  unpublishedAnswers,
} from "../../src/store/dvm_jobs.ts";
import { maintain } from "../../src/store/maintain.ts";
import {
  contentHash,
  deleteExpiredMetadata,
  latestMetadata,
  putRelayMetadata,
} from "../../src/store/metadata.ts";
import { ensureRelay } from "../../src/store/relays.ts";
import { deleteState, getState, listStates, putState } from "../../src/store/service_state.ts";
import { anyText, hexOf } from "../support/arbitrary_events.ts";
import { storeTest } from "../support/store.ts";

async function relay(store: Store, name: string): Promise<number> {
  const url = parseRelayUrl(`wss://${name}.example.com`);
  assert.ok(url.ok);
  return await ensureRelay(store, url.value, { at: 1 });
}

const A_URL = parseRelayUrl("wss://a.example.com");
assert.ok(A_URL.ok);
const A = A_URL.value;

storeTest("a document that stays the same is confirmed, a new one is a change", async (store) => {
  const relayId = await relay(store, "a");
  const put = (data: unknown, generatedAt: number): Promise<{ changed: number }> =>
    putRelayMetadata(store, [{ relayId, type: "nip11", data, generatedAt }]);
  assert.deepEqual(await put({ name: "a", limits: { b: 1, a: 2 } }, 10), { changed: 1 });
  assert.deepEqual(await put({ limits: { a: 2, b: 1 }, name: "a" }, 20), { changed: 0 });
  const [same] = await latestMetadata(store, A);
  assert.deepEqual([same?.generatedAt, same?.confirmedAt], [10, 20]);
  assert.deepEqual(await put({ name: "b" }, 30), { changed: 1 });
  // Back to the first: a change in time, though the document is stored already.
  assert.deepEqual(await put({ name: "a", limits: { b: 1, a: 2 } }, 40), { changed: 1 });
  const [latest] = await latestMetadata(store, A);
  assert.deepEqual(
    [latest?.generatedAt, latest?.data, latest?.hash],
    [40, { name: "a", limits: { a: 2, b: 1 } }, same?.hash],
  );
  const [counts] = await store.run(
    "count",
    (sql) =>
      sql`select (select count(*) from metadata) as documents,
      (select count(*) from relay_metadata) as rows`,
  );
  assert.deepEqual({ ...counts }, { documents: 2, rows: 3 });
});

storeTest("documents of many relays and types in one call keep to themselves", async (store) => {
  const [a, b] = [await relay(store, "a"), await relay(store, "b")];
  const rows = [a, b].flatMap((relayId) =>
    ["nip11", "tls", "geo"].map((type) => ({ relayId, type, data: { same: true }, generatedAt: 5 }))
  );
  assert.deepEqual(await putRelayMetadata(store, [...rows, ...rows]), { changed: 6 });
  assert.deepEqual(await putRelayMetadata(store, rows), { changed: 0 });
  assert.deepEqual(await putRelayMetadata(store, []), { changed: 0 });
  assert.deepEqual((await latestMetadata(store, A)).map((row) => row.type), [
    "geo",
    "nip11",
    "tls",
  ]);
});

storeTest("any JSON document is stored, its NULs and lone surrogates replaced", async (store) => {
  const relayId = await relay(store, "a");
  let generatedAt = 10;
  const json = fc.letrec((tie) => ({
    value: fc.oneof(
      anyText,
      fc.double({ noNaN: true, noDefaultInfinity: true }),
      fc.boolean(),
      fc.constant(null),
      tie("list"),
      tie("object"),
    ),
    list: fc.array(tie("value"), { maxLength: 3 }),
    object: fc.dictionary(anyText, tie("value"), { maxKeys: 3 }),
  })).value;
  await fc.assert(
    fc.asyncProperty(json, async (data) => {
      generatedAt += 1;
      await putRelayMetadata(store, [{ relayId, type: "any", data, generatedAt }]);
      const [row] = await latestMetadata(store, A);
      assert.equal(row?.hash, contentHash(data).hash);
      assert.equal(contentHash(row?.data).hash, row?.hash);
    }),
    { numRuns: 60 },
  );
});

storeTest(
  "a document nested deeper than any stack is cut, and costs nobody a call",
  async (store) => {
    const relayId = await relay(store, "a");
    const depth = 50_000;
    const data: unknown = JSON.parse(`${"[".repeat(depth)}1${"]".repeat(depth)}`);
    await putRelayMetadata(store, [{ relayId, type: "nip11", data, generatedAt: 1 }]);
    const [row] = await latestMetadata(store, A);
    let levels = 0;
    for (let at = row?.data; Array.isArray(at); at = at[0]) levels += 1;
    assert.equal(levels, 64);
  },
);

storeTest("history expires, the latest document and what it needs do not", async (store) => {
  const relayId = await relay(store, "a");
  for (let i = 1; i <= 5; i++) {
    await putRelayMetadata(store, [{ relayId, type: "nip11", data: { i }, generatedAt: i * 10 }]);
  }
  assert.deepEqual(await deleteExpiredMetadata(store, { before: 35, newest: 9 }), {
    rows: 3,
    documents: 3,
  });
  assert.deepEqual(await deleteExpiredMetadata(store, { before: 999, newest: 9 }), {
    rows: 1,
    documents: 1,
  });
  assert.deepEqual(await deleteExpiredMetadata(store, { before: 999, newest: 9 }), {
    rows: 0,
    documents: 0,
  });
  assert.deepEqual((await latestMetadata(store, A)).map((row) => row.data), [{ i: 5 }]);
});

storeTest(
  "of a document that changes all the time the newest versions stay, by relay and type",
  async (store) => {
    const [a, b] = [await relay(store, "a"), await relay(store, "b")];
    for (
      const [relayId, type, versions] of [[a, "nip11", 9], [a, "dns", 5], [b, "nip11", 3]] as const
    ) {
      for (let at = 1; at <= versions; at++) {
        await putRelayMetadata(store, [{ relayId, type, data: { [type]: at }, generatedAt: at }]);
      }
    }
    const sweep = async (before: number, newest: number): Promise<number> =>
      (await deleteExpiredMetadata(store, { before, newest, limit: 6 })).rows;
    const left = (): Promise<unknown[]> =>
      store.run("left", async (sql) => [
        ...await sql`
          select r.url, m.type, string_agg(m.generated_at::text, ',' order by m.generated_at)
          from relay_metadata m join relay r on r.id = m.relay_id group by 1, 2 order by 1, 2`
          .values(),
      ]);
    // Three are too old, four too many: more than one batch.
    assert.deepEqual([await sweep(2, 4), await sweep(2, 4), await sweep(2, 4)], [6, 1, 0]);
    const [urlA, urlB] = ["wss://a.example.com/", "wss://b.example.com/"];
    assert.deepEqual(await left(), [
      [urlA, "dns", "2,3,4,5"],
      [urlA, "nip11", "6,7,8,9"],
      [urlB, "nip11", "2,3"],
    ]);
    assert.deepEqual([await sweep(0, 0), await sweep(0, 0)], [6, 1]);
    assert.deepEqual(await left(), [
      [urlA, "dns", "5"],
      [urlA, "nip11", "9"],
      [urlB, "nip11", "3"],
    ]);
  },
);

storeTest("a ledger is replaced whole, per relay and filter", async (store) => {
  const [a, b] = [await relay(store, "a"), await relay(store, "b")];
  const first: CoverageInterval[] = [
    { since: 0, until: 9, state: "closed", proof: "eose_empty", at: 100 },
    { since: 10, until: 19, state: "open", reason: "idle\0", at: 101 },
    { since: 20, until: 20, state: "gap", reason: "dense_second", missing: 1500, at: 102 },
  ];
  const second: CoverageInterval[] = [
    { since: 0, until: 19, state: "closed", proof: "reconciled", at: 200 },
    { since: 30, until: Number.MAX_SAFE_INTEGER, state: "open", at: 201 },
  ];
  await replaceCoverage(store, a, '{"kinds":[1]}', first);
  await replaceCoverage(store, a, "{}", second);
  await replaceCoverage(store, b, "{}", first);
  const cleaned = first.map((interval) =>
    interval.reason === "idle\0" ? { ...interval, reason: "idle\ufffd" } : interval
  );
  assert.deepEqual(await readCoverage(store, a, '{"kinds":[1]}'), cleaned);
  await replaceCoverage(store, a, '{"kinds":[1]}', second);
  assert.deepEqual(await readCoverage(store, a, '{"kinds":[1]}'), second);
  assert.deepEqual(await readCoverage(store, a, "{}"), second);
  assert.deepEqual(await readCoverage(store, b, "{}"), cleaned);
  assert.deepEqual(await readCoverage(store, b, "unknown"), []);

  const all: unknown[] = [];
  let after: CoverageCursor | undefined;
  do {
    const page = await pageCoverage(store, { limit: 2, ...(after === undefined ? {} : { after }) });
    all.push(...page.rows.map((row) => [row.relayId, row.filter, row.interval]));
    after = page.next;
  } while (after !== undefined);
  assert.equal(all.length, 7);
  const ofB = await pageCoverage(store, { relayId: b, limit: 100 });
  assert.deepEqual(ofB.rows.map((row) => row.interval), cleaned);
  await replaceCoverage(store, b, "{}", []);
  assert.deepEqual(await readCoverage(store, b, "{}"), []);
});

storeTest("state is put, read by its schema, listed and forgotten", async (store) => {
  const schema = z.object({ cursor: z.number() });
  assert.equal(await getState(store, "finder", "k", schema), undefined);
  await putState(store, "finder", "k", { cursor: 1 }, { at: 5 });
  await putState(store, "finder", "k", { cursor: 2, note: "a\0\ud800" }, { at: 6 });
  await putState(store, "monitor", "k", { cursor: 3 }, { at: 7 });
  assert.deepEqual(await getState(store, "finder", "k", schema), { cursor: 2 });
  assert.deepEqual(await listStates(store, "finder"), [
    { key: "k", value: { cursor: 2, note: "a\ufffd\ufffd" }, updatedAt: 6 },
  ]);
  await assert.rejects(
    getState(store, "finder", "k", z.object({ cursor: z.string() })),
    { name: "ZodError" },
  );
  assert.equal(await deleteState(store, "finder", "k"), true);
  assert.equal(await deleteState(store, "finder", "k"), false);
  assert.deepEqual((await listStates(store, "monitor")).length, 1);
});

function job(n: number, o: Partial<NewJob> = {}): NewJob {
  return {
    requestId: hexOf(n),
    kind: 5400,
    pubkey: hexOf(99),
    receivedAt: 100 + n,
    request: JSON.stringify({ n, text: "\0\ud800" }),
    ...o,
  };
}

storeTest("a request is taken once, and answered once over restarts", async (store) => {
  assert.equal(await insertJob(store, job(1, { relayUrl: A, expiresAt: 1000 })), true);
  assert.equal(await insertJob(store, job(1)), false);
  const claim = (at: number): ReturnType<typeof claimJobs> =>
    claimJobs(store, { limit: 9, at, leaseSeconds: 30 });
  assert.deepEqual(await claim(200), [
    { ...job(1, { relayUrl: A, expiresAt: 1000 }), state: "processing", attempts: 1 },
  ]);
  assert.deepEqual(await claim(200), []);
  // The process died; the lease runs out.
  assert.equal((await claim(230))[0]?.attempts, 2);
  const id = hexOf(1);
  assert.equal(await storeAnswer(store, id, { state: "answered", answer: "{}", at: 231 }), true);
  assert.equal(await storeAnswer(store, id, { state: "failed", answer: "[]", at: 232 }), false);
  assert.deepEqual(await claim(999), []);
  const [waiting] = await unpublishedAnswers(store, { limit: 5 });
  assert.deepEqual(waiting, {
    requestId: id,
    state: "answered",
    answer: "{}",
    answeredAt: 231,
    request: job(1).request,
    relayUrl: A,
  });
  await markPublished(store, id, { at: 240 });
  assert.deepEqual(await unpublishedAnswers(store, { limit: 5 }), []);
  assert.deepEqual(await countJobs(store), new Map([["answered", 1]]));
});

storeTest("jobs are worked on in the order of our clock; expired ones are ended", async (store) => {
  await insertJob(store, job(2));
  await insertJob(store, job(1));
  await insertJob(store, job(3, { expiresAt: 150 }));
  const claimed = await claimJobs(store, { limit: 9, at: 200, leaseSeconds: 30 });
  assert.deepEqual(claimed.map((each) => each.requestId), [hexOf(1), hexOf(2)]);
  assert.deepEqual(await countJobs(store), new Map([["expired", 1], ["processing", 2]]));
});

storeTest("only its customer cancels a job, and only before it is answered", async (store) => {
  for (const n of [1, 2, 3]) await insertJob(store, job(n));
  const requestIds = [hexOf(1), hexOf(3), hexOf(1), hexOf(77)];
  assert.deepEqual(await cancelJobs(store, { requestIds, pubkey: hexOf(5) }), []);
  const gone = await cancelJobs(store, { requestIds, pubkey: hexOf(99) });
  assert.deepEqual(gone.sort(), [hexOf(1), hexOf(3)].sort());
  const answer = { state: "answered", answer: "{}", at: 5 } as const;
  assert.equal(await storeAnswer(store, hexOf(1), answer), false);
  assert.equal(await storeAnswer(store, hexOf(2), answer), true);
  assert.deepEqual(await cancelJobs(store, { requestIds: [hexOf(2)], pubkey: hexOf(99) }), []);
});

storeTest("an answer is not out because of what went out before it", async (store) => {
  await insertJob(store, job(1));
  // Of a job that is paid late, when the error that said so has just left.
  await markPublished(store, hexOf(1), { at: 4 });
  await storeAnswer(store, hexOf(1), { state: "answered", answer: "{}", at: 5 });
  assert.equal((await unpublishedAnswers(store, { limit: 5 })).length, 1);
});

storeTest("old jobs are forgotten, but never one whose answer is not out", async (store) => {
  for (const n of [1, 2, 3]) await insertJob(store, job(n));
  for (const n of [1, 2]) {
    await storeAnswer(store, hexOf(n), { state: "answered", answer: "{}", at: 150 });
  }
  await markPublished(store, hexOf(1), { at: 151 });
  assert.equal(await deleteOldJobs(store, { before: 1000 }), 1);
  assert.deepEqual(await countJobs(store), new Map([["answered", 1], ["received", 1]]));
});

storeTest("maintenance changes no row and can be repeated", async (store) => {
  await putState(store, "t", "k", { n: 1 });
  await maintain(store);
  await maintain(store);
  assert.equal((await listStates(store, "t")).length, 1);
});
