// The wallet's connection; what it makes of a wallet's answers is tried with a whole one in tests/dvm.
import assert from "node:assert/strict";
import { openWallet } from "../../src/nostr/wallet.ts";
import { silent, startHostileRelay } from "../relay/mod.ts";
import { makeAuthor } from "../support/events.ts";
import { LONG_MS, loopbackDialer } from "./loopback.ts";

Deno.test("a question given up before the wallet said what it can leaves no connection", async () => {
  await using relay = await startHostileRelay({ behaviours: [silent()] });
  const uri = {
    pubkey: makeAuthor(5, 1).pubkey,
    relays: [relay.url],
    secret: makeAuthor(5, 2).secretKey.toHex(),
  };
  await using wallet = openWallet(uri, { dialer: loopbackDialer(), timeoutMs: LONG_MS });
  const stop = new AbortController();
  const invoice = { invoice: "lnbc1", paymentHash: "00".repeat(32), msats: 1 };
  const asking = wallet.lookupInvoice(invoice, { signal: stop.signal });
  await relay.seen.until(({ frames }) => frames.length > 0);
  const reason = new Error("enough");
  stop.abort(reason);
  await assert.rejects(asking, reason);
  await relay.seen.until(({ connections }) => connections.now === 0);
});
