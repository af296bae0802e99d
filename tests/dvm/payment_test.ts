// Jobs that cost something, with a wallet that none of our code wrote, over a real relay: paid before
// the work, charged once, and never lost, whatever the wallet does.
import assert from "node:assert/strict";
import { formatProblems } from "../../src/config/problem.ts";
import { loadConfig } from "../../src/config/load.ts";
import { priceOf } from "../../src/dvm/prices.ts";
import { type NostrEvent, tagValue } from "../../src/model/event.ts";
import { buildEncryptedJobRequest } from "../../src/nostr/nip90_customer.ts";
import { localSigner } from "../../src/nostr/signer.ts";
import { countJobs } from "../../src/store/dvm_jobs.ts";
import type { Store } from "../../src/store/connect.ts";
import { startIndependentRelay } from "../interop/nostr_relay.ts";
import { startHostileRelay } from "../relay/mod.ts";
import { runBigbrotr } from "../support/test_io.ts";
import { storeTest } from "../support/store.ts";
import { eventually } from "../support/within.ts";
import { Customer, isTerminal, type RunningMachine, startMachine, statusOf } from "./machine.ts";
import { CUSTOMER, dvmConfig, MACHINE, nowSeconds, request } from "./support.ts";
import {
  startWallet,
  type WalletFaults,
  walletKeys,
  type WalletService,
} from "./wallet_service.ts";

const PRICE = 21_000;
const SETS = [
  `dvm.prices.default=${PRICE}`,
  "dvm.payment.first_look=100ms",
  "dvm.payment.wallet_timeout=3s",
];

interface Shop extends AsyncDisposable {
  wallet: WalletService;
  machine: RunningMachine;
  customer: Customer;
}

async function openShop(
  store: Store,
  options: {
    sets?: string[];
    faults?: WalletFaults;
    encryption?: "nip44" | "nip04";
    hostile?: boolean;
  } = {},
): Promise<Shop> {
  await using stack = new AsyncDisposableStack();
  const relay = options.hostile === true
    ? stack.use(await startHostileRelay())
    : stack.use(await startIndependentRelay());
  const wallet = stack.use(await startWallet(relay.url, options));
  const sets = [...SETS, ...options.sets ?? []];
  const machine = stack.use(
    await startMachine(store, [relay.url], { sets, walletUri: wallet.uri }),
  );
  const customer = stack.use(await Customer.at(relay.url));
  const shop = stack.move();
  return {
    wallet,
    machine,
    customer,
    [Symbol.asyncDispose]: () => shop.disposeAsync(),
  };
}

/** The feedback that asks for money. */
async function billFor(customer: Customer, job: NostrEvent): Promise<NostrEvent> {
  const find = (): NostrEvent | undefined =>
    customer.repliesTo(job).find((reply) => tagValue(reply, "status") === "payment-required");
  const told = (): string => JSON.stringify(customer.repliesTo(job).map(statusOf));
  await eventually(() => `a bill; so far ${told()}`, () => find() !== undefined);
  const bill = find();
  assert.ok(bill);
  return bill;
}

function invoiceOf(bill: NostrEvent): string {
  const [, msats, invoice] = bill.tags.find(([name]) => name === "amount") ?? [];
  assert.equal(msats, String(PRICE));
  assert.ok(invoice);
  return invoice;
}

function untilUnpaid(store: Store, n: number, machine: RunningMachine): Promise<void> {
  return eventually(
    () => `${n} unpaid jobs: ${JSON.stringify(machine.dvm.status().totals)}`,
    async () => ((await countJobs(store)).get("unpaid") ?? 0) === n,
  );
}

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

Deno.test("a price without a wallet, or for no question, is refused; so is a broken wallet", async () => {
  const load = (sets: string[], env: Record<string, string> = {}): ReturnType<typeof loadConfig> =>
    loadConfig({ env: (name) => env[name], sets });
  for (
    const set of [
      "dvm.prices.default=1",
      "dvm.prices.kinds.statistics=1000",
      'dvm.prices.questions={"events": 5}',
    ]
  ) {
    const loaded = await load([set]);
    assert.ok(!loaded.ok);
    assert.match(formatProblems(loaded.failure), /dvm\.prices.*no wallet/s);
  }
  assert.ok((await load(["dvm.prices.default=0"])).ok);
  const key = "ab".repeat(32);
  const uri = `nostr+walletconnect://${key}?relay=wss://relay.example.com&secret=${
    "cd".repeat(32)
  }`;
  const good = await load(["dvm.prices.default=1"], { NWC_URI: uri });
  assert.ok(good.ok);
  assert.equal(good.value.secrets.walletUri?.reveal(), uri);
  for (const bad of ["nonsense", uri.replace("secret", "sekret"), uri.replace("wss", "ftp")]) {
    const loaded = await load([], { NWC_URI: bad });
    assert.ok(!loaded.ok);
    const text = formatProblems(loaded.failure);
    assert.match(text, /NWC_URI/);
    assert.ok(!text.includes("cdcd"));
  }
});

Deno.test("a price for a name that is no question is told, with the one that was meant", async () => {
  const { code, stderr } = await runBigbrotr(
    ["config", "check", "--set", 'dvm.prices.questions={"event": 0}'],
  );
  assert.equal(code, 2);
  assert.match(stderr, /dvm\.prices\.questions.*event.*did you mean events\?/s);
});

Deno.test("the most special price counts", async () => {
  const { prices, kinds } = await dvmConfig();
  const set = {
    ...prices,
    default: 1,
    kinds: { statistics: 2 },
    questions: { events: 3, relays: 0 },
  };
  const of = (kind: number, question: string): number => priceOf(set, kinds, { kind, question });
  assert.equal(of(5400, "event_count"), 1);
  assert.equal(of(5410, "uptime"), 2);
  assert.equal(of(5410, "events"), 3);
  assert.equal(of(5310, "relays"), 0);
  assert.equal(of(5410, "constructor"), 2);
});
