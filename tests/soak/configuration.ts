// What the process of a soak is told: everything quick, all relays on loopback, one board to publish
// to and to hear jobs on.
import type { FarmStart } from "./farm.ts";

/** Everything quick: half an hour should be like weeks. */
export function configuration(farm: FarmStart, run: { port: number; workDir: string }): string {
  const many = 100_000;
  return JSON.stringify({
    log: { format: "json" },
    networks: { local: { enabled: true, timeout: "3s" } },
    identity: { name: "BigBrotr soak" },
    limits: { known_ids: 20_000 },
    seeder: { file: `${run.workDir}/seeds.txt` },
    finder: { interval: "10s", lists: [] },
    validator: {
      interval: "5s",
      max_per_host: many,
      read_timeout: "3s",
      retry_delays: ["5s"],
      junk_after: 1000,
      give_up_after: 1000,
    },
    monitor: {
      interval: "5s",
      check_interval: "30s",
      max_per_host: many,
      max_per_network_block: 1000,
      timeouts: { read: "3s", write: "3s", auth: "3s", nip11: "3s", capability: "2s" },
      dead_after: 1000,
      retry_delays: ["10s"],
      silent_read_interval: "1m",
      publish: { relays: [farm.board], refresh: "1m" },
    },
    synchronizer: {
      interval: "10s",
      page_size: 200,
      idle_timeout: "3s",
      max_relay_time: "1m",
      retry_rest: "5s",
      settle: "2s",
      overlap: "2m",
      gap_retry: "1m",
    },
    refresher: { interval: "2s" },
    store: { figures_interval: "15s" },
    dvm: { relays: [farm.board] },
    api: { port: run.port, rate_limit: { requests: 0 } },
  });
}
