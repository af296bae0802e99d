/**
 * What the dashboards show: an overview, one per stage and front door, and the database. In: nothing.
 * Out: panels as title, sentence, unit and PromQL, which generate.ts turns into Grafana's JSON.
 * Never: a metric that src/metrics.ts does not expose, which a test holds.
 */

/** Grafana's units that are used here. */
export type Unit = "short" | "s" | "bytes" | "percentunit" | "cps" | "opm" | "bool";

/** One panel. Queries by their legends; `{{label}}` in a legend is the label's value. */
export interface Panel {
  title: string;
  /** What it shows and what is good or bad about it. */
  sentence: string;
  unit: Unit;
  /** A number (stat) or a line over time, unless told. */
  type?: "stat" | "timeseries";
  queries: Readonly<Record<string, string>>;
}

/** One dashboard; `name` is its file and its address. */
export interface Dashboard {
  name: string;
  title: string;
  sentence: string;
  panels: readonly Panel[];
}

const HERE = `instance=~"$instance"`;
const OK_OR_NOT = ["success", "failure"] as const;

function items(stage: string, match: string): string {
  const selector = `stage="${stage}", item=~"${match}", ${HERE}`;
  return `sum by (item) (rate(bigbrotr_stage_items_total{${selector}}[$__rate_interval])) * 60`;
}

function itemPanel(stage: string, title: string, sentence: string, match: string): Panel {
  return { title, sentence, unit: "opm", queries: { "{{item}}": items(stage, match) } };
}

function quantiles(family: string, matchers: string, by = ""): Record<string, string> {
  const rate = `rate(${family}_bucket{${matchers}}[$__rate_interval])`;
  const sum = `sum by (le${by === "" ? "" : `, ${by}`}) (${rate})`;
  const legend = by === "" ? "" : ` {{${by}}}`;
  return {
    [`median${legend}`]: `histogram_quantile(0.5, ${sum})`,
    [`95 %${legend}`]: `histogram_quantile(0.95, ${sum})`,
  };
}

/** What every stage has. */
function cyclePanels(stage: string): Panel[] {
  const of = `stage="${stage}", ${HERE}`;
  return [
    {
      title: "Since the last success",
      sentence: "How long ago a cycle last succeeded; longer than its interval and a cycle is bad.",
      unit: "s",
      type: "stat",
      queries: {
        "{{instance}}": `time() - bigbrotr_stage_last_success_timestamp_seconds{${of}}`,
      },
    },
    {
      title: "Since the last progress",
      sentence: "How long ago it last counted anything; it grows between cycles, not within one.",
      unit: "s",
      type: "stat",
      queries: {
        "{{instance}}": `time() - bigbrotr_stage_last_progress_timestamp_seconds{${of}}`,
      },
    },
    {
      title: "Failures in a row",
      sentence: "Failed cycles since the last good one; too many end the process.",
      unit: "short",
      type: "stat",
      queries: { "{{instance}}": `bigbrotr_stage_consecutive_failures{${of}}` },
    },
    {
      title: "Cycles in an hour",
      sentence: "Cycles by how they ended; failures should be rare.",
      unit: "short",
      queries: Object.fromEntries(
        OK_OR_NOT.map((result) => [
          result,
          `sum(increase(bigbrotr_cycles_total{result="${result}", ${of}}[1h]))`,
        ]),
      ),
    },
    {
      title: "Failures by reason in an hour",
      sentence: "Failed cycles by the kind of error; StoreUnavailable is the database, not us.",
      unit: "short",
      queries: {
        "{{reason}}": `sum by (reason) (increase(bigbrotr_cycle_failures_total{${of}}[1h]))`,
      },
    },
    {
      title: "How long cycles take",
      sentence: "Half of the cycles are faster than the median, one in twenty slower than 95 %.",
      unit: "s",
      queries: quantiles("bigbrotr_cycle_duration_seconds", of),
    },
    {
      title: "Everything it counts",
      sentence: "All counts of the stage, a minute; names are those of `bigbrotr status`.",
      unit: "opm",
      queries: { "{{item}}": items(stage, ".+") },
    },
  ];
}

const OVERVIEW: readonly Panel[] = [
  {
    title: "Up",
    sentence: "Whether each process answers Prometheus: 1 is up.",
    unit: "bool",
    type: "stat",
    queries: { "{{instance}}": `up{job="bigbrotr", ${HERE}}` },
  },
  {
    title: "Database",
    sentence: "Whether the database answers each process: 1 is up.",
    unit: "bool",
    type: "stat",
    queries: { "{{instance}}": `bigbrotr_store_up{${HERE}}` },
  },
  {
    title: "Version",
    sentence: "What runs, and on which Deno.",
    unit: "short",
    type: "stat",
    queries: { "{{version}} ({{commit}}) on Deno {{deno}}": `bigbrotr_build_info{${HERE}}` },
  },
  {
    title: "Signature checker",
    sentence: "The library that checks signatures; ffi is the fastest, noble the slowest.",
    unit: "short",
    type: "stat",
    queries: { "{{backend}}": `bigbrotr_verifier_info{${HERE}}` },
  },
  {
    title: "Relays online",
    sentence: "Relays that answered their last check; a fall by half is our network, not theirs.",
    unit: "short",
    type: "stat",
    queries: { online: `sum(max by (network) (bigbrotr_relays{state="online", ${HERE}}))` },
  },
  {
    title: "Events",
    sentence: "Events in the archive, each counted once.",
    unit: "short",
    type: "stat",
    queries: { events: `max(bigbrotr_archive_events{${HERE}})` },
  },
  {
    title: "Database size",
    sentence: "The whole database on its disk; see the dashboard of the database for its tables.",
    unit: "bytes",
    type: "stat",
    queries: { size: `max(bigbrotr_store_size_bytes{${HERE}})` },
  },
  {
    title: "Disk left",
    sentence: "The share of the disk under the data folder that is free; under 10 % is an alert.",
    unit: "percentunit",
    type: "stat",
    queries: {
      "{{instance}}":
        `bigbrotr_disk_free_bytes{folder="data", ${HERE}} / bigbrotr_disk_size_bytes{folder="data", ${HERE}}`,
    },
  },
  {
    title: "Since the last success, by stage",
    sentence: "How long ago each stage last finished a cycle well.",
    unit: "s",
    queries: {
      "{{stage}}":
        `time() - max by (stage) (bigbrotr_stage_last_success_timestamp_seconds{${HERE}})`,
    },
  },
  {
    title: "Failed cycles in an hour, by stage",
    sentence: "Failed cycles; nothing is good, a few may be bad luck.",
    unit: "short",
    queries: {
      "{{stage}}":
        `sum by (stage) (increase(bigbrotr_cycles_total{result="failure", ${HERE}}[1h]))`,
    },
  },
  {
    title: "Checks",
    sentence: "Checks of relays a minute, by network.",
    unit: "opm",
    queries: {
      "{{network}}":
        `sum by (network) (rate(bigbrotr_checks_total{${HERE}}[$__rate_interval])) * 60`,
    },
  },
  itemPanel(
    "synchronizer",
    "Archive",
    "Events received, new events and new sightings a minute.",
    "events_received|events_new|sightings_new",
  ),
  {
    title: "What waits for its turn",
    sentence: "Candidates to try, relays to check and to archive; steady is good, growth is not.",
    unit: "short",
    queries: { "{{work}}": `sum by (work) (max by (network, work) (bigbrotr_due_items{${HERE}}))` },
  },
  {
    title: "Queues",
    sentence:
      "What waits in the process itself; queues are bounded, and a full one holds up others.",
    unit: "short",
    queries: { "{{queue}}": `sum by (queue) (bigbrotr_queue_items{${HERE}})` },
  },
  {
    title: "Memory",
    sentence: "Resident memory; it should be flat after the first hours.",
    unit: "bytes",
    queries: {
      "{{instance}} resident": `process_resident_memory_bytes{${HERE}}`,
      "{{instance}} heap {{area}}": `bigbrotr_heap_bytes{${HERE}}`,
    },
  },
  {
    title: "Event loop lag",
    sentence: "The latest that a timer came within a minute; over 1 s the processor is short.",
    unit: "s",
    queries: { "{{instance}}": `bigbrotr_event_loop_lag_seconds{${HERE}}` },
  },
  {
    title: "Uptime",
    sentence: "Time since each process started; saw teeth are restarts.",
    unit: "s",
    queries: { "{{instance}}": `time() - process_start_time_seconds{${HERE}}` },
  },
];

const STORE: readonly Panel[] = [
  {
    title: "Size by table",
    sentence: "The ten largest tables with their indexes and partitions.",
    unit: "bytes",
    queries: { "{{table}}": `topk(10, max by (table) (bigbrotr_store_table_bytes{${HERE}}))` },
  },
  {
    title: "Age of the figures",
    sentence: "How old the counts out of the database are, and how long counting them took.",
    unit: "s",
    queries: {
      "{{instance}} age": `time() - bigbrotr_figures_timestamp_seconds{${HERE}}`,
      "{{instance}} took": `bigbrotr_figures_duration_seconds{${HERE}}`,
    },
  },
  {
    title: "Connections",
    sentence: "The pool by state; waiting above zero for long means that it is too small.",
    unit: "short",
    queries: { "{{state}}": `sum by (state) (bigbrotr_store_connections{${HERE}})` },
  },
  {
    title: "How long queries take",
    sentence: "Pieces of work in the database, waiting for a connection included.",
    unit: "s",
    queries: quantiles("bigbrotr_store_query_duration_seconds", HERE),
  },
  {
    title: "Slowest queries",
    sentence: "The ten names that the database is busy with for most of the time.",
    unit: "percentunit",
    queries: {
      "{{query}}":
        `topk(10, sum by (query) (rate(bigbrotr_store_query_duration_seconds_sum{${HERE}}[$__rate_interval])))`,
    },
  },
  {
    title: "Queries",
    sentence: "Pieces of work a second, the ten most frequent names.",
    unit: "cps",
    queries: {
      "{{query}}":
        `topk(10, sum by (query) (rate(bigbrotr_store_query_duration_seconds_count{${HERE}}[$__rate_interval])))`,
    },
  },
  {
    title: "Failed queries in an hour",
    sentence: "Work that failed for good, by name; nothing is good.",
    unit: "short",
    queries: {
      "{{query}}": `sum by (query) (increase(bigbrotr_store_query_failures_total{${HERE}}[1h]))`,
    },
  },
  {
    title: "Retries in an hour",
    sentence: "Work that was tried again after a conflict, or while the database was away.",
    unit: "short",
    queries: { "{{instance}}": `increase(bigbrotr_store_retries_total{${HERE}}[1h])` },
  },
];

const MONITOR: readonly Panel[] = [
  {
    title: "Checks by result",
    sentence: "Checks a minute by what they found: online, or the reason why not.",
    unit: "opm",
    queries: {
      "{{result}}": `sum by (result) (rate(bigbrotr_checks_total{${HERE}}[$__rate_interval])) * 60`,
    },
  },
  {
    title: "Online share by network",
    sentence: "How many of the checks in an hour found their relay online.",
    unit: "percentunit",
    queries: {
      "{{network}}":
        `sum by (network) (increase(bigbrotr_checks_total{result="online", ${HERE}}[1h])) / sum by (network) (increase(bigbrotr_checks_total{${HERE}}[1h]))`,
    },
  },
  {
    title: "Time to open, by network",
    sentence: "From dialling a relay to an open WebSocket.",
    unit: "s",
    queries: quantiles("bigbrotr_check_rtt_seconds", `part="open", ${HERE}`, "network"),
  },
  {
    title: "Time to answer, by part",
    sentence: "Over the open WebSocket: to the first answer to a REQ, to an OK, to the document.",
    unit: "s",
    queries: quantiles("bigbrotr_check_rtt_seconds", `part!="open", ${HERE}`, "part"),
  },
  {
    title: "Relays by state",
    sentence: "All relays that are known: online, unreachable, dead, or not checked yet.",
    unit: "short",
    queries: {
      "{{network}} {{state}}": `max by (network, state) (bigbrotr_relays{${HERE}})`,
    },
  },
  {
    title: "Published",
    sentence: "Events sent to relays a minute, by kind and result; what is not ok was refused.",
    unit: "opm",
    queries: {
      "{{kind}} {{result}}":
        `sum by (kind, result) (rate(bigbrotr_published_total{${HERE}}[$__rate_interval])) * 60`,
    },
  },
  itemPanel(
    "monitor",
    "Relays that changed state",
    "Relays a minute that became online, unreachable or dead.",
    "relays_became_.+",
  ),
];

const SYNCHRONIZER: readonly Panel[] = [
  {
    title: "Lag",
    sentence:
      "How old the end of the archive is, over the relays online; half are better than 0.5.",
    unit: "s",
    queries: {
      "{{network}} {{quantile}}":
        `max by (network, quantile) (bigbrotr_archive_lag_seconds{${HERE}})`,
    },
  },
  {
    title: "Live tail: from an event's date to its commit",
    sentence: "Seconds for events that came live; the publisher's clock is part of it.",
    unit: "s",
    queries: quantiles("bigbrotr_tail_lag_seconds", HERE),
  },
  {
    title: "Live tail: relays",
    sentence: "Relays that are followed live, by state; live ones should be nearly all.",
    unit: "short",
    queries: {
      "{{item}}": `sum by (item) (bigbrotr_stage_now{stage="tail", item=~"relays_.+", ${HERE}})`,
    },
  },
  {
    title: "Relays without any archive",
    sentence:
      "Relays that are online and of which nothing is archived; after a day it should be 0.",
    unit: "short",
    queries: { "{{network}}": `max by (network) (bigbrotr_relays_uncovered{${HERE}})` },
  },
  {
    title: "Coverage",
    sentence: "The archive's time of all relays together, by state: closed is complete.",
    unit: "s",
    queries: {
      "{{network}} {{state}}": `max by (network, state) (bigbrotr_coverage_seconds{${HERE}})`,
    },
  },
  {
    title: "Spans of the ledger",
    sentence: "Spans by state; gaps that grow are an alert, open ones should become closed.",
    unit: "short",
    queries: {
      "{{network}} {{state}}": `max by (network, state) (bigbrotr_coverage_spans{${HERE}})`,
    },
  },
  {
    title: "Gaps by reason",
    sentence: "Spans that could not be had whole, by why; tried again once a day.",
    unit: "short",
    queries: { "{{reason}}": `max by (reason) (bigbrotr_coverage_gaps{${HERE}})` },
  },
  {
    title: "Turns by network",
    sentence: "Turns a minute by how they ended; complete is the end that is wanted.",
    unit: "opm",
    queries: {
      "{{network}} {{outcome}}":
        `sum by (network, outcome) (rate(bigbrotr_sync_turns_total{${HERE}}[$__rate_interval])) * 60`,
    },
  },
  {
    title: "How long turns take",
    sentence: "A relay's turn in the archive, by network.",
    unit: "s",
    queries: quantiles("bigbrotr_sync_turn_duration_seconds", HERE, "network"),
  },
  {
    title: "Events by network",
    sentence: "New, repeated and dropped events a minute, by network.",
    unit: "opm",
    queries: {
      "{{network}} {{result}}":
        `sum by (network, result) (rate(bigbrotr_sync_events_total{${HERE}}[$__rate_interval])) * 60`,
    },
  },
  itemPanel(
    "synchronizer",
    "Events",
    "Received, new and repeated events a minute; repeated ones cost little.",
    "events_received|events_new|sightings_new|repeated",
  ),
  itemPanel(
    "synchronizer",
    "Relays",
    "Relays a minute by how their turn ended.",
    "relays_.+",
  ),
  itemPanel(
    "synchronizer",
    "Gaps and failures",
    "Spans that could not be had whole, and why turns failed.",
    "gaps|failures_.+",
  ),
  {
    title: "Dropped events",
    sentence: "Events a minute that were received and not archived, by reason.",
    unit: "opm",
    queries: {
      "{{reason}}":
        `sum by (reason) (rate(bigbrotr_ingest_dropped_total{${HERE}}[$__rate_interval])) * 60`,
    },
  },
  {
    title: "Known ids",
    sentence: "Where ids were looked up: memory is free, the store costs a query, nowhere is new.",
    unit: "cps",
    queries: {
      "{{found}}": `sum by (found) (rate(bigbrotr_ingest_known_total{${HERE}}[$__rate_interval]))`,
    },
  },
  {
    title: "Rows written",
    sentence: "Rows a second handed to the database, by table.",
    unit: "cps",
    queries: {
      "{{table}}": `sum by (table) (rate(bigbrotr_ingest_rows_total{${HERE}}[$__rate_interval]))`,
    },
  },
  {
    title: "Time to write a batch",
    sentence: "One batch of events and sightings; growth with the archive is bad.",
    unit: "s",
    queries: quantiles("bigbrotr_ingest_batch_duration_seconds", HERE),
  },
  {
    title: "Verified",
    sentence: "Events a second whose id and signature were checked, by verdict.",
    unit: "cps",
    queries: {
      "{{verdict}}": `sum by (verdict) (rate(bigbrotr_verified_total{${HERE}}[$__rate_interval]))`,
    },
  },
];

const DVM: readonly Panel[] = [
  {
    title: "Relays connected",
    sentence: "Relays that jobs are listened for on, connected now; zero hears nothing.",
    unit: "short",
    type: "stat",
    queries: { "{{instance}}": `bigbrotr_dvm_relays_connected{${HERE}}` },
  },
  {
    title: "Jobs in an hour",
    sentence: "Job requests by kind and how they ended.",
    unit: "short",
    queries: {
      "{{kind}} {{result}}":
        `sum by (kind, result) (increase(bigbrotr_dvm_jobs_total{${HERE}}[1h]))`,
    },
  },
  {
    title: "Time to answer",
    sentence: "From a job request to its last answer, by kind.",
    unit: "s",
    queries: quantiles("bigbrotr_dvm_job_duration_seconds", HERE, "kind"),
  },
  {
    title: "Jobs in the database",
    sentence: "Jobs by state; received and processing ones wait for us.",
    unit: "short",
    queries: { "{{state}}": `max by (state) (bigbrotr_dvm_jobs{${HERE}})` },
  },
  itemPanel("dvm", "Everything it counts", "All counts of the data vending machine.", ".+"),
];

const API: readonly Panel[] = [
  {
    title: "Requests by route",
    sentence: "HTTP requests a minute, by route.",
    unit: "opm",
    queries: {
      "{{route}}":
        `sum by (route) (rate(bigbrotr_http_requests_total{${HERE}}[$__rate_interval])) * 60`,
    },
  },
  {
    title: "Requests by status",
    sentence: "HTTP requests a minute, by status; 5xx are ours, 4xx the client's.",
    unit: "opm",
    queries: {
      "{{status}}":
        `sum by (status) (rate(bigbrotr_http_requests_total{${HERE}}[$__rate_interval])) * 60`,
    },
  },
  {
    title: "Time to answer",
    sentence: "How long requests took, by route.",
    unit: "s",
    queries: quantiles("bigbrotr_http_request_duration_seconds", HERE, "route"),
  },
];

function stage(name: string, title: string, sentence: string, own: readonly Panel[]): Dashboard {
  return { name, title, sentence, panels: [...cyclePanels(name), ...own] };
}

/** All of them, in the order of the flow. */
export const DASHBOARDS: readonly Dashboard[] = [
  {
    name: "overview",
    title: "Overview",
    sentence: "Whether all is well, on one page.",
    panels: OVERVIEW,
  },
  stage("seeder", "Seeder", "The first relay URLs, from a file.", [
    itemPanel("seeder", "Seeds", "URLs read, repeated, and bad by reason.", "seeds_.+"),
  ]),
  stage("finder", "Finder", "Relay URLs out of events and web lists.", [
    itemPanel(
      "finder",
      "Sources",
      "Events and lists read, and lists that failed.",
      "events_read|lists_.+",
    ),
    itemPanel(
      "finder",
      "Finds",
      "New candidates, and URLs that are none.",
      "candidates_inserted|urls_bad_.+",
    ),
  ]),
  stage("validator", "Validator", "Which candidates are relays.", [
    itemPanel(
      "validator",
      "Verdicts",
      "Candidates promoted to relays, put off and given up.",
      "candidates_promoted|candidates_put_off|candidates_junk",
    ),
    itemPanel("validator", "Why not", "Why candidates failed.", "candidates_failed_.+"),
    {
      title: "Tried by network",
      sentence: "Candidates a minute by network and result; relay is a new one.",
      unit: "opm",
      queries: {
        "{{network}} {{result}}":
          `sum by (network, result) (rate(bigbrotr_candidates_tried_total{${HERE}}[$__rate_interval])) * 60`,
      },
    },
    {
      title: "Candidates",
      sentence: "All that are known, by network and state; junk is not tried again.",
      unit: "short",
      queries: {
        "{{network}} {{state}}": `max by (network, state) (bigbrotr_candidates{${HERE}})`,
      },
    },
  ]),
  stage("monitor", "Monitor", "How relays fare, and what is published of it.", MONITOR),
  stage(
    "synchronizer",
    "Synchronizer",
    "The archive: what comes in and what is missing.",
    SYNCHRONIZER,
  ),
  stage("refresher", "Refresher", "Statistics in step with the archive.", [
    itemPanel(
      "refresher",
      "Taken in",
      "New events and sightings counted, a minute.",
      "events|sightings",
    ),
    {
      title: "Not counted yet",
      sentence: "Events and sightings that the statistics are behind; it should come back to 0.",
      unit: "short",
      queries: { rows: `max(bigbrotr_statistics_behind_rows{${HERE}})` },
    },
    {
      title: "The archive",
      sentence: "Events, each counted once, and sightings, one for each relay that has it.",
      unit: "short",
      queries: {
        events: `max(bigbrotr_archive_events{${HERE}})`,
        sightings: `max(bigbrotr_archive_sightings{${HERE}})`,
      },
    },
  ]),
  { name: "dvm", title: "Data vending machine", sentence: "Jobs from Nostr clients.", panels: DVM },
  { name: "api", title: "HTTP API", sentence: "Questions over HTTP.", panels: API },
  { name: "store", title: "Database", sentence: "The pool and the queries.", panels: STORE },
];
