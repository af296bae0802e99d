// How fast a relay is archived, end to end: from a relay process over loopback, verified, into the
// store, with its ledger; then from three more relays with the same events, paged; then from one
// that speaks NIP-77; then from twenty at once. Beside it the peer's schema and ours, filled with the
// same events by their SQL alone.
//   deno task bench archive [--store pglite|postgres] [--verifier auto|ffi|wasm] [--events 50000]
import { createIngest } from "../../src/ingest/ingest.ts";
import { parseRelayUrl, type RelayUrl } from "../../src/model/relay_url.ts";
import { createDialer, type Dialer } from "../../src/net/dialer.ts";
import type { Store } from "../../src/store/connect.ts";
import { type SyncDeps, syncRelay, type SyncReport } from "../../src/synchronizer/sync_relay.ts";
import { openVerifier, type Verifier } from "../../src/verify/verifier.ts";
import { generateEvents, REGULAR_KINDS } from "../support/events.ts";
import { archiveBytes } from "./archive_bytes.ts";
import { startArchiveRelay } from "./archive_relay.ts";
import { fillOurs, fillPeer } from "./archive_schemas.ts";
import {
  type BenchArgs,
  type BenchResult,
  type BenchStore,
  numberFlag,
  roundFigure,
} from "./bench.ts";
import { openBenchStore } from "./bench_store.ts";

/** Relays that hold each event; the last of the paged ones. */
const PAGED_RELAYS = 4;
/** Relays that are archived at once. */
const MANY_RELAYS = 20;

/** Runs the benchmark in stores of its own, which are removed after. */
export async function run(args: BenchArgs): Promise<BenchResult> {
  const kind = args.store ?? "pglite";
  const count = numberFlag(args, "events", 50_000);
  const shared = numberFlag(args, "shared-events", 30_000);
  await using stack = new AsyncDisposableStack();
  const verifier = stack.use(await openVerifier({ backend: args.verifier ?? "auto" }));
  args.progress(`signing ${count} events`);
  const relay = stack.use(await startArchiveRelay(count));
  const peak = new PeakMemory();

  const found = await withStore(kind, async (store) => {
    await using ingest = createIngest({ store, verifier });
    const deps: SyncDeps = { store, ingest, dialer: benchDialer() };
    const reports: SyncReport[] = [];
    for (let i = 0; i < PAGED_RELAYS; i++) {
      reports.push(await archive(named(relay.paged, i), deps, args));
      peak.note();
    }
    const bytes = await archiveBytes(store) / count;
    const reconciled = await archive(relay.reconciling, deps, args);
    peak.note();
    const [first, ...repeats] = reports;
    if (first === undefined || first.newEvents !== count || reconciled.newSightings !== count) {
      throw new Error("Not every event was archived: the figures would mean nothing");
    }
    args.progress("filling the peer's schema, and ours");
    const events = generateEvents(count, { kinds: REGULAR_KINDS });
    return {
      events,
      first,
      reconciled,
      bytes,
      repeatMs: repeats.reduce((sum, report) => sum + report.elapsedMs, 0),
      rssMb: peak.mb,
      peer: await fillPeer(store, events, PAGED_RELAYS, args.signal),
    };
  });
  const ours = await withStore(
    kind,
    (store) => fillOurs(store, found.events, PAGED_RELAYS, args.signal),
  );
  const many = await manyRelays(kind, shared, verifier, args);

  const { first, reconciled, bytes, repeatMs, rssMb, peer } = found;
  const newPerS = count / first.elapsedMs * 1000;
  const repeatPerS = (PAGED_RELAYS - 1) * count / repeatMs * 1000;
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
      rss_mb: roundFigure(rssMb),
      requests: first.requests,
      transfer_bytes: first.bytes,
      relays20_ms: roundFigure(many.manyMs),
      relay1_ms: roundFigure(many.oneMs),
      store_new_per_s: roundFigure(ours.newPerS),
      store_repeat_per_s: roundFigure(ours.repeatPerS),
      peer_new_per_s: roundFigure(peer.newPerS),
      peer_repeat_per_s: roundFigure(peer.repeatPerS),
      peer_bytes_per_event: roundFigure(peer.bytes),
    },
    ratios: {
      bytes_vs_peer: roundFigure(bytes / peer.bytes),
      new_vs_peer: roundFigure(ours.newPerS / peer.newPerS),
      repeat_vs_peer: roundFigure(ours.repeatPerS / peer.repeatPerS),
      relays20_vs_1: roundFigure(many.manyMs / many.oneMs),
    },
    notes: [
      `${count} events on ${PAGED_RELAYS} relays that are paged, and then on one with NIP-77`,
      "against the peer: schema and SQL alone, the same events and batches, no relay",
      `${shared} events on ${MANY_RELAYS} relays at once, beside the same on one`,
    ],
  };
}

/** The same events on many relays at once, and on one, each into an empty store. */
async function manyRelays(
  kind: BenchStore,
  count: number,
  verifier: Verifier,
  args: BenchArgs,
): Promise<{ oneMs: number; manyMs: number }> {
  await using relay = await startArchiveRelay(count);
  const elapsedMs = (relays: number): Promise<number> =>
    withStore(kind, async (store) => {
      await using ingest = createIngest({ store, verifier });
      const deps: SyncDeps = { store, ingest, dialer: benchDialer() };
      const before = verifier.stats().verdicts.ok;
      const started = performance.now();
      const reports = await Promise.all(
        Array.from({ length: relays }, (_, i) => archive(named(relay.paged, i), deps, args)),
      );
      const ms = performance.now() - started;
      const written = reports.reduce((sum, report) => sum + report.newEvents, 0);
      const verified = verifier.stats().verdicts.ok - before;
      if (written !== count || verified !== count) {
        throw new Error(`${written} events were written and ${verified} verified, not ${count}`);
      }
      return ms;
    });
  return { oneMs: await elapsedMs(1), manyMs: await elapsedMs(MANY_RELAYS) };
}

async function withStore<T>(kind: BenchStore, work: (store: Store) => Promise<T>): Promise<T> {
  await using stack = new AsyncDisposableStack();
  const { store } = await openBenchStore(stack, kind);
  return await work(store);
}

function benchDialer(): Dialer {
  const off = { enabled: false, timeoutMs: 10_000, maxTasks: 1 };
  return createDialer({
    networks: { clearnet: off, tor: off, i2p: off, loki: off, local: { ...off, enabled: true } },
    userAgent: "bigbrotr-bench",
  });
}

/** The most resident memory at the moments that were noted. */
class PeakMemory {
  mb = 0;

  note(): void {
    this.mb = Math.max(this.mb, Deno.memoryUsage().rss / 1e6);
  }
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
