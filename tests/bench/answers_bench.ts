// How quickly questions are answered with a large archive in the store, by both front doors: each
// question of the catalogue as jobs over a real relay, at a steady rate whatever the answers do, and
// the questions by key over HTTP.
//   deno task bench answers [--events 1000000] [--jobs 20] [--requests 100] [--seconds 30]
//     [--only compare,events] [--store postgres|pglite] [--database URL, filled before]
import { startApi } from "../../src/api/server.ts";
import { createDvm } from "../../src/dvm/dvm.ts";
import { TaskGroup } from "../../src/lib/task_group.ts";
import { type NostrEvent, parseEvent, tagValue } from "../../src/model/event.ts";
import { openPublisher } from "../../src/nostr/publisher.ts";
import type { RelayConnection } from "../../src/nostr/relay_connection.ts";
import { generateSecretKey, localSigner } from "../../src/nostr/signer.ts";
import { CATALOGUE } from "../../src/queries/catalogue.ts";
import { openStore, type Store } from "../../src/store/connect.ts";
import { migrate } from "../../src/store/migrate.ts";
import { openVerifier } from "../../src/verify/verifier.ts";
import { startIndependentRelay } from "../interop/nostr_relay.ts";
import { connected, loopbackDialer } from "../nostr/loopback.ts";
import { createDatabase, PostgresServer } from "../support/postgres_server.ts";
import { seededRandom } from "../support/events.ts";
import { testConfig } from "../support/stages.ts";
import { type BenchArgs, type BenchResult, numberFlag, percentile, roundFigure } from "./bench.ts";
import { namesIn, prefill, type Prefilled } from "./prefill.ts";

/** What the issue of a question costs at most; longer ones count as lost. */
const PATIENCE_MS = 20_000;
/** Answers that no figure has: plans, caches and connections are made by them. */
const WARM_UP_JOBS = 3;

type Params = Record<string, string>;
type Draw = (names: Prefilled, pick: <T>(list: readonly T[]) => T) => Params;

/** Parameters as people would give them, another relay, author or event each time. */
export const DRAWS: Readonly<Record<string, readonly Draw[]>> = {
  relay_stats: [() => ({}), () => ({ sort: "relay_url", limit: "50" })],
  kind_counts_by_relay: [(n, pick) => ({ relay: pick(n.relayUrls) }), () => ({ kind: "1" })],
  pubkey_counts: [() => ({ limit: "50" }), (n, pick) => ({ pubkey: pick(n.pubkeys) })],
  pubkey_counts_by_relay: [
    (n, pick) => ({ pubkey: pick(n.pubkeys) }),
    (n, pick) => ({ relay: pick(n.relayUrls) }),
  ],
  pubkey: [(n, pick) => ({ pubkey: pick(n.pubkeys) })],
  relays: [
    () => ({ state: "online", nip: "11,77", sort: "rtt" }),
    () => ({ country: "DE", auth: "no", sort: "uptime" }),
    (_, pick) => ({ text: `relay ${pick([1, 17, 300])}`, limit: "20" }),
    () => ({ proven: "77", min_uptime: "90", sort: "events" }),
  ],
  readable_relays: [() => ({}), () => ({ limit: "20" })],
  relay: [(n, pick) => ({ relay: pick(n.relayUrls) })],
  uptime: [(n, pick) => ({ relay: pick(n.relayUrls) }), () => ({ span: "7d", limit: "100" })],
  relay_changes: [() => ({}), (n, pick) => ({ relay: pick(n.relayUrls) })],
  relay_metadata_latest: [(n, pick) => ({ relay: pick(n.relayUrls) })],
  compare: [() => ({}), (n, pick) => ({ relay: pick(n.relayUrls) })],
  coverage: [() => ({ state: "gap" }), (n, pick) => ({ relay: pick(n.relayUrls) })],
  events: [
    (n, pick) => ({ filter: JSON.stringify({ authors: [pick(n.pubkeys)] }) }),
    (n, pick) => ({ filter: JSON.stringify({ "#e": [pick(n.eventIds)] }) }),
    () => ({ filter: '{"kinds":[0],"limit":50}' }),
    (n, pick) => ({ filter: JSON.stringify({ ids: [pick(n.eventIds)] }) }),
  ],
  event_count: [
    (n, pick) => ({ filter: JSON.stringify({ authors: [pick(n.pubkeys)] }), group: "kind" }),
    (n, pick) => ({ filter: JSON.stringify({ "#p": [pick(n.pubkeys)] }) }),
  ],
  event_relays: [(n, pick) => ({ event: pick(n.eventIds) })],
};
/** Asked over HTTP: what is found by a key. */
const KEYED = [
  "relay",
  "uptime",
  "pubkey",
  "event_relays",
  "events",
  "kind_counts",
  "kind_counts_by_relay",
  "pubkey_counts",
  "relay_changes",
  "coverage",
];

/** Runs both in a store of its own, which is removed after. */
export async function run(args: BenchArgs): Promise<BenchResult> {
  const kind = args.store ?? "postgres";
  const seconds = numberFlag(args, "seconds", 30);
  await using stack = new AsyncDisposableStack();
  const { store, names } = await openFilled(args, kind, stack);
  const dvm = await askJobs(args, store, names, {
    perSecond: numberFlag(args, "jobs", 20),
    seconds,
  });
  const perSecond = numberFlag(args, "requests", 100);
  const http = await askHttp(args, store, names, { perSecond, seconds });
  const each = Object.fromEntries(
    [...dvm.byQuestion].map(([name, ms]) => [`result_p99_ms_${name}`, p(ms, 0.99)]),
  );
  return {
    bench: "answers",
    store: kind,
    verifier: null,
    figures: {
      events: names.events,
      dvm_p50_ms: p(dvm.results, 0.5),
      dvm_p99_ms: p(dvm.results, 0.99),
      processing_p50_ms: p(dvm.processing, 0.5),
      processing_p99_ms: p(dvm.processing, 0.99),
      dvm_jobs: dvm.results.length,
      dvm_failed: dvm.failed,
      http_p50_ms: p(http.ms, 0.5),
      http_p99_ms: p(http.ms, 0.99),
      http_requests: http.ms.length,
      http_failed: http.failed,
      ...each,
    },
    ratios: {},
    notes: [
      "from the moment a job or request is due to be sent; relay, machine, API and customers in one " +
      "process, the database in another",
      ...dvm.notes,
      ...http.notes,
    ],
  };
}

async function openFilled(
  args: BenchArgs,
  kind: "pglite" | "postgres",
  stack: AsyncDisposableStack,
): Promise<{ store: Store; names: Prefilled }> {
  const { signal, progress, flags } = args;
  const dataDir = await Deno.makeTempDir({ prefix: "bigbrotr-bench-" });
  stack.defer(() => Deno.remove(dataDir, { recursive: true }));
  let databaseUrl = flags.database;
  if (databaseUrl === undefined && kind === "postgres") {
    const settings = { shared_buffers: "512MB", max_wal_size: "4GB" };
    const server = Deno.env.get("DATABASE_URL") ??
      stack.use(await PostgresServer.create({ settings })).url();
    databaseUrl = stack.use(await createDatabase(server)).url;
  }
  const store = stack.use(await openStore({ dataDir, databaseUrl }));
  const events = numberFlag(args, "events", kind === "postgres" ? 1_000_000 : 100_000);
  if (flags.database !== undefined) return { store, names: await namesIn(store, events) };
  await migrate(store);
  const relays = numberFlag(args, "relays", 8_000);
  return { store, names: await prefill(store, { events, relays, progress, signal }) };
}

interface Load {
  perSecond: number;
  seconds: number;
}

/** Times of jobs, by what was waited for. */
interface JobTimes {
  processing: number[];
  results: number[];
  byQuestion: Map<string, number[]>;
  failed: number;
  notes: string[];
}

async function askJobs(
  args: BenchArgs,
  store: Store,
  names: Prefilled,
  { perSecond, seconds }: Load,
): Promise<JobTimes> {
  await using stack = new AsyncDisposableStack();
  const relay = stack.use(await startIndependentRelay());
  const signer = localSigner(generateSecretKey());
  const config = await testConfig(
    `dvm.relays=["${relay.url}"]`,
    "dvm.quota.per_pubkey_per_minute=100000",
    "dvm.quota.total_per_minute=100000",
    "dvm.max_queue=10000",
  );
  const dialer = loopbackDialer();
  const relays = [relay.url];
  const publisher = stack.use(openPublisher({ dialer, relays, signer, pacingMs: 0 }));
  const verifier = stack.use(await openVerifier({ workers: 1 }));
  const heard = Promise.withResolvers<void>();
  const metrics = { job: () => {}, dvmRelays: (n: number) => n > 0 && heard.resolve() };
  const { identity, dvm } = config;
  const machine = createDvm({
    config: dvm,
    identity,
    store,
    dialer,
    signer,
    verifier,
    publisher,
    presence: undefined,
    walletUri: undefined,
    metrics,
  });
  const group = stack.use(new TaskGroup({ signal: args.signal }));
  group.spawn("machine", (signal) => machine.run({ signal }));
  await heard.promise;
  const customer = new Customer(stack.use(await connected(relay.url)), group);

  const times: JobTimes = {
    processing: [],
    results: [],
    byQuestion: new Map(),
    failed: 0,
    notes: [],
  };
  const only = args.flags.only?.split(",");
  const questions = new Map(
    [...questionsIn(names)].filter(([name]) => only?.includes(name) ?? true),
  );
  // Question by question, so that none hides behind the others: each gets the whole rate.
  for (const [name, next] of questions) {
    args.signal.throwIfAborted();
    const own: number[] = [];
    times.byQuestion.set(name, own);
    const n = Math.max(20, Math.round(seconds * perSecond / questions.size));
    for (let i = 0; i < WARM_UP_JOBS; i++) await customer.ask(await job(name, next()));
    await atRate(perSecond, n, async (dueMs) => {
      const reply = await customer.ask(await job(name, next()), dueMs);
      if (reply.error !== undefined) {
        times.failed += 1;
        times.notes.push(`${name}: ${reply.error}`);
        return;
      }
      times.processing.push(reply.processingMs);
      times.results.push(reply.resultMs);
      own.push(reply.resultMs);
    });
    args.progress(`${name}: p99 ${Math.round(p(own, 0.99))} ms`);
  }
  return times;

  async function job(name: string, params: Params): Promise<NostrEvent> {
    const tags = Object.entries(params).map(([key, value]) => ["param", key, value]);
    return await customer.signer.sign({
      kind: dvm.kinds.statistics,
      created_at: Math.floor(Date.now() / 1000),
      tags: [["param", "query", name], ...tags, ["nonce", crypto.randomUUID()]],
      content: "",
    });
  }
}

interface Reply {
  processingMs: number;
  resultMs: number;
  error?: string;
}

/** Sends jobs, and times what comes back. */
class Customer {
  readonly signer = localSigner(generateSecretKey());
  readonly #connection: RelayConnection;
  readonly #waiting = new Map<string, (reply: NostrEvent, atMs: number) => void>();

  constructor(connection: RelayConnection, group: TaskGroup) {
    this.#connection = connection;
    const filter = { kinds: [7000, 6410], tags: { p: [this.signer.pubkey] } };
    group.spawn("customer", async (signal) => {
      await using replies = connection.subscribe([filter], { idleMs: PATIENCE_MS, signal });
      for await (const item of replies) {
        const event = item.type === "event" ? parseEvent(item.event) : undefined;
        if (event?.ok !== true) continue;
        this.#waiting.get(tagValue(event.value, "e") ?? "")?.(event.value, performance.now());
      }
    });
  }

  async ask(job: NostrEvent, dueMs = performance.now()): Promise<Reply> {
    const done = Promise.withResolvers<Reply>();
    let processingMs = NaN;
    const timer = setTimeout(
      () => done.resolve({ processingMs, resultMs: NaN, error: "no answer in time" }),
      PATIENCE_MS,
    );
    this.#waiting.set(job.id, (reply, atMs) => {
      const status = reply.tags.find((tag) => tag[0] === "status");
      if (status?.[1] === "processing") processingMs = atMs - dueMs;
      else if (status?.[1] === "error") {
        done.resolve({ processingMs, resultMs: NaN, error: status[2] ?? "an error" });
      } else if (reply.kind !== 7000) {
        const resultMs = atMs - dueMs;
        // Relays give no order among events; the result says as much.
        done.resolve({
          processingMs: Number.isNaN(processingMs) ? resultMs : processingMs,
          resultMs,
        });
      }
    });
    try {
      await this.#connection.publish(job, { timeoutMs: PATIENCE_MS });
      return await done.promise;
    } finally {
      clearTimeout(timer);
      this.#waiting.delete(job.id);
    }
  }
}

async function askHttp(
  args: BenchArgs,
  store: Store,
  names: Prefilled,
  { perSecond, seconds }: Load,
): Promise<{ ms: number[]; failed: number; notes: string[] }> {
  const config = await testConfig("api.port=0", "api.rate_limit.requests=0");
  await using api = await startApi({
    config: config.api,
    store,
    identity: { name: "bench", version: "0", commit: "", npub: "" },
    stages: () => [],
    metricsText: () => Promise.resolve(""),
  });
  const questions = [...questionsIn(names)].filter(([name]) => KEYED.includes(name));
  const ms: number[] = [];
  const notes: string[] = [];
  let failed = 0;
  const ask = async (i: number, dueMs: number): Promise<void> => {
    const [name, next] = questions[i % questions.length] ?? ["", () => ({})];
    const response = await fetch(`${api.url}/v1/${name}?${new URLSearchParams(next())}`);
    await response.arrayBuffer();
    if (i < 0) return;
    ms.push(performance.now() - dueMs);
    if (response.ok) return;
    failed += 1;
    notes.push(`${name}: ${response.status}`);
  };
  for (let i = 0; i < questions.length * WARM_UP_JOBS; i++) await ask(i, performance.now());
  ms.length = 0;
  let i = 0;
  await atRate(perSecond, seconds * perSecond, (dueMs) => ask(i++, dueMs));
  args.progress(`HTTP: p99 ${Math.round(p(ms, 0.99))} ms`);
  return { ms, failed, notes: notes.slice(0, 5) };
}

/** Each question with a way to draw parameters for it; the same draws in every run. */
function questionsIn(names: Prefilled): Map<string, () => Params> {
  const random = seededRandom(3);
  const pick = <T>(list: readonly T[]): T => {
    const one = list[Math.floor(random() * list.length)];
    if (one === undefined) throw new RangeError("Cannot pick from an empty list");
    return one;
  };
  return new Map(CATALOGUE.map((query) => {
    const draws = DRAWS[query.name] ?? [() => ({ ...query.example })];
    let turn = 0;
    return [query.name, () => draws[turn++ % draws.length]?.(names, pick) ?? {}];
  }));
}

/** Starts `n` pieces of work at a steady rate, whatever they take, and waits for all. */
async function atRate(
  perSecond: number,
  n: number,
  work: (dueMs: number) => Promise<void>,
): Promise<void> {
  const startedMs = performance.now();
  const running: Promise<void>[] = [];
  for (let i = 0; i < n; i++) {
    const dueMs = startedMs + i * 1000 / perSecond;
    const waitMs = dueMs - performance.now();
    if (waitMs > 0) await new Promise((resolve) => setTimeout(resolve, waitMs));
    running.push(work(dueMs));
  }
  await Promise.all(running);
}

function p(ms: readonly number[], share: number): number {
  return ms.length === 0 ? NaN : roundFigure(percentile(ms, share));
}
