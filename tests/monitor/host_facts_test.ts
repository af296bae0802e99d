import assert from "node:assert/strict";
import { createHash, X509Certificate } from "node:crypto";
import { connect } from "node:tls";
import type { Check } from "../../src/model/check.ts";
import type { Network } from "../../src/model/network.ts";
import { geoCheck } from "../../src/monitor/checks/geo.ts";
import { netCheck } from "../../src/monitor/checks/net.ts";
import { CHECKS } from "../../src/monitor/registry.ts";
import type { CheckSession } from "../../src/monitor/session.ts";
import { checkSettings, withSources } from "../../src/monitor/settings.ts";
import { createDnsInspector, type DnsInspector } from "../../src/net/dns.ts";
import type { DnsServer } from "../../src/net/dns_servers.ts";
import { createGeo, type Geo } from "../../src/net/geo.ts";
import { HostSlots } from "../../src/net/host_slots.ts";
import { CERTIFICATE_NAMES } from "../relay/certificates.ts";
import { type HostileRelay, refuses, startHostileRelay, tls } from "../relay/mod.ts";
import { type DnsHandler, RCODE, record, startDnsServer, zone } from "../support/dns_server.ts";
import { mmdb } from "../support/mmdb.ts";
import {
  GEO_ASN_PATH,
  GEO_CITY_PATH,
  sharedDataMissing,
  sharedDataNote,
} from "../support/shared_data.ts";
import { testConfig, testDialer } from "../support/stages.ts";
import { tempFolder } from "../support/temp_folder.ts";
import { checkOnce, failureOf, MONITOR } from "./check_once.ts";
import { localSigner } from "../../src/nostr/signer.ts";
import { systemClock } from "../../src/lib/clock.ts";

const HOST = "relay.example.com";
const config = await testConfig();

function inspector(server: DnsServer): DnsInspector {
  return createDnsInspector({
    settings: { ...config.dns, servers: [server], attempts: 1, attemptTimeoutMs: 500 },
    networks: config.networks,
  });
}

/** A relay of the open internet, as far as anybody can tell: a name that leads to loopback. */
async function checkAt(
  relay: HostileRelay,
  sources: { dns?: DnsInspector; geo?: Geo; sets?: string[] },
): Promise<Check> {
  return await checkOnce(relay.urlFor(HOST), {
    ...sources,
    resolve: () => Promise.resolve(["127.0.0.1"]),
    ca: relay.ca,
  });
}

Deno.test("DNS facts are those of the zone, field by field, with the name of the address that was dialled", async () => {
  await using relay = await startHostileRelay();
  await using dns = await startDnsServer(zone({
    [`${HOST} A`]: {
      records: [
        record(HOST, "CNAME", "edge.example.net", 300),
        record("edge.example.net", "A", "192.0.2.2", 40),
        record("edge.example.net", "A", "192.0.2.1", 50),
      ],
    },
    [`${HOST} AAAA`]: {
      records: [
        record(HOST, "CNAME", "edge.example.net", 300),
        record("edge.example.net", "AAAA", "2001:db8::1", 60),
      ],
    },
    "example.com NS": {
      records: [
        record("example.com", "NS", "ns2.example.org"),
        record("example.com", "NS", "ns1.example.org"),
      ],
    },
    "1.0.0.127.in-addr.arpa PTR": {
      records: [record("1.0.0.127.in-addr.arpa", "PTR", "host.example.net")],
    },
  }));
  const { dns: facts } = await checkAt(relay, { dns: inspector(dns.server) });
  assert.ok(facts !== undefined && facts.elapsedMs > 0);
  assert.deepEqual({ ...facts, elapsedMs: 0 }, {
    outcome: "ok",
    a: [{ address: "192.0.2.2", ttlSeconds: 40 }, { address: "192.0.2.1", ttlSeconds: 50 }],
    aaaa: [{ address: "2001:db8::1", ttlSeconds: 60 }],
    cname: ["edge.example.net"],
    ttlSeconds: 40,
    domain: "example.com",
    ns: ["ns1.example.org", "ns2.example.org"],
    ptr: "host.example.net",
    outcomes: { a: "ok", aaaa: "ok", ns: "ok", ptr: "ok" },
    elapsedMs: 0,
  });
});

const deaths: [what: string, handler: DnsHandler, code: string, reason: string, outcome: string][] =
  [
    ["does not exist", zone({}), "ENOTFOUND", "name_not_found", "nxdomain"],
    [
      "is broken at its servers",
      () => [{ rcode: RCODE.servfail }],
      "EAI_AGAIN",
      "dns_failed",
      "servfail",
    ],
    ["nobody answers about", () => [], "EAI_AGAIN", "dns_failed", "timeout"],
  ];
for (const [what, handler, code, reason, outcome] of deaths) {
  Deno.test(`a relay whose name ${what} is told as such: ${outcome}`, async () => {
    await using relay = await startHostileRelay();
    await using dns = await startDnsServer(handler);
    const found = await checkOnce(relay.urlFor(HOST), {
      dns: inspector(dns.server),
      resolve: () => Promise.reject(Object.assign(new Error(code), { code })),
    });
    assert.equal(failureOf(found.open).reason, reason);
    assert.equal(found.dns?.outcome, outcome);
  });
}

Deno.test("DNS that failed is asked again where that is configured, and a missing name is not", async () => {
  await using relay = await startHostileRelay();
  for (const [rcode, questions] of [[RCODE.servfail, 2], [RCODE.nxdomain, 1]] as const) {
    await using dns = await startDnsServer(() => [{ rcode }]);
    await checkAt(relay, { dns: inspector(dns.server), sets: ["monitor.retries.dns=1"] });
    assert.equal(dns.queries.filter(({ type }) => type === "A").length, questions);
  }
});

Deno.test("a relay that refuses is still looked up, and put nowhere", async () => {
  await using folder = await tempFolder();
  await using relay = await startHostileRelay({ behaviours: [refuses()] });
  await using dns = await startDnsServer(
    zone({ [`${HOST} A`]: { records: [record(HOST, "A", "192.0.2.1")] } }),
  );
  const found = await checkAt(relay, {
    dns: inspector(dns.server),
    geo: await loopbackGeo(folder.path),
  });
  assert.equal(failureOf(found.open).reason, "refused");
  assert.equal(found.dns?.outcome, "ok");
  assert.deepEqual([found.geo, found.net], [undefined, undefined]);
});

Deno.test("the host's slot is given back before others are asked about it", async () => {
  await using relay = await startHostileRelay();
  const slots = new HostSlots();
  let held = -1;
  await using dns = await startDnsServer(() => {
    held = slots.size;
    return [{ rcode: RCODE.nxdomain }];
  });
  await checkOnce(relay.urlFor(HOST), {
    dns: inspector(dns.server),
    resolve: () => Promise.resolve(["127.0.0.1"]),
    slots,
  });
  assert.equal(held, 0);
});

for (const network of ["tor", "i2p", "loki", "local"] as const) {
  Deno.test(`on ${network} neither DNS nor databases are asked`, () => {
    const asked = CHECKS.filter((part) => part.appliesTo(network)).map(({ name }) => name);
    for (const name of ["dns", "geo", "net"]) assert.ok(!asked.includes(name as "dns"), name);
    assert.equal(asked.includes("ssl"), network === "local");
  });
}

Deno.test("place and network are those of the dialled address", async () => {
  await using folder = await tempFolder();
  await using relay = await startHostileRelay();
  const found = await checkAt(relay, { geo: await loopbackGeo(folder.path) });
  assert.deepEqual(found.geo, {
    country: "DK",
    city: "Skagen",
    latitude: 57.64911,
    longitude: 10.40744,
    timezone: "Europe/Copenhagen",
    geohash: "u4pru",
  });
  assert.deepEqual(found.net, {
    asn: 64_500,
    organisation: "Example Networks",
    network: "127.0.0.0/8",
  });
  const off = ["monitor.checks.geo=false"];
  const half = await checkAt(relay, { geo: await loopbackGeo(folder.path), sets: off });
  assert.equal(half.geo, undefined);
  assert.equal(half.net?.asn, 64_500);
});

Deno.test({
  name: `an address in MaxMind's test databases is put where they put it${sharedDataNote}`,
  ignore: sharedDataMissing,
  fn: async () => {
    const geo = createGeo({
      settings: { ...config.geo, cityFile: GEO_CITY_PATH, asnFile: GEO_ASN_PATH },
      dataDir: "/nonexistent",
    });
    const session = dialled("81.2.69.160", geo);
    assert.deepEqual(await geoCheck.run(session), {
      geo: {
        country: "GB",
        city: "London",
        latitude: 51.5142,
        longitude: -0.0931,
        accuracyKm: 100,
        timezone: "Europe/London",
        geohash: "gcpvj",
      },
    });
    assert.deepEqual(await netCheck.run(session), {});
    assert.deepEqual(await netCheck.run(dialled("1.128.0.1", geo)), {
      net: { asn: 1221, organisation: "Telstra Pty Ltd", network: "1.128.0.0/11" },
    });
    assert.deepEqual(await geoCheck.run(dialled(undefined, geo)), {}, "behind a proxy");
  },
});

Deno.test("only what there is a source for is a check that runs", async () => {
  const settings = checkSettings(config);
  const nobody = await withSources(settings, {});
  assert.deepEqual(
    [nobody.enabled.dns, nobody.enabled.geo, nobody.enabled.net, nobody.enabled.read],
    [false, false, false, true],
  );
  await using folder = await tempFolder();
  const all = await withSources(settings, {
    geo: await loopbackGeo(folder.path),
    dns: inspector({ address: "127.0.0.1", port: 1 }),
  });
  assert.deepEqual([all.enabled.dns, all.enabled.geo, all.enabled.net], [true, true, true]);
  const countries = createGeo({
    settings: { ...config.geo, builtin: true },
    dataDir: "/nonexistent",
  });
  const coarse = await withSources(settings, { geo: countries });
  assert.deepEqual([coarse.enabled.geo, coarse.enabled.net], [true, false]);
});

Deno.test("TLS facts are those of the certificate, field by field, as another reader sees it", async () => {
  await using relay = await startHostileRelay({ behaviours: [tls("valid")] });
  const { tls: report } = await checkOnce(relay.url, { ca: relay.ca });
  const raw = await peerCertificate(relay.port);
  const certificate = new X509Certificate(raw);
  const root = new X509Certificate(relay.ca);
  assert.ok(report !== undefined);
  const { protocol, cipher, ...rest } = report;
  assert.equal(protocol, "TLSv1.3");
  assert.match(cipher ?? "", /^TLS_(AES|CHACHA20)/);
  const seconds = (text: string): number => Math.floor(Date.parse(text) / 1000);
  assert.deepEqual(rest, {
    valid: true,
    subject: "CN=relay.test",
    issuer: "CN=BigBrotr test root",
    names: CERTIFICATE_NAMES.map((name) => name === "127.0.0.1" ? `IP Address:${name}` : name),
    validFrom: seconds(certificate.validFrom),
    validTo: seconds(certificate.validTo),
    fingerprint: createHash("sha256").update(raw).digest("hex"),
    serialNumber: certificate.serialNumber.toLowerCase(),
    chain: [{
      subject: "CN=BigBrotr test root",
      issuer: "CN=BigBrotr test root",
      validTo: seconds(root.validTo),
      fingerprint: createHash("sha256").update(root.raw).digest("hex"),
    }],
  });
});

async function loopbackGeo(folder: string): Promise<Geo> {
  const cityFile = `${folder}/city.mmdb`;
  const asnFile = `${folder}/asn.mmdb`;
  const place = {
    country_code: "DK",
    city: "Skagen",
    latitude: 57.64911,
    longitude: 10.40744,
    timezone: "Europe/Copenhagen",
  };
  const system = {
    autonomous_system_number: 64_500,
    autonomous_system_organization: "Example Networks",
  };
  await Deno.writeFile(cityFile, mmdb({ "127.0.0.0/8": place }, { type: "city" }));
  await Deno.writeFile(asnFile, mmdb({ "127.0.0.0/8": system }, { type: "GeoLite2-ASN" }));
  return createGeo({ settings: { ...config.geo, cityFile, asnFile }, dataDir: "/nonexistent" });
}

/** A check after its dial of `ip`. */
function dialled(ip: string | undefined, geo: Geo): CheckSession {
  const network: Network = "clearnet";
  const open = { ok: true as const, openMs: 1, ...(ip === undefined ? {} : { ip }) };
  return {
    url: "wss://relay.example.com/" as CheckSession["url"],
    network,
    settings: checkSettings(config),
    dialer: testDialer(config),
    blocked: undefined,
    signer: localSigner(MONITOR.secretKey),
    geo,
    clock: systemClock,
    random: Math.random,
    signal: new AbortController().signal,
    resolution: undefined,
    connection: undefined,
    found: { open },
  };
}

/** The DER of the certificate at a port, by a handshake of its own. */
function peerCertificate(port: number): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const socket = connect({
      port,
      host: "127.0.0.1",
      servername: "relay.test",
      rejectUnauthorized: false,
    });
    socket.once("error", reject);
    socket.once("secureConnect", () => {
      const { raw } = socket.getPeerCertificate();
      socket.once("close", () => resolve(raw));
      socket.destroy();
    });
  });
}
