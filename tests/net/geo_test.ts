import assert from "node:assert/strict";
import fc from "fast-check";
import type { AddressFacts } from "../../src/model/host_facts.ts";
import { cdnOf } from "../../src/net/cdn.ts";
import { createGeo, type Geo, type GeoSettings } from "../../src/net/geo.ts";
import { openGeoDatabase } from "../../src/net/geo_records.ts";
import { mmdb, type MmdbValue } from "../support/mmdb.ts";
import {
  GEO_ASN_PATH,
  GEO_CITY_PATH,
  sharedDataMissing,
  sharedDataNote,
} from "../support/shared_data.ts";
import { tempFolder } from "../support/temp_folder.ts";

const SETTINGS: GeoSettings = {
  maxAgeMs: 86_400_000,
  maxFileBytes: 1_000_000,
  downloadTimeoutMs: 10_000,
  builtin: false,
  geohashPrecision: 5,
};
const NOWHERE = "/nonexistent/bigbrotr";

function geo(settings: Partial<GeoSettings> = {}, dataDir = NOWHERE): Geo {
  return createGeo({ settings: { ...SETTINGS, ...settings }, dataDir });
}

/** What a database of these records says. */
function find(table: Record<string, MmdbValue>, type: string, ip: string): AddressFacts {
  const opened = openGeoDatabase(mmdb(table, { type }));
  assert.ok(opened.ok, opened.ok ? "" : opened.failure);
  return opened.value.find(ip);
}

Deno.test({
  name: `MaxMind's test databases are read field by field${sharedDataNote}`,
  ignore: sharedDataMissing,
  fn: async () => {
    const found = geo({ cityFile: GEO_CITY_PATH, asnFile: GEO_ASN_PATH });
    assert.deepEqual(await found.facts("81.2.69.160"), {
      geo: {
        country: "GB",
        city: "London",
        latitude: 51.5142,
        longitude: -0.0931,
        accuracyKm: 100,
        timezone: "Europe/London",
        geohash: "gcpvj",
      },
      net: {},
    });
    assert.deepEqual(await found.facts("89.160.20.112"), {
      geo: {
        country: "SE",
        city: "Linköping",
        latitude: 58.4167,
        longitude: 15.6167,
        accuracyKm: 76,
        timezone: "Europe/Stockholm",
        geohash: "u67h7",
      },
      net: { asn: 29518, organisation: "Bredband2 AB", network: "89.160.0.0/17" },
    });
    // A country without a city.
    assert.deepEqual(await found.facts("2001:218::1"), {
      geo: {
        country: "JP",
        latitude: 35.68536,
        longitude: 139.75309,
        accuracyKm: 100,
        timezone: "Asia/Tokyo",
        geohash: "xn77h",
      },
      net: {},
    });
    // A system without an organisation; the country is where it is, not where it is registered.
    const { geo: place, net } = await found.facts("216.160.83.56");
    assert.equal(place.country, "US");
    assert.deepEqual(net, { asn: 209, network: "216.160.64.0/18" });
    assert.deepEqual((await found.facts("1.128.0.1")).net, {
      asn: 1221,
      organisation: "Telstra Pty Ltd",
      network: "1.128.0.0/11",
    });
    assert.deepEqual((await found.facts("2600:6000::1")).net, {
      asn: 237,
      organisation: "Merit Network Inc.",
      network: "2600:6000::/20",
    });
    assert.deepEqual(await found.facts("8.8.8.8"), { geo: {}, net: {} });
    assert.deepEqual(await found.sources(), [
      { role: "city", type: "GeoLite2-City", builtAt: 1_770_245_369 },
      { role: "asn", type: "GeoLite2-ASN", builtAt: 1_770_245_369 },
    ]);
  },
});

Deno.test("an IPv4 address is the same behind IPv6, and a zone says nothing", async () => {
  const table = { "192.0.2.0/24": { country_code: "SE" }, "fe80::/10": { country_code: "NO" } };
  await using folder = await tempFolder();
  const cityFile = `${folder.path}/flat.mmdb`;
  await Deno.writeFile(cityFile, mmdb(table, { type: "country ipvAll" }));
  const found = geo({ cityFile });
  for (const ip of ["192.0.2.7", "::ffff:192.0.2.7", "::ffff:c000:207"]) {
    assert.deepEqual((await found.facts(ip)).geo, { country: "SE" }, ip);
  }
  assert.deepEqual((await found.facts("fe80::1%eth0")).geo, { country: "NO" });
  for (const ip of ["", "relay.example.com", "192.0.2", "1.2.3.4.5", "::g"]) {
    assert.deepEqual(await found.facts(ip), { geo: {}, net: {} }, ip);
  }
});

Deno.test("flat records are read as well as nested ones", () => {
  const dbip = {
    "192.0.2.0/24": {
      city: "Zürich",
      country_code: "ch",
      latitude: 47.3667,
      longitude: 8.55,
      postcode: "8001",
      state1: "Zurich",
      timezone: "Europe/Zurich",
    },
  };
  assert.deepEqual(find(dbip, "city ipvAll", "192.0.2.200"), {
    geo: {
      country: "CH",
      city: "Zürich",
      latitude: 47.3667,
      longitude: 8.55,
      timezone: "Europe/Zurich",
    },
    net: {},
  });
  const asn = {
    "2001:db8::/33": {
      autonomous_system_number: 64496,
      autonomous_system_organization: "Example Networks",
    },
  };
  assert.deepEqual(find(asn, "asn ipvAll", "2001:db8:7fff::1"), {
    geo: {},
    net: { asn: 64496, organisation: "Example Networks", network: "2001:db8::/33" },
  });
  assert.deepEqual(find(asn, "asn ipvAll", "2001:db8:8000::1"), { geo: {}, net: {} });
  const ipinfo = { "192.0.2.128/25": { country_code: "DE", asn: "AS64511", as_name: "Example" } };
  assert.deepEqual(find(ipinfo, "ipinfo bundle_location_lite.mmdb", "192.0.2.129"), {
    geo: { country: "DE" },
    net: { asn: 64511, organisation: "Example", network: "192.0.2.128/25" },
  });
});

Deno.test("nested records of other makers are read by MaxMind's library", () => {
  const table = {
    "192.0.2.0/24": {
      city: { names: { de: "Wien" } },
      country: { iso_code: "AT", names: { en: "Austria" } },
      location: { latitude: 48.2, longitude: 16.4 },
    },
  };
  assert.deepEqual(find(table, "DBIP-City-Lite", "192.0.2.1").geo, {
    country: "AT",
    city: "Wien",
    latitude: 48.2,
    longitude: 16.4,
  });
  const country = { "192.0.2.0/24": { country: { iso_code: "AT" } } };
  assert.deepEqual(find(country, "GeoLite2-Country", "192.0.2.1").geo, { country: "AT" });
});

Deno.test("values of the wrong kind or out of range are left out, the others stay", () => {
  const odd: Record<string, MmdbValue>[] = [
    { country_code: "Schweiz" },
    { country_code: 41 },
    { country_code: "ZZ" },
    { latitude: 91.5, longitude: 8.5 },
    { latitude: 0, longitude: 0 },
    { latitude: 47.5 },
    { latitude: ["47.5"], longitude: 8.5 },
    { city: "", timezone: {} },
    { autonomous_system_number: 0, autonomous_system_organization: "Nobody" },
    { autonomous_system_organization: "Nobody" },
  ];
  for (const record of odd) {
    const facts = find({ "192.0.2.0/24": record }, "flat", "192.0.2.1");
    assert.deepEqual(facts, { geo: {}, net: {} }, JSON.stringify(record));
  }
  const long = find({ "192.0.2.0/24": { city: "x".repeat(250) } }, "flat", "192.0.2.1");
  assert.equal(long.geo.city?.length, 100);
  const text = find({ "192.0.2.0/24": { city: "a\u0000\u202eb" } }, "flat", "192.0.2.1");
  assert.equal(text.geo.city, "a\\u0000\\u202eb");
});

Deno.test("a geohash is as long as the settings say", async () => {
  await using folder = await tempFolder();
  const cityFile = `${folder.path}/city.mmdb`;
  const record = { country_code: "DK", latitude: 57.64911, longitude: 10.40744 };
  await Deno.writeFile(cityFile, mmdb({ "192.0.2.0/24": record }, { type: "city" }));
  for (
    const [geohashPrecision, geohash] of [[1, "u"], [5, "u4pru"], [11, "u4pruydqqvj"]] as const
  ) {
    const { geo: place } = await geo({ cityFile, geohashPrecision }).facts("192.0.2.1");
    assert.equal(place.geohash, geohash);
  }
});

Deno.test("files lie in the data folder unless the settings say where", async () => {
  await using folder = await tempFolder();
  await Deno.mkdir(`${folder.path}/geo`);
  const city = mmdb({ "192.0.2.0/24": { country_code: "FI" } }, { type: "country" });
  const asn = mmdb({ "192.0.2.0/24": { asn: "AS64500" } }, { type: "asn" });
  await Deno.writeFile(`${folder.path}/geo/city.mmdb`, city);
  await Deno.writeFile(`${folder.path}/geo/asn.mmdb`, asn);
  assert.deepEqual(await geo({}, folder.path).facts("192.0.2.1"), {
    geo: { country: "FI" },
    net: { asn: 64500, network: "192.0.2.0/24" },
  });
});

Deno.test("without any database nothing is known, and nothing fails", async () => {
  const found = geo();
  assert.deepEqual(await found.facts("192.0.2.1"), { geo: {}, net: {} });
  assert.deepEqual(await found.sources(), []);
  const { signal } = new AbortController();
  assert.deepEqual(await found.refresh({ signal }), []);
});

Deno.test("the built-in database knows countries where the operator has no file", async () => {
  const found = geo({ builtin: true });
  const known = { "8.8.8.8": "US", "5.75.128.1": "DE", "2a01:4f8::1": "DE", "133.242.0.1": "JP" };
  for (const [ip, country] of Object.entries(known)) {
    assert.deepEqual(await found.facts(ip), { geo: { country }, net: {} }, ip);
  }
  assert.deepEqual(await found.facts("127.0.0.1"), { geo: {}, net: {} });
  assert.deepEqual((await found.sources()).map(({ role }) => role), ["builtin"]);
});

Deno.test("the built-in database is silent where the operator has a file", async () => {
  await using folder = await tempFolder();
  const cityFile = `${folder.path}/city.mmdb`;
  await Deno.writeFile(cityFile, mmdb({ "192.0.2.0/24": { country_code: "FI" } }, { type: "x" }));
  const found = geo({ cityFile, builtin: true });
  assert.deepEqual(await found.facts("8.8.8.8"), { geo: {}, net: {} });
  assert.deepEqual((await found.sources()).map(({ role }) => role), ["city"]);
});

Deno.test("an edge is told by its address or by its system, a hoster is none", async () => {
  const edges = {
    "104.21.5.7": "Cloudflare",
    "172.67.1.1": "Cloudflare",
    "2606:4700::6810:1": "Cloudflare",
    "2a06:98c7:ffff::1": "Cloudflare",
    "151.101.1.1": "Fastly",
    "::ffff:151.101.1.1": "Fastly",
    "2a04:4e42::1": "Fastly",
  };
  for (const [ip, name] of Object.entries(edges)) assert.equal(cdnOf(ip), name, ip);
  for (const ip of ["104.15.255.255", "104.28.0.0", "2606:4701::1", "192.0.2.1", "no address"]) {
    assert.equal(cdnOf(ip), undefined, ip);
  }
  assert.equal(cdnOf("192.0.2.1", 13335), "Cloudflare");
  assert.equal(cdnOf("192.0.2.1", 24940), undefined);
  await using folder = await tempFolder();
  const asnFile = `${folder.path}/asn.mmdb`;
  await Deno.writeFile(asnFile, mmdb({ "192.0.2.0/24": { asn: "AS20940" } }, { type: "asn" }));
  const found = geo({ asnFile });
  assert.equal((await found.facts("192.0.2.1")).net.cdn, "Akamai");
  assert.deepEqual((await found.facts("104.21.5.7")).net, { cdn: "Cloudflare" });
});

Deno.test("a damaged database costs facts, never a failure", () => {
  const whole = mmdb({
    "192.0.2.0/24": { country_code: "FI", city: "Oulu", asn: "AS64500", latitude: 65.01 },
    "2001:db8::/32": { country_code: "SE" },
  }, { type: "flat" });
  const change = fc.record({ at: fc.nat(whole.length - 1), value: fc.nat(255) });
  fc.assert(fc.property(
    fc.array(change, { minLength: 1, maxLength: 8 }),
    fc.nat(whole.length),
    (changes, length) => {
      const bytes = Uint8Array.from(length % 2 === 0 ? whole : whole.subarray(length));
      for (const { at, value } of changes) if (at < bytes.length) bytes[at] = value;
      const opened = openGeoDatabase(bytes);
      if (!opened.ok) return;
      try {
        opened.value.find("192.0.2.1");
      } catch (error) {
        // What `find` says of a damaged record; createGeo turns it into "nothing known".
        assert.ok(error instanceof Error);
      }
    },
  ));
});

Deno.test("a record that can't be read leaves the other databases' facts", async () => {
  await using folder = await tempFolder();
  const whole = mmdb({ "192.0.2.0/24": { country_code: "FI" } }, { type: "flat" });
  const bytes = Uint8Array.from(whole);
  // The record's first byte, behind the tree's separator: a type that does not exist.
  const text = new TextDecoder("latin1").decode(bytes);
  const record = text.indexOf("country_code") - 2;
  bytes.set([0x00, 0xff], record);
  const cityFile = `${folder.path}/city.mmdb`;
  await Deno.writeFile(cityFile, bytes);
  const asnFile = `${folder.path}/asn.mmdb`;
  await Deno.writeFile(asnFile, mmdb({ "192.0.2.0/24": { asn: "AS64500" } }, { type: "asn" }));
  assert.deepEqual(await geo({ cityFile, asnFile }).facts("192.0.2.1"), {
    geo: {},
    net: { asn: 64500, network: "192.0.2.0/24" },
  });
});
