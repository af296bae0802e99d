// Invoices by the examples of the BOLT-11 specification, and by those that a test wallet makes.
import assert from "node:assert/strict";
import fc from "fast-check";
import { parseInvoice } from "../../src/nostr/bolt11.ts";
import { bolt11 } from "../dvm/wallet_service.ts";

const HASH = "0001020304050607080900010203040506070809000102030405060708090102";
// From the specification: for a cup of nonsense, within a minute.
const CUP =
  "lnbc2500u1pvjluezpp5qqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqypqdq5xysxxatsyp3k7enxv4jsxqzpuaztrnwngzn3kdzw5hydlzf03qdgm2hdq27cqv3agm2awhz5se903vruatfhq77w3ls4evs3ch9zw97j25emudupq63nyw24cg27h2rspfj9srp";

Deno.test("an invoice of the specification gives its amount, hash and times", () => {
  const expected = {
    msats: 250_000_000,
    paymentHash: HASH,
    createdAt: 1_496_314_658,
    expiresAt: 1_496_314_718,
  };
  assert.deepEqual(parseInvoice(CUP), { ok: true, value: expected });
  assert.deepEqual(parseInvoice(CUP.toUpperCase()), { ok: true, value: expected });
});

Deno.test("whatever a wallet asks for is read again", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 100_000_000 }),
      fc.uint8Array({ minLength: 32, maxLength: 32 }),
      fc.integer({ min: 1, max: 1_000_000 }),
      (msats, hash, expiry) => {
        const read = parseInvoice(bolt11(msats, hash.toHex(), expiry));
        assert.ok(read.ok);
        assert.equal(read.value.msats, msats);
        assert.equal(read.value.paymentHash, hash.toHex());
        assert.equal(read.value.expiresAt - read.value.createdAt, expiry);
      },
    ),
    { numRuns: 50 },
  );
});

Deno.test("one changed character, or any other text, is no invoice", () => {
  fc.assert(
    fc.property(fc.nat(CUP.length - 1), fc.constantFrom(..."qpzry9x8"), (at, char) => {
      const changed = CUP.slice(0, at) + char + CUP.slice(at + 1);
      assert.equal(parseInvoice(changed).ok, changed === CUP);
    }),
    { numRuns: 100 },
  );
  fc.assert(fc.property(fc.string({ unit: "binary" }), (text) => !parseInvoice(text).ok));
});
