// What `/metrics` exposes, with every family watched, so that dashboards and alerts can be held
// against it. In: PromQL. Out: an assertion error that names the metric or label that is not there.
// Never: understands PromQL further than names and matchers.
import assert from "node:assert/strict";
import { Metrics } from "../../src/metrics.ts";
import type { Figures } from "../../src/store/figures.ts";

/** What Prometheus itself adds, and a language that has words of its own. */
const OF_PROMETHEUS = ["up", "ALERTS"];
const ADDED_LABELS = ["job", "instance"];
const METRIC = /\b(?:bigbrotr_|bigbrotr:|process_|service_)[a-z0-9_:]+/g;
const SELECTOR = /\b([a-z_:][a-z0-9_:]*)\{([^}]*)\}/gi;

let families: Promise<ReadonlyMap<string, readonly string[]>> | undefined;

/** Families by name (histograms by that of each of their series) with their labels. */
export function exposedFamilies(): Promise<ReadonlyMap<string, readonly string[]>> {
  return families ??= readFamilies();
}

/** Fails when `expr` names a metric that neither the process nor `recorded` has, or a wrong label. */
export async function assertKnownMetrics(
  expr: string,
  recorded: readonly string[] = [],
): Promise<void> {
  const known = await exposedFamilies();
  const names = expr.match(METRIC) ?? [];
  for (const name of names) {
    assert.ok(known.has(name) || recorded.includes(name), `${name} is not exposed: ${expr}`);
  }
  for (const [, name = "", matchers = ""] of expr.matchAll(SELECTOR)) {
    const labels = known.get(name);
    if (labels === undefined) {
      assert.ok(OF_PROMETHEUS.includes(name) || recorded.includes(name), `${name}: ${expr}`);
      continue;
    }
    for (const [, label = ""] of matchers.matchAll(/([a-z_]+)\s*(?:=~|!~|!=|=)/g)) {
      const isKnown: boolean = labels.includes(label) || ADDED_LABELS.includes(label);
      assert.ok(isKnown, `${name} has no label ${label}: ${expr}`);
    }
  }
}

async function readFamilies(): Promise<ReadonlyMap<string, readonly string[]>> {
  using metrics = new Metrics();
  useEverything(metrics);
  const found = labelsByName(await metrics.text());
  assert.ok(found.size > 40, "the metrics could not be read");
  return new Map([...found].map(([name, labels]) => [name, [...labels.keys()]]));
}

/** The labels of each series name in an exposition, with all their values. */
export function labelsByName(exposition: string): Map<string, Map<string, Set<string>>> {
  const found = new Map<string, Map<string, Set<string>>>();
  for (const line of exposition.split("\n")) {
    const match = /^([a-z_]+)(?:\{(.*)\})? \S+$/.exec(line);
    if (match?.[1] === undefined) continue;
    const labels = found.get(match[1]) ?? new Map<string, Set<string>>();
    found.set(match[1], labels);
    for (const [, label = "", value = ""] of (match[2] ?? "").matchAll(/([a-z_]+)="([^"]*)"/g)) {
      labels.set(label, (labels.get(label) ?? new Set()).add(value));
    }
  }
  return found;
}

/** Every family gets at least one series. */
export function useEverything(metrics: Metrics): void {
  const status = {
    name: "monitor",
    state: "waiting",
    cycles: 1,
    failures: 0,
    consecutiveFailures: 0,
    lastSuccessAt: 1,
    lastProgressAt: 1,
    lastDurationMs: 1,
    totals: { checks_done: 1 },
    now: { relays_live: 1 },
  } as const;
  metrics.stages.open(status.name);
  metrics.watchStages(() => [status]);
  metrics.cycle(status, undefined);
  metrics.cycle(status, new TypeError("x"));
  metrics.store.watch({
    kind: "postgres",
    health: () => ({ state: "up", since: 0 }),
    stats: () => ({ ...NO_WORK, max: 1, open: 1, inUse: 1, waiting: 0 }),
  });
  metrics.store.query({ name: "x", ok: false, elapsedMs: 1, attempts: 1 });
  metrics.ingest.watchVerifier({
    backend: "ffi",
    workers: 1,
    stats: () => ({ verdicts: { ok: 1, bad_id: 0, bad_sig: 0 }, ...IDLE }),
  });
  metrics.ingest.dropped("bad_id", 1);
  metrics.ingest.known({ remembered: 1, stored: 1, unknown: 1 });
  metrics.ingest.batch({ events: 1, sightings: 1, ms: 1 });
  metrics.ingest.page("tor", { newEvents: 1, repeated: 1, dropped: { bad_id: 1 } });
  metrics.ingest.turn("tor", { outcome: "complete", elapsedMs: 1 });
  metrics.ingest.tailLag(1);
  metrics.relays.tried("tor", undefined);
  metrics.relays.checked("tor", "online");
  metrics.relays.rtt("tor", "open", 1);
  metrics.relays.published(0, "ok");
  metrics.doors.job(5400, "success", 1);
  metrics.doors.dvmRelays(1);
  metrics.doors.request("/", 200, 1);
  metrics.process.watchQueue("ingest", () => 0);
  metrics.process.disk({ freeBytes: 1, sizeBytes: 2 });
  metrics.archive.update(FIGURES, { at: 1, elapsedMs: 1 });
}

const NO_WORK = { queries: 0, failures: 0, retries: 0 };
const IDLE = { restarts: 0, inFlight: 0, waiting: 0 };
const STATE = [{ labels: { network: "tor", state: "closed" }, value: 1 }];
const FIGURES: Figures = {
  relays: STATE,
  candidates: STATE,
  due: [{ labels: { network: "tor", work: "check" }, value: 1 }],
  spans: STATE,
  spanSeconds: STATE,
  gaps: [{ labels: { reason: "dense_second" }, value: 1 }],
  uncovered: [{ labels: { network: "tor" }, value: 1 }],
  behindSeconds: [{ labels: { network: "tor", quantile: "0.5" }, value: 1 }],
  jobs: [{ labels: { state: "answered" }, value: 1 }],
  events: 1,
  sightings: 1,
  uncountedRows: 0,
  databaseBytes: 1,
  tableBytes: [{ labels: { table: "event" }, value: 1 }],
};
