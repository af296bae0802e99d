// What `/metrics` exposes, with every family watched, so that dashboards and alerts can be held
// against it. In: PromQL. Out: an assertion error that names the metric or label that is not there.
// Never: understands PromQL further than names and matchers.
import assert from "node:assert/strict";
import type { Store } from "../../src/store/connect.ts";
import type { Verifier } from "../../src/verify/verifier.ts";
import { Metrics } from "../../src/metrics.ts";

/** What Prometheus itself adds, and a language that has words of its own. */
const OF_PROMETHEUS = ["up", "ALERTS"];
const ADDED_LABELS = ["job", "instance"];
const METRIC = /\b(?:bigbrotr_|bigbrotr:|process_)[a-z0-9_:]+/g;
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
  metrics.watchStages(() => [{
    name: "monitor",
    state: "waiting",
    cycles: 1,
    failures: 0,
    consecutiveFailures: 0,
    lastSuccessAt: 1,
    lastProgressAt: 1,
    totals: { checks_done: 1 },
  }]);
  metrics.watchStore(
    {
      kind: "postgres",
      health: () => ({ state: "up", since: 0 }),
      stats: () => ({ max: 1, open: 1, inUse: 1, waiting: 0, retries: 0 }),
    } as unknown as Store,
  );
  metrics.watchVerifier(
    { backend: "ffi", stats: () => ({ verdicts: { ok: 1 } }) } as unknown as Verifier,
  );
  metrics.cycle(
    { name: "monitor", lastDurationMs: 1 } as Parameters<Metrics["cycle"]>[0],
    undefined,
  );
  metrics.query({ name: "x", ok: false, elapsedMs: 1 } as Parameters<Metrics["query"]>[0]);
  metrics.dropped("bad_id", 1);
  metrics.known({ remembered: 1, stored: 1, unknown: 1 });
  metrics.batch({ events: 1, sightings: 1, ms: 1 });
  metrics.checked("tor", "online");
  metrics.rttOpen("tor", 1);
  metrics.published(0, "ok");
  metrics.job(5400, "answered", 1);
  metrics.dvmRelays(1);
  metrics.request("/", 200, 1);
  const found = new Map<string, Set<string>>();
  for (const line of (await metrics.text()).split("\n")) {
    const match = /^([a-z_]+)(?:\{(.*)\})? \S+$/.exec(line);
    if (match?.[1] === undefined) continue;
    const labels = found.get(match[1]) ?? new Set<string>();
    found.set(match[1], labels);
    for (const [, label = ""] of (match[2] ?? "").matchAll(/([a-z_]+)="/g)) labels.add(label);
  }
  assert.ok(found.size > 20, "the metrics could not be read");
  return new Map([...found].map(([name, labels]) => [name, [...labels]]));
}
