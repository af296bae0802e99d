// Invoices that are not paid, or not in time: what the customer hears, and that money which came all
// the same is worked for.
import assert from "node:assert/strict";
import type { NostrEvent } from "../../src/model/event.ts";
import type { Store } from "../../src/store/connect.ts";
import { countJobs } from "../../src/store/dvm_jobs.ts";
import { storeTest } from "../support/store.ts";
import { eventually } from "../support/within.ts";
import { isTerminal, type RunningMachine } from "./machine.ts";
import { billFor, invoiceOf, openShop, type Shop } from "./shop.ts";
import { nowSeconds, request } from "./support.ts";

function untilUnpaid(store: Store, n: number, machine: RunningMachine): Promise<void> {
  return eventually(
    () => `${n} unpaid jobs: ${JSON.stringify(machine.dvm.status().totals)}`,
    async () => ((await countJobs(store)).get("unpaid") ?? 0) === n,
  );
}

storeTest("an invoice that nobody pays ends in one error", async (store) => {
  await using shop = await openShop(store);
  const { customer, wallet } = shop;
  const job = request(5400, { content: "{}" });
  await customer.send(job);
  await billFor(customer, job);
  // While the wallet is away, nobody can say that it was not paid.
  wallet.faults = { silent: true };
  await store.run(
    "test",
    (sql) =>
      sql`update dvm_job set invoice_expires_at = ${nowSeconds() - 100}::bigint, look_at = 0`,
  );
  await eventually("a look in vain", () => wallet.asked.length >= 3);
  assert.deepEqual(customer.repliesTo(job).filter(isTerminal), []);
  wallet.faults = {};
  await store.run("test", (sql) => sql`update dvm_job set look_at = 0`);
  const answer = await customer.answerTo(job);
  assert.match(answer.content, /not paid in time/);
  assert.equal(customer.repliesTo(job).filter(isTerminal).length, 1);
}, { kinds: ["pglite"] });

storeTest("unpaid jobs are bounded, and a deleted one makes room", async (store) => {
  // The independent relay keeps deletions to itself.
  const sets = ["dvm.payment.max_unpaid_per_pubkey=2"];
  await using shop = await openShop(store, { sets, hostile: true });
  const { customer } = shop;
  const jobs = ["{}", "[{}]", "[{},{}]"].map((content) => request(5400, { content }));
  for (const job of jobs.slice(0, 2)) {
    await customer.send(job);
    await billFor(customer, job);
  }
  const [first, , third] = jobs;
  assert.ok(first && third);
  await customer.send(third);
  assert.match((await customer.answerTo(third)).content, /2 jobs that wait for payment/);
  await customer.send(request(5, { tags: [["e", first.id], ["k", "5400"]] }));
  await untilUnpaid(store, 1, shop.machine);
  const again = request(5400, { content: "[{},{},{}]" });
  await customer.send(again);
  await billFor(customer, again);
}, { kinds: ["pglite"] });

/** Moves an invoice's end, and has it looked at now. */
function moveEnd(store: Store, job: NostrEvent, endedSecondsAgo: number): Promise<void> {
  return store.run("test", async (sql) => {
    await sql`update dvm_job set look_at = 0,
      invoice_expires_at = ${nowSeconds() - endedSecondsAgo}::bigint
      where request_id = decode(${job.id}, 'hex')`;
  });
}

/** When its invoice is looked at next, in seconds after the invoice's end; null for never. */
async function nextLook(store: Store, job: NostrEvent): Promise<number | null | undefined> {
  const [row] = await store.run(
    "test",
    (sql) =>
      sql<{ after: number | null }[]>`select look_at - invoice_expires_at as after from dvm_job
        where request_id = decode(${job.id}, 'hex')`,
  );
  return row?.after;
}

function paidLate({ machine }: Shop): Promise<void> {
  const totals = (): Record<string, number> => machine.dvm.status().totals;
  return eventually(
    () => `a late payment to be counted: ${JSON.stringify(totals())}`,
    () => totals().jobs_paid_late === 1,
  );
}

storeTest("a payment that comes after the end is worked for all the same", async (store) => {
  await using shop = await openShop(store);
  const { customer, wallet } = shop;
  const job = request(5400, { content: "{}" });
  await customer.send(job);
  const invoice = invoiceOf(await billFor(customer, job));
  await moveEnd(store, job, 100);
  assert.match((await customer.answerTo(job)).content, /not paid in time.*still counts/);
  wallet.pay(invoice);
  await moveEnd(store, job, 100);
  await paidLate(shop);
  const isResult = ({ kind }: NostrEvent): boolean => kind === 6400;
  await eventually("the result", () => customer.repliesTo(job).some(isResult));
  assert.equal(customer.repliesTo(job).filter(isTerminal).length, 2);
  assert.deepEqual(await countJobs(store), new Map([["answered", 1]]));
  assert.equal(await nextLook(store, job), null);
}, { kinds: ["pglite"] });

storeTest("a job that was cancelled is done when its invoice is paid", async (store) => {
  // The independent relay keeps deletions to itself.
  await using shop = await openShop(store, { hostile: true });
  const { customer, wallet, machine } = shop;
  const job = request(5400, { content: "{}" });
  await customer.send(job);
  const invoice = invoiceOf(await billFor(customer, job));
  await customer.send(request(5, { tags: [["e", job.id], ["k", "5400"]] }));
  await eventually("the cancellation", () => machine.dvm.status().totals.jobs_cancelled === 1);
  wallet.pay(invoice);
  await moveEnd(store, job, -600);
  await paidLate(shop);
  assert.equal((await customer.answerTo(job)).kind, 6400);
});

storeTest(
  "an invoice that is over is looked at a few times more, and then no more",
  async (store) => {
    await using shop = await openShop(store);
    const { customer } = shop;
    const job = request(5400, { content: "{}" });
    await customer.send(job);
    await billFor(customer, job);
    const looks: [endedSecondsAgo: number, nextAfter: number | null][] = [
      [100, 600],
      [700, 7_200],
      [8_000, 86_400],
      [90_000, null],
    ];
    for (const [endedSecondsAgo, nextAfter] of looks) {
      await moveEnd(store, job, endedSecondsAgo);
      await eventually(
        () => `the look after ${endedSecondsAgo} s`,
        async () => await nextLook(store, job) === nextAfter,
      );
    }
    // Told once.
    assert.equal(customer.repliesTo(job).filter(isTerminal).length, 1);
  },
  { kinds: ["pglite"] },
);

storeTest(
  "what is paid for and can't be answered is told to the customer and counted",
  async (store) => {
    // A request this long leaves no room for an answer beside it.
    await using shop = await openShop(store, { sets: ["dvm.max_result_size=4KiB"] });
    const { customer, wallet, machine } = shop;
    const job = request(5400, { content: "{}", tags: [["client", "x".repeat(4_000)]] });
    await customer.send(job);
    wallet.pay(invoiceOf(await billFor(customer, job)));
    const answer = await customer.answerTo(job);
    assert.match(answer.content, /too large.*It is paid for: tell the operator/);
    assert.equal(machine.dvm.status().totals.jobs_paid_unanswered, 1);
  },
  { kinds: ["pglite"] },
);
