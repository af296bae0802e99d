// What it costs to archive a relay with seconds that hold more events than it gives in a page: how
// many events are missing, how many came twice, how many requests it took. From three relays with
// the same events, each into an empty store: one that is only paged, one that counts (NIP-45), one
// with NIP-77; they are a process of their own, on loopback.
//   deno task bench dense [--store pglite|postgres] [--events 100000] [--bursts 2] [--burst 1500]
import { createIngest } from "../../src/ingest/ingest.ts";
import type { RelayUrl } from "../../src/model/relay_url.ts";
import { createDialer } from "../../src/net/dialer.ts";
import { syncRelay, type SyncReport } from "../../src/synchronizer/sync_relay.ts";
import { openVerifier, type Verifier } from "../../src/verify/verifier.ts";
import { RELAY_CAP, startArchiveRelay } from "./archive_relay.ts";
import { type BenchArgs, type BenchResult, numberFlag, roundFigure } from "./bench.ts";
import { openBenchStore } from "./bench_store.ts";

/** The first burst; the others lie so far apart, all of them among the other events. */
const FIRST_AT = 1_701_000_000;
const APART_SECONDS = 1_000_000;

/** Runs the benchmark in stores of its own, which are removed after. */
export async function run(args: BenchArgs): Promise<BenchResult> {
  const count = numberFlag(args, "events", 100_000);
  const perBurst = numberFlag(args, "burst", 1_500);
  const bursts = Array.from({ length: numberFlag(args, "bursts", 2) }, (_, i) => ({
    at: FIRST_AT + i * APART_SECONDS,
    count: perBurst,
  }));
  await using stack = new AsyncDisposableStack();
  const verifier = stack.use(await openVerifier({ backend: args.verifier ?? "auto" }));
  args.progress(`signing ${count} events`);
  const relay = stack.use(await startArchiveRelay(count, { bursts }));
  const figures: Record<string, number> = {};
  const ratios: Record<string, number> = {};
  for (const how of ["paged", "counting", "reconciling"] as const) {
    const report = await archive(relay[how], verifier, args);
    const dense = report.gaps.filter((gap) => bursts.some(({ at }) => at === gap.since)).length;
    if (report.gaps.length > dense) throw new Error("Other seconds than the dense ones are gaps");
    figures[`${how}_missing`] = count - report.newEvents;
    figures[`${how}_gaps`] = dense;
    figures[`${how}_twice`] = report.received - report.newEvents;
    figures[`${how}_requests`] = report.requests;
    figures[`${how}_ms`] = roundFigure(report.elapsedMs);
    ratios[`${how}_transfer_events`] = report.received / count;
    ratios[`${how}_transfer_bytes`] = report.bytes / relay.eventBytes;
    ratios[`${how}_requests`] = report.requests * RELAY_CAP / count;
  }
  return {
    bench: "dense",
    store: args.store ?? "pglite",
    verifier: verifier.backend,
    figures,
    ratios: Object.fromEntries(
      Object.entries(ratios).map(([name, value]) => [name, Number(value.toFixed(4))]),
    ),
    notes: [
      `${count} events, ${bursts.length} seconds with ${perBurst} of them, ${RELAY_CAP} to a page`,
      "transfer: what came, to what the relay holds; bytes with the frames around the events",
      "requests: to as many pages as hold all events; where gaps remain, nobody said that all came",
    ],
  };
}

async function archive(
  url: RelayUrl,
  verifier: Verifier,
  args: BenchArgs,
): Promise<SyncReport> {
  await using stack = new AsyncDisposableStack();
  const { store } = await openBenchStore(stack, args.store ?? "pglite");
  const ingest = stack.use(createIngest({ store, verifier }));
  const off = { enabled: false, timeoutMs: 10_000, maxTasks: 1 };
  const dialer = createDialer({
    networks: { clearnet: off, tor: off, i2p: off, loki: off, local: { ...off, enabled: true } },
    userAgent: "bigbrotr-bench",
  });
  const report = await syncRelay(url, { store, ingest, dialer }, { signal: args.signal });
  const { outcome, newEvents, received, requests, bytes, elapsedMs } = report;
  args.progress(
    `${outcome}: ${newEvents} new of ${received}, ${requests} requests, ${bytes} bytes in ` +
      `${elapsedMs | 0} ms`,
  );
  return report;
}
