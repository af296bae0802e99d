import assert from "node:assert/strict";
import { GeoFile } from "../../src/net/geo_databases.ts";
import { ManualClock } from "../support/manual_clock.ts";
import { mmdb } from "../support/mmdb.ts";
import { tempFolder } from "../support/temp_folder.ts";

const MINUTE_MS = 60_000;

/** A database that names a country for 192.0.2.1, padded so that every one has another size. */
function countryFile(country: string, padding = 0): Uint8Array {
  const records = { "192.0.2.0/24": { country_code: country, city: "x".repeat(padding) } };
  return mmdb(records, { type: "flat" });
}

async function country(file: GeoFile): Promise<string | undefined> {
  return (await file.current())?.find("192.0.2.1").geo.country;
}

Deno.test("a file is opened when it is first asked for, also when it comes later", async () => {
  await using folder = await tempFolder();
  const clock = new ManualClock();
  const path = `${folder.path}/city.mmdb`;
  const file = new GeoFile({ name: "city", path, maxBytes: 10_000, clock });
  assert.equal(await file.current(), undefined);
  assert.equal(await file.modifiedMs(), undefined);
  await Deno.writeFile(path, countryFile("FI"));
  await clock.advance(MINUTE_MS);
  assert.equal(await country(file), "FI");
});

Deno.test("a changed file is read again after a minute, or at once when told", async () => {
  await using folder = await tempFolder();
  const clock = new ManualClock();
  const path = `${folder.path}/city.mmdb`;
  await Deno.writeFile(path, countryFile("FI"));
  const file = new GeoFile({ name: "city", path, maxBytes: 10_000, clock });
  assert.equal(await country(file), "FI");
  await Deno.writeFile(path, countryFile("SE", 1));
  await clock.advance(MINUTE_MS - 1);
  assert.equal(await country(file), "FI");
  await clock.advance(1);
  assert.equal(await country(file), "SE");
  await Deno.writeFile(path, countryFile("NO", 2));
  file.forget();
  assert.equal(await country(file), "NO");
});

Deno.test("a file that is not read anew is the same object: nothing is opened twice", async () => {
  await using folder = await tempFolder();
  const path = `${folder.path}/city.mmdb`;
  await Deno.writeFile(path, countryFile("FI"));
  const file = new GeoFile({ name: "city", path, maxBytes: 10_000 });
  const found = await Promise.all(Array.from({ length: 20 }, () => file.current()));
  assert.ok(found[0]);
  assert.equal(new Set(found).size, 1);
  file.forget();
  assert.equal(await file.current(), found[0]);
});

Deno.test("a bad file does not replace a good one in memory", async () => {
  await using folder = await tempFolder();
  const path = `${folder.path}/city.mmdb`;
  await Deno.writeFile(path, countryFile("FI"));
  const file = new GeoFile({ name: "city", path, maxBytes: 1_000, clock: new ManualClock() });
  assert.equal(await country(file), "FI");
  const whole = countryFile("SE");
  const bad = [
    new Uint8Array(0),
    new TextEncoder().encode("<html>404</html>"),
    whole.subarray(0, whole.length - 40),
    whole.subarray(whole.length - 200),
    countryFile("DK", 280).map((byte, at) => at < 10 ? 255 : byte).subarray(300),
  ];
  for (const bytes of bad) {
    await Deno.writeFile(path, bytes);
    file.forget();
    assert.equal(await country(file), "FI", `${bytes.length} bytes`);
  }
  await Deno.writeFile(path, new Uint8Array([...new Uint8Array(1_000), ...countryFile("SE")]));
  file.forget();
  assert.equal(await country(file), "FI", "too large");
  await Deno.writeFile(path, countryFile("SE"));
  file.forget();
  assert.equal(await country(file), "SE");
});

Deno.test("a file that was taken away is no longer used", async () => {
  await using folder = await tempFolder();
  const path = `${folder.path}/city.mmdb`;
  await Deno.writeFile(path, countryFile("FI"));
  const file = new GeoFile({ name: "city", path, maxBytes: 10_000 });
  assert.equal(await country(file), "FI");
  await Deno.remove(path);
  file.forget();
  assert.equal(await file.current(), undefined);
});

Deno.test("a folder in the place of a file is no database and no failure", async () => {
  await using folder = await tempFolder();
  const file = new GeoFile({ name: "city", path: folder.path, maxBytes: 1_000_000 });
  assert.equal(await file.current(), undefined);
});
