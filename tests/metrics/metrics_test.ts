/**
 * The families: names and units as Prometheus wants them, no more series than can be stood for, and
 * the predecessor's dashboards still finding what they read.
 */
import assert from "node:assert/strict";
import { DROP_REASONS } from "../../src/ingest/drop.ts";
import type { CycleStatus } from "../../src/lib/cycle.ts";
import { Metrics } from "../../src/metrics.ts";
import { labelsByName, useEverything } from "../deployments/exposed.ts";

/** What one process may cost a Prometheus server. */
const MAX_SERIES = 5_000;

function statusOf(name: string, totals: Record<string, number> = {}): CycleStatus {
  return {
    name,
    state: "waiting",
    cycles: 3,
    failures: 1,
    consecutiveFailures: 1,
    lastSuccessAt: 1_700_000_000,
    lastDurationMs: 2_000,
    totals,
  };
}

function seriesOf(exposition: string): string[] {
  return exposition.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
}

Deno.test("names end in their unit or in _total, and every family says what it is", async () => {
  using metrics = new Metrics();
  useEverything(metrics);
  const text = await metrics.text();
  const types = [...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)];
  assert.ok(types.length > 40);
  for (const [, name = "", type = ""] of types) {
    if (name.startsWith("service_") || name === "cycle_duration_seconds") continue;
    assert.match(name, /^(bigbrotr|process)_[a-z0-9_]+$/);
    if (type === "counter") assert.match(name, /_total$/);
    else assert.doesNotMatch(name, /_total$/);
    if (type === "histogram") assert.match(name, /_seconds$/);
    const help = new RegExp(`^# HELP ${name} [A-Z0-9].+\\.$`, "m");
    assert.match(text, help, name);
  }
});

Deno.test("whatever is reported, the number of series is bounded", async () => {
  using metrics = new Metrics();
  useEverything(metrics);
  // A stage with endless names of counts, errors of endless kinds, tables without end.
  const totals = Object.fromEntries(Array.from({ length: 5_000 }, (_, i) => [`item_${i}`, i]));
  const stages = [statusOf("finder", totals), statusOf("validator", totals)];
  using other = new Metrics();
  other.watchStages(() => stages);
  for (let i = 0; i < 5_000; i++) {
    const error = new Error("x");
    error.name = `Error${i}`;
    other.cycle(statusOf("finder"), error);
  }
  const many = Array.from({ length: 5_000 }, (_, i) => `x${i}`);
  other.archive.update({
    ...NOTHING,
    gaps: many.map((reason) => ({ labels: { reason }, value: 1 })),
    tableBytes: many.map((table) => ({ labels: { table }, value: 1 })),
  }, { at: 1, elapsedMs: 1 });
  for (const one of [metrics, other]) {
    const series = seriesOf(await one.text());
    assert.ok(series.length < MAX_SERIES, `${series.length} series`);
  }
});

Deno.test("counters of failures stand at 0 before the first, so that the first is a change", async () => {
  using metrics = new Metrics();
  metrics.stages.open("monitor");
  metrics.store.query({ name: "x", ok: true, elapsedMs: 1, attempts: 1 });
  const text = await metrics.text();
  assert.match(text, /^bigbrotr_cycles_total\{stage="monitor",result="failure"\} 0$/m);
  assert.match(
    text,
    /^bigbrotr_cycle_failures_total\{stage="monitor",reason="StoreUnavailable"\} 0$/m,
  );
  assert.match(text, /^bigbrotr_store_query_failures_total\{query="x"\} 0$/m);
  for (const reason of DROP_REASONS) {
    assert.match(
      text,
      new RegExp(`^bigbrotr_ingest_dropped_total\\{reason="${reason}"\\} 0$`, "m"),
    );
  }
});

Deno.test("a failed cycle is counted by the kind of its error, an unknown kind as other", async () => {
  using metrics = new Metrics();
  const known = new Error("secret text");
  known.name = "StatementTimeout";
  metrics.cycle(statusOf("monitor"), known);
  const unknown = new Error("secret text");
  unknown.name = "wss://relay.example.com";
  metrics.cycle(statusOf("monitor"), unknown);
  const text = await metrics.text();
  assert.match(text, /cycle_failures_total\{stage="monitor",reason="StatementTimeout"\} 1/);
  assert.match(text, /cycle_failures_total\{stage="monitor",reason="other"\} 1/);
  assert.ok(!text.includes("secret text") && !text.includes("relay.example.com"));
});

Deno.test("figures that are no more have no value, not their last one", async () => {
  using metrics = new Metrics();
  const relays = [{ labels: { network: "tor", state: "online" }, value: 7 }];
  metrics.archive.update({ ...NOTHING, relays }, { at: 1, elapsedMs: 1 });
  assert.match(await metrics.text(), /^bigbrotr_relays\{network="tor",state="online"\} 7$/m);
  metrics.archive.update(NOTHING, { at: 2, elapsedMs: 1 });
  assert.doesNotMatch(await metrics.text(), /^bigbrotr_relays\{/m);
});

Deno.test("two readers of the event loop's lag see the same", async () => {
  using metrics = new Metrics();
  const until = performance.now() + 700;
  // The loop is held up across a sample, which then comes late.
  while (performance.now() < until);
  await new Promise((resolve) => setTimeout(resolve, 600));
  const read = async (): Promise<number> =>
    Number(/^bigbrotr_event_loop_lag_seconds (\S+)$/m.exec(await metrics.text())?.[1]);
  const first = await read();
  assert.ok(first > 0.1, `${first} s`);
  assert.ok(await read() >= first);
});

Deno.test("the predecessor's dashboards find the families, labels and buckets that they read", async () => {
  using metrics = new Metrics();
  const stages = [
    statusOf("finder", { events_read: 5, candidates_inserted: 2 }),
    statusOf("validator", { candidates_claimed: 9, candidates_promoted: 4 }),
    statusOf("monitor", { checks_done: 10, relays_online: 7 }),
    statusOf("synchronizer", { relays_synced: 3, relays_failed: 1, events_received: 100 }),
    statusOf("refresher"),
    { ...statusOf("dvm"), lastSuccessAt: Math.floor(Date.now() / 1000) },
  ];
  metrics.watchStages(() => stages);
  for (const stage of stages) metrics.cycle(stage, undefined);
  metrics.cycle(statusOf("monitor"), new TypeError("x"));
  metrics.doors.request("/v1/relays", 200, 1);
  metrics.doors.request("/v1/relays", 500, 1);
  metrics.doors.job(5400, "success", 5);
  metrics.doors.job(5400, "error", 5);
  for (const result of ["addressed_to_others", "stale", "expired", "flood"]) {
    metrics.doors.job(5400, result, undefined);
  }
  const text = await metrics.text();
  const value = (series: string): string | undefined =>
    text.split("\n").find((line) => line.startsWith(`${series} `))?.split(" ")[1];
  assert.equal(value('service_info{service="monitor"}'), "1");
  const gauges: Record<string, Record<string, string>> = {
    finder: { rows_seen: "5", relays_seen: "2" },
    validator: { total: "9", validated: "4", not_validated: "0" },
    monitor: { total: "10", succeeded: "7", failed: "3", consecutive_failures: "1" },
    synchronizer: { total_relays: "4", relays_seen: "3", events_seen: "100" },
    refresher: { last_cycle_timestamp: "1700000000" },
  };
  for (const [service, names] of Object.entries(gauges)) {
    for (const [name, expected] of Object.entries(names)) {
      assert.equal(value(`service_gauge{service="${service}",name="${name}"}`), expected, name);
    }
  }
  const counters: Record<string, Record<string, string>> = {
    monitor: { cycles_success: "2", cycles_failed: "1", errors_TypeError: "1" },
    api: { requests_total: "2", requests_failed: "1" },
    // What is addressed to others is no request to us, and no failure of ours.
    dvm: { requests_total: "2", requests_failed: "1" },
  };
  for (const [service, names] of Object.entries(counters)) {
    for (const [name, expected] of Object.entries(names)) {
      const series = `service_counter_total{service="${service}",name="${name}"}`;
      assert.equal(value(series), expected, series);
    }
  }
  assert.equal(value('service_info{service="api"}'), "1");
  for (const door of ["api", "dvm"]) {
    const at = Number(value(`service_gauge{service="${door}",name="last_cycle_timestamp"}`));
    assert.ok(Math.abs(at - Date.now() / 1000) < 60, `${door}: ${at}`);
  }
  assert.equal(value('service_gauge{service="dvm",name="consecutive_failures"}'), "1");
  const buckets = labelsByName(text).get("cycle_duration_seconds_bucket");
  assert.deepEqual([...buckets?.get("le") ?? []], [
    ...["1", "5", "10", "30", "60", "120", "300", "600", "1800", "3600"],
    "+Inf",
  ]);
  // Only good cycles are in the histogram, as there.
  assert.equal(value('cycle_duration_seconds_count{service="monitor"}'), "1");
});

const NOTHING = {
  relays: [],
  candidates: [],
  due: [],
  spans: [],
  spanSeconds: [],
  gaps: [],
  uncovered: [],
  behindSeconds: [],
  jobs: [],
  events: 0,
  sightings: 0,
  uncountedRows: 0,
  databaseBytes: 0,
  tableBytes: [],
};
