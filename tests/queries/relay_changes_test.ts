import assert from "node:assert/strict";
import { parseRelayUrl, type RelayUrl } from "../../src/model/relay_url.ts";
import { findQuery } from "../../src/queries/catalogue.ts";
import type { Row } from "../../src/queries/query.ts";
import type { Store } from "../../src/store/connect.ts";
import { putRelayMetadata } from "../../src/store/metadata.ts";
import { type CheckRow, insertChecks } from "../../src/store/relay_checks.ts";
import { insertRelays, relaysByUrl } from "../../src/store/relays.ts";
import { storeTest } from "../support/store.ts";
import { WIDE } from "./archive.ts";

const URLS = ["wss://a.example.com/", "wss://b.example.com/"].map((text): RelayUrl => {
  const url = parseRelayUrl(text);
  assert.ok(url.ok);
  return url.value;
});

async function changes(store: Store, params: Record<string, string> = {}): Promise<Row[]> {
  const query = findQuery("relay_changes");
  assert.ok(query !== undefined);
  const rows: Row[] = [];
  let cursor: string | undefined;
  for (;;) {
    const given = { limit: "2", ...params, ...(cursor === undefined ? {} : { cursor }) };
    const page = await query.ask(store, given, WIDE);
    assert.ok(page.ok, JSON.stringify(page));
    rows.push(...page.value.rows.map((row) => query.row.parse(row)));
    cursor = page.value.next;
    if (cursor === undefined) return rows;
  }
}

function told(rows: readonly Row[]): string[] {
  return rows.map(({ changed_at, relay_url, type }) =>
    `${changed_at} ${String(relay_url).at(6)} ${type}`
  );
}

/** Two relays, a few days of their lives. */
async function live(store: Store): Promise<void> {
  await insertRelays(store, URLS, { at: 1 });
  const ids = await relaysByUrl(store, URLS);
  const [a = 0, b = 0] = URLS.map((url) => ids.get(url));
  const document = async (relayId: number, type: string, generatedAt: number, data: unknown) => {
    await putRelayMetadata(store, [{ relayId, type, generatedAt, data }]);
  };
  const stands = async (relayId: number, checkedAt: number, state: CheckRow["state"]) => {
    const ok = state === "online";
    await insertChecks(store, [
      { relayId, checkedAt, ok, state, failures: ok ? 0 : 2, nextCheckAt: checkedAt + 60 },
    ]);
  };
  await stands(a, 100, "online");
  await document(a, "nip11", 100, { name: "A", version: "1", limitation: { max_limit: 500 } });
  await document(a, "nip11", 150, { name: "A", version: "1", limitation: { max_limit: 500 } });
  await document(a, "nip11", 200, { name: "A", limitation: { max_limit: 100 }, contact: "x" });
  await document(b, "tls", 100, { fingerprint: "aa", valid: true });
  await document(b, "tls", 200, { fingerprint: "bb", valid: true });
  await document(b, "dns", 200, { a: ["192.0.2.1"] });
  await document(b, "dns", 300, { a: ["192.0.2.2"] });
  await stands(a, 250, "online");
  await stands(a, 300, "unreachable");
  await stands(a, 400, "dead");
  await stands(a, 500, "online");
}

storeTest(
  "changes come newest first, each once on whatever pages; first sights are none",
  async (store) => {
    await live(store);
    assert.deepEqual(told(await changes(store)), [
      "500 a state",
      "400 a state",
      "300 a state",
      "300 b dns",
      "200 a nip11",
      "200 b tls",
      "100 a state",
    ]);
  },
);

storeTest(
  "a change names the fields that differ, and between which moments it lies",
  async (store) => {
    await live(store);
    const [edit] = await changes(store, { type: "nip11" });
    assert.deepEqual(edit, {
      relay_url: URLS[0],
      type: "nip11",
      changed_at: 200,
      held_until: 150,
      fields: [
        { field: "contact", before: null, after: '"x"' },
        { field: "limitation", before: '{"max_limit":500}', after: '{"max_limit":100}' },
        { field: "version", before: '"1"', after: null },
      ],
    });
    const [certificate] = await changes(store, { type: "tls" });
    assert.deepEqual(certificate?.["fields"], [
      { field: "fingerprint", before: '"aa"', after: '"bb"' },
    ]);
    const [up] = await changes(store, { type: "state", relay: URLS[0] ?? "" });
    assert.deepEqual(up?.["fields"], [{ field: "state", before: '"dead"', after: '"online"' }]);
  },
);

storeTest("changes are found by relay, kind of change and time", async (store) => {
  await live(store);
  assert.deepEqual(told(await changes(store, { relay: "b.example.com" })), [
    "300 b dns",
    "200 b tls",
  ]);
  assert.deepEqual(told(await changes(store, { since: "200", until: "300" })), [
    "300 a state",
    "300 b dns",
    "200 a nip11",
    "200 b tls",
  ]);
  assert.deepEqual(told(await changes(store, { type: "geo" })), []);
});

storeTest("strangers' large documents cost a bounded row", async (store) => {
  await insertRelays(store, URLS, { at: 1 });
  const id = (await relaysByUrl(store, URLS)).values().next().value ?? 0;
  const wide = (salt: string): Record<string, string> =>
    Object.fromEntries(Array.from({ length: 300 }, (_, i) => [`k${i}`, salt.repeat(3_000)]));
  for (const [generatedAt, data] of [[1, wide("a")], [2, wide("b")]] as const) {
    await putRelayMetadata(store, [{ relayId: id, type: "nip11", generatedAt, data }]);
  }
  const [row] = await changes(store);
  assert.ok(JSON.stringify(row).length < 100_000);
  assert.equal((row?.["fields"] as unknown[]).length, 50);
});
