/**
 * The families of the database: its pool, its queries, its state. In: reports after each piece of
 * work, and the store's own counts when somebody asks. Out: families in a registry. Never: a query's
 * text, which its name stands for.
 */
import { counter, gauge, histogram, type Registry } from "../lib/metrics.ts";
import type { QueryReport, Store, StoreStats } from "../store/connect.ts";
import { QUERY_BUCKETS } from "./buckets.ts";

/** What is read of a store. */
export type WatchedStore = Pick<Store, "kind" | "health" | "stats">;

/** Families named after the store. */
export class StoreMetrics {
  readonly #registry: Registry;
  readonly #querySeconds;
  readonly #queryFailures;
  #reader: WatchedStore | undefined;

  constructor(registry: Registry) {
    this.#registry = registry;
    this.#querySeconds = histogram(registry, {
      name: "bigbrotr_store_query_duration_seconds",
      help: "Pieces of work in the database, waiting included, by name.",
      labels: ["query"],
      buckets: QUERY_BUCKETS,
    });
    this.#queryFailures = counter(registry, {
      name: "bigbrotr_store_query_failures_total",
      help: "Pieces of work in the database that failed for good, by name.",
      labels: ["query"],
    });
  }

  /** After each piece of work of the store. */
  query(query: QueryReport): void {
    const labels = { query: query.name };
    this.#querySeconds.observe(labels, query.elapsedMs / 1000);
    this.#queryFailures.inc(labels, query.ok ? 0 : 1);
  }

  /** A second pool, for questions alone: its connections are counted with the others. */
  watchReader(reader: WatchedStore): void {
    this.#reader = reader;
  }

  /** The store's state and pool, read when somebody asks. */
  watch(store: WatchedStore): void {
    const registry = this.#registry;
    gauge(registry, {
      name: "bigbrotr_store_up",
      help: "1 while the database answers, 0 while it is away.",
      labels: ["store"],
      collect: (family) => {
        family.set({ store: store.kind }, upOf(store));
        if (this.#reader !== undefined) family.set({ store: "reader" }, upOf(this.#reader));
      },
    });
    gauge(registry, {
      name: "bigbrotr_store_connections",
      help: "Connections of the pool by state, and work that waits for one.",
      labels: ["state"],
      collect: (family) => {
        const pools = this.#pools(store);
        const sum = (of: (pool: StoreStats) => number): number =>
          pools.reduce((total, pool) => total + of(pool), 0);
        family.set({ state: "max" }, sum(({ max }) => max));
        family.set({ state: "open" }, sum(({ open }) => open));
        family.set({ state: "in_use" }, sum(({ inUse }) => inUse));
        family.set({ state: "waiting" }, sum(({ waiting }) => waiting));
      },
    });
    counter(registry, {
      name: "bigbrotr_store_retries_total",
      help: "Pieces of work that were tried again after a conflict or while the database was away.",
      collect: (family) => {
        family.reset();
        for (const { retries } of this.#pools(store)) family.inc({}, retries);
      },
    });
  }

  #pools(store: WatchedStore): StoreStats[] {
    return [store, this.#reader].flatMap((one) => one === undefined ? [] : [one.stats()]);
  }
}

function upOf(store: WatchedStore): number {
  return store.health().state === "up" ? 1 : 0;
}
