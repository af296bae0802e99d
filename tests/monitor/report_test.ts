import assert from "node:assert/strict";
import type { Check } from "../../src/model/check.ts";
import { parseRelayUrl, type RelayUrl } from "../../src/model/relay_url.ts";
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
    nip11: { ok: true, nip11Ms: 5, document: { name: "still a web page" } },
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
  const report = reportOf(checked({ nip11: { ok: true, nip11Ms: 5, document } }));
  assert.ok(report !== undefined);
  assert.deepEqual(JSON.parse(buildReport(report, 1).content), document);
  const without = reportOf(checked());
  assert.ok(without !== undefined);
  assert.equal(buildReport(without, 1).content, "");
});

Deno.test("a document too large for most relays does not cost the report", () => {
  const document = { name: "x", description: "y".repeat(100_000), supported_nips: [1, 11] };
  const check = checked({ nip11: { ok: true, nip11Ms: 5, document } });
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
    open: { ok: true, openMs: 7 },
    read: { ok: true, readMs: 3, eose: true },
  };
  assert.equal(hash(faster), base);
  assert.notEqual(hash({}), base, "the read failed");
  assert.notEqual(hash({ ...faster, nip11: { ok: true, nip11Ms: 1, document: { a: 1 } } }), base);
  assert.notEqual(hash({ ...faster, tls: { valid: true } }), base);
});

function relayUrl(text: string): RelayUrl {
  const parsed = parseRelayUrl(text);
  assert.ok(parsed.ok);
  return parsed.value;
}
