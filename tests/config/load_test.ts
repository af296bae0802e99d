import assert from "node:assert/strict";
import type { Config } from "../../src/config/config.ts";
import { type ConfigOptions, loadConfig } from "../../src/config/load.ts";
import { LOG_PARTS } from "../../src/config/log.ts";
import { type ConfigProblem, formatProblems } from "../../src/config/problem.ts";
import { STAGES } from "../../src/config/stages.ts";
import { tempFolder } from "../support/temp_folder.ts";

const NSEC = "nsec1vl029mgpspedva04g90vltkh6fvh240zqtv9k0t9af8935ke9laqsnlfe5";
const NSEC_HEX = "67dea2ed018072d675f5415ecfaed7d2597555e202d85b3d65ea4e58d2d92ffa";

/** Loads with an environment of `variables` alone. */
function load(
  options: Partial<ConfigOptions> = {},
  variables: Record<string, string> = {},
): ReturnType<typeof loadConfig> {
  return loadConfig({ env: (name) => variables[name], ...options });
}

async function loaded(
  options: Partial<ConfigOptions> = {},
  variables: Record<string, string> = {},
): Promise<Config> {
  const config = await load(options, variables);
  if (!config.ok) assert.fail(formatProblems(config.failure));
  return config.value;
}

async function problemsOf(
  options: Partial<ConfigOptions>,
  variables: Record<string, string> = {},
): Promise<ConfigProblem[]> {
  const config = await load(options, variables);
  assert.equal(config.ok, false, "the configuration was accepted");
  return config.failure;
}

async function problemsOfText(text: string): Promise<ConfigProblem[]> {
  await using folder = await tempFolder();
  return await problemsOf({ file: await folder.write("bigbrotr.yaml", text) });
}

Deno.test("without a file every setting has its default, with units in its name", async () => {
  const config = await loaded();
  assert.equal(config.dataDir, ".data");
  assert.equal(config.seeder.intervalMs, 86_400_000);
  assert.equal(config.monitor.maxNip11Bytes, 131_072);
  assert.equal(config.monitor.timeouts.readMs, 10_000);
  assert.equal(config.networks.clearnet.maxTasks, 50);
  assert.equal(config.networks.clearnet.enabled, true);
  assert.equal(config.networks.local.enabled, false);
  assert.equal(config.synchronizer.pageSize, 500);
  assert.deepEqual(config.monitor.publish.relays, []);
  assert.deepEqual(config.finder.lists.map((one) => [one.url, one.expression, one.maxBytes]), [
    ["https://api.nostr.watch/v1/online", "[*]", 8_388_608],
  ]);
  assert.equal("file" in config.seeder, false);
  assert.deepEqual(config.secrets, {});
});

Deno.test("a file overrides defaults, and the command line overrides the file", async () => {
  await using folder = await tempFolder();
  const file = await folder.write(
    "bigbrotr.yaml",
    `
monitor:
  interval: 30m
  checks: { write: true }
  publish:
    relays: [relay.example.com, "WSS://Other.Example.com:443"]
seeder:
synchronizer:
  filter: { kinds: [0, 3], "#t": [nostr] }
  since: 2024-05-01
`,
  );
  const config = await loaded({
    file,
    sets: [
      "monitor.interval=2h",
      "monitor.interval=45m",
      "networks.clearnet.max_tasks=7",
      "api.port=0",
    ],
    dataDir: "elsewhere",
  });
  assert.equal(config.monitor.intervalMs, 45 * 60_000);
  assert.equal(config.monitor.checks.write, true);
  assert.equal(config.monitor.checks.read, true);
  assert.deepEqual(config.monitor.publish.relays, [
    "wss://relay.example.com/",
    "wss://other.example.com/",
  ]);
  assert.deepEqual(config.synchronizer.filter, { kinds: [0, 3], tags: { t: ["nostr"] } });
  assert.equal(config.synchronizer.since, 1_714_521_600);
  assert.equal(config.networks.clearnet.maxTasks, 7);
  assert.equal(config.api.port, 0);
  assert.equal(config.dataDir, "elsewhere");
});

Deno.test("lists of groups take defaults for what each entry leaves out", async () => {
  const config = await loaded({
    sets: ['finder.lists=[{url: "https://a.example/x", cooldown: 2h}, {url: "http://b.example/"}]'],
  });
  assert.deepEqual(config.finder.lists.map((one) => [one.url, one.expression, one.cooldownMs]), [
    ["https://a.example/x", "[*]", 7_200_000],
    ["http://b.example/", "[*]", 21_600_000],
  ]);
});

Deno.test("an overlay network is on once it has a proxy, and can't be on without one", async () => {
  const proxy = "networks.tor.proxy_url=socks5h://127.0.0.1:9050";
  assert.equal((await loaded()).networks.tor.enabled, false);
  const on = await loaded({ sets: [proxy] });
  assert.deepEqual(on.networks.tor, {
    enabled: true,
    proxyUrl: "socks5h://127.0.0.1:9050",
    maxTasks: 10,
    timeoutMs: 30_000,
  });
  assert.equal(on.networks.clearnet.connectTimeoutMs, 3_000);
  assert.equal(
    (await loaded({ sets: [proxy, "networks.tor.enabled=false"] })).networks.tor.enabled,
    false,
  );
  const [problem] = await problemsOf({ sets: ["networks.tor.enabled=true"] });
  assert.equal(problem?.path, "networks.tor.enabled");
});

Deno.test("all problems come at once, each with path, value, what is allowed and where", async () => {
  const problems = await problemsOfText(`
seder:
  interval: 1h
monitor:
  intervall: 30m
  interval: 30
  timeouts:
    read: never
  publish:
    relays: [wss://good.example.com, "http//bad"]
networks:
  clearnet: 5
limits:
  max_event_size: 1KiB
verify:
  backend: gpu
`);
  const told = problems.map(({ path, value, source, nearest }) => [
    path,
    value,
    source?.split(":").at(-1),
    nearest,
  ]);
  assert.deepEqual(told, [
    ["networks.clearnet", "5", "12", undefined],
    ["limits.max_event_size", '"1KiB"', "14", undefined],
    ["verify.backend", '"gpu"', "16", undefined],
    ["monitor.interval", "30", "6", undefined],
    ["monitor.timeouts.read", '"never"', "8", undefined],
    ["monitor.publish.relays.1", '"http//bad"', "10", undefined],
    ["monitor.intervall", '"30m"', "5", "monitor.interval"],
    ["seder", '{"interval":"1h"}', "2", "seeder"],
  ]);
  for (const problem of problems) assert.ok((problem.allowed ?? "").length > 3, problem.path);
  const text = formatProblems(problems);
  assert.match(text, /^The configuration has 8 problems:$/m);
  assert.match(text, /did you mean: monitor\.interval$/m);
  assert.match(text, /allowed: a duration from 1s to 30d, such as "90s"/);
});

Deno.test("a name that is like no other gets no suggestion", async () => {
  const [problem] = await problemsOfText("cheeseburger: true\n");
  assert.equal(problem?.path, "cheeseburger");
  assert.equal(problem?.nearest, undefined);
});

Deno.test("a secret in the file is refused without being shown", async () => {
  const problems = await problemsOfText(`
database_url: postgres://u:sesame@h/d
store:
  password: sesame
private_key: ${NSEC}
`);
  assert.deepEqual(problems.map((problem) => problem.path), [
    "store.password",
    "database_url",
    "private_key",
  ]);
  for (const problem of problems) assert.match(problem.allowed ?? "", /environment/);
  assert.doesNotMatch(formatProblems(problems), /sesame|vl029/);
});

Deno.test("values in problems are cut, and secrets in them masked", async () => {
  const problems = await problemsOf({
    sets: [`monitor.interval=${"x".repeat(5000)}`, `seeder.interval=${NSEC}`],
  });
  assert.equal(problems.length, 2);
  assert.ok(formatProblems(problems).length < 700);
  assert.doesNotMatch(formatProblems(problems), /vl029/);
});

Deno.test("what is no map, list or YAML is told with its place", async () => {
  assert.equal((await problemsOfText("- a\n- b\n"))[0]?.message, "is not a map");
  const [syntax] = await problemsOfText("monitor:\n  interval: [1\n");
  assert.match(syntax?.message ?? "", /not valid YAML/);
  assert.match(syntax?.source ?? "", /:[23]$/);
  const [twice] = await problemsOfText("monitor: {}\nmonitor: {}\n");
  assert.match(twice?.message ?? "", /not valid YAML.*unique/);
  const [lists] = await problemsOfText("finder: {lists: 5}\n");
  assert.equal(lists?.path, "finder.lists");
});

Deno.test("a file that bombs, is too large, missing or a folder is refused", async () => {
  await using folder = await tempFolder();
  const bomb = ["a: &a [x,x,x,x,x,x,x,x,x]"];
  for (const [from, to] of ["ab", "bc", "cd", "de", "ef", "fg"]) {
    bomb.push(`${to}: &${to} [*${from},*${from},*${from},*${from},*${from},*${from},*${from}]`);
  }
  const files = [
    [await folder.write("bomb.yaml", bomb.join("\n")), /not usable YAML: .*alias/i],
    [await folder.write("deep.yaml", "[".repeat(50_000)), /YAML/],
    [await folder.write("large.yaml", `# ${"x".repeat(1 << 20)}`), /larger than 1MiB/],
    [`${folder.path}/none.yaml`, /does not exist/],
    [folder.path, /folder/],
  ] as const;
  for (const [file, message] of files) {
    const problems = await problemsOf({ file });
    assert.ok(problems.length >= 1 && problems.length <= 20);
    assert.match(problems[0]?.message ?? "", message);
  }
});

Deno.test("an override that is none, or leads nowhere, is a problem of its own", async () => {
  const problems = await problemsOf({
    sets: [
      "monitor.interval",
      "=5",
      "a b=5",
      "monitor.interval.deep=5",
      "seeder.relays.0=wss://a.example",
      "__proto__.polluted=true",
      "monitor.enabled=[",
      "monitr.enabled=true",
    ],
  });
  const paths = problems.map((problem) => problem.path);
  assert.deepEqual(paths.filter((path) => path === "--set").length, 3);
  for (
    const path of ["monitor.interval", "seeder.relays", "__proto__", "monitor.enabled", "monitr"]
  ) {
    assert.ok(paths.includes(path), path);
  }
  assert.equal(Reflect.get({}, "polluted"), undefined);
});

Deno.test("secrets come from the environment, or from the files that it names", async () => {
  await using folder = await tempFolder();
  const plain = await loaded({}, {
    DATABASE_URL: "postgres://bob@db:5432/big",
    DB_PASSWORD: "p@ss:w/rd",
    PRIVATE_KEY: NSEC,
  });
  assert.equal(
    plain.secrets.databaseUrl?.reveal(),
    "postgres://bob:p%40ss%3Aw%2Frd@db:5432/big",
  );
  assert.equal(plain.secrets.privateKey?.reveal(), NSEC_HEX);
  const files = await loaded({}, {
    DATABASE_URL_FILE: await folder.write(
      "url",
      "postgresql://bob:pw@h1:1,h2:2/big?sslmode=require\r\n",
    ),
    PRIVATE_KEY_FILE: await folder.write("key", `${NSEC_HEX.toUpperCase()}\n`),
    DATABASE_URL: "",
  });
  assert.equal(
    files.secrets.databaseUrl?.reveal(),
    "postgresql://bob:pw@h1:1,h2:2/big?sslmode=require",
  );
  assert.equal(files.secrets.privateKey?.reveal(), NSEC_HEX);
  assert.doesNotMatch(JSON.stringify([plain, files]) + Deno.inspect([plain, files]), /pw|67dea2/);
});

Deno.test("a download URL with a place for the licence key is right only with a key", async () => {
  const place = "https://download.example.com/city?license_key={license_key}";
  const sets = [`geo.city_url="${place}"`];
  const [problem, ...more] = await problemsOf({ sets });
  assert.deepEqual([problem?.path, more.length], ["geo.city_url", 0]);
  assert.match(problem?.allowed ?? "", /MAXMIND_LICENSE_KEY/);
  const config = await loaded({ sets }, { MAXMIND_LICENSE_KEY: "sesame\n" });
  assert.equal(config.geo.cityUrl, place);
  assert.equal(config.secrets.maxmindLicenseKey?.reveal(), "sesame");
  await using folder = await tempFolder();
  const file = await folder.write("licence", "sesame\n");
  assert.equal(
    (await loaded({ sets }, { MAXMIND_LICENSE_KEY_FILE: file })).secrets.maxmindLicenseKey
      ?.reveal(),
    "sesame",
  );
  assert.deepEqual(
    await problemsOf({ sets: ['geo.asn_url="https://example.com/asn.mmdb"'] }, {
      PRIVATE_KEY: "0".repeat(64),
    }).then((problems) => problems.map(({ path }) => path)),
    ["PRIVATE_KEY"],
  );
});

Deno.test("wrong secrets are problems that show nothing of them", async () => {
  await using folder = await tempFolder();
  const cases: [Record<string, string>, string[]][] = [
    [{ PRIVATE_KEY: "sesame" }, ["PRIVATE_KEY"]],
    [{ PRIVATE_KEY: NSEC.replace("vl0", "vl1") }, ["PRIVATE_KEY"]],
    [{ PRIVATE_KEY: "0".repeat(64) }, ["PRIVATE_KEY"]],
    [{ PRIVATE_KEY: "f".repeat(64) }, ["PRIVATE_KEY"]],
    [{ DATABASE_URL: "mysql://u:sesame@h/d" }, ["DATABASE_URL"]],
    [{ DATABASE_URL: "postgres://u:ses ame@h/d" }, ["DATABASE_URL"]],
    [{ DATABASE_URL: "postgres://u:sesame@h/d", DB_PASSWORD: "sesame" }, ["DB_PASSWORD"]],
    [{ DB_PASSWORD: "sesame" }, ["DB_PASSWORD"]],
    [{ PRIVATE_KEY: NSEC, PRIVATE_KEY_FILE: "/nowhere" }, ["PRIVATE_KEY"]],
    [{ PRIVATE_KEY_FILE: "/nowhere" }, ["PRIVATE_KEY_FILE"]],
    [{ DATABASE_URL_FILE: await folder.write("empty", "\n") }, ["DATABASE_URL_FILE"]],
    [{ DATABASE_URL: "sesame", PRIVATE_KEY: "sesame" }, ["DATABASE_URL", "PRIVATE_KEY"]],
  ];
  for (const [variables, paths] of cases) {
    const problems = await problemsOf({}, variables);
    assert.deepEqual(problems.map((problem) => problem.path), paths);
    assert.doesNotMatch(formatProblems(problems), /sesame|ses ame|vl[01]29|ffff|0000/);
  }
});

Deno.test("settings that contradict each other are told, each with the other's name", async () => {
  const cases: [sets: string[], path: string, message: RegExp][] = [
    [["dvm.kinds.statistics=5400"], "dvm.kinds.statistics", /same as dvm\.kinds\.event_count/],
    [
      ["monitor.unreachable_after=5", "monitor.dead_after=4"],
      "monitor.dead_after",
      /less than monitor\.unreachable_after/,
    ],
    [
      ["synchronizer.since=2024-05-01", "synchronizer.until=2024-04-30"],
      "synchronizer.until",
      /earlier than synchronizer\.since/,
    ],
    [
      [
        "synchronizer.since=2024-05-01",
        "synchronizer.overrides=[{url: relay.example.com, until: 2024-04-30}]",
      ],
      "synchronizer.overrides.0.until",
      /earlier than synchronizer\.overrides\.0\.since/,
    ],
  ];
  for (const [sets, path, message] of cases) {
    const [problem, ...more] = await problemsOf({ sets });
    assert.equal(problem?.path, path);
    assert.match(problem.message, message);
    assert.deepEqual(more, []);
    assert.equal(problem.source, "the command line");
  }
  await loaded({
    sets: [
      "monitor.unreachable_after=4",
      "monitor.dead_after=4",
      "synchronizer.since=1700000000",
      "synchronizer.until=1700000000",
    ],
  });
});

Deno.test("each logger's level can be set by its name, and there is no name without a logger", async () => {
  const found = new Set<string>();
  const src = new URL("../../src/", import.meta.url);
  const folders = [src];
  for (let folder = folders.pop(); folder !== undefined; folder = folders.pop()) {
    for await (const entry of Deno.readDir(folder)) {
      const url = new URL(entry.isDirectory ? `${entry.name}/` : entry.name, folder);
      if (entry.isDirectory) folders.push(url);
      else if (entry.name.endsWith(".ts") && entry.name !== "log.ts") {
        const text = await Deno.readTextFile(url);
        for (const [, name = ""] of text.matchAll(/\blogger\("(\w+)"/g)) found.add(name);
      }
    }
  }
  assert.deepEqual([...found].sort(), [...STAGES, ...LOG_PARTS].sort());
});
