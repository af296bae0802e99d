// Jobs that cost something, with a wallet that none of our code wrote, over a real relay: paid before
// the work, charged once, and never lost, whatever the wallet does.
import assert from "node:assert/strict";
import { type NostrEvent, tagValue } from "../../src/model/event.ts";
import { buildEncryptedJobRequest } from "../../src/nostr/nip90_customer.ts";
import { localSigner } from "../../src/nostr/signer.ts";
import { startIndependentRelay } from "../interop/nostr_relay.ts";
import { storeTest } from "../support/store.ts";
import { eventually } from "../support/within.ts";
import { Customer, isTerminal, startMachine, statusOf } from "./machine.ts";
import { billFor, invoiceOf, openShop, PRICE, SETS } from "./shop.ts";
import { CUSTOMER, MACHINE, nowSeconds, request } from "./support.ts";
import { startWallet, type WalletFaults, walletKeys } from "./wallet_service.ts";

for (const encryption of ["nip44", "nip04"] as const) {
  storeTest(
    `a job is paid before it is done, by a wallet that speaks ${encryption}`,
    async (store) => {
      await using shop = await openShop(store, { encryption });
      const { customer, wallet } = shop;
      const job = request(5400, { content: "{}" });
      await customer.send(job);
      const bill = await billFor(customer, job);
      assert.equal(statusOf(bill)[1], "payment-required");
      assert.ok(Number(tagValue(bill, "expiration")) > nowSeconds());
      // The wallet is asked, and asked again; nothing is done before it shows the preimage.
      await eventually("two looks", () => wallet.asked.length >= 3);
      assert.deepEqual(customer.repliesTo(job).map((reply) => tagValue(reply, "status")), [
        "payment-required",
      ]);
      wallet.pay(invoiceOf(bill));
      const answer = await customer.answerTo(job);
      assert.equal(answer.kind, 6400);
      // It is paid: nothing is due any more.
      assert.equal(tagValue(answer, "amount"), undefined);
      assert.deepEqual(
        customer.repliesTo(job).map((reply) => tagValue(reply, "status")),
        ["payment-required", "processing", "success"],
      );
      assert.throws(() => wallet.pay(invoiceOf(bill)), /already paid/);
      assert.equal(wallet.asked.filter((method) => method === "make_invoice").length, 1);
    },
    { kinds: ["pglite"] },
  );
}

storeTest("a free question stays free beside others that cost", async (store) => {
  await using shop = await openShop(store, { sets: ['dvm.prices.questions={"event_stats": 0}'] });
  const { customer, wallet } = shop;
  const job = request(5410, { tags: [["param", "query", "event_stats"]] });
  await customer.send(job);
  assert.equal((await customer.answerTo(job)).kind, 6410);
  assert.deepEqual(wallet.asked, []);
});

storeTest("nobody is charged for a question that can't be answered", async (store) => {
  await using shop = await openShop(store);
  const { customer, wallet } = shop;
  const cases: [NostrEvent, RegExp][] = [
    [request(5400, { content: '{"kinds":["x"]}' }), /kinds\[0\]/],
    [request(5410, { tags: [["param", "query", "weather"]] }), /query must be one of/],
    [
      request(5410, { tags: [["param", "query", "uptime"], ["param", "span", "1y"]] }),
      /span must be one of/,
    ],
    [request(5400, { content: "{}", tags: [["bid", String(PRICE - 1)]] }), /bid must be at least/],
    [
      request(5400, { content: "{}", tags: [["expiration", String(nowSeconds() + 5)]] }),
      /expiration leaves no time to pay/,
    ],
  ];
  for (const [job, pattern] of cases) {
    await customer.send(job);
    const answer = await customer.answerTo(job);
    assert.equal(statusOf(answer)[1], "error");
    assert.match(answer.content, pattern);
  }
  assert.deepEqual(wallet.asked, []);
  const enough = request(5400, { content: "{}", tags: [["bid", String(PRICE)]] });
  await customer.send(enough);
  await billFor(customer, enough);
});

storeTest("a bill survives a restart, and a paid job is done without another", async (store) => {
  await using relay = await startIndependentRelay();
  await using wallet = await startWallet(relay.url);
  await using customer = await Customer.at(relay.url);
  const waiting = request(5400, { content: "{}" });
  const paid = request(5400, { content: "[{}]" });
  const options = { sets: SETS, walletUri: wallet.uri };
  let invoices: string[] = [];
  {
    await using _machine = await startMachine(store, [relay.url], options);
    await customer.send(waiting);
    await customer.send(paid);
    invoices = [
      invoiceOf(await billFor(customer, waiting)),
      invoiceOf(await billFor(customer, paid)),
    ];
    wallet.faults = { silent: true };
    wallet.pay(invoices[1] ?? "");
  }
  wallet.faults = {};
  // In the same second the same words would be the same event.
  const billedAt = nowSeconds();
  await eventually("the next second", () => nowSeconds() > billedAt);
  await using _machine = await startMachine(store, [relay.url], options);
  assert.equal((await customer.answerTo(paid)).kind, 6400);
  // The same invoice is shown again to whoever has not paid.
  await eventually(
    "the bill again",
    () =>
      customer.repliesTo(waiting).filter((reply) =>
        tagValue(reply, "status") === "payment-required"
      )
        .length > 1,
  );
  for (const reply of customer.repliesTo(waiting)) assert.equal(invoiceOf(reply), invoices[0]);
  wallet.pay(invoices[0] ?? "");
  assert.equal((await customer.answerTo(waiting)).kind, 6400);
  assert.equal(wallet.asked.filter((method) => method === "make_invoice").length, 2);
  for (const job of [waiting, paid]) {
    assert.equal(customer.repliesTo(job).filter(isTerminal).length, 1);
  }
});

storeTest("a paid job is done after its request has expired, even after a crash", async (store) => {
  const job = request(5400, { content: "{}" });
  await using relay = await startIndependentRelay();
  await using customer = await Customer.at(relay.url);
  await store.run("test", async (sql) => {
    // As a process leaves it that dies after the payment was noted.
    await sql`select dvm_job_insert(decode(${job.id}, 'hex'), 5400, decode(${job.pubkey}, 'hex'),
      ${nowSeconds() - 100}::bigint, ${nowSeconds() - 50}::bigint, ${JSON.stringify(job)}, null)`;
    await sql`update dvm_job set paid_at = ${nowSeconds() - 60}::bigint`;
  });
  await using wallet = await startWallet(relay.url);
  await using _machine = await startMachine(store, [relay.url], {
    sets: SETS,
    walletUri: wallet.uri,
  });
  assert.equal((await customer.answerTo(job)).kind, 6400);
  assert.deepEqual(wallet.asked, []);
});

storeTest("a wallet that lies makes nothing paid", async (store) => {
  await using shop = await openShop(store);
  const { customer, wallet, machine } = shop;
  wallet.faults = { wrongAmountMsats: PRICE * 1000 };
  const dear = request(5400, { content: "{}" });
  await customer.send(dear);
  const refused = await customer.answerTo(dear);
  assert.match(refused.content, /No invoice can be made now/);
  wallet.faults = {};
  const job = request(5400, { content: "[{}]" });
  await customer.send(job);
  const invoice = invoiceOf(await billFor(customer, job));
  const lies: WalletFaults[] = [
    { settledWithoutPreimage: true },
    { settledWithWrongPreimage: true },
    { settledMsats: PRICE - 1 },
  ];
  for (const faults of lies) {
    const heard = (): number => machine.dvm.status().totals.wallet_bad_answer ?? 0;
    const before = heard();
    wallet.faults = faults;
    await eventually("the lie to be heard", () => heard() > before);
    assert.deepEqual(customer.repliesTo(job).filter(isTerminal), []);
  }
  wallet.faults = {};
  wallet.pay(invoice);
  assert.equal((await customer.answerTo(job)).kind, 6400);
  // No word of the wallet's reaches a customer.
  assert.ok(!customer.replies.some(({ content }) => /preimage|instead of/.test(content)));
}, { kinds: ["pglite"] });

storeTest("a wallet that is down, refuses or is slow loses no payment", async (store) => {
  await using relay = await startIndependentRelay();
  const keys = walletKeys();
  const first = await startWallet(relay.url, { keys, faults: { error: "RATE_LIMITED" } });
  await using customer = await Customer.at(relay.url);
  await using _machine = await startMachine(store, [relay.url], {
    sets: [...SETS, "dvm.payment.wallet_timeout=500ms"],
    walletUri: first.uri,
  });
  const refused = request(5400, { content: "{}" });
  await customer.send(refused);
  assert.match((await customer.answerTo(refused)).content, /No invoice can be made now/);
  first.faults = {};
  const job = request(5400, { content: "[{}]" });
  await customer.send(job);
  first.pay(invoiceOf(await billFor(customer, job)));
  // Down before anybody heard of the payment, or just after: both are fine.
  await first[Symbol.asyncDispose]();
  await using second = await startWallet(relay.url, { keys, faults: { slowMs: 100 } });
  assert.equal((await customer.answerTo(job)).kind, 6400);
  assert.equal(second.uri, first.uri);
}, { kinds: ["pglite"] });

storeTest(
  "an encrypted job is billed in the open, and tells nothing of what it asks",
  async (store) => {
    await using shop = await openShop(store);
    const { customer, wallet } = shop;
    const signer = localSigner(CUSTOMER.secretKey);
    const template = await buildEncryptedJobRequest(
      {
        kind: 5400,
        inputs: [],
        params: new Map(),
        relays: [],
        providers: [],
        content: '{"kinds":[7]}',
      },
      nowSeconds(),
      { signer, provider: MACHINE.pubkey, encryption: "nip44" },
    );
    assert.ok(template.ok);
    const job = await signer.sign(template.value);
    await customer.send(job);
    const bill = await billFor(customer, job);
    assert.equal(tagValue(bill, "encrypted"), undefined);
    wallet.pay(invoiceOf(bill));
    const answer = await customer.answerTo(job);
    assert.ok((await signer.nip44Decrypt(MACHINE.pubkey, answer.content)).ok);
    for (const reply of customer.repliesTo(job)) {
      const { request: _request, ...open } = Object.fromEntries(reply.tags);
      assert.ok(!JSON.stringify([reply.content, open]).includes("kinds"));
    }
  },
  { kinds: ["pglite"] },
);
