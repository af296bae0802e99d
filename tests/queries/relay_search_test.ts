// Relays by their facts: what documents and checks say becomes what is searched, each want against a
// count by hand; one relay in full; and other monitors' reports beside ours.
import assert from "node:assert/strict";
import fc from "fast-check";
import { compare } from "../../src/queries/compare.ts";
import type { Row } from "../../src/queries/query.ts";
import { relay } from "../../src/queries/relay.ts";
import { relays } from "../../src/queries/relays.ts";
import type { Store } from "../../src/store/connect.ts";
import { putRelayMetadata } from "../../src/store/metadata.ts";
import { type CheckRow, insertChecks } from "../../src/store/relay_checks.ts";
import { insertRelays, relaysByUrl } from "../../src/store/relays.ts";
import { makeAuthor } from "../support/events.ts";
import { storeTest } from "../support/store.ts";
import { allPages, AT, relayUrl, rowsOf } from "./archive.ts";
import { addReports, MONITOR, report } from "./reports.ts";

interface Facts {
  name: string | null;
  country: string | undefined;
  cdn: boolean;
  claimed: number[];
  /** By NIP: shown, or tested in vain. */
  tested: Record<number, boolean>;
  authStated: boolean | undefined;
  authMeasured: boolean | undefined;
  paid: boolean | undefined;
  rtt: number | undefined;
  /** Of four checks, how many found it open. */
  up: number;
}

const facts: fc.Arbitrary<Facts> = fc.record({
  name: fc.option(fc.constantFrom("Alpha", "beta", "Gamma")),
  country: fc.constantFrom("DE", "FI", "US", undefined),
  cdn: fc.boolean(),
  claimed: fc.uniqueArray(fc.constantFrom(1, 11, 42, 50, 77)),
  tested: fc.dictionary(fc.constantFrom("42", "45", "50", "77"), fc.boolean()),
  authStated: fc.constantFrom(true, false, undefined),
  authMeasured: fc.constantFrom(true, false, undefined),
  paid: fc.constantFrom(true, false, undefined),
  rtt: fc.option(fc.integer({ min: 1, max: 500 }), { nil: undefined }),
  up: fc.integer({ min: 0, max: 4 }),
});

async function fill(store: Store, list: readonly Facts[]): Promise<string[]> {
  const urls = list.map((_, i) => relayUrl(`wss://r${i}.example.com`));
  await insertRelays(store, urls, { at: AT });
  const ids = await relaysByUrl(store, urls);
  const checks: CheckRow[] = [];
  for (const [i, one] of list.entries()) {
    const relayId = ids.get(urls[i] ?? urls[0] as never) ?? 0;
    for (let at = 0; at < 4; at++) {
      const ok = at < one.up;
      checks.push({
        relayId,
        checkedAt: AT - (4 - at) * 3_600,
        ok,
        ...(ok && one.rtt !== undefined ? { rttOpenMs: one.rtt } : {}),
        ...(one.authMeasured === undefined
          ? {}
          : { detail: { auth: { challenged: true, required: one.authMeasured } } }),
        state: ok ? "online" : "unreachable",
        failures: ok ? 0 : at,
        nextCheckAt: AT - (3 - at) * 3_600,
      });
    }
    const documents: [string, unknown][] = [
      ["nip11", {
        name: one.name ?? 7,
        supported_nips: [...one.claimed, "x", null],
        limitation: { auth_required: one.authStated, payment_required: one.paid },
      }],
      ["geo", one.country === undefined ? {} : { country: one.country, city: "Somewhere" }],
      ["net", { asn: 64_500, ...(one.cdn ? { cdn: "Edge" } : {}) }],
      ["tls", { valid: true, validTo: AT + 5 }],
      ...Object.entries(one.tested).map(([nip, ok]): [string, unknown] => [
        `nip${nip}`,
        ok ? { ok } : { ok, reason: "silent" },
      ]),
    ];
    await putRelayMetadata(
      store,
      documents.map(([type, data]) => ({ relayId, type, data, generatedAt: AT - 3_600 })),
    );
  }
  // One after the other, as they come.
  for (const [, batch] of Map.groupBy(checks, ({ checkedAt }) => checkedAt)) {
    await insertChecks(store, batch);
  }
  return urls;
}

storeTest("every want finds just the relays that fit, as a count by hand has it", async (store) => {
  const list = fc.sample(facts, { numRuns: 40, seed: 5 });
  const urls = await fill(store, list);
  const auth = (one: Facts): boolean | undefined => one.authMeasured ?? one.authStated;
  const wants: [Record<string, string>, (one: Facts) => boolean][] = [
    [{ country: "de" }, (one) => !one.cdn && one.country === "DE"],
    [{ nip: "11,77" }, (one) => one.claimed.includes(11) && one.claimed.includes(77)],
    [{ proven: "77" }, (one) => one.tested[77] === true],
    [{ proven: "42,50" }, (one) => one.tested[42] === true && one.tested[50] === true],
    [{ auth: "yes" }, (one) => auth(one) === true],
    [{ auth: "no" }, (one) => auth(one) === false],
    [{ payment: "no" }, (one) => one.paid === false],
    [{ text: "ALPHA" }, (one) => one.name === "Alpha"],
    [{ max_rtt: "200" }, (one) => one.up > 0 && one.rtt !== undefined && one.rtt <= 200],
    [{ min_uptime: "50", span: "24h" }, (one) => one.up >= 2],
    [{ min_uptime: "100" }, (one) => one.up === 4],
    [{ state: "online" }, (one) => one.up === 4],
    [
      { country: "FI", auth: "no", sort: "rtt" },
      (one) => !one.cdn && one.country === "FI" && auth(one) === false,
    ],
  ];
  for (const [given, fits] of wants) {
    const found = (await rowsOf(store, relays, given)).map(({ url }) => url).sort();
    const expected = urls.filter((_, i) => fits(list[i] as Facts)).sort();
    assert.ok(expected.length > 0, JSON.stringify(given));
    assert.deepEqual(found, expected, JSON.stringify(given));
  }
});

storeTest("sorted by each, pages add up, and relays without a value come last", async (store) => {
  await fill(store, fc.sample(facts, { numRuns: 15, seed: 6 }));
  const values: Record<string, (row: Row) => unknown> = {
    rtt: (row) => row.rtt_open_ms,
    uptime: (row) => row.uptime_7d === null ? null : -Number(row.uptime_7d),
    name: (row) => row.name === null ? null : String(row.name).toLowerCase(),
    country: (row) => row.country,
    software: (row) => row.software,
    nips: (row) => -(row.nips as number[]).length,
    url: (row) => row.url,
  };
  for (const [sort, value] of Object.entries(values)) {
    const whole = await rowsOf(store, relays, { sort });
    const paged = await allPages(store, relays, { sort }, { limit: 4 });
    assert.deepEqual(paged.rows, whole, sort);
    const sorted = whole.toSorted((a, b) => {
      const [one, two] = [value(a), value(b)] as [string, string];
      if (one === two) return String(a.url) < String(b.url) ? -1 : 1;
      if (one === null || two === null) return one === null ? 1 : -1;
      return one < two ? -1 : 1;
    });
    assert.deepEqual(whole.map(({ url }) => url), sorted.map(({ url }) => url), sort);
  }
});

storeTest(
  "one relay in full has its facts, uptime, round trips, documents and changes",
  async (store) => {
    const now = Math.floor(Date.now() / 1000);
    const url = relayUrl("wss://full.example.com");
    await insertRelays(store, [url], { at: AT });
    const relayId = (await relaysByUrl(store, [url])).get(url) ?? 0;
    const rtts = [10, 20, 30, 40, 50, 60, 70, 80, 90, 100];
    await insertChecks(
      store,
      rtts.map((rttOpenMs, i) => ({
        relayId,
        checkedAt: now - (rtts.length - i) * 600,
        ok: true,
        rttOpenMs,
        rttReadMs: rttOpenMs * 2,
        state: "online",
        failures: 0,
        nextCheckAt: now + 600,
      })),
    );
    const put = (type: string, data: unknown, ago: number): Promise<unknown> =>
      putRelayMetadata(store, [{ relayId, type, data, generatedAt: now - ago }]);
    await put("nip11", { name: "Old" }, 5_000);
    await put("nip11", { name: "New" }, 100);
    await put("tls", { valid: false, problem: "CERT_HAS_EXPIRED", validTo: AT }, 100);
    await put("geo", { country: "FI", city: "Helsinki" }, 100);
    await put("nip77", { ok: true }, 100);
    const [row] = await rowsOf(store, relay, { relay: "full.example.com" });
    assert.ok(row);
    assert.equal(row.name, "New");
    assert.equal(row.country, "FI");
    assert.equal(row.tls_valid, false);
    assert.equal(row.tls_expires_at, AT);
    assert.deepEqual(row.nips_proven, [77]);
    const open = (row.rtt as Row[]).find(({ span, part }) => span === "24h" && part === "open");
    assert.deepEqual(open, { span: "24h", part: "open", checks: 10, p50: 50, p90: 90, p99: 100 });
    const spans = row.uptime as Row[];
    assert.deepEqual(spans.map(({ span }) => span), ["1h", "24h", "7d", "30d", "all"]);
    assert.equal(spans[1]?.uptime, 1);
    assert.deepEqual((row.documents as Row[]).map(({ type }) => type), ["geo", "nip77", "tls"]);
    const [change] = row.changes as Row[];
    assert.equal(change?.type, "nip11");
    assert.deepEqual(change?.fields, [{ field: "name", before: '"Old"', after: '"New"' }]);
  },
);

storeTest("other monitors' reports stand beside our nearest check", async (store) => {
  const [up, down] = await fill(store, [
    { ...EMPTY, up: 4, rtt: 33, claimed: [1, 11], tested: { 11: false, 77: true }, country: "FI" },
    { ...EMPTY, up: 0 },
  ]);
  assert.ok(up && down);
  const other = makeAuthor(8, 2);
  await addReports(store, [
    report(up, AT - 3_000, [["rtt-open", "80"], ["R", "auth"], ["R", "!payment"], ["N", "1"]]),
    report(up, AT - 9_000, [["rtt-open", "999"]]),
    // The root without its slash is the same relay.
    report(down.replace(/\/$/, ""), AT - 2_000, [["rtt-open", "70"]], other),
    report("wss://unknown.example.com", AT - 1_000, [], other),
    report("no relay at all", AT - 500, [], other),
  ]);
  // As the refresher marks versions.
  await store.run(
    "test",
    (sql) =>
      sql`insert into event_version (event_seq, created_at, address, latest)
      select seq, created_at, gen_random_uuid(), created_at <> ${AT - 9_000}::bigint from event`,
  );
  const rows = await rowsOf(store, compare);
  assert.deepEqual(rows.map(({ relay_url, agree }) => [relay_url, agree]), [
    ["wss://unknown.example.com/", null],
    [down, false],
    [up, true],
  ]);
  const [, lost, good] = rows;
  assert.equal((lost?.ours as Row).state, "unreachable");
  assert.equal(lost?.monitor, other.pubkey);
  assert.deepEqual(good?.theirs, {
    rtt_open_ms: 80,
    rtt_read_ms: null,
    auth: true,
    payment: false,
    nips: [1],
    country: null,
  });
  const { checked_at, rtt_open_ms, nips, country } = good?.ours as Row;
  assert.deepEqual({ checked_at, rtt_open_ms, nips, country }, {
    checked_at: AT - 3_600,
    rtt_open_ms: 33,
    nips: [1, 11, 77],
    country: "FI",
  });
  assert.deepEqual(await rowsOf(store, compare, { relay: down }), [lost]);
  assert.deepEqual(await rowsOf(store, compare, { monitor: MONITOR.pubkey }), [good]);
});

const EMPTY: Facts = {
  name: null,
  country: undefined,
  cdn: false,
  claimed: [],
  tested: {},
  authStated: undefined,
  authMeasured: undefined,
  paid: undefined,
  rtt: undefined,
  up: 0,
};
