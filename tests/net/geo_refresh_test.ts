import assert from "node:assert/strict";
import { gzipSync } from "node:zlib";
import { Secret } from "../../src/lib/secret.ts";
import type { Dialer } from "../../src/net/dialer.ts";
import { createGeo, type Geo, type GeoRefresh, type GeoSettings } from "../../src/net/geo.ts";
import { makeCertificate, testRootPem } from "../relay/certificates.ts";
import { ManualClock } from "../support/manual_clock.ts";
import { mmdb } from "../support/mmdb.ts";
import { tempFolder } from "../support/temp_folder.ts";
import { testDialer } from "./dialers.ts";

const DAY_MS = 86_400_000;
const HOUR_MS = 3_600_000;
const IP = "192.0.2.1";

const SETTINGS: GeoSettings = {
  maxAgeMs: 7 * DAY_MS,
  maxFileBytes: 20_000,
  downloadTimeoutMs: 20_000,
  builtin: false,
  geohashPrecision: 5,
};

function countryFile(country: string, type = "country ipvAll"): Uint8Array {
  return mmdb({ "192.0.2.0/24": { country_code: country } }, { type });
}

/** A tar with these files, as MaxMind packs its databases into a folder. */
function tar(files: Record<string, Uint8Array>): Uint8Array {
  const blocks: Uint8Array[] = [];
  const add = (name: string, type: string, data: Uint8Array): void => {
    const header = new Uint8Array(512);
    const put = (text: string, at: number): void => header.set(new TextEncoder().encode(text), at);
    put(name, 0);
    put(data.length.toString(8).padStart(11, "0"), 124);
    put(type, 156);
    put("ustar\u000000", 257);
    blocks.push(header, data, new Uint8Array((512 - data.length % 512) % 512));
  };
  add("GeoLite2-City_20260204/", "5", new Uint8Array(0));
  for (const [name, data] of Object.entries(files)) {
    add(`GeoLite2-City_20260204/${name}`, "0", data);
  }
  blocks.push(new Uint8Array(1024));
  return new Uint8Array(blocks.flatMap((block) => [...block]));
}

interface FileServer extends AsyncDisposable {
  readonly url: string;
  readonly requests: { search: string; modifiedSince: string | null }[];
}

/** A web server on loopback; https where it is given a certificate. */
function serve(
  handler: (request: Request) => Response,
  certificate?: { cert: string; key: string },
): FileServer {
  const requests: FileServer["requests"] = [];
  const options = { hostname: "127.0.0.1", port: 0, onListen: () => undefined, ...certificate };
  const server = Deno.serve(options, (request) => {
    const modifiedSince = request.headers.get("if-modified-since");
    requests.push({ search: new URL(request.url).search, modifiedSince });
    return handler(request);
  });
  const scheme = certificate === undefined ? "http" : "https";
  return {
    url: `${scheme}://127.0.0.1:${server.addr.port}/city.mmdb`,
    requests,
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
}

function ok(body: Uint8Array): Response {
  return new Response(Uint8Array.from(body));
}

/** A lookup that downloads its places from `url`, and a clock to age its file with. */
function downloading(
  folder: string,
  url: string,
  options: {
    settings?: Partial<GeoSettings>;
    dialer?: Dialer;
    licenseKey?: Secret;
    clock?: ManualClock;
  } = {},
): Geo {
  return createGeo({
    settings: { ...SETTINGS, cityUrl: url, ...options.settings },
    dataDir: folder,
    dialer: options.dialer ?? testDialer(),
    licenseKey: options.licenseKey,
    clock: options.clock ?? new ManualClock(Date.now()),
    random: () => 0.5,
  });
}

/** One refresh, of one file. */
async function refresh(geo: Geo): Promise<GeoRefresh> {
  const [result, ...more] = await geo.refresh({ signal: new AbortController().signal });
  assert.deepEqual(more, []);
  assert.ok(result);
  return result;
}

/** What a refresh says, in two words. */
async function outcome(geo: Geo): Promise<string> {
  const result = await refresh(geo);
  return result.outcome === "failed" ? `failed: ${result.reason}` : result.outcome;
}

async function filesIn(folder: string): Promise<string[]> {
  const names: string[] = [];
  for await (const { name } of Deno.readDir(folder)) names.push(name);
  return names.sort();
}

Deno.test("a missing file is downloaded, and used at once", async () => {
  await using folder = await tempFolder();
  await using server = serve(() => ok(countryFile("FI")));
  const geo = downloading(folder.path, server.url);
  assert.deepEqual((await geo.facts(IP)).geo, {});
  assert.deepEqual(await refresh(geo), { file: "city", outcome: "updated" });
  assert.deepEqual((await geo.facts(IP)).geo, { country: "FI" });
  assert.deepEqual(await filesIn(`${folder.path}/geo`), ["city.mmdb"]);
  assert.equal(await outcome(geo), "not_due");
  assert.equal(server.requests.length, 1);
});

Deno.test("a file is downloaded anew when it is older than the settings allow", async () => {
  await using folder = await tempFolder();
  let country = "FI";
  await using server = serve(() => ok(countryFile(country)));
  const clock = new ManualClock(Date.now());
  const geo = downloading(folder.path, server.url, { clock });
  await refresh(geo);
  country = "SE";
  await clock.advance(7 * DAY_MS - HOUR_MS);
  assert.equal(await outcome(geo), "not_due");
  await clock.advance(2 * HOUR_MS);
  assert.equal(await outcome(geo), "updated");
  assert.equal((await geo.facts(IP)).geo.country, "SE");
});

Deno.test("a file that has not changed there is not sent again, and counts as young", async () => {
  await using folder = await tempFolder();
  await using server = serve((request) => {
    return request.headers.has("if-modified-since")
      ? new Response(null, { status: 304 })
      : ok(countryFile("FI"));
  });
  const clock = new ManualClock(Date.now());
  const geo = downloading(folder.path, server.url, { clock });
  await refresh(geo);
  const path = `${folder.path}/geo/city.mmdb`;
  const written = (await Deno.stat(path)).mtime;
  await clock.advance(8 * DAY_MS);
  assert.equal(await outcome(geo), "unchanged");
  assert.equal(server.requests[1]?.modifiedSince, written?.toUTCString());
  assert.equal(await outcome(geo), "not_due");
  assert.equal((await geo.facts(IP)).geo.country, "FI");
});

Deno.test("gzip, and the tar that MaxMind serves, are unpacked", async () => {
  const plain = countryFile("FI");
  const packed = {
    gzip: gzipSync(plain),
    "gzipped tar": gzipSync(tar({ "COPYRIGHT.txt": new Uint8Array(700), "City.mmdb": plain })),
    tar: tar({ "City.mmdb": plain }),
  };
  for (const [name, bytes] of Object.entries(packed)) {
    await using folder = await tempFolder();
    await using server = serve(() => ok(bytes));
    const geo = downloading(folder.path, server.url);
    assert.equal(await outcome(geo), "updated", name);
    assert.equal((await geo.facts(IP)).geo.country, "FI", name);
  }
});

Deno.test("what is no database of the right kind replaces nothing", async () => {
  const whole = countryFile("SE");
  const asn = mmdb({ "192.0.2.0/24": { asn: "AS64500" } }, { type: "GeoLite2-ASN" });
  const answers: [string, () => Response][] = [
    ["failed: http_status", () => new Response("gone", { status: 404 })],
    ["failed: http_status", () => new Response(null, { status: 204 })],
    ["failed: not_a_database", () => new Response("<html>please log in</html>")],
    ["failed: not_a_database", () => new Response("")],
    ["failed: not_a_database", () => ok(whole.subarray(0, whole.length - 60))],
    ["failed: not_a_database", () => ok(whole.subarray(whole.length - 150))],
    ["failed: not_a_database", () => ok(gzipSync(whole).subarray(0, 100))],
    ["failed: not_a_database", () => ok(gzipSync(tar({ "README.txt": new Uint8Array(9) })))],
    ["failed: not_a_database", () => ok(gzipSync(tar({ "City.mmdb": whole }).subarray(0, 1_100)))],
    // A bomb: 30 MB of nothing in 30 kB would do; the bound is on what comes out.
    ["failed: not_a_database", () => ok(gzipSync(new Uint8Array(3_000_000)))],
    ["failed: wrong_kind", () => ok(asn)],
    ["failed: download_failed", () => ok(new Uint8Array(SETTINGS.maxFileBytes + 1))],
    [
      "failed: download_failed",
      () => new Response(null, { status: 302, headers: { location: "ftp://x" } }),
    ],
  ];
  for (const [expected, answer] of answers) {
    await using folder = await tempFolder();
    let isGood = true;
    await using server = serve(() => isGood ? ok(countryFile("FI")) : answer());
    const clock = new ManualClock(Date.now());
    const geo = downloading(folder.path, server.url, { clock });
    await refresh(geo);
    isGood = false;
    await clock.advance(8 * DAY_MS);
    assert.equal(await outcome(geo), expected);
    assert.equal((await geo.facts(IP)).geo.country, "FI");
    assert.deepEqual(await filesIn(`${folder.path}/geo`), ["city.mmdb"]);
  }
});

Deno.test("a URL that failed is left alone, longer each time, then asked again", async () => {
  await using folder = await tempFolder();
  let isGood = false;
  await using server = serve(() =>
    isGood ? ok(countryFile("FI")) : new Response(null, { status: 503 })
  );
  const clock = new ManualClock(Date.now());
  const geo = downloading(folder.path, server.url, { clock });
  assert.equal(await outcome(geo), "failed: http_status");
  assert.equal(await outcome(geo), "not_due");
  let waitedMs = 0;
  const waits: number[] = [];
  while (waits.length < 10) {
    await clock.advance(HOUR_MS / 6);
    waitedMs += HOUR_MS / 6;
    if (await outcome(geo) === "not_due") continue;
    waits.push(waitedMs);
    waitedMs = 0;
  }
  assert.ok(waits.slice(1).every((wait, at) => wait >= (waits[at] ?? 0)), String(waits));
  assert.ok(Math.max(...waits) <= DAY_MS, String(waits));
  isGood = true;
  await clock.advance(DAY_MS);
  assert.equal(await outcome(geo), "updated");
});

Deno.test("a database is taken from nobody whose certificate does not hold, and the key stays here", async () => {
  const licenseKey = new Secret("k3y");
  const dialer = testDialer({ ca: testRootPem() });
  for (const kind of ["self_signed", "expired", "wrong_host"] as const) {
    await using folder = await tempFolder();
    await using server = serve(() => ok(countryFile("FI")), makeCertificate(kind));
    const geo = downloading(folder.path, `${server.url}?key={license_key}`, { dialer, licenseKey });
    assert.equal(await outcome(geo), "failed: download_failed", kind);
    assert.deepEqual(server.requests, [], kind);
    assert.deepEqual(await filesIn(folder.path), []);
  }
  await using folder = await tempFolder();
  await using server = serve(() => ok(countryFile("FI")), makeCertificate("valid"));
  const geo = downloading(folder.path, `${server.url}?key={license_key}`, { dialer, licenseKey });
  assert.equal(await outcome(geo), "updated");
  assert.equal(server.requests[0]?.search, "?key=k3y");
});

Deno.test("https that leads to plain http is not followed", async () => {
  await using folder = await tempFolder();
  await using plain = serve(() => ok(countryFile("FI")));
  await using secure = serve(() => Response.redirect(plain.url), makeCertificate("valid"));
  const geo = downloading(folder.path, secure.url, { dialer: testDialer({ ca: testRootPem() }) });
  assert.equal(await outcome(geo), "failed: download_failed");
  assert.deepEqual(plain.requests, []);
});

Deno.test("what a killed process left half written is removed after a day", async () => {
  await using folder = await tempFolder();
  const home = `${folder.path}/geo`;
  await Deno.mkdir(home);
  const [old, young, other] = ["city.mmdb.a.part", "city.mmdb.b.part", "notes.part"]
    .map((name) => `${home}/${name}`);
  for (const path of [old, young, other]) await Deno.writeTextFile(path ?? "", "half");
  const before = new Date(Date.now() - 2 * DAY_MS);
  for (const path of [old, other]) await Deno.utime(path ?? "", before, before);
  await using server = serve(() => ok(countryFile("FI")));
  assert.equal(await outcome(downloading(folder.path, server.url)), "updated");
  assert.deepEqual(await filesIn(home), ["city.mmdb", "city.mmdb.b.part", "notes.part"]);
});

Deno.test("a place that can't be written to fails the download and nothing else", async () => {
  await using folder = await tempFolder();
  await Deno.writeTextFile(`${folder.path}/file`, "in the way");
  await using server = serve(() => ok(countryFile("FI")));
  const cityFile = `${folder.path}/file/city.mmdb`;
  const geo = downloading(folder.path, server.url, { settings: { cityFile } });
  assert.equal(await outcome(geo), "failed: not_writable");
  assert.deepEqual((await geo.facts(IP)).geo, {});
});

Deno.test("an abort ends a refresh with its reason, and is no failed download", async () => {
  await using folder = await tempFolder();
  const controller = new AbortController();
  let isFirst = true;
  await using server = serve(() => {
    if (isFirst) controller.abort(new Error("stopped"));
    isFirst = false;
    return ok(countryFile("FI"));
  });
  const geo = downloading(folder.path, server.url);
  await assert.rejects(geo.refresh({ signal: controller.signal }), /stopped/);
  await assert.rejects(geo.refresh({ signal: controller.signal }), /stopped/);
  assert.equal(await outcome(geo), "updated");
});
