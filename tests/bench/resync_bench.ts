// What it costs to compare an archived relay once more (NIP-77): with nothing new, and with one
// event that has come late. Rounds of both; the relay is a process of its own, on loopback.
//   deno task bench resync [--store pglite|postgres] [--events 100000] [--rounds 5]
import { createIngest } from "../../src/ingest/ingest.ts";
import { createDialer } from "../../src/net/dialer.ts";
import { syncRelay, type SyncReport } from "../../src/synchronizer/sync_relay.ts";
import { openVerifier } from "../../src/verify/verifier.ts";
import { startArchiveRelay } from "./archive_relay.ts";
import {
  type BenchArgs,
  type BenchResult,
  median,
  numberFlag,
  roundFigure,
  spread,
} from "./bench.ts";
import { openBenchStore } from "./bench_store.ts";

/** Runs the benchmark in a store of its own, which is removed after. */
export async function run(args: BenchArgs): Promise<BenchResult> {
  const kind = args.store ?? "pglite";
  const count = numberFlag(args, "events", 100_000);
  const rounds = numberFlag(args, "rounds", 5);
  await using stack = new AsyncDisposableStack();
  const { store } = await openBenchStore(stack, kind);
  const verifier = stack.use(await openVerifier({ backend: args.verifier ?? "auto" }));
  const ingest = stack.use(createIngest({ store, verifier }));
  const off = { enabled: false, timeoutMs: 10_000, maxTasks: 1 };
  const dialer = createDialer({
    networks: { clearnet: off, tor: off, i2p: off, loki: off, local: { ...off, enabled: true } },
    userAgent: "bigbrotr-bench",
  });
  args.progress(`signing ${count} events`);
  const relay = stack.use(await startArchiveRelay(count));
  const sync = async (): Promise<SyncReport> => {
    const report = await syncRelay(relay.reconciling, {
      store,
      ingest,
      dialer,
      limits: { recheckSeconds: 0 },
    }, { signal: args.signal });
    const { outcome, newEvents, requests, bytes, elapsedMs } = report;
    args.progress(
      `${outcome}, ${newEvents} new, ${requests} requests, ${bytes} bytes in ${elapsedMs | 0} ms`,
    );
    return report;
  };
  await sync();
  const same: SyncReport[] = [];
  const late: SyncReport[] = [];
  for (let round = 0; round < rounds; round++) {
    same.push(await sync());
    await relay.addLate();
    late.push(await sync());
  }
  if (same.some((report) => report.newEvents !== 0) || late.some((one) => one.newEvents !== 1)) {
    throw new Error("A comparison has not found what it was to find: the figures mean nothing");
  }
  const ms = (reports: readonly SyncReport[]): number[] => reports.map((one) => one.elapsedMs);
  const bytes = (reports: readonly SyncReport[]): number =>
    Math.max(...reports.map((r) => r.bytes));
  return {
    bench: "resync",
    store: kind,
    verifier: verifier.backend,
    figures: {
      resync_ms: roundFigure(median(ms(same))),
      resync_bytes: bytes(same),
      one_missing_ms: roundFigure(median(ms(late))),
      one_missing_bytes: bytes(late),
    },
    ratios: {},
    notes: [
      `${count} events on one relay; medians of ${rounds} rounds, the most bytes of them`,
      `between the slowest and the fastest: ${spread(ms(same))} and ${spread(ms(late))}`,
    ],
  };
}
