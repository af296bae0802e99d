// What the whole process costs with an archive in its store: the time from its start to /ready, its
// memory then and after a rest, and how long it takes to leave.
//   deno task bench startup [--store pglite|postgres] [--events 500000] [--rest 20]
import { openStore } from "../../src/store/connect.ts";
import { writeBatch } from "../../src/store/events.ts";
import { maintain } from "../../src/store/maintain.ts";
import { migrate } from "../../src/store/migrate.ts";
import { ensureRelay } from "../../src/store/relays.ts";
import { refreshStatistics } from "../../src/store/statistics.ts";
import { parseRelayUrl } from "../../src/model/relay_url.ts";
import { type Child, startChild } from "../support/child.ts";
import { freePort, PostgresServer } from "../support/postgres_server.ts";
import { type BenchArgs, type BenchResult, median, numberFlag, roundFigure } from "./bench.ts";
import { EventStream } from "./event_stream.ts";

const STARTS = 3;
const BATCH = 1000;
/** The refresher does the upkeep after so many rows. */
const MAINTAIN_EVERY = 100_000;
const START_LIMIT_MS = 120_000;

/** Runs the benchmark in a store of its own, which is removed after. */
export async function run(args: BenchArgs): Promise<BenchResult> {
  const kind = args.store ?? "pglite";
  const events = numberFlag(args, "events", 500_000);
  const restMs = numberFlag(args, "rest", 20) * 1000;
  await using stack = new AsyncDisposableStack();
  const dataDir = await Deno.makeTempDir({ prefix: "bigbrotr-bench-" });
  stack.defer(() => Deno.remove(dataDir, { recursive: true }));
  const databaseUrl = kind === "postgres"
    ? stack.use(await PostgresServer.create({ fsync: true })).url()
    : undefined;
  await fill(args, { dataDir, databaseUrl }, events);

  const config = `${dataDir}/bigbrotr.yaml`;
  const port = await freePort();
  // Nobody to ask: what is measured is the process, not the network.
  await Deno.writeTextFile(
    config,
    JSON.stringify({
      networks: { clearnet: { enabled: false } },
      finder: { lists: [] },
      api: { port },
    }),
  );
  const env: Record<string, string> = databaseUrl === undefined
    ? {}
    : { DATABASE_URL: databaseUrl };
  const runs: { readyMs: number; rssMb: number; idleRssMb: number; stopMs: number }[] = [];
  for (let start = 0; start < STARTS; start++) {
    args.signal.throwIfAborted();
    const startedMs = performance.now();
    await using child = startChild({ config, dataDir, port, env });
    await untilReady(child);
    const readyMs = performance.now() - startedMs;
    const rssMb = (await child.residentBytes() ?? NaN) / 1e6;
    await new Promise((resolve) => setTimeout(resolve, restMs));
    const idleRssMb = (await child.residentBytes() ?? NaN) / 1e6;
    const { code, elapsedMs: stopMs } = await child.stop();
    if (code !== 0) {
      throw new Error(`The process ended with code ${code}:\n${child.log.join("\n")}`);
    }
    runs.push({ readyMs, rssMb, idleRssMb, stopMs });
    args.progress(`ready after ${readyMs | 0} ms, ${idleRssMb | 0} MB after a rest`);
  }
  const figure = (of: keyof typeof runs[number]): number =>
    roundFigure(median(runs.map((one) => one[of])));
  return {
    bench: "startup",
    store: kind,
    verifier: null,
    figures: {
      events,
      ready_ms: figure("readyMs"),
      rss_mb: figure("rssMb"),
      idle_rss_mb: figure("idleRssMb"),
      stop_ms: figure("stopMs"),
    },
    ratios: {},
    notes: [`medians of ${STARTS} starts; memory is the process's own, without a server's`],
  };
}

async function fill(
  args: BenchArgs,
  where: { dataDir: string; databaseUrl: string | undefined },
  events: number,
): Promise<void> {
  await using store = await openStore(where);
  await migrate(store);
  const url = parseRelayUrl("wss://relay.example.com/");
  if (!url.ok) throw new Error(url.failure);
  const relayId = await ensureRelay(store, url.value, { at: 1_700_000_000 });
  const stream = new EventStream();
  for (let done = 0; done < events; done += BATCH) {
    args.signal.throwIfAborted();
    const batch = stream.take(Math.min(BATCH, events - done));
    await writeBatch(store, {
      events: batch,
      sightings: batch.map(({ id }) => ({ eventId: id, relayId, seenAt: 1_700_000_000 })),
    });
    if ((done + BATCH) % MAINTAIN_EVERY === 0) {
      await maintain(store);
      args.progress(`${done + BATCH} events stored`);
    }
  }
  for (let behind = 1; behind > 0;) {
    ({ behind } = await refreshStatistics(store, { maxRows: 20_000 }));
  }
}

async function untilReady(child: Child): Promise<void> {
  const endMs = performance.now() + START_LIMIT_MS;
  while ((await child.ask("/ready"))?.status !== 200) {
    if (performance.now() > endMs) throw new Error(`Not ready:\n${child.log.join("\n")}`);
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}
