import assert from "node:assert/strict";
import { type CommandCall, type CommandSpec, UsageError } from "../../src/commands/command.ts";
import { COMMANDS } from "../../src/commands/commands.ts";
import { commit, VERSION } from "../../src/lib/version.ts";
import { runBigbrotr } from "../support/test_io.ts";

/** A command that does what `run` says. */
function commandOf(run: (call: CommandCall) => Promise<number>): readonly CommandSpec[] {
  return [{ name: "act", summary: "act", examples: ["act"], json: true, run }];
}

/** Every command that can be run, with the words that lead to it. */
function leaves(commands: readonly CommandSpec[], words: string[] = []): [string[], CommandSpec][] {
  return commands.flatMap((spec) => {
    const path = [...words, spec.name];
    const own: [string[], CommandSpec][] = spec.run === undefined ? [] : [[path, spec]];
    return [...own, ...leaves(spec.subcommands ?? [], path)];
  });
}

Deno.test("--version prints version and commit, and nothing else", async () => {
  const { code, stdout, stderr } = await runBigbrotr(["--version"]);
  assert.deepEqual([code, stdout, stderr], [0, `${VERSION} (${commit()})\n`, ""]);
});

Deno.test("--help lists every command and ends well", async () => {
  const { code, stdout } = await runBigbrotr(["--help"]);
  assert.equal(code, 0);
  for (const spec of COMMANDS) assert.match(stdout, new RegExp(`^ +${spec.name}\\b`, "m"));
});

Deno.test("every command explains itself, with an example and the options of all commands", async () => {
  for (const [path, spec] of leaves(COMMANDS)) {
    const { code, stdout } = await runBigbrotr([...path, "--help"]);
    assert.equal(code, 0);
    assert.match(stdout, /Examples:\n {2}\$ bigbrotr /, path.join(" "));
    for (const option of ["--config", "--data", "--set", "--log-level", "--log-format"]) {
      assert.ok(stdout.includes(option), `${path.join(" ")} lacks ${option}`);
    }
    assert.equal(stdout.includes("--json"), spec.json === true, path.join(" "));
    for (const example of spec.examples) {
      assert.ok(
        example.startsWith(path.join(" ")),
        `${example} is no example of ${path.join(" ")}`,
      );
    }
  }
});

Deno.test("bad usage ends in exit code 2, is told on standard error, and runs nothing", async () => {
  let ran = false;
  const commands = commandOf(() => {
    ran = true;
    return Promise.resolve(0);
  });
  const lines = [[], ["nope"], ["act", "--jsn"], ["act", "extra"], ["act", "--config"], ["--nope"]];
  for (const args of lines) {
    const { code, stdout, stderr } = await runBigbrotr(args, { commands });
    assert.equal(code, 2, args.join(" "));
    assert.equal(stdout, "", args.join(" "));
    assert.notEqual(stderr, "", args.join(" "));
  }
  assert.equal(ran, false);
});

Deno.test("a command's own exit code is the process's", async () => {
  const commands = commandOf(() => Promise.resolve(1));
  assert.equal((await runBigbrotr(["act"], { commands })).code, 1);
});

Deno.test("what a command throws is told in one line and ends in exit code 1", async () => {
  const error = new Error("cannot open", { cause: new Error("postgres://u:pw@h\nis down") });
  const commands = commandOf(() => Promise.reject(error));
  const plain = await runBigbrotr(["act"], { commands });
  assert.deepEqual([plain.code, plain.stdout], [1, ""]);
  assert.match(plain.stderr, /^error: cannot open: postgres:\/\/u:\*\*\*@h\\nis down\n$/);
  const detailed = await runBigbrotr(["act", "--log-level", "debug"], { commands });
  assert.match(detailed.stderr, /cli_test\.ts/);
  assert.doesNotMatch(detailed.stderr, /pw@/);
});

Deno.test("usage that only the command could see is bad usage all the same", async () => {
  const commands = commandOf(() => Promise.reject(new UsageError("no such query: x")));
  const { code, stderr } = await runBigbrotr(["act"], { commands });
  assert.deepEqual([code, stderr], [2, "error: no such query: x\n"]);
});

Deno.test("a command that an interrupt stopped has failed, without a stack trace", async () => {
  const stop = new AbortController();
  const commands = commandOf(({ signal }) => {
    stop.abort();
    return Promise.reject(signal.reason);
  });
  const { code, stderr } = await runBigbrotr(["act"], { commands, signal: stop.signal });
  assert.deepEqual([code, stderr], [1, "error: stopped before the end\n"]);
});

Deno.test("a reader that has gone ends a command quietly", async () => {
  const commands = commandOf(() => Promise.reject(new Deno.errors.BrokenPipe("gone")));
  const { code, stderr } = await runBigbrotr(["act"], { commands });
  assert.deepEqual([code, stderr], [1, ""]);
});

Deno.test("the shared options reach the configuration, overrides in order", async () => {
  const commands = commandOf(async ({ config, io }) => {
    const { dataDir, log, api } = await config();
    io.stdout(JSON.stringify([dataDir, log.level, log.format, api.port]));
    return 0;
  });
  const { stdout, stderr } = await runBigbrotr([
    ...["act", "--data", "/d", "--set", "api.port=1", "--set", "api.port=2"],
    ...["--log-level", "warning", "--log-format=json"],
  ], { commands });
  assert.deepEqual([stdout, stderr], ['["/d","warning","json",2]\n', ""]);
});

Deno.test("a bad configuration ends in exit code 2 with every problem", async () => {
  const commands = commandOf(async ({ config }) => {
    await config();
    return 0;
  });
  const { code, stdout, stderr } = await runBigbrotr(
    ["act", "--set", "api.prt=1", "--log-level", "loud", "--config", "/nowhere.yaml"],
    { commands, env: { PRIVATE_KEY: "nope" } },
  );
  assert.deepEqual([code, stdout], [2, ""]);
  assert.match(stderr, /has 4 problems/);
  for (const part of ["api.port", "log.level", "/nowhere.yaml", "PRIVATE_KEY"]) {
    assert.ok(stderr.includes(part), part);
  }
});

Deno.test("one round of what has no cycles is bad usage, not a good end without work", async () => {
  const { code, stderr } = await runBigbrotr(["run", "--once", "--only", "dvm,api"]);
  assert.equal(code, 2);
  assert.match(stderr, /--once runs cycles, and there are none in dvm, api/);
});
