// The machine over real relays: one answer to each request, whatever happens to it, to the relays or
// to the process; and each defect that machines are known for.
import assert from "node:assert/strict";
import { verifyEvent } from "nostr-tools";
import { withSignal } from "../../src/lib/deadline.ts";
import { ok } from "../../src/lib/result.ts";
import { type NostrEvent, tagValue } from "../../src/model/event.ts";
import { CATALOGUE } from "../../src/queries/catalogue.ts";
import { eventStats } from "../../src/queries/event_stats.ts";
import type { Query } from "../../src/queries/query.ts";
import { claimJobs, countJobs, insertJob, storeAnswer } from "../../src/store/dvm_jobs.ts";
import { startIndependentRelay } from "../interop/nostr_relay.ts";
import { startHostileRelay } from "../relay/mod.ts";
import { forgeSig, signEvent } from "../support/events.ts";
import { storeTest } from "../support/store.ts";
import { eventually, within } from "../support/within.ts";
import { Customer, isTerminal, startMachine, statusOf } from "./machine.ts";
import { CUSTOMER, MACHINE, MACHINE_AUTHOR, nowSeconds, request } from "./support.ts";

/** The catalogue with a question that waits until it is let go, without holding the database. */
function gatedCatalogue(): { catalogue: Query[]; started: Promise<void>; open: () => void } {
  const gate = Promise.withResolvers<void>();
  const started = Promise.withResolvers<void>();
  const gated: Query = {
    ...eventStats,
    name: "gated",
    async ask(_store, _given, { signal }): ReturnType<Query["ask"]> {
      started.resolve();
      await withSignal(gate.promise, signal ?? new AbortController().signal);
      return ok({ rows: [{ n: 1 }] });
    },
  };
  return { catalogue: [gated, ...CATALOGUE], started: started.promise, open: gate.resolve };
}

storeTest("one request on several relays gets one answer, the same on each", async (store) => {
  await using one = await startIndependentRelay();
  await using two = await startHostileRelay();
  await using _machine = await startMachine(store, [one.url, two.url]);
  await using first = await Customer.at(one.url);
  await using second = await Customer.at(two.url);
  const job = request(5400, { content: "{}" });
  await Promise.all([first.send(job), second.send(job)]);
  const answers = [await first.answerTo(job), await second.answerTo(job)];
  assert.equal(answers[0]?.id, answers[1]?.id);
  const [done] = await store.run("test", (sql) => sql`select count(*) as n from dvm_job`);
  assert.equal(done?.n, 1);
  for (const customer of [first, second]) {
    assert.equal(customer.repliesTo(job).filter(isTerminal).length, 1);
  }
});

storeTest("a job from the future does not hold up the others", async (store) => {
  await using relay = await startHostileRelay();
  await using _machine = await startMachine(store, [relay.url]);
  await using customer = await Customer.at(relay.url);
  const future = request(5400, { content: "{}", createdAt: nowSeconds() + 86_400 * 3_650 });
  const now = request(5400, { content: "{}" });
  relay.inject(future);
  await customer.send(now);
  assert.equal((await customer.answerTo(now)).kind, 6400);
  assert.equal((await customer.answerTo(future)).kind, 6400);
});

storeTest("forged, expired and misaddressed requests get no word", async (store) => {
  await using relay = await startHostileRelay();
  await using machine = await startMachine(store, [relay.url]);
  await using customer = await Customer.at(relay.url);
  const ignored = [
    forgeSig(request(5400, { content: "[{}]" })),
    request(5400, { content: "{}", tags: [["expiration", String(nowSeconds() - 5)]] }),
    request(5400, { content: "{}", tags: [["p", CUSTOMER.pubkey]] }),
    request(5400, { content: "{}", createdAt: nowSeconds() - 86_400 }),
  ];
  for (const event of ignored) relay.inject(event);
  const last = request(5400, { content: "{}" });
  relay.inject(last);
  await customer.answerTo(last);
  for (const event of ignored) assert.deepEqual(customer.repliesTo(event), []);
  const { totals } = machine.dvm.status();
  assert.equal(totals.requests_forged, 1);
  assert.equal(totals.requests_expired, 1);
  assert.equal(totals.requests_addressed_to_others, 1);
  assert.equal(totals.requests_accepted, 1);
});

storeTest(
  "a restart in mid-job ends in one answer, and an answer that was not out goes out as it is",
  async (store) => {
    await using relay = await startIndependentRelay();
    await using customer = await Customer.at(relay.url);
    const now = nowSeconds();
    const job = (event: NostrEvent): Parameters<typeof insertJob>[1] => ({
      requestId: event.id,
      kind: event.kind,
      pubkey: event.pubkey,
      receivedAt: now - 100,
      request: JSON.stringify(event),
      relayUrl: relay.url,
    });
    // Claimed by a process that is gone, its lease over.
    const broken = request(5400, { content: "{}" });
    await insertJob(store, job(broken));
    await claimJobs(store, { limit: 1, at: now - 100, leaseSeconds: 10 });
    // Answered by a process that died before it could publish.
    const kept = request(5400, { content: "[{}]" });
    await insertJob(store, job(kept));
    const answer = signEvent(
      MACHINE_AUTHOR,
      {
        kind: 6400,
        created_at: now - 50,
        tags: [["e", kept.id], ["p", CUSTOMER.pubkey]],
        content: "42",
      },
    );
    await storeAnswer(store, kept.id, {
      state: "answered",
      answer: JSON.stringify(answer),
      at: now,
    });
    {
      await using _machine = await startMachine(store, [relay.url]);
      assert.equal((await customer.answerTo(broken)).kind, 6400);
      assert.deepEqual(await customer.answerTo(kept), answer);
      await untilPublished(2);
    }
    {
      await using _machine = await startMachine(store, [relay.url]);
      const another = request(5400, { content: "[{},{}]" });
      await customer.send(broken);
      await customer.send(another);
      await customer.answerTo(another);
      await untilPublished(3);
    }
    for (const event of [broken, kept]) {
      assert.equal(
        relay.events.filter((e) => tagValue(e, "e") === event.id && isTerminal(e)).length,
        1,
      );
    }

    function untilPublished(n: number): Promise<void> {
      return eventually(`${n} published answers`, async () => {
        const [row] = await store.run(
          "test",
          (sql) => sql`select count(*) as n from dvm_job where published_at is not null`,
        );
        return row?.n === n;
      });
    }
  },
);

storeTest("a job that its customer takes back in the middle is not answered", async (store) => {
  const { catalogue, started, open } = gatedCatalogue();
  // The independent relay keeps deletions to itself.
  await using relay = await startHostileRelay();
  await using machine = await startMachine(store, [relay.url], { catalogue });
  await using customer = await Customer.at(relay.url);
  const job = request(5410, { tags: [["param", "query", "gated"]] });
  await customer.send(job);
  await within("the work to start", started);
  await customer.send(request(5, { tags: [["e", job.id], ["k", "5410"]] }));
  await eventually("the cancellation", () => machine.dvm.status().totals.jobs_cancelled === 1);
  open();
  const next = request(5400, { content: "{}" });
  await customer.send(next);
  await customer.answerTo(next);
  assert.deepEqual(customer.repliesTo(job).filter(isTerminal), []);
  assert.equal((await countJobs(store)).get("cancelled"), 1);
});

storeTest("an answer that another process gave first is the only one", async (store) => {
  const { catalogue, started, open } = gatedCatalogue();
  await using relay = await startIndependentRelay();
  await using machine = await startMachine(store, [relay.url], { catalogue });
  await using customer = await Customer.at(relay.url);
  const job = request(5410, { tags: [["param", "query", "gated"]] });
  await customer.send(job);
  await within("the work to start", started);
  const first = signEvent(MACHINE_AUTHOR, {
    kind: 6410,
    created_at: nowSeconds(),
    tags: [["e", job.id], ["p", CUSTOMER.pubkey]],
    content: "[]",
  });
  await storeAnswer(store, job.id, {
    state: "answered",
    answer: JSON.stringify(first),
    at: nowSeconds(),
  });
  open();
  await eventually("the end of the job", () => machine.dvm.status().totals.jobs_answered === 1);
  const next = request(5400, { content: "{}" });
  await customer.send(next);
  await customer.answerTo(next);
  assert.deepEqual(customer.repliesTo(job).filter(isTerminal), []);
});

storeTest("a job that takes too long is told so", async (store) => {
  const { catalogue, open } = gatedCatalogue();
  await using relay = await startIndependentRelay();
  const sets = ["dvm.job_timeout=300ms"];
  await using _machine = await startMachine(store, [relay.url], { catalogue, sets });
  await using customer = await Customer.at(relay.url);
  const job = request(5410, { tags: [["param", "query", "gated"]] });
  await customer.send(job);
  const answer = await customer.answerTo(job);
  open();
  assert.match(statusOf(answer)[2] ?? "", /takes too long/);
});

storeTest("a flood is answered up to the quota and told off a few times", async (store) => {
  await using relay = await startHostileRelay();
  const sets = ["dvm.quota.per_pubkey_per_minute=10"];
  await using machine = await startMachine(store, [relay.url], { sets });
  await using customer = await Customer.at(relay.url);
  for (let i = 0; i < 60; i++) {
    relay.inject(request(5400, { content: "{}", tags: [["n", String(i)]] }));
  }
  const total = (name: string): number => machine.dvm.status().totals[name] ?? 0;
  await eventually("the flood", () => total("requests_flood") >= 40);
  const polite = request(5400, { content: "{}", tags: [["p", MACHINE.pubkey]] });
  relay.inject(polite);
  await eventually("ten answers", () => total("jobs_answered") >= 10);
  const { totals } = machine.dvm.status();
  assert.equal(totals.requests_accepted, 10);
  assert.equal(totals.requests_over_quota, 5);
  assert.equal(totals.jobs_refused, 5);
  assert.ok(customer.replies.length > 0);
});

storeTest("it announces itself once, and again only when something changed", async (store) => {
  await using relay = await startIndependentRelay();
  const announced = (): NostrEvent[] => relay.events.filter((event) => event.kind === 31_990);
  const announce = async (due: number, ...sets: string[]): Promise<void> => {
    await using machine = await startMachine(store, [relay.url], { sets });
    await eventually("the announcements", () => machine.dvm.status().totals.announcements === due);
  };
  await announce(3);
  // Where it listens, and who it is: clients look for both where they find a machine.
  const beside = (kind: number): NostrEvent | undefined =>
    relay.events.find((event) => event.kind === kind);
  assert.deepEqual(beside(10_002)?.tags, [["r", relay.url]]);
  assert.equal(JSON.parse(beside(0)?.content ?? "{}").name, "BigBrotr");
  const [first] = announced();
  assert.ok(first !== undefined && verifyEvent({ ...first }));
  {
    await using _machine = await startMachine(store, [relay.url]);
    await using customer = await Customer.at(relay.url);
    const job = request(5400, { content: "{}" });
    await customer.send(job);
    await customer.answerTo(job);
  }
  assert.deepEqual(announced(), [first]);
  // A replaceable event of the same second would lose or win by its id.
  await eventually("the next second", () => nowSeconds() > first.created_at);
  await announce(2, "identity.name=Another");
  assert.equal(JSON.parse(beside(0)?.content ?? "{}").name, "Another");
  assert.deepEqual(announced().map((event) => JSON.parse(event.content).name), ["Another"]);
});

Deno.test("without configured relays nothing is dialled, announced or published", async () => {
  // A store is not even asked: there is nothing to do.
  const store = {} as never;
  await using machine = await startMachine(store, []);
  await new Promise((resolve) => setTimeout(resolve, 20));
  assert.equal(machine.dvm.status().state, "waiting");
  assert.deepEqual(machine.dvm.status().totals, {});
});

storeTest("relays that come and go are followed, and their absence is told", async (store) => {
  const gone = await startIndependentRelay();
  const { port } = gone;
  await using machine = await startMachine(store, [gone.url]);
  assert.equal(machine.dvm.status().state, "waiting");
  await gone[Symbol.asyncDispose]();
  await eventually("its absence", () => machine.dvm.status().state === "failing");
  assert.ok(machine.dvm.status().lastError?.startsWith(gone.url));
  await using back = await startIndependentRelay({ port });
  await eventually("its return", () => machine.dvm.status().state === "waiting");
  await using customer = await Customer.at(back.url);
  const job = request(5400, { content: "{}" });
  await customer.send(job);
  assert.equal((await customer.answerTo(job)).kind, 6400);
});

storeTest("while it hears a relay it is well, however long nobody asks", async (store) => {
  await using relay = await startIndependentRelay();
  await using machine = await startMachine(store, [relay.url]);
  const first = machine.dvm.status().lastSuccessAt ?? 0;
  assert.ok(first > 0);
  await eventually("a later moment", () => (machine.dvm.status().lastSuccessAt ?? 0) > first);
  await relay[Symbol.asyncDispose]();
  await eventually("its absence", () => machine.dvm.status().state === "failing");
  const last = machine.dvm.status().lastSuccessAt ?? 0;
  await eventually("the next second", () => nowSeconds() > last + 1);
  assert.equal(machine.dvm.status().lastSuccessAt, last);
});

storeTest("what breaks the machine is told, and it begins again", async (store) => {
  await using relay = await startIndependentRelay();
  await using machine = await startMachine(store, [relay.url]);
  await using customer = await Customer.at(relay.url);
  await machine.verifier[Symbol.asyncDispose]();
  await customer.send(request(5400, { content: "{}" }));
  await eventually("the failure", () => machine.dvm.status().failures > 0);
  assert.equal(machine.dvm.status().state, "failing");
  assert.match(machine.dvm.status().lastError ?? "", /verifier|closed/i);
  // The same request comes again with the new session, and breaks it again.
  await eventually("the next failure", () => machine.dvm.status().failures > 1);
});
