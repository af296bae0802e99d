import assert from "node:assert/strict";
import type {
  Capabilities,
  CapabilityReason,
  CapabilityResult,
  Check,
} from "../../src/model/check.ts";
import { parseRelayUrl, type RelayUrl } from "../../src/model/relay_url.ts";
import type { KeptFacts } from "../../src/monitor/kept.ts";
import { reportHash, reportOf } from "../../src/monitor/report.ts";
import { buildReport } from "../../src/nostr/nip66.ts";

const url = relayUrl("wss://relay.example.com");

function checked(parts: Partial<Check> = {}): Check {
  return {
    url,
    network: "clearnet",
    checkedAt: 1_700_000_000,
    open: { ok: true, openMs: 120, ip: "203.0.113.7" },
    ...parts,
  };
}

function tags(check: Check): string[][] {
  const report = reportOf(check);
  assert.ok(report !== undefined);
  return buildReport(report, 1_700_000_001).tags;
}

function values(check: Check, name: string): string[] {
  return tags(check).filter((tag) => tag[0] === name).map((tag) => tag[1] ?? "");
}

Deno.test("a relay that did not open gets silence, whatever else was found", () => {
  const dead = checked({
    open: { ok: false, reason: "timeout", phase: "tcp", elapsedMs: 10_000 },
    nip11: { ok: true, nip11Ms: 5, bytes: 100, document: { name: "still a web page" } },
  });
  assert.equal(reportOf(dead), undefined);
});

Deno.test("a report names the relay in normal form, its network, and whole milliseconds", () => {
  const check = checked({
    read: { ok: true, readMs: 45, eose: true },
    write: { ok: true, writeMs: 60 },
  });
  assert.deepEqual(tags(check), [
    ["d", "wss://relay.example.com/"],
    ["n", "clearnet"],
    ["rtt-open", "120"],
    ["rtt-read", "45"],
    ["rtt-write", "60"],
    ["R", "!writes"],
    ["net-ip", "203.0.113.7"],
  ]);
});

Deno.test("what was not measured is left out: a walled read, a write that is off", () => {
  const walled = checked({
    read: { ok: false, reason: "walled", prefix: "auth-required", elapsedMs: 30 },
    auth: { challenged: true, required: true },
  });
  assert.deepEqual(values(walled, "rtt-read"), []);
  assert.deepEqual(values(walled, "rtt-write"), []);
  assert.deepEqual(values(walled, "R"), ["auth"]);
});

Deno.test("a long value is cut between characters, not within one", () => {
  const tls = { valid: true, subject: `CN=${"a".repeat(296)}\u{1f600}\u{1f600}` };
  const [subject = ""] = values(checked({ tls }), "ssl-subject");
  assert.ok(subject.isWellFormed() && subject.length <= 300);
});

Deno.test("a read after a log-in counts as the read", () => {
  const check = checked({
    read: { ok: false, reason: "walled", prefix: "auth-required", elapsedMs: 30 },
    auth: {
      challenged: true,
      required: true,
      login: { ok: true, loginMs: 9 },
      read: { ok: true, readMs: 33, eose: true },
    },
  });
  assert.deepEqual(values(check, "rtt-read"), ["33"]);
});

Deno.test("the content is the relay's own document, as it came, or nothing", () => {
  const document = { name: "A relay", unknown_field: { a: [1, null] }, supported_nips: "1" };
  const report = reportOf(checked({ nip11: { ok: true, nip11Ms: 5, bytes: 100, document } }));
  assert.ok(report !== undefined);
  assert.deepEqual(JSON.parse(buildReport(report, 1).content), document);
  const without = reportOf(checked());
  assert.ok(without !== undefined);
  assert.equal(buildReport(without, 1).content, "");
});

Deno.test("a document too large for most relays does not cost the report", () => {
  const document = { name: "x", description: "y".repeat(100_000), supported_nips: [1, 11] };
  const check = checked({ nip11: { ok: true, nip11Ms: 5, bytes: 100, document } });
  const report = reportOf(check);
  assert.ok(report !== undefined);
  assert.equal(buildReport(report, 1).content, "");
  assert.deepEqual(values(check, "N"), ["1", "11"]);
});

Deno.test("the document gives N, t and languages; what was measured wins over what it states", () => {
  const check = checked({
    read: { ok: true, readMs: 45, eose: true },
    auth: { challenged: true, required: false },
    nip11: {
      ok: true,
      nip11Ms: 5,
      bytes: 100,
      document: {
        supported_nips: [42, 1, "11", 1, "x"],
        tags: ["bitcoin", 7],
        language_tags: ["de-CH", "en", "*", "tok"],
        limitation: { auth_required: true, payment_required: true, min_pow_difficulty: 0 },
      },
    },
  });
  assert.deepEqual(values(check, "N"), ["1", "11", "42"]);
  assert.deepEqual(values(check, "t"), ["bitcoin"]);
  assert.deepEqual(values(check, "R"), ["!auth", "payment", "!pow"]);
  const labels = tags(check).filter((tag) => tag[0] === "l");
  assert.deepEqual(labels, [["l", "de", "ISO-639-1"], ["l", "en", "ISO-639-1"]]);
  assert.deepEqual(values(check, "L"), ["ISO-639-1"]);
});

Deno.test("refusals are requirements that were measured", () => {
  const refused = (prefix: string, reason: "walled" | "refused"): Check =>
    checked({ write: { ok: false, reason, prefix, elapsedMs: 4 } });
  assert.deepEqual(values(refused("payment-required", "walled"), "R"), ["payment", "writes"]);
  assert.deepEqual(values(refused("restricted", "walled"), "R"), ["writes"]);
  assert.deepEqual(values(refused("pow", "refused"), "R"), ["pow"]);
  assert.deepEqual(values(refused("rate-limited", "refused"), "R"), []);
});

Deno.test("certificate and server stand in display tags; every tag has a value and is a string", () => {
  const check = checked({
    tls: {
      valid: false,
      problem: "CERT_HAS_EXPIRED",
      protocol: "TLSv1.3",
      issuer: "CN=Root",
      validFrom: 1_600_000_000,
      validTo: 1_650_000_000,
      fingerprint: "ab".repeat(32),
    },
    http: { server: "nginx" },
  });
  assert.deepEqual(values(check, "ssl-valid"), ["false"]);
  assert.deepEqual(values(check, "ssl-expires"), ["1650000000"]);
  assert.deepEqual(values(check, "http-server"), ["nginx"]);
  assert.ok(tags(check).every((tag) => tag.length >= 2 && tag.every((v) => typeof v === "string")));
});

Deno.test("a local relay names no network, for NIP-66 has no word for it", () => {
  const check = { ...checked(), url: relayUrl("ws://127.0.0.1:7777"), network: "local" as const };
  assert.deepEqual(values(check, "n"), []);
  assert.deepEqual(values(check, "d"), ["ws://127.0.0.1:7777/"]);
});

Deno.test("round-trip times are no change; a missing one, a document, a certificate are", () => {
  const hash = (parts: Partial<Check>): string => {
    const report = reportOf(checked(parts));
    assert.ok(report !== undefined);
    return reportHash(report);
  };
  const base = hash({ read: { ok: true, readMs: 45, eose: true } });
  const faster: Partial<Check> = {
    open: { ok: true, openMs: 7, ip: "203.0.113.7" },
    read: { ok: true, readMs: 3, eose: true },
  };
  assert.equal(hash(faster), base);
  assert.notEqual(hash({}), base, "the read failed");
  assert.notEqual(
    hash({ ...faster, nip11: { ok: true, nip11Ms: 1, bytes: 100, document: { a: 1 } } }),
    base,
  );
  assert.notEqual(hash({ ...faster, tls: { valid: true } }), base);
  const written: Partial<Check> = { ...faster, write: { ok: true, writeMs: 9 } };
  const later: Partial<Check> = { ...faster, write: { ok: true, writeMs: 90 } };
  assert.equal(hash(written), hash(later));
});

Deno.test("N is what is claimed, less what was tried in vain, and what was shown unclaimed", () => {
  const document = { supported_nips: [1, 11, 42, 45, 50, 77] };
  const failed = (reason: CapabilityReason, prefix?: string): CapabilityResult => ({
    ok: false,
    reason,
    elapsedMs: 3,
    ...(prefix === undefined ? {} : { prefix }),
  });
  const nips = (capabilities: Capabilities): string[] =>
    values(checked({ nip11: { ok: true, nip11Ms: 5, bytes: 100, document }, capabilities }), "N");
  assert.deepEqual(nips({}), ["1", "11", "42", "45", "50", "77"], "claims stand untried");
  assert.deepEqual(
    nips({
      42: { ok: true, elapsedMs: 3 },
      45: failed("notice"),
      50: failed("ignored"),
      77: failed("silent"),
    }),
    ["1", "11", "42"],
  );
  assert.deepEqual(
    nips({
      42: failed("walled", "restricted"),
      45: failed("refused", "rate-limited"),
      50: failed("inconclusive"),
      77: failed("disconnected"),
    }),
    ["1", "11", "42", "45", "50", "77"],
    "nothing was shown either way",
  );
  const shown = checked({ capabilities: { 77: { ok: true, elapsedMs: 1 } } });
  assert.deepEqual(values(shown, "N"), ["77"], "shown, and never claimed");
});

Deno.test("a relay that searches is one of type Search, and no type is guessed", () => {
  const search = checked({ capabilities: { 50: { ok: true, elapsedMs: 1 } } });
  assert.deepEqual(values(search, "T"), ["Search"]);
  const claims = checked({
    nip11: { ok: true, nip11Ms: 1, bytes: 100, document: { supported_nips: [50] } },
  });
  assert.deepEqual(values(claims, "T"), []);
});

Deno.test("what earlier checks found stands in for what this one did not ask", () => {
  const kept: KeptFacts = {
    capabilities: { 77: { ok: true, elapsedMs: 0 }, 50: { ok: true, elapsedMs: 0 } },
    write: { ok: false, reason: "walled", prefix: "payment-required" },
  };
  const told = (check: Check): string[][] => {
    const report = reportOf(check, kept);
    assert.ok(report !== undefined);
    return buildReport(report, 1).tags.filter(([name]) => name === "N" || name === "R");
  };
  assert.deepEqual(told(checked()), [["N", "50"], ["N", "77"], ["R", "payment"], ["R", "writes"]]);
  const anew = checked({
    capabilities: { 77: { ok: false, reason: "silent", elapsedMs: 5_000 } },
    write: { ok: true, writeMs: 5 },
  });
  assert.deepEqual(told(anew), [["N", "50"], ["R", "!writes"]], "the newest word wins");
  const inconclusive = (nips: Capabilities): Check => checked({ capabilities: nips });
  assert.deepEqual(
    told(inconclusive({
      50: { ok: false, reason: "inconclusive", elapsedMs: 5 },
      77: { ok: false, reason: "disconnected", elapsedMs: 5 },
    })),
    told(checked()),
    "what proves nothing takes nothing back",
  );
});

Deno.test("a write that took a log-in or work says that the relay asks for them", () => {
  const loggedIn = checked({
    read: { ok: true, readMs: 5, eose: true },
    write: { ok: false, reason: "walled", prefix: "auth-required", elapsedMs: 3 },
    auth: {
      challenged: true,
      required: true,
      login: { ok: true, loginMs: 2 },
      write: { ok: true, writeMs: 12 },
    },
  });
  assert.deepEqual(values(loggedIn, "R"), ["auth", "!writes"]);
  assert.deepEqual(values(loggedIn, "rtt-write"), ["12"]);
  const worked = checked({ write: { ok: true, writeMs: 4, powBits: 12 } });
  assert.deepEqual(values(worked, "R"), ["!writes", "pow"]);
});

Deno.test("kinds are those that the relay names in its retention", () => {
  const document = { retention: [{ kinds: [0, [5, 6]], time: 60 }, { kinds: [4], time: 0 }] };
  const check = checked({ nip11: { ok: true, nip11Ms: 1, bytes: 100, document } });
  assert.deepEqual(values(check, "k"), ["0", "5", "6", "!4"]);
});

const PLACE: Partial<Check> = {
  geo: {
    country: "DE",
    city: "Nuremberg",
    latitude: 49.4478,
    longitude: 11.0683,
    timezone: "Europe/Berlin",
    geohash: "u0zck",
  },
  net: { asn: 24_940, organisation: "Hetzner Online GmbH", network: "203.0.113.0/24" },
};

Deno.test("place and network are labels to filter by, each with its namespace, and display tags", () => {
  const check = checked(PLACE);
  assert.deepEqual(values(check, "g"), ["u0zck", "u0zc", "u0z", "u0", "u"]);
  assert.deepEqual(values(check, "L"), ["ISO-3166-1", "IANA-tz", "host.as", "host.asn"]);
  assert.deepEqual(tags(check).filter(([name]) => name === "l"), [
    ["l", "DE", "ISO-3166-1"],
    ["l", "Europe/Berlin", "IANA-tz"],
    ["l", "AS24940", "host.as"],
    ["l", "Hetzner Online GmbH", "host.asn"],
  ]);
  assert.deepEqual(
    tags(check).filter(([name]) => name?.startsWith("geo-") || name?.startsWith("net-")),
    [
      ["net-ip", "203.0.113.7"],
      ["net-asn", "24940"],
      ["net-asn-org", "Hetzner Online GmbH"],
      ["net-network", "203.0.113.0/24"],
      ["geo-country", "DE"],
      ["geo-city", "Nuremberg"],
      ["geo-lat", "49.4478"],
      ["geo-lon", "11.0683"],
      ["geo-tz", "Europe/Berlin"],
    ],
  );
  const six = checked({ open: { ok: true, openMs: 5, ip: "2001:db8::1" } });
  assert.deepEqual([values(six, "net-ip"), values(six, "net-ipv6")], [[], ["2001:db8::1"]]);
});

Deno.test("behind a CDN no place is reported, only whose edge it is", () => {
  const check = checked({ ...PLACE, net: { asn: 13_335, cdn: "Cloudflare" } });
  assert.deepEqual(values(check, "g"), []);
  assert.deepEqual(values(check, "geo-country"), []);
  assert.deepEqual(values(check, "L"), ["host.as"]);
  assert.deepEqual(values(check, "net-cdn"), ["Cloudflare"]);
});

Deno.test("DNS records are display tags, in an order that servers can't turn", () => {
  const dns = (order: number[]): Partial<Check> => ({
    dns: {
      outcome: "ok",
      a: order.map((i) => ({ address: `192.0.2.${i}`, ttlSeconds: i })),
      aaaa: [{ address: "2001:db8::1", ttlSeconds: 60 }],
      cname: ["edge.example.net"],
      ttlSeconds: order[0] ?? 0,
      domain: "example.com",
      ns: ["ns1.example.net", "ns2.example.net"],
      ptr: "host.example.net",
      outcomes: { a: "ok" },
      elapsedMs: 12,
    },
  });
  assert.deepEqual(tags(checked(dns([2, 1]))).filter(([name]) => name?.startsWith("dns-")), [
    ["dns-ip", "192.0.2.1"],
    ["dns-ip", "192.0.2.2"],
    ["dns-ip6", "2001:db8::1"],
    ["dns-cname", "edge.example.net"],
    ["dns-ns", "ns1.example.net"],
    ["dns-ns", "ns2.example.net"],
    ["dns-ptr", "host.example.net"],
  ]);
  const hash = (order: number[]): string | undefined => {
    const report = reportOf(checked(dns(order)));
    return report && reportHash(report);
  };
  assert.equal(hash([2, 1]), hash([1, 2]));
  assert.notEqual(hash([2, 1]), hash([2, 3]));
});

function relayUrl(text: string): RelayUrl {
  const parsed = parseRelayUrl(text);
  assert.ok(parsed.ok);
  return parsed.value;
}
