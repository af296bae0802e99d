/**
 * The families of the process itself: what runs, its memory, its event loop, its disk. In: readings
 * of Deno, taken when somebody asks, and those of the disk, which the pipeline takes now and then.
 * Out: families in a registry. Never: asks the disk at a scrape.
 */
import { type Gauge, gauge, type Registry } from "../lib/metrics.ts";
import { commit, NAME, VERSION } from "../lib/version.ts";
import { LagMeter } from "./lag_meter.ts";

/** The room on the disk under a folder, in bytes. */
export interface DiskRoom {
  freeBytes: number;
  sizeBytes: number;
}

/** Families named after the process; dispose of it. */
export class ProcessMetrics implements Disposable {
  readonly #lag = new LagMeter();
  readonly #diskFree: Gauge<"folder">;
  readonly #diskSize: Gauge<"folder">;
  readonly #proxyUp: Gauge<"network">;
  readonly #queues = new Map<string, () => number>();

  constructor(registry: Registry) {
    gauge(registry, {
      name: "bigbrotr_build_info",
      help: "Always 1; the labels say what runs.",
      labels: ["name", "version", "commit", "deno"],
    }).set({ name: NAME, version: VERSION, commit: commit(), deno: Deno.version.deno }, 1);
    this.#proxyUp = gauge(registry, {
      name: "bigbrotr_proxy_up",
      help: "1 while the proxy that a network is configured with answers, 0 while it does not.",
      labels: ["network"],
    });
    gauge(registry, {
      name: "process_start_time_seconds",
      help: "When the process started, in Unix seconds.",
    }).set({}, Math.floor(performance.timeOrigin / 1000));
    gauge(registry, {
      name: "process_resident_memory_bytes",
      help: "Resident memory of the process.",
      collect: (family) => family.set({}, Deno.memoryUsage().rss),
    });
    gauge(registry, {
      name: "bigbrotr_heap_bytes",
      help: "Memory of the main thread's JavaScript, by what it is (used, total, external).",
      labels: ["area"],
      collect: (family) => {
        const { heapUsed, heapTotal, external } = Deno.memoryUsage();
        family.set({ area: "used" }, heapUsed);
        family.set({ area: "total" }, heapTotal);
        family.set({ area: "external" }, external);
      },
    });
    gauge(registry, {
      name: "bigbrotr_event_loop_lag_seconds",
      help: "The longest that the event loop was late in the last minute.",
      collect: (family) => family.set({}, this.#lag.maxMs() / 1000),
    });
    gauge(registry, {
      name: "bigbrotr_queue_items",
      help: "What waits or is under way in a bounded queue of the process.",
      labels: ["queue"],
      collect: (family) => {
        for (const [queue, length] of this.#queues) family.set({ queue }, length());
      },
    });
    this.#diskFree = gauge(registry, {
      name: "bigbrotr_disk_free_bytes",
      help: "Room left on the disk under a folder, by what the folder is for.",
      labels: ["folder"],
    });
    this.#diskSize = gauge(registry, {
      name: "bigbrotr_disk_size_bytes",
      help: "Size of the disk under a folder, by what the folder is for.",
      labels: ["folder"],
    });
  }

  /** A queue whose length is read when somebody asks. */
  watchQueue(queue: string, length: () => number): void {
    this.#queues.set(queue, length);
  }

  /** Whether a network's proxy answers. */
  proxy(network: string, isUp: boolean): void {
    this.#proxyUp.set({ network }, isUp ? 1 : 0);
  }

  /** The disk under the data folder, as it was read just now. */
  disk({ freeBytes, sizeBytes }: DiskRoom): void {
    this.#diskFree.set({ folder: "data" }, freeBytes);
    this.#diskSize.set({ folder: "data" }, sizeBytes);
  }

  /** Stops measuring. */
  [Symbol.dispose](): void {
    this.#lag[Symbol.dispose]();
  }
}
