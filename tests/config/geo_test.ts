import assert from "node:assert/strict";
import { type GeoConfig, geoSection } from "../../src/config/geo.ts";
import { parseShape } from "../../src/config/parse.ts";
import type { ConfigProblem } from "../../src/config/problem.ts";
import type { GeoSettings } from "../../src/net/geo.ts";

function parse(raw: unknown): { values: GeoConfig; problems: ConfigProblem[] } {
  const problems: ConfigProblem[] = [];
  const values = parseShape(geoSection.shape, raw, "geo", problems) as unknown as GeoConfig;
  return { values, problems };
}

Deno.test("the section geo is what a lookup takes as its settings", () => {
  const { values, problems } = parse({});
  assert.deepEqual(problems, []);
  const settings: GeoSettings = values;
  assert.deepEqual(settings, {
    maxAgeMs: 604_800_000,
    maxFileBytes: 268_435_456,
    downloadTimeoutMs: 600_000,
    builtin: true,
    geohashPrecision: 5,
  });
});

Deno.test("a download's URL may have a place for the key, and stays as it was written", () => {
  const city_url = "https://download.maxmind.com/app/geoip_download?edition_id=GeoLite2-City" +
    "&license_key={license_key}&suffix=tar.gz";
  const { values, problems } = parse({ city_url, city_file: "/var/lib/GeoIP/GeoLite2-City.mmdb" });
  assert.deepEqual(problems, []);
  assert.equal(values.cityUrl, city_url);
  assert.equal(values.cityFile, "/var/lib/GeoIP/GeoLite2-City.mmdb");
  assert.equal(parse({ asn_url: "ftp://example.com/asn.mmdb" }).problems.length, 1);
  assert.equal(parse({ geohash_precision: 13 }).problems.length, 1);
});
