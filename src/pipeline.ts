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
import { configuredHostSources, type Context } from "./context.ts";
import { createDvm } from "./dvm/dvm.ts";
import { createFinder } from "./finder/finder.ts";
import type { CycleStatus, CycleTask } from "./lib/cycle.ts";
import { commit, NAME, VERSION } from "./lib/version.ts";
import { createMonitor } from "./monitor/monitor.ts";
import { createRefresher } from "./refresher/refresher.ts";
import { createSeeder } from "./seeder/seeder.ts";
import { createSynchronizer } from "./synchronizer/synchronizer.ts";
import { createValidator } from "./validator/validator.ts";

/** The stages that work in cycles, by their names in the configuration. */
export type CycleName =
  | "seeder"
  | "finder"
  | "validator"
  | "monitor"
  | "synchronizer"
  | "refresher";

/** A stage that works in cycles. */
export interface CycleSpec {
  readonly name: CycleName;
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
        store: await context.store(),
        ingest: await context.ingest(),
        dialer: context.dialer,
        slots: context.slots("synchronizer"),
        blocks: context.blocks,
        signer: await context.signer(),
        config: context.config,
        metrics: context.metrics.ingest,
        clock: context.clock,
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

/** The ways in for questions; both ask the catalogue in queries/. */
export const DOORS: readonly DoorSpec[] = [
  {
    name: "dvm",
    reads: "job requests (kinds 5400, 5410, 5310) on the relays of dvm.relays",
    writes: "dvm_job, answers (kinds 6400, 6410, 6310, 7000), kind 31990",
    async open(context): Promise<DoorTask | undefined> {
      const { config, clock, metrics, dialer } = context;
      if (config.dvm.relays.length === 0) return undefined;
      return createDvm({
        store: await context.store(),
        signer: await context.signer(),
        verifier: await context.verifier(),
        publisher: await context.dvmPublisher(),
        config: config.dvm,
        identity: config.identity,
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
