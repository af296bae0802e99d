import assert from "node:assert/strict";
import type { Check } from "../../src/model/check.ts";
import { documentsOf, keptFacts, READ_BACK } from "../../src/monitor/kept.ts";

function checked(parts: Partial<Check>): Check {
  return {
    url: "wss://relay.example.com/" as Check["url"],
    network: "clearnet",
    checkedAt: 1_700_000_000,
    open: { ok: true, openMs: 120 },
    ...parts,
  };
}

function kept(parts: Partial<Check>): Record<string, unknown> {
  return Object.fromEntries(documentsOf(checked(parts)).map(({ type, data }) => [type, data]));
}

/** As the database gives them back. */
function readBack(parts: Partial<Check>, confirmedAt = 1_000): ReturnType<typeof keptFacts> {
  const documents = documentsOf(checked(parts)).map(({ type, data }) => ({
    type,
    data: JSON.parse(JSON.stringify(data)),
    confirmedAt,
  }));
  return keptFacts(documents, 500);
}

Deno.test("a document holds no time and no words, so what stays the same is no change", () => {
  const dns = (ttlSeconds: number, order: string[]): Partial<Check> => ({
    dns: {
      outcome: "ok",
      a: order.map((address) => ({ address, ttlSeconds })),
      aaaa: [],
      cname: [],
      ttlSeconds,
      domain: "example.com",
      ns: ["ns1.example.com"],
      outcomes: { a: "ok", aaaa: "no_data", ns: "ok" },
      elapsedMs: ttlSeconds,
    },
  });
  assert.deepEqual(kept(dns(60, ["192.0.2.2", "192.0.2.1"])), {
    dns: {
      outcome: "ok",
      a: ["192.0.2.1", "192.0.2.2"],
      aaaa: [],
      cname: [],
      domain: "example.com",
      ns: ["ns1.example.com"],
    },
  });
  assert.deepEqual(
    kept(dns(7, ["192.0.2.1", "192.0.2.2"])),
    kept(dns(60, ["192.0.2.2", "192.0.2.1"])),
  );
  const silent = (elapsedMs: number, detail: string): Partial<Check> => ({
    capabilities: { 45: { ok: false, reason: "notice", detail, elapsedMs } },
  });
  assert.deepEqual(kept(silent(5, "one")), kept(silent(9, "other")));
});

Deno.test("that something could not be found out is no document", () => {
  const nothing = { a: [], aaaa: [], cname: [], ns: [], outcomes: {}, elapsedMs: 1 };
  for (const outcome of ["servfail", "timeout", "refused", "unreachable", "malformed"] as const) {
    assert.deepEqual(kept({ dns: { outcome, ...nothing } }), {});
  }
  assert.deepEqual(kept({ dns: { outcome: "nxdomain", ...nothing } }), {
    dns: { outcome: "nxdomain", a: [], aaaa: [], cname: [], ns: [] },
  });
  assert.deepEqual(
    kept({
      nip11: { ok: false, reason: "timeout", elapsedMs: 5 },
      write: { ok: false, reason: "silent", elapsedMs: 5 },
      capabilities: {
        42: { ok: false, reason: "walled", elapsedMs: 5 },
        45: { ok: false, reason: "disconnected", elapsedMs: 5 },
        50: { ok: false, reason: "inconclusive", elapsedMs: 5 },
        77: { ok: false, reason: "refused", prefix: "blocked", elapsedMs: 5 },
      },
    }),
    {},
  );
});

Deno.test("capabilities and writes come back as they were found", () => {
  const facts = readBack({
    capabilities: {
      42: { ok: true, elapsedMs: 12 },
      77: { ok: false, reason: "refused", prefix: "error", detail: "no", elapsedMs: 5 },
    },
    write: { ok: false, reason: "refused", prefix: "pow", elapsedMs: 9, detail: "40 bits" },
  });
  assert.deepEqual(facts, {
    capabilities: {
      42: { ok: true, elapsedMs: 0 },
      77: { ok: false, reason: "refused", prefix: "error", elapsedMs: 0 },
    },
    write: { ok: false, reason: "refused", prefix: "pow" },
  });
  const written = readBack({
    write: { ok: false, reason: "walled", prefix: "auth-required", elapsedMs: 9 },
    auth: {
      challenged: true,
      login: { ok: true, loginMs: 1 },
      write: { ok: true, writeMs: 5, powBits: 9 },
    },
  });
  assert.deepEqual(written.write, { ok: true, powBits: 9, loggedIn: true });
});

Deno.test("what is too old, or no document of ours, is not known", () => {
  const parts: Partial<Check> = { capabilities: { 77: { ok: true, elapsedMs: 1 } } };
  assert.deepEqual(readBack(parts, 499), { capabilities: {} });
  const odd = [null, [], "x", { ok: "yes" }, { ok: false, reason: "unheard_of" }];
  const documents = READ_BACK.flatMap((type) =>
    odd.map((data) => ({ type, data, confirmedAt: 1_000 }))
  );
  assert.deepEqual(keptFacts(documents, 0), { capabilities: {} });
});
