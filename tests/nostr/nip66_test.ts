import assert from "node:assert/strict";
import fc from "fast-check";
import { parseRelayUrl, type RelayUrl } from "../../src/model/relay_url.ts";
import {
  buildMonitorAnnouncement,
  buildReport,
  mergeRequirements,
  type MonitorAnnouncement,
  parseMonitorAnnouncement,
  parseReport,
  type Report,
  statedRequirements,
} from "../../src/nostr/nip66.ts";
import { compact, jsonObject, maybe, record, relayUrl } from "./arbitraries.ts";

const ms = fc.integer({ min: 1, max: 100_000 });
const word = fc.stringMatching(/^[a-z][a-z0-9]{0,9}$/);
const value = fc.string({ minLength: 1, maxLength: 30 });
const geohash = fc.stringMatching(/^[0-9b-hjkmnp-z]{1,12}$/);
const kinds = fc.array(fc.nat({ max: 65_535 }), { maxLength: 4 });
const report: fc.Arbitrary<Report> = record({
  url: relayUrl,
  network: maybe(fc.constantFrom("clearnet" as const, "tor" as const, "i2p" as const)),
  rttOpenMs: ms,
  rttReadMs: maybe(ms),
  rttWriteMs: maybe(ms),
  nip11: maybe(jsonObject),
  nips: fc.array(fc.nat({ max: 9_999 }), { maxLength: 5 }),
  requirements: record({
    auth: maybe(fc.boolean()),
    payment: maybe(fc.boolean()),
    writes: maybe(fc.boolean()),
    pow: maybe(fc.boolean()),
  }).map((value) => compact(value)),
  relayTypes: fc.array(value, { maxLength: 3 }),
  topics: fc.array(value, { maxLength: 3 }),
  acceptedKinds: kinds,
  rejectedKinds: kinds,
  geohashes: fc.array(geohash, { maxLength: 3 }),
  labels: fc.array(record({ value, namespace: value }), { maxLength: 4 }),
  details: fc.array(
    fc.tuple(fc.tuple(fc.constantFrom("ssl", "net", "geo", "dns", "http"), word), value)
      .map(([[group, name], value]): [string, string] => [`${group}-${name}`, value]),
    { maxLength: 4 },
  ),
}).map((value) => compact(value));

const announcement: fc.Arbitrary<MonitorAnnouncement> = record({
  frequencySeconds: fc.integer({ min: 1, max: 1_000_000 }),
  timeouts: fc.array(record({ ms, check: maybe(word) }).map((value) => compact(value))),
  checks: fc.array(word),
  geohashes: fc.array(geohash),
});

function url(text: string): RelayUrl {
  const parsed = parseRelayUrl(text);
  assert.ok(parsed.ok);
  return parsed.value;
}

const bare: Report = {
  url: url("wss://relay.example"),
  rttOpenMs: 12,
  nips: [],
  requirements: {},
  relayTypes: [],
  topics: [],
  acceptedKinds: [],
  rejectedKinds: [],
  geohashes: [],
  labels: [],
  details: [],
};

Deno.test("a report comes back from its own event", () => {
  fc.assert(fc.property(report, (report) => {
    assert.deepEqual(parseReport(buildReport(report, 1)), { ok: true, value: report });
  }));
});

Deno.test("an announcement comes back from its own event", () => {
  fc.assert(fc.property(announcement, (announcement) => {
    const event = buildMonitorAnnouncement(announcement, 1);
    assert.deepEqual(parseMonitorAnnouncement(event), { ok: true, value: announcement });
  }));
});

Deno.test("a report is spelled as readers need it", () => {
  const template = buildReport({
    ...bare,
    network: "clearnet",
    rttOpenMs: 0.2,
    rttReadMs: 33.4,
    nip11: { name: "x" },
    nips: [1, 11],
    requirements: { auth: true, payment: false },
    relayTypes: ["PrivateInbox"],
    topics: ["cats"],
    acceptedKinds: [1],
    rejectedKinds: [4],
    geohashes: ["u0yj"],
    labels: [
      { value: "DE", namespace: "ISO-3166-1" },
      { value: "24940", namespace: "host.asn" },
      { value: "AT", namespace: "ISO-3166-1" },
    ],
    details: [["ssl-issuer", "R3"], ["rtt-open", "1"], ["x", "y"]],
  }, 1_700_000_000);
  assert.deepEqual(template, {
    kind: 30166,
    created_at: 1_700_000_000,
    content: '{"name":"x"}',
    tags: [
      ["d", "wss://relay.example/"],
      ["n", "clearnet"],
      ["rtt-open", "1"],
      ["rtt-read", "33"],
      ["N", "1"],
      ["N", "11"],
      ["R", "auth"],
      ["R", "!payment"],
      ["T", "PrivateInbox"],
      ["t", "cats"],
      ["k", "1"],
      ["k", "!4"],
      ["g", "u0yj"],
      ["L", "ISO-3166-1"],
      ["L", "host.asn"],
      ["l", "DE", "ISO-3166-1"],
      ["l", "24940", "host.asn"],
      ["l", "AT", "ISO-3166-1"],
      ["ssl-issuer", "R3"],
    ],
  });
  assert.equal(buildReport(bare, 1).content, "");
  assert.throws(() => buildReport({ ...bare, rttOpenMs: NaN }, 1), RangeError);
});

Deno.test("reports of other monitors are read for what makes sense in them", () => {
  const parsed = parseReport({
    kind: 30166,
    content: "not json",
    tags: [
      ["d", "wss://Relay.Example"],
      ["n", "internet"],
      ["rtt-open", "12.6"],
      ["rtt-read", "fast"],
      ["N", "1"],
      ["N", "NIP-11"],
      ["N"],
      ["R", "!auth"],
      ["R", "auth"],
      ["R", "tea"],
      ["k", "!4"],
      ["k", "one"],
      ["g", "not a geohash"],
      ["l", "en"],
      ["geo-country", "DE"],
      ["geo-city", ""],
    ],
  });
  assert.deepEqual(parsed, {
    ok: true,
    value: {
      url: "wss://relay.example/",
      rttOpenMs: 13,
      nips: [1],
      requirements: { auth: true },
      relayTypes: [],
      topics: [],
      acceptedKinds: [],
      rejectedKinds: [4],
      geohashes: [],
      labels: [{ value: "en", namespace: "ugc" }],
      details: [["geo-country", "DE"]],
    },
  });
});

Deno.test("a report that names no relay URL is refused by name", () => {
  const reason = (kind: number, tags: string[][]): unknown => {
    const parsed = parseReport({ kind, tags, content: "" });
    return parsed.ok ? "ok" : parsed.failure;
  };
  assert.equal(reason(1, [["d", "wss://a.example"]]), "wrong_kind");
  assert.equal(reason(30166, []), "no_url");
  assert.equal(reason(30166, [["d"]]), "no_url");
  assert.equal(reason(30166, [["d", "7".repeat(64)]]), "bad_url");
  assert.equal(reason(30166, [["d", "wss://a.example"]]), "ok");
});

Deno.test("timeouts are written milliseconds first and read in both orders", () => {
  const template = buildMonitorAnnouncement({
    frequencySeconds: 3600,
    timeouts: [{ ms: 5000 }, { ms: 3000, check: "read" }],
    checks: ["open", "read"],
    geohashes: ["u0"],
  }, 1);
  assert.deepEqual(template.tags, [
    ["frequency", "3600"],
    ["timeout", "5000"],
    ["timeout", "3000", "read"],
    ["c", "open"],
    ["c", "read"],
    ["g", "u0"],
  ]);
  const parsed = parseMonitorAnnouncement({
    kind: 10166,
    tags: [["timeout", "open", "5000"], ["timeout", "700"], ["timeout"], ["frequency", "60"]],
  });
  assert.ok(parsed.ok);
  assert.deepEqual(parsed.value.timeouts, [{ ms: 5000, check: "open" }, { ms: 700 }]);
  const none = parseMonitorAnnouncement({ kind: 10166, tags: [["frequency", "soon"]] });
  assert.deepEqual(none, { ok: false, failure: "no_frequency" });
});

Deno.test("a measured requirement beats a stated one", () => {
  const stated = statedRequirements({
    authRequired: true,
    restrictedWrites: false,
    minPowDifficulty: 0,
  });
  assert.deepEqual(stated, { auth: true, writes: false, pow: false });
  assert.deepEqual(mergeRequirements({ auth: false, payment: true }, stated), {
    auth: false,
    payment: true,
    writes: false,
    pow: false,
  });
});
