// Secrets are the operator's: whatever the process says, at its most talkative, in its log, over HTTP,
// by its commands, none of them is in it. And each line of the log is one event.
import assert from "node:assert/strict";
import { nip19 } from "nostr-tools";
import { runCommand, startChild } from "../support/child.ts";
import { freePort } from "../support/postgres_server.ts";
import { tempFolder } from "../support/temp_folder.ts";

const KEY = "c0ffee".repeat(10) + "beef";
const WALLET_SECRET = "5ec0de".repeat(10) + "cafe";
const PASSWORD = "open%20sesame";
const LICENSE = "mmkeyABCDEF123456";
const SECRETS: Record<string, string> = {
  PRIVATE_KEY: KEY,
  MAXMIND_LICENSE_KEY: LICENSE,
  NWC_URI: `nostr+walletconnect://${"ab".repeat(32)}?relay=ws%3A%2F%2F127.0.0.1%3A9&secret=` +
    WALLET_SECRET,
};
const TELLTALES = [
  KEY,
  nip19.nsecEncode(Uint8Array.fromHex(KEY)),
  WALLET_SECRET,
  LICENSE,
  PASSWORD,
  decodeURIComponent(PASSWORD),
];
/** Starting a process and its store on a busy machine takes its time. */
const PATIENCE_MS = 60_000;

function assertClean(text: string, where: string): void {
  for (const telltale of TELLTALES) {
    const at = text.indexOf(telltale);
    assert.equal(at, -1, `${where}: …${text.slice(Math.max(0, at - 200), at + 20)}…`);
  }
}

Deno.test("no secret is in the log of a working process, nor in anything that it answers", async () => {
  await using folder = await tempFolder();
  const port = await freePort();
  const config = await folder.write(
    "bigbrotr.yaml",
    JSON.stringify({
      log: { format: "json", level: "trace" },
      networks: { local: { enabled: true } },
      geo: { city_url: "http://127.0.0.1:9/{license_key}.tar.gz" },
      seeder: { file: `${folder.path}/seeds.txt` },
      finder: { lists: [] },
      validator: { interval: "1s" },
      monitor: { interval: "1s", publish: { relays: ["ws://127.0.0.1:9/"] } },
      dvm: { relays: ["ws://127.0.0.1:9/"], prices: { default: 1 } },
      api: { port },
    }),
  );
  await folder.write("seeds.txt", `ws://127.0.0.1:9/\n`);
  const lines: string[] = [];
  await using child = startChild({
    config,
    dataDir: `${folder.path}/data`,
    port,
    env: SECRETS,
    onLine: (line) => lines.push(line),
  });
  const untilMs = performance.now() + PATIENCE_MS;
  while ((await child.ask("/ready"))?.status !== 200 || lines.length < 10) {
    if (performance.now() > untilMs) {
      assert.fail(`${(await child.ask("/ready"))?.text}\n${child.log.join("\n")}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 250));
  }
  for (const path of ["/", "/metrics", "/ready", "/openapi.json", "/docs", "/v1/relays"]) {
    assertClean((await child.ask(path))?.text ?? "", path);
  }
  assert.equal((await child.stop()).code, 0, child.log.join("\n"));
  for (const line of lines) {
    const event = JSON.parse(line);
    assert.match(event.time, /^\d{4}-\d\d-\d\dT/);
    assert.ok(typeof event.message === "string" && typeof event.logger === "string", line);
    assertClean(line, "the log");
  }
  const files = [...Deno.readDirSync(`${folder.path}/data`)].map(({ name }) => name);
  assert.ok(!files.some((name) => name.includes("key")), `a key was kept: ${files}`);
});

Deno.test("no secret is in what commands say, nor in why a database can't be opened", async () => {
  const env = {
    ...SECRETS,
    DATABASE_URL: `postgres://bob:${PASSWORD}@127.0.0.1:9/bigbrotr`,
    DB_PASSWORD: decodeURIComponent(PASSWORD),
  };
  const patience = ["--set", "store.open_timeout=1s", "--set", "dvm.prices.default=1"];
  for (
    const args of [
      ["config", "print"],
      ["config", "check"],
      ["status", ...patience],
      ["run", "--once", "--only", "seeder", "--log-level", "trace", ...patience],
      ["migrate", ...patience],
      // Wrongly written: what it says of it must not repeat it.
      ["config", "check", "--set", `identity.private_key=${KEY}`],
    ]
  ) {
    const { stdout, stderr } = await runCommand(args, env);
    assert.ok(stdout.length + stderr.length > 0, args.join(" "));
    assertClean(`${stdout}\n${stderr}`, args.join(" "));
  }
  const wrong = { ...SECRETS, PRIVATE_KEY: `${KEY}00`, NWC_URI: `${SECRETS["NWC_URI"]}zz` };
  const { code, stdout, stderr } = await runCommand(["config", "check", ...patience], wrong);
  assert.equal(code, 2);
  assertClean(`${stdout}\n${stderr}`, "a wrong key");
});
