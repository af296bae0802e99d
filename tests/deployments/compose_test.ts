/**
 * The deployments: every file parses, every configuration passes the real `config check`, and what
 * the compose files promise (loopback ports, closed networks, limits, pinned images) holds. Docker's
 * own judgement is asked for where it is installed.
 */
import assert from "node:assert/strict";
import { parse, parseAllDocuments } from "yaml";
import { runCommand } from "../support/child.ts";
import { tempFolder } from "../support/temp_folder.ts";
import { at, entries, filesBelow, rootPath, text } from "./files.ts";
import { tool, toolMissing, toolNote } from "./tools.ts";

const DEPLOYMENTS = ["bigbrotr", "lilbrotr", "_template"];
const SHARED = "deployments/_shared/compose.yaml";
const FILES = ["bigbrotr.yaml", "compose.yaml", "postgresql.conf", "targets.yaml", ".env.example"];

/** The shared compose file with its merge keys resolved. */
async function services(): Promise<[string, unknown][]> {
  return entries(at(parse(await text(SHARED), { merge: true }), "services"));
}

Deno.test("every YAML and JSON file of deployments and workflows parses", async () => {
  const files = [...await filesBelow("deployments"), ...await filesBelow(".github")];
  let read = 0;
  for (const file of files) {
    if (/\/secrets\/|\/\.env$/.test(file)) continue;
    if (file.endsWith(".json")) JSON.parse(await text(file));
    else if (/\.ya?ml$/.test(file)) {
      for (const document of parseAllDocuments(await text(file), { merge: true })) {
        if ("errors" in document) assert.deepEqual(document.errors, [], file);
      }
    } else continue;
    read += 1;
  }
  assert.ok(read > 15, `only ${read} files`);
});

for (const name of DEPLOYMENTS) {
  Deno.test(`the configuration of ${name} is right`, async () => {
    const path = rootPath(`deployments/${name}/bigbrotr.yaml`);
    const { code, stderr } = await runCommand(["config", "check", "--config", path]);
    assert.equal(code, 0, stderr);
  });

  Deno.test(`${name} holds the files that differ, and a README`, async () => {
    for (const file of [...FILES, "README.md"]) {
      await Deno.stat(rootPath(`deployments/${name}/${file}`));
    }
    const source = parse(await text(`deployments/${name}/compose.yaml`));
    assert.equal(at(source, "include", 0, "path"), "../_shared/compose.yaml");
    assert.equal(at(source, "include", 0, "project_directory"), ".");
  });

  Deno.test(`what Prometheus watches in ${name} are services with an API`, async () => {
    const groups = parse(await text(`deployments/${name}/targets.yaml`)) as { targets: string[] }[];
    const known = (await services()).map(([service]) => `${service}:8080`);
    for (const { targets } of groups) {
      for (const target of targets) assert.ok(known.includes(target), target);
    }
  });

  Deno.test({
    name: `docker compose takes ${name}, alone and with its stages split${
      toolNote("docker compose")
    }`,
    ignore: toolMissing("docker compose"),
    async fn(): Promise<void> {
      await using folder = await tempFolder();
      for (const file of ["_shared/compose.yaml", "_shared/compose.stages.yaml"]) {
        await Deno.mkdir(`${folder.path}/_shared`, { recursive: true });
        await folder.write(file, await text(`deployments/${file}`));
      }
      await Deno.mkdir(`${folder.path}/it`);
      await folder.write("it/compose.yaml", await text(`deployments/${name}/compose.yaml`));
      await folder.write("it/.env", await text(`deployments/${name}/.env.example`));
      const cwd = `${folder.path}/it`;
      const all = ["--profile", "*", "config", "--quiet"];
      const alone = await tool("docker", ["compose", ...all], { cwd });
      assert.equal(alone.code, 0, alone.text);
      const files = ["-f", "compose.yaml", "-f", "../_shared/compose.stages.yaml"];
      const split = await tool("docker", ["compose", ...files, ...all], { cwd });
      assert.equal(split.code, 0, split.text);
    },
  });
}

Deno.test("every port is bound to loopback", async () => {
  let ports = 0;
  for (const [name, service] of await services()) {
    for (const [, port] of entries(at(service, "ports"))) {
      assert.match(String(port), /^127\.0\.0\.1:\$\{\w+:-\d+\}:\d+$/, name);
      ports += 1;
    }
  }
  assert.equal(ports, 4);
});

Deno.test("the API listens on all addresses in containers, and by no configuration outside", async () => {
  for (const name of DEPLOYMENTS) {
    const path = rootPath(`deployments/${name}/bigbrotr.yaml`);
    const { stdout } = await runCommand(["config", "print", "--config", path]);
    assert.match(stdout, /^api:\n(?: .*\n)*? +host: 127\.0\.0\.1$/m, name);
  }
  const open = ["run", "--set", "api.host=0.0.0.0"];
  for (const file of [SHARED, "deployments/_shared/compose.stages.yaml"]) {
    const all = entries(
      at(parse(await text(file), { merge: true, logLevel: "error" }), "services"),
    );
    for (const [name, service] of all) {
      const command = at(service, "command");
      if (!["bigbrotr", "archiver"].includes(name)) continue;
      assert.deepEqual((command as string[]).slice(0, 3), open, `${file}: ${name}`);
    }
  }
});

Deno.test("every container is read-only, without capabilities, bounded, and restarted", async () => {
  for (const [name, service] of await services()) {
    assert.equal(at(service, "read_only"), true, name);
    assert.deepEqual(at(service, "cap_drop"), ["ALL"], name);
    // Lokinet makes a network interface.
    const added = name === "lokinet" ? ["NET_ADMIN"] : undefined;
    assert.deepEqual(at(service, "cap_add"), added, name);
    assert.deepEqual(at(service, "security_opt"), ["no-new-privileges:true"], name);
    // The schema is brought up to date once.
    assert.equal(
      at(service, "restart"),
      name === "migrate" ? "on-failure" : "unless-stopped",
      name,
    );
    for (const limit of ["cpus", "memory", "pids"]) {
      assert.ok(at(service, "deploy", "resources", "limits", limit), `${name}: ${limit}`);
    }
    assert.notEqual(at(service, "user"), "root", name);
    assert.equal(at(service, "privileged"), undefined, name);
  }
});

Deno.test("every container has a health check; BigBrotr's is that of its image", async () => {
  for (const [name, service] of await services()) {
    if (name === "bigbrotr" || name === "migrate") continue;
    assert.ok(Array.isArray(at(service, "healthcheck", "test")), name);
  }
  assert.match(await text("Dockerfile"), /^HEALTHCHECK .* CMD \["ready"\]$/m);
});

Deno.test("every image is pinned to a version or built from this repository", async () => {
  for (const [name, service] of await services()) {
    const image = String(at(service, "image"));
    assert.match(image, /^[\w/-]+:/, name);
    if (at(service, "build") === undefined) assert.match(image, /:v?\d+\.\d+/, name);
  }
});

Deno.test("the database is on a network without a way out, and monitoring can't reach it", async () => {
  const compose = parse(await text(SHARED), { merge: true });
  assert.equal(at(compose, "networks", "data", "internal"), true);
  for (const [name, service] of await services()) {
    const networks = at(service, "networks") as string[];
    if (["postgres", "pgbouncer", "migrate"].includes(name)) {
      assert.deepEqual(networks, ["data"], name);
    } else if (name !== "bigbrotr") assert.ok(!networks.includes("data"), name);
  }
});

Deno.test("secrets come from files, and no variable or file of the repository holds one", async () => {
  const compose = parse(await text(SHARED), { merge: true });
  const secrets = entries(at(compose, "secrets"));
  for (const [name, secret] of secrets) assert.equal(at(secret, "file"), `./secrets/${name}`);
  const script = await text("deployments/_shared/make_secrets.sh");
  for (const [name] of secrets) assert.match(script, new RegExp(`^make ${name} `, "m"));
  for (const [name, service] of await services()) {
    for (const [variable, value] of entries(at(service, "environment"))) {
      if (!/PASSWORD|KEY|SECRET|NWC/.test(variable)) continue;
      assert.match(`${variable}=${value}`, /_FILE=\/run\/secrets\//, name);
    }
  }
});

Deno.test("what a service mounts from the repository exists", async () => {
  const compose = parse(await text(SHARED), { merge: true });
  const volumes = entries(at(compose, "volumes")).map(([name]) => name);
  for (const [name, service] of await services()) {
    for (const [, mount] of entries(at(service, "volumes"))) {
      const [source = "", , mode] = String(mount).split(":");
      if (!source.startsWith(".")) {
        assert.ok(volumes.includes(source), `${name}: ${source}`);
        continue;
      }
      assert.equal(mode, "ro", `${name}: ${mount}`);
      for (const deployment of DEPLOYMENTS) {
        await Deno.stat(rootPath(`deployments/${deployment}/${source}`));
      }
    }
  }
});

Deno.test("every variable of the compose file has a default, and every one of .env is used", async () => {
  const used = new Set<string>(["COMPOSE_PROFILES"]);
  for (const [, name = "", rest = ""] of (await text(SHARED)).matchAll(/\$\{(\w+)([^}]*)\}/g)) {
    assert.match(rest, /^:-./, name);
    used.add(name);
  }
  for (const deployment of DEPLOYMENTS) {
    const env = await text(`deployments/${deployment}/.env.example`);
    for (const [, name = ""] of env.matchAll(/^(\w+)=/gm)) assert.ok(used.has(name), name);
  }
});

Deno.test("secrets are made once, closed to others, and kept", async () => {
  await using folder = await tempFolder();
  const script = rootPath("deployments/_shared/make_secrets.sh");
  const first = await tool(script, [], { cwd: folder.path });
  assert.equal(first.code, 0, first.text);
  const key = await Deno.readTextFile(`${folder.path}/secrets/private_key`);
  assert.match(key, /^[0-9a-f]{64}$/);
  assert.ok(!first.text.includes(key));
  assert.equal(((await Deno.stat(`${folder.path}/secrets`)).mode ?? 0) & 0o777, 0o700);
  // One's own, and as an editor leaves it: containers are other users.
  const mail = `${folder.path}/secrets/alert_webhook_url`;
  await Deno.writeTextFile(mail, "http://127.0.0.1:9/hook\n");
  await Deno.chmod(mail, 0o600);
  const second = await tool(script, [], { cwd: folder.path });
  assert.equal(second.code, 0, second.text);
  assert.equal(await Deno.readTextFile(`${folder.path}/secrets/private_key`), key);
  for await (const { name } of Deno.readDir(`${folder.path}/secrets`)) {
    const { mode } = await Deno.stat(`${folder.path}/secrets/${name}`);
    assert.equal((mode ?? 0) & 0o777, 0o644, name);
  }
  // What the container is given: a key, and no wallet yet.
  const env = {
    PRIVATE_KEY_FILE: `${folder.path}/secrets/private_key`,
    NWC_URI_FILE: `${folder.path}/secrets/nwc_uri`,
  };
  const checked = await runCommand(["config", "check"], env);
  assert.equal(checked.code, 0, checked.stderr);
  const priced = await runCommand(["config", "check", "--set", "dvm.prices.default=1"], env);
  assert.equal(priced.code, 2);
  assert.match(priced.stderr, /NWC_URI/);
});

Deno.test("Alertmanager refuses to start while nobody would hear of an alert", async () => {
  await using folder = await tempFolder();
  const file = await folder.write("alert_webhook_url", "");
  const compose = parse(await text(SHARED), { merge: true });
  const [shell, option, script] = at(compose, "services", "alertmanager", "entrypoint") as string[];
  assert.deepEqual([shell, option], ["sh", "-c"]);
  // Compose writes $$ for $; the program itself is not here.
  const own = (script ?? "").replaceAll("$$", "$")
    .replaceAll("/run/secrets/alert_webhook_url", file)
    .replace("exec /bin/alertmanager", "echo started");
  const empty = await tool("sh", ["-c", own]);
  assert.equal(empty.code, 1);
  assert.match(empty.text, /alert_webhook_url is empty/);
  assert.doesNotMatch(empty.text, /started/);
  await Deno.writeTextFile(file, "http://127.0.0.1:9/hook\n");
  const filled = await tool("sh", ["-c", own]);
  assert.equal(filled.code, 0, filled.text);
  assert.match(filled.text, /^started /);
});
