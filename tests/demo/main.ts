// `deno task demo`: the whole of it on this machine alone, in under a minute. Starts relays on
// loopback, runs the real process against them with the embedded database, and looks at what it did
// as a user would: over HTTP, as a plain Nostr client, and by its command line. In: how many events,
// or a file of them. Out: a table of what was claimed and what was found; exit code 1 when any of
// it is not true.
import { Command } from "commander";
import { type Child, runCommand, startChild } from "../support/child.ts";
import { freePort } from "../support/ports.ts";
import {
  checkArchive,
  checkJobs,
  checkLightArchive,
  checkRelays,
  checkReports,
  waitUntilDone,
} from "./findings.ts";
import { openScenario, type Scenario } from "./scenario.ts";
import { Summary } from "./summary.ts";

/** A clean process leaves within 10 s of SIGTERM. */
const STOP_LIMIT_MS = 10_000;

/** The archive in one process, all else in another, as in deployments/_shared/compose.stages.yaml. */
const SPLIT = {
  first: "seeder,finder,validator,monitor,refresher,dvm,api",
  second: "synchronizer,api",
};

/** After the work, before memory is read again. */
const REST_MS = 5_000;

interface DemoOptions {
  events: number;
  file?: string;
  verbose: boolean;
  /** Two processes that share the database of DATABASE_URL. */
  split: boolean;
  /** A light archive: ids, authors, times, kinds and tag values. */
  light: boolean;
}

async function demo(options: DemoOptions): Promise<number> {
  const env = databaseEnv(options.split);
  const summary = new Summary();
  const workDir = await Deno.makeTempDir({ prefix: "bigbrotr-demo-" });
  try {
    summary.say(`Starting two independent relays and a hostile one on loopback …`);
    await using scenario = await openScenario({ count: options.events, file: options.file });
    summary.say(
      `They hold ${scenario.held.size} events: ` +
        `${scenario.first.url} ${scenario.second.url} ${scenario.hostile.url}`,
    );
    const port = await freePort();
    const config = `${workDir}/bigbrotr.yaml`;
    const dataDir = `${workDir}/data`;
    await Deno.writeTextFile(
      `${workDir}/seeds.txt`,
      `# One relay; the rest is found\n${scenario.first.url}\n`,
    );
    await Deno.writeTextFile(
      config,
      configuration(scenario, { port, workDir, light: options.light }),
    );
    const refusal = env.DATABASE_URL === undefined
      ? undefined
      : await whyNot(["status", "--json", "--config", config, "--data", dataDir], env);
    if (refusal !== undefined) {
      summary.say(refusal);
      return 1;
    }
    {
      const startedMs = performance.now();
      await using stack = new AsyncDisposableStack();
      const child = stack.use(startChild({
        ...{ config, dataDir, port, env, echo: options.verbose },
        only: options.split ? SPLIT.first : undefined,
      }));
      const second = options.split
        ? stack.use(startChild({
          ...{ config, dataDir: `${workDir}/second`, port: await freePort(), env },
          echo: options.verbose,
          only: SPLIT.second,
        }))
        : undefined;
      await observe(child, scenario, summary, startedMs);
      if (options.light) await checkLightArchive(child, scenario, summary);
      const [{ code, elapsedMs }] = await Promise.all([child.stop(), second?.stop()]);
      summary.add(
        "SIGTERM ends it with exit code 0 within 10 s",
        `code ${code} after ${(elapsedMs / 1000).toFixed(1)} s`,
        code === 0 && elapsedMs < STOP_LIMIT_MS,
      );
      if (summary.failures > 0) {
        summary.say(`\nThe last lines of its log:\n${child.log.slice(-40).join("\n")}`);
      }
    }
    // A light archive has no whole events to export.
    if (!options.light) {
      summary.say("Exporting the archive …");
      const exported = await runCommand([
        "export",
        "--config",
        config,
        "--data",
        dataDir,
        "--out",
        `${workDir}/events.jsonl`,
      ], env);
      if (exported.code !== 0) summary.say(exported.stderr);
      await checkArchive(scenario, `${workDir}/events.jsonl`, summary);
    }
    summary.print();
    return summary.failures === 0 ? 0 : 1;
  } finally {
    await Deno.remove(workDir, { recursive: true });
  }
}

/** Why the database won't do: it is away, of another profile, or not empty, so that counts differ. */
async function whyNot(
  status: readonly string[],
  env: Record<string, string>,
): Promise<string | undefined> {
  const { code, stdout, stderr } = await runCommand(status, env);
  if (code !== 0) return stderr.trim();
  const { store } = JSON.parse(stdout) as {
    store: { events: number; behind: number; relays: object; candidates: object };
  };
  const isEmpty = store.events + store.behind === 0 &&
    Object.keys(store.relays).length + Object.keys(store.candidates).length === 0;
  return isEmpty
    ? undefined
    : "The demo counts what it archives, so it needs an empty database; that of DATABASE_URL is " +
      "not (or unset DATABASE_URL: then it makes one of its own)";
}

/** The database that whoever runs this names. */
function databaseEnv(isSplit: boolean): Record<string, string> {
  const names = [
    ...["DATABASE_URL", "DB_PASSWORD", "DATABASE_READER_URL", "DB_READER_PASSWORD"],
    "PRIVATE_KEY",
  ].flatMap((name) => [name, `${name}_FILE`]);
  const env = Object.fromEntries(names.flatMap((name) => {
    const value = Deno.env.get(name);
    return value === undefined || value === "" ? [] : [[name, value]];
  }));
  if (!isSplit) return env;
  if (env.DATABASE_URL === undefined) throw new Error("--split needs DATABASE_URL");
  if (env.PRIVATE_KEY_FILE !== undefined) return env;
  // Both are one instance.
  return { PRIVATE_KEY: crypto.getRandomValues(new Uint8Array(32)).toHex(), ...env };
}

async function observe(
  child: Child,
  scenario: Scenario,
  summary: Summary,
  startedMs: number,
): Promise<void> {
  summary.say(`Running bigbrotr (pid ${child.pid}, ${child.url}) …`);
  await waitUntilDone(child, scenario, summary, startedMs);
  await checkRelays(child, scenario, summary);
  await checkReports(child, scenario, summary);
  await checkJobs(scenario, child, summary);
  const busy = await child.residentBytes();
  await new Promise((resolve) => setTimeout(resolve, REST_MS));
  const idle = await child.residentBytes();
  summary.note(
    "Resident memory at work, and idle",
    `${megabytes(busy)}, ${megabytes(idle)}`,
  );
}

function megabytes(bytes: number | undefined): string {
  return `${((bytes ?? NaN) / 1e6).toFixed(0)} MB`;
}

/** Everything short, so that a person can watch; nothing that a public network would be asked. */
function configuration(
  scenario: Scenario,
  run: { port: number; workDir: string; light: boolean },
): string {
  return JSON.stringify({
    networks: { local: { enabled: true } },
    store: { profile: run.light ? "light" : "full" },
    identity: { name: "BigBrotr demo" },
    seeder: { file: `${run.workDir}/seeds.txt` },
    finder: {
      interval: "5s",
      lists: [{ url: scenario.listUrl, expression: "relays[].url" }],
    },
    validator: { interval: "5s" },
    monitor: {
      interval: "5s",
      check_interval: "1h",
      publish: { relays: [scenario.first.url] },
    },
    synchronizer: { interval: "5s", page_size: 200 },
    refresher: { interval: "2s" },
    dvm: { relays: [scenario.first.url] },
    api: { port: run.port },
  });
}

if (import.meta.main) {
  const program = new Command("demo")
    .description("Runs BigBrotr against relays on this machine and checks what it says.")
    .option("--events <file>", "signed events, one JSON object a line, instead of generated ones")
    .option("--count <n>", "how many events to generate", "3000")
    .option("--split", "two processes that share the empty database of DATABASE_URL")
    .option("--light", "a light archive, as in deployments/lilbrotr")
    .option("--verbose", "show the log of the process")
    .parse(Deno.args, { from: "user" });
  const { events, count, split, light, verbose } = program.opts<
    { events?: string; count: string; split?: boolean; light?: boolean; verbose?: boolean }
  >();
  Deno.exitCode = await demo({
    events: Number(count),
    split: split === true,
    light: light === true,
    verbose: verbose === true,
    ...(events === undefined ? {} : { file: events }),
  });
}
