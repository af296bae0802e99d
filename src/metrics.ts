/**
 * The metrics of the process: one registry, and in metrics/ the families by what they are about, so
 * that a name means one thing. In: what stages, store, verifier and doors report, each by the narrow
 * interface that it declares itself. Out: the text of `/metrics`. Never: a label whose values a
 * stranger chooses.
 */
import type { CycleStatus } from "./lib/cycle.ts";
import { createRegistry, type Registry } from "./lib/metrics.ts";
import { ArchiveMetrics } from "./metrics/archive_metrics.ts";
import { DoorMetrics } from "./metrics/door_metrics.ts";
import { IngestMetrics } from "./metrics/ingest_metrics.ts";
import { PredecessorMetrics } from "./metrics/predecessor_metrics.ts";
import { ProcessMetrics } from "./metrics/process_metrics.ts";
import { RelayMetrics } from "./metrics/relay_metrics.ts";
import { StageMetrics } from "./metrics/stage_metrics.ts";
import { StoreMetrics } from "./metrics/store_metrics.ts";

/** All families; dispose of it. */
export class Metrics implements Disposable {
  readonly #registry: Registry = createRegistry();
  readonly #predecessor = new PredecessorMetrics(this.#registry);
  readonly process = new ProcessMetrics(this.#registry);
  readonly stages = new StageMetrics(this.#registry);
  readonly store = new StoreMetrics(this.#registry);
  /** Pages, ids, signatures, batches: the synchronizer and ingest. */
  readonly ingest = new IngestMetrics(this.#registry);
  /** Candidates, checks, reports: validator and monitor. */
  readonly relays = new RelayMetrics(this.#registry);
  /** What is counted in the database. */
  readonly archive = new ArchiveMetrics(this.#registry);
  /** Jobs and HTTP requests. */
  readonly doors = new DoorMetrics(this.#registry, this.#predecessor);

  /** The exposition text of `/metrics`. */
  text(): Promise<string> {
    return this.#registry.metrics();
  }

  /** After each cycle of a stage. */
  cycle(status: CycleStatus, error: unknown | undefined): void {
    this.stages.cycle(status, error);
    this.#predecessor.cycle(status, error);
  }

  /** What each stage counted, read when somebody asks. */
  watchStages(statuses: () => readonly CycleStatus[]): void {
    this.stages.watch(statuses);
    this.#predecessor.watch(statuses);
  }

  /** Stops measuring. */
  [Symbol.dispose](): void {
    this.process[Symbol.dispose]();
  }
}
