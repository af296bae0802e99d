// A running API for tests: on a free port of loopback, over a real store, with its own defaults.
import type { ApiDeps } from "../../src/api/app.ts";
import { type Api, startApi } from "../../src/api/server.ts";
import type { ApiConfig } from "../../src/config/api.ts";
import { loadConfig } from "../../src/config/load.ts";
import type { CycleStatus } from "../../src/lib/cycle.ts";
import type { Store } from "../../src/store/connect.ts";

/** The moment at which the stages of these tests are looked at. */
export const NOW = 1_760_000_000;

/** A stage that finished a cycle a minute ago. */
export const WAITING: CycleStatus = {
  name: "monitor",
  state: "waiting",
  cycles: 4,
  failures: 0,
  consecutiveFailures: 0,
  lastStartedAt: NOW - 70,
  lastSuccessAt: NOW - 60,
  lastProgressAt: NOW - 60,
  lastDurationMs: 10_000,
  totals: { relays_checked: 12 },
};

/** The defaults with `sets` over them, such as `["api.max_rows=5"]`. */
export async function apiConfig(sets: readonly string[] = []): Promise<ApiConfig> {
  const config = await loadConfig({ env: () => undefined, sets: ["api.port=0", ...sets] });
  if (!config.ok) throw new Error(config.failure.map((problem) => problem.message).join("; "));
  return config.value.api;
}

/** A running API. The caller disposes of it. */
export async function openApi(
  store: Store,
  options: { sets?: readonly string[] } & Partial<Omit<ApiDeps, "store" | "config">> = {},
): Promise<Api> {
  const { sets, ...rest } = options;
  return await startApi({
    config: await apiConfig(sets),
    store,
    identity: { name: "BigBrotr", version: "0.0.1", commit: "unknown", npub: "npub1test" },
    stages: () => [WAITING],
    metricsText: () => Promise.resolve("bigbrotr_up 1\n"),
    ...rest,
  });
}

/** A GET whose body is JSON. */
export async function getJson(
  url: string,
  init?: RequestInit,
): Promise<{ status: number; headers: Headers; body: Record<string, unknown> }> {
  const response = await fetch(url, init);
  const body: Record<string, unknown> = await response.json();
  return { status: response.status, headers: response.headers, body };
}
