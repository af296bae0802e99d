// A machine that costs something, with a wallet that none of our code wrote and a customer, all over
// one real relay.
import assert from "node:assert/strict";
import { type NostrEvent, tagValue } from "../../src/model/event.ts";
import type { Store } from "../../src/store/connect.ts";
import { startIndependentRelay } from "../interop/nostr_relay.ts";
import { startHostileRelay } from "../relay/mod.ts";
import { eventually } from "../support/within.ts";
import { Customer, type RunningMachine, startMachine, statusOf } from "./machine.ts";
import { startWallet, type WalletFaults, type WalletService } from "./wallet_service.ts";

/** Of every answer, in millisatoshi. */
export const PRICE = 21_000;
/** Prices, and looks without much waiting. */
export const SETS = [
  `dvm.prices.default=${PRICE}`,
  "dvm.payment.first_look=100ms",
  "dvm.payment.wallet_timeout=3s",
];

/** All of them; dispose of it. */
export interface Shop extends AsyncDisposable {
  wallet: WalletService;
  machine: RunningMachine;
  customer: Customer;
}

/** Opens one over a store; `hostile` for a relay that passes deletions on. */
export async function openShop(
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
export async function billFor(customer: Customer, job: NostrEvent): Promise<NostrEvent> {
  const find = (): NostrEvent | undefined =>
    customer.repliesTo(job).find((reply) => tagValue(reply, "status") === "payment-required");
  const told = (): string => JSON.stringify(customer.repliesTo(job).map(statusOf));
  await eventually(() => `a bill; so far ${told()}`, () => find() !== undefined);
  const bill = find();
  assert.ok(bill);
  return bill;
}

/** The invoice in it. */
export function invoiceOf(bill: NostrEvent): string {
  const [, msats, invoice] = bill.tags.find(([name]) => name === "amount") ?? [];
  assert.equal(msats, String(PRICE));
  assert.ok(invoice);
  return invoice;
}
