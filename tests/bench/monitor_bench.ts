// How many relays one process checks a second (open, read, NIP-11), what a check costs, and whether
// our own queue is in the latency it reports: the real check, dialer and slots, against a farm of
// loopback relays in a process of its own.
//   deno task bench monitor [--json] [--relays 200] [--concurrency 200] [--rounds 6] [--round-ms 1500]
//     [--degraded-relays 600] [--only healthy|degraded]
// Baseline of the first part: a bare loop of `ws` and `fetch` at the same concurrency, in turn.
// Truth of the latency: the same loop, one relay at a time. The second part is degraded_mix.ts.
import process from "node:process";
// @ts-types="@types/ws"
import { WebSocket } from "ws";
import { parseRelayUrl, type RelayUrl } from "../../src/model/relay_url.ts";
import { type CheckDeps, checkRelay } from "../../src/monitor/check_relay.ts";
import { checkSettings } from "../../src/monitor/settings.ts";
import { HostSlots } from "../../src/net/host_slots.ts";
import { testConfig, testDialer } from "../support/stages.ts";
import {
  type BenchArgs,
  type BenchResult,
  median,
  numberFlag,
  roundFigure,
  spread,
} from "./bench.ts";
import { benchDegraded } from "./degraded_mix.ts";
import { type FarmRelay, startRelayFarm } from "./relay_farm.ts";

/** What a share of a round found. */
interface Round {
  perSecond: number;
  /** Of this process, all threads; the farm's is not in it. */
  cpuMs: number;
  /** Median. */
  rttOpenMs: number;
}

/** What one look at a relay took to open, in milliseconds. */
type Look = (url: RelayUrl) => Promise<number>;

const NEVER = JSON.stringify(["REQ", "a", { ids: ["0".repeat(63) + "1"], limit: 1 }]);

/** Runs both parts, or one. */
export async function run(args: BenchArgs): Promise<BenchResult> {
  const result: BenchResult = {
    bench: "monitor",
    store: null,
    verifier: null,
    figures: {},
    ratios: {},
    notes: [],
  };
  const only = args.flags["only"];
  if (only !== "degraded") await benchHealthy(args, result);
  if (only !== "healthy") {
    for (const part of await benchDegraded(args)) {
      Object.assign(result.figures, part.figures);
      Object.assign(result.ratios, part.ratios);
      result.notes?.push(...part.notes);
    }
  }
  return result;
}

async function benchHealthy(args: BenchArgs, result: BenchResult): Promise<void> {
  const relays = numberFlag(args, "relays", 200);
  const concurrency = numberFlag(args, "concurrency", 200);
  const rounds = numberFlag(args, "rounds", 6);
  const roundMs = numberFlag(args, "round-ms", 1_500);
  await using farm = await startRelayFarm({ counts: { good: relays } });
  const urls = farm.relays.map(farmUrl);
  const deps = await benchDeps();
  const ours: Look = async (url) => {
    const check = await checkRelay(url, deps, { signal: args.signal });
    if (check.open.ok && check.read?.ok && check.nip11?.ok) return check.open.openMs;
    throw new Error(`Cannot measure checks as one failed: ${JSON.stringify(check)}`);
  };

  const all: Record<"ours" | "bare" | "alone", Round[]> = { ours: [], bare: [], alone: [] };
  // The first round warms caches and compilers.
  for (let round = 0; round <= rounds; round++) {
    args.signal.throwIfAborted();
    const bare = await measure(urls, lookBarely, concurrency, roundMs);
    const own = await measure(urls, ours, concurrency, roundMs);
    const alone = await measure(urls, lookBarely, 1, roundMs / 5);
    args.progress(`bare ${told(bare)}; ours ${told(own)}; truth ${alone.rttOpenMs.toFixed(2)} ms`);
    if (round === 0) continue;
    all.bare.push(bare);
    all.ours.push(own);
    all.alone.push(alone);
  }

  const middle = (which: keyof typeof all, what: keyof Round): number =>
    median(all[which].map((round) => round[what]));
  Object.assign(result.figures, {
    checks_per_s: Math.round(middle("ours", "perSecond")),
    cpu_ms_per_check: roundFigure(middle("ours", "cpuMs")),
    rtt_open_p50_ms: roundFigure(middle("ours", "rttOpenMs")),
    rtt_open_truth_p50_ms: roundFigure(middle("alone", "rttOpenMs")),
    bare_per_s: Math.round(middle("bare", "perSecond")),
    bare_cpu_ms: roundFigure(middle("bare", "cpuMs")),
    bare_rtt_open_p50_ms: roundFigure(middle("bare", "rttOpenMs")),
  });
  Object.assign(result.ratios, {
    vs_bare: roundFigure(middle("ours", "perSecond") / middle("bare", "perSecond")),
    cpu_vs_bare: roundFigure(middle("ours", "cpuMs") / middle("bare", "cpuMs")),
  });
  result.notes?.push(
    `healthy: ${relays} relays, ${concurrency} checks at once, medians of ${rounds} rounds; ours ` +
      `differ by ${spread(all.ours.map(({ perSecond }) => perSecond))}, bare ones by ` +
      spread(all.bare.map(({ perSecond }) => perSecond)),
    "rtt_open is a whole number of milliseconds, as it is kept and published; its truth is the bare " +
      "loop's, one relay at a time",
  );
}

/** Looks at the relays in turn, so many at once, for so long. */
async function measure(
  urls: readonly RelayUrl[],
  look: Look,
  concurrency: number,
  forMs: number,
): Promise<Round> {
  const rttOpenMs: number[] = [];
  let next = 0;
  const startedMs = performance.now();
  const startedCpu = process.cpuUsage();
  const work = async (): Promise<void> => {
    while (performance.now() - startedMs < forMs) {
      const url = urls[next++ % urls.length];
      if (url !== undefined) rttOpenMs.push(await look(url));
    }
  };
  await Promise.all(Array.from({ length: concurrency }, work));
  const { user, system } = process.cpuUsage(startedCpu);
  const looks = rttOpenMs.length;
  return {
    perSecond: looks / (performance.now() - startedMs) * 1000,
    cpuMs: (user + system) / 1000 / looks,
    rttOpenMs: median(rttOpenMs),
  };
}

/** The least that does the same: no bound, no deadline, no guard, no fact but the time. */
async function lookBarely(url: RelayUrl): Promise<number> {
  const startedMs = performance.now();
  const socket = new WebSocket(url, { perMessageDeflate: false });
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  let openMs = 0;
  socket.on("open", () => {
    openMs = performance.now() - startedMs;
    socket.send(NEVER);
  });
  socket.on("message", () => {
    socket.close();
    resolve(openMs);
  });
  socket.on("error", reject);
  await promise;
  const answer = await fetch(url.replace("ws", "http"), {
    headers: { accept: "application/nostr+json" },
  });
  await answer.json();
  return openMs;
}

/** What the monitor's lane checks with, for open, read and NIP-11 with deadlines of 5 s. */
export async function benchDeps(): Promise<CheckDeps> {
  const others = ["auth", "write", "dns", "geo", "net"];
  const config = await testConfig(
    "networks.local.timeout=5s",
    "monitor.timeouts.read=5s",
    "monitor.timeouts.nip11=5s",
    ...others.map((name) => `monitor.checks.${name}=false`),
  );
  return {
    dialer: testDialer(config),
    // One connection to a host and port at a time, as always. The bound on neighbours can't hold
    // here: all relays stand at one address.
    slots: new HostSlots({ perPrefix: Infinity }),
    settings: checkSettings(config),
  };
}

/** A farm relay's URL. */
export function farmUrl({ hostname, port }: FarmRelay): RelayUrl {
  const url = parseRelayUrl(`ws://${hostname}:${port}`);
  if (!url.ok) throw new Error(`Cannot look at port ${port}: ${url.failure}`);
  return url.value;
}

function told({ perSecond, cpuMs, rttOpenMs }: Round): string {
  return `${perSecond.toFixed(0)}/s ${cpuMs.toFixed(3)} ms CPU, rtt ${rttOpenMs.toFixed(1)} ms`;
}
