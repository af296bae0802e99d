// `deno task soak --minutes 30`: the real process, whole, for a long time, against a hundred relays
// in another process that fall ill all the time and get new events all the time. At the end: is its
// memory flat, did it count exactly, does it leave when told to. In: how long, which store. Out: a
// table, or with --json one object; exit code 1 when anything is not as it should be.
import { Command } from "commander";
import { openStore } from "../../src/store/connect.ts";
import { PlainClient } from "../demo/client.ts";
import { Summary } from "../demo/summary.ts";
import { type Child, startChild } from "../support/child.ts";
import { createDatabase, freePort, PostgresServer } from "../support/postgres_server.ts";
import { compare } from "./contents.ts";
import { configuration } from "./configuration.ts";
import type { FarmOptions, Held } from "./farm.ts";
import { Farm } from "./farm_process.ts";
import { sampleOf, valueOf } from "./measure.ts";
import { judge, type Run } from "./verdict.ts";

interface Options {
  minutes: number;
  store: "postgres" | "pglite";
  json: boolean;
  verbose: boolean;
  farm: FarmOptions;
}

const SAMPLE_MS = 5_000;
const JOB_EVERY_MS = 10_000;
const STOP_LIMIT_MS = 10_000;
/** For the last events to be archived once all relays are well. */
const CATCH_UP_MS = 180_000;
/** For the process to be there. */
const START_MS = 120_000;
/** Questions that a visitor asks all the time. */
const PATHS = [
  "/",
  "/ready",
  "/v1/relays?limit=50",
  "/v1/kind_counts",
  "/v1/events?filter={}&limit=20",
];

async function soak(options: Options): Promise<number> {
  const summary = new Summary(options.json ? () => {} : undefined);
  const workDir = await Deno.makeTempDir({ prefix: "bigbrotr-soak-" });
  await using stack = new AsyncDisposableStack();
  stack.defer(() => Deno.remove(workDir, { recursive: true }));
  summary.say(`Starting ${options.farm.relays} relays …`);
  const farm = stack.use(await Farm.start(options.farm));
  const databaseUrl = options.store === "postgres" ? await database(stack) : undefined;
  const port = await freePort();
  const dataDir = `${workDir}/data`;
  await Deno.mkdir(dataDir);
  await Deno.writeTextFile(`${workDir}/seeds.txt`, farm.start.urls.join("\n"));
  const config = `${workDir}/bigbrotr.yaml`;
  await Deno.writeTextFile(config, configuration(farm.start, { port, workDir }));
  let unhandled = 0;
  const child = stack.use(startChild({
    config,
    dataDir,
    port,
    echo: options.verbose,
    onLine: (line) => unhandled += /unhandled|uncaught/i.test(line) ? 1 : 0,
    ...(databaseUrl === undefined ? {} : { env: { DATABASE_URL: databaseUrl } }),
  }));
  summary.say(`bigbrotr runs (pid ${child.pid}, ${child.url}) on ${options.store}`);
  const run = await live(child, farm, options, summary);
  const story = await farm.tell("calm");
  const held = await farm.held(`${workDir}/held.json`);
  const caughtUpMs = await catchUp(child, held);
  const settled = await (await child.ask("/metrics"))?.text ?? "";
  judge(summary, options, { run, caughtUpMs, exposition: settled, story });
  const ready = await child.ask("/ready");
  summary.add("/ready at the end", ready?.text.trim() ?? "no answer", ready?.status === 200);
  const { code, elapsedMs } = await child.stop();
  summary.add(
    "SIGTERM ends it with exit code 0 within 10 s",
    `code ${code} after ${(elapsedMs / 1000).toFixed(1)} s`,
    code === 0 && elapsedMs < STOP_LIMIT_MS,
  );
  summary.add("Unhandled rejections in the log", String(unhandled), unhandled === 0);
  {
    await using store = await openStore({
      dataDir,
      ...(databaseUrl === undefined ? {} : { databaseUrl }),
    });
    const found = await compare(store, held, farm.start.board);
    const { events, sightings, ...difference } = found;
    const isExact = Object.values(difference).every((n) => n === 0);
    summary.add(
      "The archive is what the relays hold",
      isExact ? `${events} events, ${sightings} sightings` : JSON.stringify(found),
      isExact,
    );
  }
  if (summary.failures > 0 && !options.json) {
    summary.say(`\nThe last lines of its log:\n${child.log.slice(-60).join("\n")}`);
  }
  if (options.json) print(JSON.stringify({ ...summary.report(), samples: run.samples }));
  else summary.print();
  return summary.failures === 0 ? 0 : 1;
}

/** Looks on, asks questions and sends jobs for as long as the run is to take. */
async function live(
  child: Child,
  farm: Farm,
  { minutes }: Options,
  summary: Summary,
): Promise<Run> {
  const startMs = performance.now();
  const run: Run = {
    samples: [],
    missed: 0,
    jobs: { asked: 0, answered: 0, slowestMs: 0 },
    requests: 0,
    refused: new Map(),
  };
  while (await child.ask("/health") === undefined) {
    if (performance.now() - startMs > START_MS) throw new Error(child.log.join("\n"));
    await pause(200);
  }
  const readyMs = performance.now();
  await using client = await PlainClient.connect(farm.start.board);
  let [jobAtMs, toldAtMs] = [readyMs + JOB_EVERY_MS, readyMs];
  while (performance.now() < readyMs + minutes * 60_000) {
    await pause(SAMPLE_MS);
    for (const path of PATHS) {
      const answer = await child.ask(path);
      run.requests += 1;
      // Not ready is an answer, too: relays and stages are only just starting.
      if (answer?.status === 200 || (path === "/ready" && answer?.status === 503)) continue;
      const what = `${path} ${answer?.status ?? "no answer"}`;
      run.refused.set(what, (run.refused.get(what) ?? 0) + 1);
    }
    const metrics = await child.ask("/metrics");
    const at = (performance.now() - readyMs) / 1000;
    const sample = sampleOf(metrics?.text ?? "", at);
    if (sample === undefined) run.missed += 1;
    else run.samples.push(sample);
    if (performance.now() >= jobAtMs) {
      jobAtMs = performance.now() + JOB_EVERY_MS;
      await ask(client, run.jobs);
    }
    if (performance.now() >= toldAtMs + 60_000 && sample !== undefined) {
      toldAtMs = performance.now();
      summary.say(
        `  minute ${(at / 60).toFixed(0)}: ${(sample.rssBytes / 1e6).toFixed(0)} MB, ` +
          `lag ${(sample.lagSeconds * 1000).toFixed(0)} ms, ` +
          `${valueOf(metrics?.text ?? "", "bigbrotr_archive_events") ?? 0} events counted`,
      );
    }
  }
  return run;
}

async function ask(client: PlainClient, jobs: Run["jobs"]): Promise<void> {
  jobs.asked += 1;
  try {
    const { latencyMs } = await client.job(
      { kind: 5400, content: JSON.stringify([{ kinds: [1] }]), tags: [] },
      JOB_EVERY_MS,
    );
    jobs.answered += 1;
    jobs.slowestMs = Math.max(jobs.slowestMs, latencyMs);
  } catch (error) {
    // Counted as not answered; the summary says how many.
    if (!(error instanceof Error)) throw error;
  }
}

/** Waits until the statistics count what the relays hold; undefined when they never do. */
async function catchUp(child: Child, held: readonly Held[]): Promise<number | undefined> {
  const startMs = performance.now();
  while (performance.now() - startMs < CATCH_UP_MS) {
    const counted = await countsByRelay(child);
    const isDone = held.every(({ url, ids }) => (counted.get(url) ?? 0) >= ids.length);
    if (isDone) return performance.now() - startMs;
    await pause(1_000);
  }
  return undefined;
}

async function countsByRelay(child: Child): Promise<Map<string, number>> {
  const page = await child.get("/v1/relay_stats?limit=1000") as
    | { rows: { relay_url: string; events: number }[] }
    | undefined;
  return new Map(page?.rows.map(({ relay_url, events }) => [relay_url, events]));
}

async function database(stack: AsyncDisposableStack): Promise<string> {
  const given = Deno.env.get("DATABASE_URL");
  if (given !== undefined) return stack.use(await createDatabase(given)).url;
  return stack.use(await PostgresServer.create({ fsync: true })).url();
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

function print(text: string): void {
  Deno.stdout.writeSync(new TextEncoder().encode(`${text}\n`));
}

if (import.meta.main) {
  const program = new Command("soak")
    .description("Runs BigBrotr for a long time against relays that fail, and judges it.")
    .option("--minutes <n>", "how long", "30")
    .option(
      "--store <name>",
      "postgres (a server of its own, or DATABASE_URL) or pglite",
      "postgres",
    )
    .option("--relays <n>", "how many relays", "100")
    .option("--events <n>", "events that they hold at the start, together", "4000")
    .option("--rate <n>", "new events a second, together", "20")
    .option("--ill <n>", "relays that are ill at one time, at most", "12")
    .option("--seed <n>", "another run", "1")
    .option("--json", "one JSON object, with all samples")
    .option("--verbose", "show the log of the process")
    .parse(Deno.args, { from: "user" });
  const given = program.opts<Record<string, string | boolean | undefined>>();
  const store = given["store"];
  if (!(Number(given["minutes"]) >= 1)) program.error("--minutes is a number, 1 or more");
  if (store !== "postgres" && store !== "pglite") program.error("--store is postgres or pglite");
  Deno.exitCode = await soak({
    minutes: Number(given["minutes"]),
    store: store === "pglite" ? "pglite" : "postgres",
    json: given["json"] === true,
    verbose: given["verbose"] === true,
    farm: {
      relays: Number(given["relays"]),
      events: Number(given["events"]),
      eventsPerSecond: Number(given["rate"]),
      ill: Number(given["ill"]),
      seed: Number(given["seed"]),
    },
  });
}
