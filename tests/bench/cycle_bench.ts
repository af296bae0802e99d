// What a whole cycle of the monitor costs one process: every relay due at once, checked, judged,
// stored, and (with --publish) reported. In: thousands of URLs over a farm of loopback relays in a
// process of its own, and a store. Out: seconds a cycle, the memory's peak and its slope over the
// cycles, how late the event loop was.
//   deno task bench cycle [--store postgres|pglite] [--relays 10000] [--cycles 5] [--ports 200]
//     [--tasks 50] [--publish] [--degraded] [--json]
// --degraded: of a hundred relays 40 refuse, 12 hang, 4 never answer a REQ and 4 wall it off.
import { CycleRunner, type CycleTask } from "../../src/lib/cycle.ts";
import { parseRelayUrl, type RelayUrl } from "../../src/model/relay_url.ts";
import { createMonitor } from "../../src/monitor/monitor.ts";
import { HostSlots } from "../../src/net/host_slots.ts";
import { openPublisher } from "../../src/nostr/publisher.ts";
import { generateSecretKey, localSigner } from "../../src/nostr/signer.ts";
import type { Store } from "../../src/store/connect.ts";
import { insertRelays } from "../../src/store/relays.ts";
import { testConfig, testDialer } from "../support/stages.ts";
import {
  type BenchArgs,
  type BenchResult,
  numberFlag,
  percentile,
  roundFigure,
  spread,
} from "./bench.ts";
import { openBenchStore } from "./bench_store.ts";
import { startBoard } from "./board.ts";
import { LagSampler, RssSampler, slope } from "./process_sampler.ts";
import { type FarmKind, type FarmRelay, startRelayFarm } from "./relay_farm.ts";

/** What opens, whatever it answers then. */
const OPENS: ReadonlySet<FarmKind> = new Set(["good", "silent", "walled"]);

/** Runs it against a store of its own, which is removed after. */
export async function run(args: BenchArgs): Promise<BenchResult> {
  const kind = args.store ?? "postgres";
  const relays = numberFlag(args, "relays", 10_000);
  const cycles = numberFlag(args, "cycles", 5);
  const ports = numberFlag(args, "ports", 200);
  const tasks = numberFlag(args, "tasks", 50);
  const publish = args.flags["publish"] === "true";

  await using stack = new AsyncDisposableStack();
  const degraded = args.flags["degraded"] === "true";
  const farm = stack.use(await startRelayFarm({ counts: mixOf(ports, degraded) }));
  const { store } = await openBenchStore(stack, kind);
  const urls = Array.from({ length: relays }, (_, i) => urlOf(farm.relays, i));
  const online = urls.filter((_, i) => OPENS.has(kindOf(farm.relays, i))).length;
  await insertRelays(store, urls, { at: 1 });
  const board = publish ? stack.use(await startBoard()) : undefined;
  const monitor = await monitorOver(store, stack, {
    tasks,
    degraded,
    board: board === undefined ? undefined : relayUrl(board.url),
  });

  const seconds: number[] = [];
  const settled: number[] = [];
  const lags: number[] = [];
  let peak = 0;
  for (let cycle = 0; cycle <= cycles; cycle++) {
    args.signal.throwIfAborted();
    await makeDue(store);
    using rss = new RssSampler();
    using lag = new LagSampler();
    const started = performance.now();
    const runner = new CycleRunner(monitor, { intervalMs: 60_000, maxConsecutiveFailures: 1 });
    const counts = await runner.runOnce({ signal: args.signal });
    const tookMs = performance.now() - started;
    if (counts["relays_online"] !== online || counts["checks_done"] !== relays) {
      throw new Error(`Not what the farm is like: ${JSON.stringify(counts)}`);
    }
    const late = lag.take();
    peak = Math.max(peak, rss.maxBytes);
    args.progress(
      `cycle ${cycle}: ${(tookMs / 1000).toFixed(1)} s, at most ${mb(rss.maxBytes)} MB, ` +
        `now ${mb(Deno.memoryUsage().rss)} MB, lag p99 ${percentile(late, 0.99).toFixed(1)} ms, ` +
        `at most ${Math.max(...late).toFixed(0)} ms, ` +
        `${counts["reports_published"] ?? 0} reports, ${counts["reports_deferred"] ?? 0} deferred`,
    );
    // The first one finds every relay for the first time, and the compiler at work.
    if (cycle === 0) continue;
    seconds.push(tookMs / 1000);
    settled.push(Deno.memoryUsage().rss / 1e6);
    for (const ms of late) lags.push(ms);
  }
  const perCycle = seconds.reduce((sum, value) => sum + value, 0) / seconds.length;
  return {
    bench: "cycle",
    store: kind,
    verifier: null,
    figures: {
      relays,
      seconds_per_cycle: roundFigure(perCycle),
      checks_per_s: roundFigure(relays / perCycle),
      rss_mb: roundFigure(peak / 1e6),
      rss_slope_mb_per_cycle: roundFigure(slope(settled)),
      lag_p50_ms: roundFigure(percentile(lags, 0.5)),
      lag_p99_ms: roundFigure(percentile(lags, 0.99)),
      lag_max_ms: roundFigure(Math.max(...lags)),
    },
    ratios: {},
    notes: [
      `${relays} URLs over ${ports} ports of one farm process; ${tasks} checks at once; ` +
      `${cycles} cycles after one to warm up${degraded ? ", a degraded mix" : ""}${
        publish ? ", reports published" : ""
      }`,
      `rss_mb: the peak of this process over all cycles; at their ends ${
        settled.map(Math.round)
      } MB`,
      `lag: how late a timer of 10 ms was, over all cycles; cycles differ by ${spread(seconds)}`,
    ],
  };
}

async function monitorOver(
  store: Store,
  stack: AsyncDisposableStack,
  options: { tasks: number; degraded: boolean; board: RelayUrl | undefined },
): Promise<CycleTask> {
  const { tasks, degraded, board } = options;
  const config = await testConfig(
    `networks.local.max_tasks=${tasks}`,
    "monitor.max_per_host=1000000",
    "monitor.max_relays=1000000",
    // The farm answers REQs and NIP-11 alone.
    "monitor.checks={nip42: false, nip45: false, nip50: false, nip77: false}",
    ...(board === undefined ? [] : [`monitor.publish.relays=[${board}]`]),
    "monitor.publish.pacing=0s",
    // Most of the farm fails, and so do the witnesses among it: it is not our network's fault.
    ...(degraded ? ["monitor.control.max_failed_share=1"] : []),
  );
  const dialer = testDialer(config);
  const signer = localSigner(generateSecretKey());
  const publisher = board === undefined ? undefined : stack.use(
    openPublisher({
      dialer,
      signer,
      relays: [board],
      pacingMs: 0,
      queueCapacity: config.monitor.publish.maxQueue,
    }),
  );
  return createMonitor({
    store,
    dialer,
    slots: new HostSlots({ perPrefix: 10_000 }),
    signer,
    publisher,
    config,
  });
}

async function makeDue(store: Store): Promise<void> {
  await store.run("make_due", async (sql) => {
    await sql`update relay_status set next_check_at = 0`;
  });
}

function mixOf(ports: number, degraded: boolean): Partial<Record<FarmKind, number>> {
  if (!degraded) return { good: ports };
  const share = (of: number): number => Math.round(ports * of);
  return {
    good: share(0.4),
    refuses: share(0.4),
    hangs: share(0.12),
    silent: share(0.04),
    walled: share(0.04),
  };
}

function kindOf(farm: readonly FarmRelay[], i: number): FarmKind {
  return farm[i % farm.length]?.kind ?? "refuses";
}

function urlOf(farm: readonly FarmRelay[], i: number): RelayUrl {
  const { hostname = "127.0.0.1", port = 0 } = farm[i % farm.length] ?? {};
  return relayUrl(`ws://${hostname}:${port}/relay/${i}`);
}

function relayUrl(text: string): RelayUrl {
  const url = parseRelayUrl(text);
  if (!url.ok) throw new Error(`Cannot use ${text}: ${url.failure}`);
  return url.value;
}

function mb(bytes: number): string {
  return (bytes / 1e6).toFixed(0);
}
