import assert from "node:assert/strict";
import fc from "fast-check";
import { changesBetween } from "../../src/monitor/changes.ts";
import type { KeptDocument } from "../../src/monitor/kept.ts";
import type { FieldChange } from "../../src/nostr/relay_delta.ts";

function nip11(data: unknown): KeptDocument[] {
  return [{ type: "nip11", data }];
}

function told(changes: readonly FieldChange[]): string[] {
  const signs = { changed: "", added: "+", removed: "-" };
  return changes.map(({ field, type, value }) => `${signs[type]}${field}=${value}`).sort();
}

Deno.test("edits of a document are told by field, of lists by element", () => {
  const before = nip11({
    name: "one",
    contact: "mailto:a@example.com",
    supported_nips: [1, 11, 42],
    limitation: { auth_required: false, max_limit: 500 },
    fees: { admission: [{ amount: 1, unit: "sats" }] },
  });
  const after = nip11({
    name: "two",
    version: "1.2",
    supported_nips: [11, 1, 50],
    limitation: { auth_required: true, max_limit: 500 },
    fees: { admission: [{ amount: 2, unit: "sats" }] },
  });
  assert.deepEqual(told(changesBetween(before, after)), [
    "+supported_nips=50",
    "+version=1.2",
    "-contact=mailto:a@example.com",
    "-supported_nips=42",
    'fees.admission=[{"amount":2,"unit":"sats"}]',
    "limitation.auth_required=true",
    "name=two",
  ]);
  assert.deepEqual(changesBetween(after, after), []);
});

Deno.test("a move to another place, network or certificate is a change", () => {
  const documents = (asn: number, country: string, fingerprint: string): KeptDocument[] => [
    { type: "net", data: { asn, organisation: "Example", network: `${asn}/8` } },
    { type: "geo", data: { country, latitude: asn } },
    { type: "tls", data: { fingerprint, valid: true } },
    { type: "dns", data: { a: [String(asn)] } },
  ];
  const changes = changesBetween(documents(1, "DE", "aa"), documents(2, "FR", "bb"));
  assert.deepEqual(told(changes), ["dns.asn=2", "geo.country=FR", "ssl.fingerprint=bb"]);
});

Deno.test("what was not asked for this time, or never before, is no change", () => {
  assert.deepEqual(changesBetween(nip11({ name: "a" }), []), []);
  assert.deepEqual(changesBetween([], nip11({ name: "a" })), []);
  assert.deepEqual(told(changesBetween([], nip11({ name: "a" }), { isFirst: true })), ["+name=a"]);
});

Deno.test("what NIP-11 does not name is no change, however often it moves", () => {
  const at = (uptime: number): KeptDocument[] => nip11({ name: "a", uptime, stats: { uptime } });
  assert.deepEqual(changesBetween(at(1), at(2)), []);
});

Deno.test("strangers' documents of any shape cost a bounded number of bounded changes", () => {
  const fields = fc.constantFrom(
    "name",
    "supported_nips",
    "limitation",
    "fees",
    "retention",
    "tags",
  );
  const document = fc.dictionary(fields, fc.jsonValue({ maxDepth: 4 }));
  const huge = fc.constant({ name: "x".repeat(1_000_000), tags: Array(5_000).fill(0).map(String) });
  const many = fc.constant({
    limitation: Object.fromEntries(Array.from({ length: 5_000 }, (_, i) => [`k${i}`, i])),
  });
  const any = fc.oneof(document, huge, many);
  fc.assert(fc.property(any, any, (before, after) => {
    const changes = changesBetween(nip11(before), nip11(after), { isFirst: true });
    assert.ok(changes.length <= 60);
    for (const { value, field } of changes) {
      assert.ok(value.length <= 8_000 && field !== "");
    }
  }));
});

Deno.test("applied to the old state, the changes give the new one", () => {
  const list = fc.uniqueArray(fc.integer({ min: 0, max: 90 }), { maxLength: 8 });
  const document = fc.record({
    name: fc.string({ minLength: 1 }),
    supported_nips: list,
    limitation: fc.dictionary(fc.constantFrom("a", "b", "c"), fc.oneof(fc.boolean(), fc.nat())),
  }, { requiredKeys: [], noNullPrototype: true });
  fc.assert(fc.property(document, document, (before, after) => {
    const state = new Map<string, Set<string>>();
    apply(state, changesBetween([], nip11(before), { isFirst: true }));
    apply(state, changesBetween(nip11(before), nip11(after)));
    const wanted = new Map<string, Set<string>>();
    apply(wanted, changesBetween([], nip11(after), { isFirst: true }));
    assert.deepEqual(plain(state), plain(wanted));
  }));
});

Deno.test("names of a relay's own are text, and short, as values are", () => {
  const limitation = { "lone\ud800": 1, ["k".repeat(1_000)]: 2 };
  const changes = changesBetween([], nip11({ limitation }), { isFirst: true });
  assert.equal(changes.length, 2);
  for (const { field } of changes) assert.ok(field.isWellFormed() && field.length <= 120, field);
});

Deno.test("all changes of one event together are bounded", () => {
  const limitation = Object.fromEntries(
    Array.from({ length: 50 }, (_, i) => [i === 3 ? "k".repeat(90_000) : `k${i}`, "x".repeat(900)]),
  );
  const changes = changesBetween([], nip11({ limitation }), { isFirst: true });
  const characters = changes.reduce(
    (sum, { field, value }) => sum + field.length + value.length,
    0,
  );
  assert.ok(characters > 10_000 && characters <= 16_000, `${characters}`);
});

function apply(state: Map<string, Set<string>>, changes: readonly FieldChange[]): void {
  for (const { field, type, value } of changes) {
    const values = state.get(field) ?? new Set();
    if (type === "changed") values.clear();
    if (type === "removed") values.delete(value);
    else values.add(value);
    state.set(field, values);
  }
}

function plain(state: Map<string, Set<string>>): [string, string[]][] {
  return [...state].filter(([, values]) => values.size > 0)
    .map(([field, values]): [string, string[]] => [field, [...values].sort()])
    .sort(([a], [b]) => a < b ? -1 : 1);
}
