/**
 * The running process: stages in their cycles, front doors beside them, all ended by one signal.
 * In: a configuration and which stages are wanted. Out: the stages' work, their status in the
 * database, and an end: good after a signal, an error when a stage failed too often. Never: knows
 * what a stage does; that stands in pipeline.ts.
 */
import type { Config } from "./config/config.ts";
import { type Stage, STAGES } from "./config/stages.ts";
import { Context } from "./context.ts";
import { aborted } from "./lib/aborted.ts";
import { type Clock, systemClock, unixSeconds } from "./lib/clock.ts";
import { CycleRunner, type CycleStatus } from "./lib/cycle.ts";
import { deadline } from "./lib/deadline.ts";
import { logger } from "./lib/log.ts";
import { isAbort, TaskGroup } from "./lib/task_group.ts";
import { errorText } from "./lib/text.ts";
import { commit, NAME, VERSION } from "./lib/version.ts";
import { keepFigures } from "./metrics/figure_keeper.ts";
import { keepProxies } from "./metrics/proxy_keeper.ts";
import { type CycleName, CYCLES, type CycleSpec, DOORS, type PartName } from "./pipeline.ts";
import { writeStageStatus } from "./queries/status.ts";
import { StoreClosed } from "./store/errors.ts";

const log = logger("pipeline");

/** How often the stages' statuses are written for `bigbrotr status` and for other processes. */
const STATUS_INTERVAL_MS = 5_000;

/** A cycle without an end can't succeed; one that lasted so long before it failed had. */
const ENDLESS_STABLE_MS = 60_000;

/** What is to run. */
export interface ProcessOptions {
  /** Only these; all that are enabled unless given. */
  only?: readonly Stage[] | undefined;
  /** One cycle of each stage in the order of the flow, then the end. No front door opens. */
  once?: boolean;
  signal: AbortSignal;
  clock?: Clock;
}

/**
 * Runs until the signal aborts, or to the end of one round with `once`. Rejects when something
 * can't be opened, or when a stage failed too often in a row.
 */
export async function runProcess(config: Config, options: ProcessOptions): Promise<void> {
  const { signal, clock = systemClock } = options;
  const wanted = wantedStages(config, options.only);
  await using context = new Context(config, { signal, clock });
  const store = await context.store();
  const signer = await context.signer();
  log.info("{name} {version} ({commit}) runs {stages} on {store}", {
    name: NAME,
    version: VERSION,
    commit: commit(),
    stages: wanted.join(", "),
    store: store.kind,
    pubkey: signer.pubkey,
  });
  const runners = new Map<CycleName, CycleRunner>();
  for (const spec of CYCLES) {
    if (isWanted(spec, config, { wanted, once: options.once === true })) {
      runners.set(spec.name, await startRunner(spec, context, runners));
    }
  }
  const working: { status(): CycleStatus }[] = [...runners.values()];
  const statuses = (): CycleStatus[] => working.map((one) => one.status());
  for (const { name } of statuses()) context.metrics.stages.open(name);
  context.metrics.watchStages(statuses);
  const keeper = new StatusKeeper(context, statuses, clock);
  try {
    if (options.once === true) await runRound(runners, signal);
    else await runStages(context, runners, { wanted, working, statuses, keeper, signal });
  } finally {
    await keeper.write();
  }
}

/** The stages that `only` and the configuration name, in the order of the flow. */
export function wantedStages(config: Config, only: readonly Stage[] | undefined): Stage[] {
  return STAGES.filter((name) => only?.includes(name) ?? config[name].enabled);
}

/** A stage that is wanted, or a part of one. */
function isWanted(
  { name, part }: CycleSpec,
  config: Config,
  { wanted, once }: { wanted: readonly Stage[]; once: boolean },
): boolean {
  if (part === undefined) return wanted.some((stage) => stage === name);
  return wanted.includes(part.of) && part.isOn(config) && !(once && part.isEndless);
}

async function startRunner(
  spec: CycleSpec,
  context: Context,
  runners: ReadonlyMap<CycleName, CycleRunner>,
): Promise<CycleRunner> {
  const { part } = spec;
  const { config } = context;
  const settings = config[part?.of ?? spec.name as Exclude<CycleName, PartName>];
  return new CycleRunner(await spec.create(context), {
    intervalMs: part?.intervalMs(config) ?? settings.intervalMs,
    maxConsecutiveFailures: settings.maxConsecutiveFailures,
    ...(part?.isEndless === true ? { stableMs: ENDLESS_STABLE_MS } : {}),
    clock: context.clock,
    onCycle(status, counts, error): void {
      context.metrics.cycle(status, error);
      if (error === undefined) log.debug("{stage} did {counts}", { stage: spec.name, counts });
      else log.warn("{stage} failed: {error}", { stage: spec.name, error: errorText(error) });
      for (const [name, fed] of Object.entries(spec.feeds)) {
        if ((counts[name] ?? 0) > 0) { for (const stage of fed) runners.get(stage)?.wake(); }
      }
    },
  });
}

/** One cycle of each, in the order of the flow. */
async function runRound(
  runners: ReadonlyMap<CycleName, CycleRunner>,
  signal: AbortSignal,
): Promise<void> {
  for (const [name, runner] of runners) {
    const counts = await runner.runOnce({ signal });
    log.info("{stage}: {counts}", { stage: name, counts });
  }
}

async function runStages(
  context: Context,
  runners: ReadonlyMap<CycleName, CycleRunner>,
  run: {
    wanted: readonly Stage[];
    working: { status(): CycleStatus }[];
    statuses: () => CycleStatus[];
    keeper: StatusKeeper;
    signal: AbortSignal;
  },
): Promise<void> {
  const { wanted, working, statuses, keeper, signal } = run;
  await using doors = new AsyncDisposableStack();
  await using group = new TaskGroup({ signal });
  for (const [name, runner] of runners) {
    group.spawn(name, (signal) => runner.run({ signal }));
  }
  for (const door of DOORS) {
    if (!wanted.includes(door.name)) continue;
    const task = await door.open(context, { statuses, doors });
    if (task === undefined) continue;
    working.push(task);
    group.spawn(door.name, (signal) => task.run({ signal }));
  }
  // Beside the stages' ends, not after them: requests under way have seconds, and so have we.
  group.spawn("doors", async (signal) => {
    await aborted(signal);
    await doors.disposeAsync();
  });
  group.spawn("status", (signal) => keeper.run(signal));
  const { networks } = context.config;
  group.spawn(
    "proxies",
    (signal) =>
      keepProxies({ networks, metrics: context.metrics.process, clock: context.clock }, signal),
  );
  if (wanted.includes("api")) {
    // Only where somebody can read them.
    const { config, metrics, clock } = context;
    const { dataDir, store: { figuresIntervalMs: intervalMs } } = config;
    const store = await context.store();
    group.spawn(
      "figures",
      (signal) => keepFigures({ store, dataDir, metrics, intervalMs, clock }, signal),
    );
  }
  try {
    await group.join();
  } catch (error) {
    if (!isAbort(error, signal)) throw error;
  }
  if (signal.aborted) log.info("Stopping");
}

/** Writes the stages' statuses down now and then; a database that is away is no reason to stop. */
class StatusKeeper {
  readonly #context: Context;
  readonly #statuses: () => CycleStatus[];
  readonly #clock: Clock;

  constructor(context: Context, statuses: () => CycleStatus[], clock: Clock) {
    this.#context = context;
    this.#statuses = statuses;
    this.#clock = clock;
  }

  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.#clock.sleep(STATUS_INTERVAL_MS, { signal });
      await this.write();
    }
  }

  async write(): Promise<void> {
    const store = await this.#context.store();
    if (store.health().state === "down") return;
    for (const status of this.#statuses()) {
      try {
        // Short: at the end of the process this stands between a signal and the exit.
        using limit = deadline(2_000);
        const at = unixSeconds(this.#clock);
        await writeStageStatus(store, status, { at, signal: limit.signal });
      } catch (error) {
        if (error instanceof StoreClosed) return;
        log.warn("Cannot write down how {stage} fares: {error}", {
          stage: status.name,
          error: errorText(error),
        });
        return;
      }
    }
  }
}
