/**
 * The whole system on one page: which stages run, what each reads and writes, and whom its finds
 * wake. Data moves one way, through tables; a stage never calls another:
 *
 *     seed file, web lists, events ──> candidate ──> relay ──> check ──> kind 30166 on Nostr
 *                                                      └────> event + sighting ──> statistics
 *                                                                                     └──> answers
 *
 * Stages meet in the database alone, so each can run by itself (`run --only monitor`), in one
 * process or in several. How often they run stands in the configuration (`<stage>.interval`); a
 * stage that brings something new wakes those that wait for it in the same process.
 */
import { nip19 } from "nostr-tools";
import { startApi } from "./api/server.ts";
import type { Config } from "./config/config.ts";
import { configuredHostSources, type Context } from "./context.ts";
import { createDvm } from "./dvm/dvm.ts";
import { createFinder } from "./finder/finder.ts";
import type { CycleStatus, CycleTask } from "./lib/cycle.ts";
import { commit, NAME, VERSION } from "./lib/version.ts";
import { createMonitor } from "./monitor/monitor.ts";
import { createRefresher } from "./refresher/refresher.ts";
import { createSeeder } from "./seeder/seeder.ts";
import { createPriority, type PriorityDeps } from "./synchronizer/priority.ts";
import { createSynchronizer } from "./synchronizer/synchronizer.ts";
import { createTails } from "./synchronizer/tail/tails.ts";
import { createValidator } from "./validator/validator.ts";

/** The stages that work in cycles, by their names in the configuration. */
export type CycleName =
  | "seeder"
  | "finder"
  | "validator"
  | "monitor"
  | "synchronizer"
  | "priority"
  | "tail"
  | "refresher";

/** What runs beside its stage, whenever that does. */
export type PartName = "priority" | "tail";

/** A stage that works in cycles. */
export interface CycleSpec {
  readonly name: CycleName;
  /** A part of a stage: it runs where the stage does, at a pace of its own, unless it is off. */
  readonly part?: {
    readonly of: Exclude<CycleName, PartName>;
    intervalMs(config: Config): number;
    isOn(config: Config): boolean;
    /** Its cycle lasts as long as the process, so that it has no place in a single round. */
    readonly isEndless: boolean;
  };
  /** Tables and sources, and tables and events: for the reader. */
  readonly reads: string;
  readonly writes: string;
  /** Which count, when a cycle moved it, wakes which stages. */
  readonly feeds: Readonly<Record<string, readonly CycleName[]>>;
  create(context: Context): Promise<CycleTask>;
}

/** What a front door may know of the process. */
export interface DoorOpening {
  /** How each stage of this process fares now. */
  statuses: () => readonly CycleStatus[];
  /** Closed before the stages' own things are. */
  doors: AsyncDisposableStack;
}

/** A door that works by itself: `run` ends when the signal aborts. */
export interface DoorTask {
  run(options: { signal: AbortSignal }): Promise<void>;
  status(): CycleStatus;
}

/** A front door: it answers questions for as long as the process runs. */
export interface DoorSpec {
  readonly name: "dvm" | "api";
  readonly reads: string;
  readonly writes: string;
  /** Opens it. No task where there is nothing to do beyond what it put into `doors`. */
  open(context: Context, opening: DoorOpening): Promise<DoorTask | undefined>;
}

/** How often parts of a stage look whether there is something for them to do. */
const LOOK_EVERY_MS = 5_000;

/** The stages, in the order of the flow. */
export const CYCLES: readonly CycleSpec[] = [
  {
    name: "seeder",
    reads: "a file of relay URLs",
    writes: "candidate",
    feeds: { candidates_inserted: ["validator"] },
    create: async (context) =>
      createSeeder({
        store: await context.store(),
        config: context.config.seeder,
        clock: context.clock,
      }),
  },
  {
    name: "finder",
    reads: "event, JSON lists on the web",
    writes: "candidate",
    feeds: { candidates_inserted: ["validator"] },
    create: async (context) =>
      createFinder({
        store: await context.store(),
        dialer: context.dialer,
        config: context.config.finder,
        clock: context.clock,
      }),
  },
  {
    name: "validator",
    reads: "candidate",
    writes: "relay",
    feeds: { candidates_promoted: ["monitor"] },
    create: async (context) =>
      createValidator({
        store: await context.store(),
        dialer: context.dialer,
        slots: context.slots("validator"),
        blocks: context.blocks,
        config: context.config,
        metrics: context.metrics.relays,
        clock: context.clock,
      }),
  },
  {
    name: "monitor",
    reads: "relay",
    writes: "relay_check, relay_status, metadata, kinds 30166 10166 0 10002",
    feeds: { checks_done: ["synchronizer"] },
    create: async (context) =>
      createMonitor({
        store: await context.store(),
        dialer: context.dialer,
        slots: context.slots("monitor"),
        blocks: context.blocks,
        ...configuredHostSources(context.config, context.dialer, context.clock),
        signer: await context.signer(),
        publisher: await context.monitorPublisher(),
        config: context.config,
        metrics: context.metrics.relays,
        clock: context.clock,
      }),
  },
  {
    name: "synchronizer",
    reads: "relay that is online, coverage",
    writes: "event, event_relay, coverage",
    feeds: { events_new: ["refresher", "finder"], sightings_new: ["refresher"] },
    create: async (context) =>
      createSynchronizer({
        ...await synchronizerDeps(context),
        slots: context.slots("synchronizer"),
      }),
  },
  {
    name: "priority",
    part: {
      of: "synchronizer",
      intervalMs: ({ synchronizer: { priority } }) => Math.min(priority.intervalMs, LOOK_EVERY_MS),
      isOn: ({ synchronizer: { priority } }) =>
        priority.relays.length > 0 || priority.file !== undefined,
      isEndless: false,
    },
    reads: "the relays of synchronizer.priority, coverage",
    writes: "relay, event, event_relay, coverage",
    feeds: { events_new: ["refresher", "finder"], sightings_new: ["refresher"] },
    create: async (context) =>
      createPriority({
        ...await synchronizerDeps(context),
        slots: context.slots("priority"),
      }),
  },
  {
    name: "tail",
    part: {
      of: "synchronizer",
      intervalMs: () => LOOK_EVERY_MS,
      isOn: ({ synchronizer: { tail } }) => tail.enabled,
      isEndless: true,
    },
    reads: "relay that is online, live subscriptions",
    writes: "event, event_relay, relay_tail",
    feeds: {},
    create: async (context) =>
      createTails({
        ...await synchronizerDeps(context),
        slots: context.slots("tail"),
        metrics: context.metrics.ingest,
      }),
  },
  {
    name: "refresher",
    reads: "event and event_relay since the last checkpoint",
    writes: "stat_ tables",
    feeds: {},
    create: async (context) =>
      createRefresher({
        store: await context.store(),
        config: context.config.refresher,
        cleanup: context.config.store,
        clock: context.clock,
      }),
  },
];

/** What the parts of the synchronizer share; the connections to a host are counted for each. */
async function synchronizerDeps(context: Context): Promise<Omit<PriorityDeps, "slots">> {
  return {
    store: await context.store(),
    ingest: await context.ingest(),
    dialer: context.dialer,
    blocks: context.blocks,
    priority: context.priority,
    signer: await context.signer(),
    config: context.config,
    metrics: context.metrics.ingest,
    clock: context.clock,
  };
}

/** The ways in for questions; both ask the catalogue in queries/. */
export const DOORS: readonly DoorSpec[] = [
  {
    name: "dvm",
    reads: "job requests (kinds 5400, 5410, 5310) on the relays of dvm.relays",
    writes: "dvm_job, answers (kinds 6400, 6410, 6310, 7000), kinds 31990 10002 0",
    async open(context): Promise<DoorTask | undefined> {
      const { config, clock, metrics, dialer } = context;
      if (config.dvm.relays.length === 0) return undefined;
      return createDvm({
        store: await context.store(),
        reader: await context.reader(),
        signer: await context.signer(),
        verifier: await context.verifier(),
        publisher: await context.dvmPublisher(),
        config: config.dvm,
        identity: config.identity,
        presence: {
          publishing: config.monitor.publish.relays,
          profile: config.monitor.publish.profile,
        },
        walletUri: config.secrets.walletUri,
        dialer,
        metrics: metrics.doors,
        clock,
      });
    },
  },
  {
    name: "api",
    reads: "everything, through the catalogue",
    writes: "nothing",
    async open(context, { statuses, doors }): Promise<undefined> {
      const { config, metrics, clock } = context;
      doors.use(
        await startApi({
          config: config.api,
          store: await context.store(),
          reader: await context.reader(),
          identity: {
            name: NAME,
            version: VERSION,
            commit: commit(),
            npub: nip19.npubEncode((await context.signer()).pubkey),
          },
          stages: statuses,
          metricsText: () => metrics.text(),
          metrics: metrics.doors,
          clock,
        }),
      );
      return undefined;
    },
  },
];
