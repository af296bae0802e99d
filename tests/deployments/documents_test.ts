/**
 * What the documents tell people to type. Each command is run here or in a test that is named, by a
 * workflow, or needs what no test has (Docker, root), and then its document says so.
 */
import assert from "node:assert/strict";
import { dirname } from "node:path";
import { startIndependentRelay } from "../interop/nostr_relay.ts";
import { generateEvents } from "../support/events.ts";
import {
  adminQuery,
  freePort,
  installedPostgres,
  PostgresServer,
} from "../support/postgres_server.ts";
import { pgbouncerProgram } from "../support/pgbouncer.ts";
import { tempFolder } from "../support/temp_folder.ts";
import { eventually } from "../support/within.ts";
import { blockWith, commandsOf } from "./documents.ts";
import { filesBelow, rootPath, text } from "./files.ts";
import { tool, toolMissing, toolNote } from "./tools.ts";

/** Who shows that a command works: a test, which holds these words; a workflow's line; nobody. */
type Proof =
  | { test: string; says: string }
  | { workflow: string }
  | { needs: "Docker" | "root" };

const HERE = "tests/deployments/documents_test.ts";
const DOCKER: Proof = { needs: "Docker" };

const PROOFS: readonly [command: RegExp, proof: Proof][] = [
  [/^docker compose /, DOCKER],
  [/^git pull && REVISION=\S+ rev-parse HEAD\) docker compose /, DOCKER],
  [/^COMPOSE=1 /, DOCKER],
  [/^echo 'COMPOSE_FILE=/, DOCKER],
  [/^sed -i .* targets\.yaml$/, DOCKER],
  [/^sudo /, { needs: "root" }],
  [/^npm install -g deno@/, { test: ".ci/run", says: "npm install --global" }],
  [/^npx --yes deno@[\d.]+(?: task ok)?$/, { test: ".ci/run", says: "npx --yes" }],
  [/^(?:npx --yes deno@[\d.]+|deno) task start$/, { test: HERE, says: "task start" }],
  [/^deno task ok$/, { test: ".ci/run", says: "task ok" }],
  [/^deno task test( tests\/deployments)?$/, { workflow: "deno task test" }],
  [/^deno task test:pgbouncer$/, { workflow: "deno task test:pgbouncer" }],
  [/^deno task demo$/, { workflow: "deno task demo" }],
  [/^deno task demo --(?:split|light)$/, { test: HERE, says: "task demo --" }],
  [/^deno task soak --minutes 30$/, { workflow: "deno task soak --minutes 3" }],
  [/^deno task bench /, { workflow: "deno task bench verify --json" }],
  [/^deno task reference$/, { test: "tests/config/render_test.ts", says: "reference.yaml" }],
  [/^deno task compile$/, { test: "tests/deployments/binary_test.ts", says: "compileArgs" }],
  [/^deno run -A tests\/support\/schema_dump\.ts$/, {
    test: "tests/store/migrate_test.ts",
    says: "schema.sql",
  }],
  [/^deno task bigbrotr (?:status|query|check|sync|export|--help)/, {
    test: HERE,
    says: "commandsOf",
  }],
  [/^deno task bigbrotr config check/, {
    test: "tests/deployments/compose_test.ts",
    says: '"config", "check"',
  }],
  [/^deno task bigbrotr import /, { test: "tests/system/roles_test.ts", says: '"import"' }],
  [/^deno task bigbrotr run --only /, { test: HERE, says: "task demo --split" }],
  [/^deno task bigbrotr run --config deployments\/lilbrotr/, {
    test: HERE,
    says: "task demo --light",
  }],
  [/^deno task bigbrotr run --set networks\.tor/, {
    test: "tests/deployments/tor_test.ts",
    says: "proxy_url",
  }],
  [/^deno task bigbrotr run$/, { test: HERE, says: "task demo --split" }],
  [
    /^(?:mkdir -p my|PGUSER=|DATABASE_URL=postgres:\/\/bigbrotr@|sed '|DB_USERS=|export \w+=(?:postgres|my\/)|psql --)/,
    {
      test: HERE,
      says: "blockWith",
    },
  ],
  [/^(?:cp deployments\/_shared|echo '- targets|prometheus )/, { test: HERE, says: "blockWith" }],
  [/^(?:export PG|deployments\/_shared\/backup)/, {
    test: "tests/deployments/backup_test.ts",
    says: '["restore"',
  }],
  [/^(?:cd |cp |export REVISION=|\.\.\/_shared\/make_secrets\.sh)/, {
    test: HERE,
    says: "make_secrets",
  }],
];

async function documents(): Promise<string[]> {
  const folders = ["deployments", "config", "sql", "src", "tests", ".github"];
  const files = (await Promise.all(folders.map(filesBelow))).flat();
  return ["README.md", "CHANGELOG.md", ...files.filter((file) => file.endsWith(".md"))];
}

Deno.test("every command in every document is run by a test, or said to need what no test has", async () => {
  const workflow = await text(".github/workflows/ci.yaml");
  const used = new Set<RegExp>();
  for (const file of await documents()) {
    const document = await text(file);
    for (const command of commandsOf(document)) {
      const [pattern, proof] = PROOFS.find(([one]) => one.test(command)) ?? [];
      assert.ok(pattern && proof, `${file}: nothing shows that this works: ${command}`);
      used.add(pattern);
      if ("test" in proof) {
        assert.ok((await text(proof.test)).includes(proof.says), `${command}: ${proof.test}`);
      } else if ("workflow" in proof) {
        assert.ok(workflow.includes(`run: ${proof.workflow}\n`), `${command}: ci.yaml`);
      } else if (proof.needs === "Docker") {
        assert.match(document, /\bDocker\b/, `${file}: ${command}`);
      } else if (proof.needs === "root") assert.match(document, /needs root|as root/, file);
    }
  }
  const stale = PROOFS.filter(([pattern]) => !used.has(pattern)).map(([pattern]) => `${pattern}`);
  assert.deepEqual(stale, []);
});

Deno.test("the README's commands work, on the embedded database of a fresh clone", async () => {
  await using clone = await copyOfClone();
  // The README archives the last 7 days.
  const until = Math.floor(Date.now() / 1000) - 60;
  const events = generateEvents(20, { seed: 3, since: until - 86_400, until });
  await using relay = await startIndependentRelay({ events });
  const port = await freePort();
  const here = `--set api.port=${port} --set networks.clearnet.enabled=false ` +
    "--set networks.local.enabled=true";
  const readme = await text("README.md");
  const asked = [...new Set(commandsOf(readme))]
    .filter((command) => command.startsWith("deno task bigbrotr "))
    .map((command) => command.replace("wss://relay.example.com", relay.url))
    .map((command) => /--help|--list/.test(command) ? command : `${command} ${here}`);
  assert.ok(asked.length >= 7, asked.join("\n"));
  const isAlone = (command: string): boolean => / (?:sync|export) /.test(command);

  assert.ok(commandsOf(readme).some((command) => command.endsWith(" task start")));
  const log = `${clone.path}/log`;
  const process = new Deno.Command("bash", {
    args: ["-c", `exec deno task start ${here} >log 2>&1`],
    cwd: clone.path,
    env: NOBODYS,
    stdin: "null",
  }).spawn();
  try {
    await eventually(
      () => `a process that is ready:\n${Deno.readTextFileSync(log)}`,
      async () => (await ask(port, "/ready"))?.status === 200,
    );
    for (const command of asked) if (!isAlone(command)) await typed(clone.path, command);
  } finally {
    process.kill("SIGTERM");
    await process.status;
  }
  for (const command of asked) if (isAlone(command)) await typed(clone.path, command);
  const exported = await typed(clone.path, `deno task --quiet bigbrotr export ${here}`);
  assert.equal(exported.trim().split("\n").length, 20, exported);
});

Deno.test("a deployment's first steps, and those of one's own, work as they are written", async () => {
  await using clone = await copyOfClone();
  for (const name of ["bigbrotr", "lilbrotr", "_template"]) {
    const [block] = [
      ...(await text(`deployments/${name}/README.md`)).matchAll(/^```sh\n(.*?)^```/gms),
    ];
    const steps = (block?.[1] ?? "").split("\n").filter((line) => !line.startsWith("docker "));
    assert.match(steps.join("\n"), /make_secrets|_template/);
    await typed(clone.path, steps.join("\n"));
  }
  for (const file of ["bigbrotr/.env", "bigbrotr/secrets/private_key", "mybrotr/compose.yaml"]) {
    await Deno.stat(`${clone.path}/deployments/${file}`);
  }
});

const POSTGRES = installedPostgres();
const POOLER = pgbouncerProgram();
const PACKAGES = POSTGRES !== undefined && POOLER !== undefined;

Deno.test({
  name:
    "a server without containers: roles, pooler, two processes and a light archive, as written" +
    (PACKAGES ? "" : " (ignored: PostgreSQL with its clients and PgBouncer are not installed)"),
  ignore: !PACKAGES,
  async fn(): Promise<void> {
    await using server = await PostgresServer.create({ home: POSTGRES });
    await using clone = await copyOfClone();
    const pooler = await freePort();
    const document = await text("deployments/README.md");
    const toRun = (block: string): string =>
      block.replaceAll(":5432", `:${server.port}`).replaceAll(":6432", `:${pooler}`);
    const [setUp, rest] = blockWith(document, "The pooler").split("deno task bigbrotr run\n");
    assert.equal(rest, "");
    const ini = `${clone.path}/deployments/_shared/pgbouncer/pgbouncer.ini`;
    const settings = await Deno.readTextFile(ini);
    await Deno.writeTextFile(
      ini,
      settings.replace("port=5432", `port=${server.port}`).replace(
        "port = 6432",
        `port = ${pooler}`,
      ),
    );
    await Deno.mkdir(`${clone.path}/bin`);
    await Deno.writeTextFile(`${clone.path}/bin/pgbouncer`, asNobody(await whereIs(POOLER ?? "")), {
      mode: 0o755,
    });
    await Deno.writeTextFile(
      `${clone.path}/script`,
      `set -eu
      trap 'kill $(jobs -p)' EXIT
      untilPooled() {
        for try in $(seq 100); do
          if (exec 3<>/dev/tcp/127.0.0.1/${pooler}) 2>/dev/null; then return; fi
          sleep 0.1
        done
        exit 1
      }
      ${toRun(setUp ?? "")}
      untilPooled
      deno task demo --split --count 200
      ${toRun(blockWith(document, "drop database bigbrotr with (force)'\nPGUSER"))}
      deno task demo --light --count 200
      deno task bigbrotr status --config deployments/lilbrotr/bigbrotr.yaml`,
    );
    const done = await new Deno.Command("bash", {
      args: ["-c", "bash script >log 2>&1"],
      cwd: clone.path,
      env: {
        ...NOBODYS,
        // The test's server has no socket and no user of ours.
        USER: "postgres",
        PGUSER: "postgres",
        PGHOST: "127.0.0.1",
        PGPORT: String(server.port),
        PATH: `${clone.path}/bin:${POSTGRES}/bin:${PATH}`,
      },
      stdin: "null",
    }).output();
    const log = await Deno.readTextFile(`${clone.path}/log`);
    assert.ok(done.success, log);
    assert.equal(log.match(/^Everything above is true\.$/gm)?.length, 2, log);
    const users = await adminQuery(server.url("bigbrotr"), "select name, level from access_role");
    assert.equal(users.length, 2);
  },
});

Deno.test({
  name: `Prometheus watches a process without containers, as written${toolNote("prometheus")}`,
  ignore: toolMissing("prometheus"),
  async fn(): Promise<void> {
    await using clone = await copyOfClone();
    const port = await freePort();
    await Deno.mkdir(`${clone.path}/my`);
    const block = blockWith(await text("deployments/README.md"), "prometheus --config.file")
      .replaceAll(":9090", `:${port}`);
    const process = new Deno.Command("bash", {
      args: ["-c", `exec >log 2>&1; trap 'kill $(jobs -p); wait; exit 0' TERM; ${block} wait`],
      cwd: clone.path,
      stdin: "null",
    }).spawn();
    try {
      const groups = async (): Promise<unknown[]> => {
        const answer = await ask(port, "/api/v1/rules");
        return answer?.status === 200 ? JSON.parse(answer.text).data.groups : [];
      };
      await eventually("rules", async () => (await groups()).length > 5);
      await eventually(
        "a target",
        async () => (await ask(port, "/api/v1/targets"))?.text.includes("127.0.0.1:8080") === true,
      );
    } finally {
      process.kill("SIGTERM");
      await process.status;
    }
  },
});

const PATH = `${dirname(Deno.execPath())}:${Deno.env.get("PATH")}`;

/** The key and database of whoever runs the tests are none of a document's business. */
const NOBODYS: Readonly<Record<string, string>> = {
  ...Object.fromEntries(
    ["DATABASE_URL", "DB_PASSWORD", "DATABASE_READER_URL", "DB_READER_PASSWORD", "PRIVATE_KEY"]
      .flatMap((name) => [[name, ""], [`${name}_FILE`, ""]]),
  ),
  // This very Deno, however it was started.
  PATH,
};

/** What a clone holds, to be written to. */
async function copyOfClone(): Promise<AsyncDisposable & { path: string }> {
  const folder = await tempFolder();
  const parts = ["config", "deployments", "sql", "src", "tests", "deno.json", "deno.lock"];
  const { code, text: said } = await tool("cp", ["-r", ...parts.map(rootPath), folder.path]);
  assert.equal(code, 0, said);
  await Deno.chmod(folder.path, 0o755);
  return folder;
}

/** Types a command in a shell in `cwd`; it must end well. */
async function typed(cwd: string, command: string): Promise<string> {
  const { code, text: said, stdout } = await tool("bash", ["-euc", command], { cwd, env: NOBODYS });
  assert.equal(code, 0, `${command}\n${said}`);
  return stdout;
}

async function ask(
  port: number,
  path: string,
): Promise<{ status: number; text: string } | undefined> {
  try {
    const response = await fetch(`http://127.0.0.1:${port}${path}`);
    return { status: response.status, text: await response.text() };
  } catch (error) {
    if (error instanceof TypeError) return undefined; // Not listening yet.
    throw error;
  }
}

/** The path of a program, for a script that bears its name. */
async function whereIs(program: string): Promise<string> {
  const { stdout } = await tool("sh", ["-c", `command -v ${program}`]);
  return stdout.trim();
}

/** PgBouncer does not run as root, so it gives up root's rights before, with what it reads. */
function asNobody(program: string): string {
  return `#!/bin/sh
[ "$(id -u)" = 0 ] || exec ${program} "$@"
chown -R 65534:65534 my/run
exec setpriv --reuid=65534 --regid=65534 --clear-groups ${program} "$@"
`;
}
