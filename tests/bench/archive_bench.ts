// How fast a relay is archived, end to end: from a relay process over loopback, verified, into the
// store, with its ledger; then from three more relays with the same events, paged; then from one
// that speaks NIP-77. Beside it the peer's schema, filled with the same events after it.
//   deno task bench archive [--store pglite|postgres] [--verifier auto|ffi|wasm] [--events 50000]
import { createIngest } from "../../src/ingest/ingest.ts";
import { parseRelayUrl, type RelayUrl } from "../../src/model/relay_url.ts";
import { createDialer } from "../../src/net/dialer.ts";
import { openStore, type Store } from "../../src/store/connect.ts";
import { migrate } from "../../src/store/migrate.ts";
import { type SyncDeps, syncRelay, type SyncReport } from "../../src/synchronizer/sync_relay.ts";
import { openVerifier } from "../../src/verify/verifier.ts";
import { generateEvents, REGULAR_KINDS } from "../support/events.ts";
import { createDatabase, PostgresServer } from "../support/postgres_server.ts";
import { archiveBytes } from "./archive_bytes.ts";
import { startArchiveRelay } from "./archive_relay.ts";
import { type BenchArgs, type BenchResult, numberFlag, roundFigure } from "./bench.ts";
import { createPeerSchema, peerBytes, writePeerBatch } from "./peer_schema.ts";

/** Relays that hold each event; the last of the paged ones. */
const PAGED_RELAYS = 4;
const PEER_BATCH = 1000;
const SEEN_AT = 1_700_000_000;

/** Runs the benchmark in a store of its own, which is removed after. */
export async function run(args: BenchArgs): Promise<BenchResult> {
  const kind = args.store ?? "pglite";
  const count = numberFlag(args, "events", 50_000);
  await using stack = new AsyncDisposableStack();
  const dataDir = await Deno.makeTempDir({ prefix: "bigbrotr-bench-" });
  stack.defer(() => Deno.remove(dataDir, { recursive: true }));
  const databaseUrl = kind === "postgres" ? await benchDatabase(stack) : undefined;
  const store = stack.use(await openStore({ dataDir, databaseUrl }));
  await migrate(store);
  const verifier = stack.use(await openVerifier({ backend: args.verifier ?? "auto" }));
  const ingest = stack.use(createIngest({ store, verifier }));
  const off = { enabled: false, timeoutMs: 10_000, maxTasks: 1 };
  const dialer = createDialer({
    networks: { clearnet: off, tor: off, i2p: off, loki: off, local: { ...off, enabled: true } },
    userAgent: "bigbrotr-bench",
  });
  const deps: SyncDeps = { store, ingest, dialer };
  args.progress(`signing ${count} events`);
  const relay = stack.use(await startArchiveRelay(count));

  const reports: SyncReport[] = [];
  for (let i = 0; i < PAGED_RELAYS; i++) {
    reports.push(await archive(named(relay.paged, i), deps, args));
  }
  const bytes = await archiveBytes(store) / count;
  const reconciled = await archive(relay.reconciling, deps, args);
  const rssMb = roundFigure(Deno.memoryUsage().rss / 1e6);
  const [first, ...repeats] = reports;
  if (first === undefined || first.newEvents !== count || reconciled.newSightings !== count) {
    throw new Error("Not every event was archived: the figures would mean nothing");
  }
  const repeatMs = repeats.reduce((sum, report) => sum + report.elapsedMs, 0);
  const newPerS = count / first.elapsedMs * 1000;
  const repeatPerS = repeats.length * count / repeatMs * 1000;

  const peer = await fillPeer(store, count, args);
  return {
    bench: "archive",
    store: kind,
    verifier: verifier.backend,
    figures: {
      new_per_s: roundFigure(newPerS),
      repeat_per_s: roundFigure(repeatPerS),
      reconciled_per_s: roundFigure(count / reconciled.elapsedMs * 1000),
      reconciled_bytes: reconciled.bytes,
      bytes_per_event: roundFigure(bytes),
      rss_mb: rssMb,
      requests: first.requests,
      transfer_bytes: first.bytes,
      peer_new_per_s: roundFigure(peer.newPerS),
      peer_repeat_per_s: roundFigure(peer.repeatPerS),
      peer_bytes_per_event: roundFigure(peer.bytes),
    },
    ratios: {
      bytes_vs_peer: roundFigure(bytes / peer.bytes),
      new_vs_peer: roundFigure(newPerS / peer.newPerS),
      repeat_vs_peer: roundFigure(repeatPerS / peer.repeatPerS),
    },
    notes: [
      `${count} events on ${PAGED_RELAYS} relays that are paged, and then on one with NIP-77`,
      "the peer's figures are its schema and SQL alone: no relay, no verification",
    ],
  };
}

async function archive(url: RelayUrl, deps: SyncDeps, args: BenchArgs): Promise<SyncReport> {
  const report = await syncRelay(url, deps, { signal: args.signal });
  const { outcome, elapsedMs, newEvents, newSightings, requests, bytes } = report;
  args.progress(
    `${url}: ${outcome}, ${newEvents} new, ${newSightings} sightings, ${requests} requests, ` +
      `${bytes} bytes in ${elapsedMs | 0} ms`,
  );
  if (outcome !== "complete") throw new Error(`Cannot measure a turn that ended ${outcome}`);
  return report;
}

/** The same relay under another path is another relay to the archive. */
function named(url: RelayUrl, i: number): RelayUrl {
  const parsed = parseRelayUrl(`${url.replace(/\/$/, "")}/${i}`);
  if (!parsed.ok) throw new Error(`Cannot name a relay: ${parsed.failure}`);
  return parsed.value;
}

async function fillPeer(
  store: Store,
  count: number,
  { signal }: BenchArgs,
): Promise<{ newPerS: number; repeatPerS: number; bytes: number }> {
  await createPeerSchema(store);
  const events = generateEvents(count, { kinds: REGULAR_KINDS });
  const elapsedMs: number[] = [];
  for (let relay = 0; relay < PAGED_RELAYS; relay++) {
    const started = performance.now();
    for (let at = 0; at < events.length; at += PEER_BATCH) {
      signal.throwIfAborted();
      const batch = events.slice(at, at + PEER_BATCH);
      await writePeerBatch(store, batch, `wss://relay${relay}.example.com/`, SEEN_AT);
    }
    elapsedMs.push(performance.now() - started);
  }
  const [newMs = NaN, ...repeatMs] = elapsedMs;
  return {
    newPerS: count / newMs * 1000,
    repeatPerS: repeatMs.length * count / repeatMs.reduce((sum, ms) => sum + ms, 0) * 1000,
    bytes: await peerBytes(store) / count,
  };
}

/** A server of its own, or the one of DATABASE_URL: the URL of an empty database. */
export async function benchDatabase(stack: AsyncDisposableStack): Promise<string> {
  const given = Deno.env.get("DATABASE_URL");
  if (given !== undefined) return stack.use(await createDatabase(given)).url;
  // The settings of a small dedicated server, durability on.
  const settings = { shared_buffers: "512MB", max_wal_size: "2GB", checkpoint_timeout: "15min" };
  return stack.use(await PostgresServer.create({ fsync: true, settings })).url();
}
