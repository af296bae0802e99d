/**
 * The families that are counted in the database: relays, what is due, the ledger of the archive,
 * sizes. In: figures, whenever the process has read them anew. Out: families in a registry, the
 * same until the next reading. Never: asks the database itself.
 */
import { type Gauge, gauge, LabelGuard, type Registry } from "../lib/metrics.ts";
import type { Figure, Figures } from "../store/figures.ts";

/** Tables of the schema, and room for some more. */
const MAX_TABLES = 60;
/** Reasons of gaps come from a closed list. */
const MAX_REASONS = 60;

/** Families of what is there. */
export class ArchiveMetrics {
  readonly #registry: Registry;
  readonly #relays;
  readonly #candidates;
  readonly #due;
  readonly #spans;
  readonly #spanSeconds;
  readonly #gaps;
  readonly #uncovered;
  readonly #behind;
  readonly #jobs;
  readonly #events;
  readonly #sightings;
  readonly #uncounted;
  readonly #databaseBytes;
  readonly #tableBytes;
  readonly #readAt;
  readonly #readSeconds;
  readonly #tables = new LabelGuard(MAX_TABLES);
  readonly #reasons = new LabelGuard(MAX_REASONS);

  constructor(registry: Registry) {
    this.#registry = registry;
    const networkAndState = ["network", "state"] as const;
    this.#relays = this.#gauge("bigbrotr_relays", "Relays by network and state.", networkAndState);
    this.#candidates = this.#gauge(
      "bigbrotr_candidates",
      "Candidates by network and state.",
      networkAndState,
    );
    this.#due = this.#gauge(
      "bigbrotr_due_items",
      "What waits for its turn now, by network and work (try, check, sync).",
      ["network", "work"],
    );
    this.#spans = this.#gauge(
      "bigbrotr_coverage_spans",
      "Spans of the archive's ledger by network and state (closed, open, gap).",
      networkAndState,
    );
    this.#spanSeconds = this.#gauge(
      "bigbrotr_coverage_seconds",
      "Seconds of created_at in the archive's ledger, of all relays, by network and state.",
      networkAndState,
    );
    this.#gaps = this.#gauge(
      "bigbrotr_coverage_gaps",
      "Spans that could not be had whole, by why.",
      ["reason"],
    );
    this.#uncovered = this.#gauge(
      "bigbrotr_relays_uncovered",
      "Relays that are online and of which nothing is archived yet.",
      ["network"],
    );
    this.#behind = this.#gauge(
      "bigbrotr_archive_lag_seconds",
      "How old the end of what is archived is, over the relays that are online, by quantile.",
      ["network", "quantile"],
    );
    this.#jobs = this.#gauge("bigbrotr_dvm_jobs", "Jobs in the database by state.", ["state"]);
    this.#events = this.#gauge("bigbrotr_archive_events", "Events in the archive.", []);
    this.#sightings = this.#gauge("bigbrotr_archive_sightings", "Sightings of events.", []);
    this.#uncounted = this.#gauge(
      "bigbrotr_statistics_behind_rows",
      "Sequence numbers of events and sightings not counted yet; some of them were never used.",
      [],
    );
    this.#databaseBytes = this.#gauge(
      "bigbrotr_store_size_bytes",
      "Size of the database on its disk.",
      [],
    );
    this.#tableBytes = this.#gauge(
      "bigbrotr_store_table_bytes",
      "Size of a table with its indexes and partitions.",
      ["table"],
    );
    this.#readAt = this.#gauge(
      "bigbrotr_figures_timestamp_seconds",
      "When the figures of the database were last read, in Unix seconds.",
      [],
    );
    this.#readSeconds = this.#gauge(
      "bigbrotr_figures_duration_seconds",
      "How long the last reading of them took.",
      [],
    );
  }

  /** New figures in place of the old ones, and how long it took to read them. */
  update(figures: Figures, reading: { at: number; elapsedMs: number }): void {
    set(this.#relays, figures.relays);
    set(this.#candidates, figures.candidates);
    set(this.#due, figures.due);
    set(this.#spans, figures.spans);
    set(this.#spanSeconds, figures.spanSeconds);
    set(this.#gaps, bounded(figures.gaps, "reason", this.#reasons));
    set(this.#uncovered, figures.uncovered);
    set(this.#behind, figures.behindSeconds);
    set(this.#jobs, figures.jobs);
    this.#events.set({}, figures.events);
    this.#sightings.set({}, figures.sightings);
    this.#uncounted.set({}, figures.uncountedRows);
    this.#databaseBytes.set({}, figures.databaseBytes);
    set(this.#tableBytes, bounded(figures.tableBytes, "table", this.#tables));
    this.#readAt.set({}, reading.at);
    this.#readSeconds.set({}, reading.elapsedMs / 1000);
  }

  #gauge<L extends string>(name: string, help: string, labels: readonly L[]): Gauge<L> {
    return gauge(this.#registry, { name, help, labels });
  }
}

/** What is no more has no value, not its last one. */
function set<L extends string>(family: Gauge<L>, figures: readonly Figure<L>[]): void {
  family.reset();
  for (const { labels, value } of figures) family.set(labels, value);
}

function bounded<L extends string>(
  figures: readonly Figure<L>[],
  label: L,
  guard: LabelGuard,
): Figure<L>[] {
  return figures.map(({ labels, value }) => ({
    labels: { ...labels, [label]: guard.value(labels[label]) },
    value,
  }));
}
