// How fast events and sightings go into the store, verification apart, and how many bytes they take
// there, beside the peer's schema filled with the same events in turn. With --growth N it is
// filled up to N events, most of them in bulk, and the rate there compared with that of a fresh one.
// With --profile light a light store is filled in turn too, and compared with the full one.
//   deno task bench ingest [--store pglite|postgres] [--events 60000] [--batch 1000] [--growth 500000]
//     [--profile full|light]
import type { NostrEvent } from "../../src/model/event.ts";
import { parseRelayUrl, type RelayUrl } from "../../src/model/relay_url.ts";
import type { Store } from "../../src/store/connect.ts";
import { insertSightings } from "../../src/store/event_relays.ts";
import { knownEvents, writeBatch } from "../../src/store/events.ts";
import type { Layout } from "../../src/store/layout.ts";
import { maintain } from "../../src/store/maintain.ts";
import { ensureRelay } from "../../src/store/relays.ts";
import { archiveBytes, relationBytes } from "./archive_bytes.ts";
import { type BenchArgs, type BenchResult, numberFlag, roundFigure, spread } from "./bench.ts";
import { openBenchStore } from "./bench_store.ts";
import { EventStream } from "./event_stream.ts";
import { addCopies } from "./bulk_copies.ts";
import { createPeerSchema, peerBytes, writePeerBatch } from "./peer_schema.ts";

/** Relays that hold each event. */
const SIGHTINGS = 4;
/** Events per turn: ours, then the peer's. */
const TURN = 10_000;
/** The last events before these are written the usual way, those before them in bulk. */
const USUAL = 250_000;
/** Events over which rates are compared when a store has grown. */
const GROWTH_SPAN = 50_000;
const SEEN_AT = 1_700_000_000;
/** Where a store has its events, sightings apart. */
const EVENTS = ["event", "event_id"];

/** Rates over one turn each, so that their spread shows the machine's noise. */
interface Rates {
  fresh: number[];
  repeat: number[];
}

/** Runs the benchmark in a store of its own, which is removed after. */
export async function run(args: BenchArgs): Promise<BenchResult> {
  const kind = args.store ?? "pglite";
  const events = numberFlag(args, "events", 60_000);
  const batch = numberFlag(args, "batch", 1000);
  const growth = args.flags.growth === undefined ? 0 : numberFlag(args, "growth", 500_000);

  await using stack = new AsyncDisposableStack();
  const { store, dataDir, databaseUrl } = await openBenchStore(stack, kind);
  await createPeerSchema(store);
  const light = args.flags.profile === "light"
    ? stack.use(await secondStore(kind, databaseUrl, { profile: "light" })).store
    : undefined;
  const relays: { url: RelayUrl; id: number }[] = [];
  for (let i = 0; i < SIGHTINGS; i++) {
    const url = parseRelayUrl(`wss://relay${i}.example.com/`);
    if (url.ok) relays.push({ url: url.value, id: await ensureRelay(store, url.value, { at: 1 }) });
  }

  const stream = new EventStream();
  const [ours, peers, lights] = Array.from({ length: 3 }, (): Rates => ({ fresh: [], repeat: [] }));
  if (ours === undefined || peers === undefined || lights === undefined) {
    throw new Error("No rates");
  }
  for (let done = 0; done < events; done += TURN) {
    args.signal.throwIfAborted();
    const turn = stream.take(TURN);
    const batches = batchesOf(turn, batch);
    for (const [i, relay] of relays.entries()) {
      const step = (rates: Rates): number[] => i === 0 ? rates.fresh : rates.repeat;
      step(ours).push(
        await rate(
          batches,
          (part) => i === 0 ? writeNew(store, part, relay.id) : writeKnown(store, part, relay.id),
        ),
      );
      if (light !== undefined) {
        step(lights).push(
          await rate(
            batches,
            (part) => i === 0 ? writeNew(light, part, relay.id) : writeKnown(light, part, relay.id),
          ),
        );
      }
      step(peers).push(
        await rate(batches, (part) => writePeerBatch(store, part, relay.url, SEEN_AT)),
      );
    }
    args.progress(`${done + TURN} events: ${summary(ours)}; the peer's schema ${summary(peers)}`);
  }
  const stored = Math.ceil(events / TURN) * TURN;
  const bytes = await archiveBytes(store) / stored;
  const theirs = await peerBytes(store) / stored;
  const figures: Record<string, number> = {
    new_per_s: perSecond(ours.fresh),
    repeat_per_s: perSecond(ours.repeat),
    bytes_per_event: roundFigure(bytes),
    peer_new_per_s: perSecond(peers.fresh),
    peer_repeat_per_s: perSecond(peers.repeat),
    peer_bytes_per_event: roundFigure(theirs),
  };
  const ratios: Record<string, number> = {
    new_vs_peer: roundFigure(perSecond(ours.fresh) / perSecond(peers.fresh)),
    repeat_vs_peer: roundFigure(perSecond(ours.repeat) / perSecond(peers.repeat)),
    bytes_vs_peer: roundFigure(bytes / theirs),
  };
  const notes: string[] = [];
  if (light !== undefined) {
    const [small, whole] = [await archiveBytes(light, EVENTS), await archiveBytes(store, EVENTS)];
    figures.light_new_per_s = perSecond(lights.fresh);
    figures.light_repeat_per_s = perSecond(lights.repeat);
    figures.full_event_bytes = roundFigure(whole / stored);
    figures.light_event_bytes = roundFigure(small / stored);
    figures.light_bytes_per_event = roundFigure(await archiveBytes(light) / stored);
    ratios.light_vs_full = roundFigure(small / whole);
    ratios.light_vs_full_with_sightings = roundFigure(await archiveBytes(light) / bytes / stored);
    for (const { name, bytes } of await relationBytes(light)) {
      notes.push(`light: ${roundFigure(bytes / stored)} bytes an event: ${name}`);
    }
    notes.push(
      "light_vs_full: events with all their indexes and what finds them by id, without sightings, " +
        "which both keep alike",
    );
  }
  if (growth > 0) {
    await store.command("drop_peer", "drop schema peer cascade");
    await using second = await secondStore(kind, databaseUrl);
    const grown = await grow(args, store, second.store, stream, stored, growth);
    Object.assign(figures, grown.figures);
    for (const { name, bytes } of await relationBytes(store)) {
      notes.push(`${roundFigure(bytes / growth)} bytes an event: ${name}`);
    }
    ratios.growth = grown.ratio;
    if (kind === "pglite") figures.data_folder_mb = roundFigure(await folderBytes(dataDir) / 1e6);
  }
  figures.rss_mb = roundFigure(Deno.memoryUsage().rss / 1e6);
  return {
    bench: "ingest",
    store: kind,
    verifier: null,
    figures,
    ratios,
    notes: [
      `${stored} events on ${SIGHTINGS} relays, batches of ${batch}, one writer`,
      "new: event and first sighting; repeat: look-up of the id and a further sighting",
      `spread of new ${spread(ours.fresh)}, of repeats ${spread(ours.repeat)}`,
      ...notes,
    ],
  };
}

/**
 * Fills the store up to `until` events; the last 50,000 go in turn into it and into a fresh one, so
 * that both meet the same machine.
 */
async function grow(
  args: BenchArgs,
  store: Store,
  fresh: Store,
  stream: EventStream,
  from: number,
  until: number,
): Promise<{ figures: Record<string, number>; ratio: number }> {
  const relayId = 1;
  let maintainMs = 0;
  const filled = Math.max(from, until - GROWTH_SPAN - USUAL);
  if (filled > from) {
    await addCopies(store, {
      until: filled,
      relayId,
      signal: args.signal,
      onStep: (done) => args.progress(`${done} events in bulk`),
    });
  }
  for (let done = filled; done < until - GROWTH_SPAN; done += TURN) {
    args.signal.throwIfAborted();
    const part = await rate(
      batchesOf(stream.take(TURN), 1000),
      (each) => writeNew(store, each, relayId),
    );
    if ((done + TURN) % GROWTH_SPAN !== 0) continue;
    // As the refresher does every few minutes.
    maintainMs = (await maintain(store)).elapsedMs;
    args.progress(`${done + TURN} events: ${part | 0}/s, maintenance ${maintainMs | 0} ms`);
  }
  const rates: { small: number[]; large: number[] } = { small: [], large: [] };
  for (let done = 0; done < GROWTH_SPAN; done += TURN) {
    args.signal.throwIfAborted();
    const batches = batchesOf(stream.take(TURN), 1000);
    rates.small.push(await rate(batches, (each) => writeNew(fresh, each, relayId)));
    rates.large.push(await rate(batches, (each) => writeNew(store, each, relayId)));
  }
  const [small, large] = [perSecond(rates.small), perSecond(rates.large)];
  return {
    figures: {
      new_per_s_at_50k: small,
      [`new_per_s_at_${until / 1000}k`]: large,
      maintain_ms: roundFigure(maintainMs),
    },
    ratio: roundFigure(large / small),
  };
}

function batchesOf(events: readonly NostrEvent[], size: number): NostrEvent[][] {
  const count = Math.ceil(events.length / size);
  return Array.from({ length: count }, (_, i) => events.slice(i * size, (i + 1) * size));
}

/** A fresh store of the same kind, beside the first. */
async function secondStore(
  kind: Store["kind"],
  databaseUrl: string | undefined,
  layout: Partial<Layout> = {},
): Promise<{ store: Store } & AsyncDisposable> {
  await using stack = new AsyncDisposableStack();
  const { store } = await openBenchStore(stack, kind, { server: databaseUrl, layout });
  for (let i = 0; i < SIGHTINGS; i++) {
    const relay = parseRelayUrl(`wss://relay${i}.example.com/`);
    if (relay.ok) await ensureRelay(store, relay.value, { at: 1 });
  }
  const resources = stack.move();
  return { store, [Symbol.asyncDispose]: () => resources.disposeAsync() };
}

async function writeNew(
  store: Store,
  events: readonly NostrEvent[],
  relayId: number,
): Promise<void> {
  const sightings = events.map((event) => ({ eventId: event.id, relayId, seenAt: SEEN_AT }));
  const { newEvents, newSightings } = await writeBatch(store, { events, sightings });
  expect(newEvents === events.length && newSightings === events.length);
}

async function writeKnown(
  store: Store,
  events: readonly NostrEvent[],
  relayId: number,
): Promise<void> {
  const known = await knownEvents(store, events.map((event) => event.id));
  const rows = events.map((event) => ({ seq: known.get(event.id) ?? 0, relayId, seenAt: SEEN_AT }));
  expect(await insertSightings(store, rows) === events.length);
}

function expect(true_: boolean): void {
  if (!true_) throw new Error("The store did not take every row: the figures would mean nothing");
}

async function rate(
  batches: readonly NostrEvent[][],
  write: (part: NostrEvent[]) => Promise<unknown>,
): Promise<number> {
  const started = performance.now();
  let count = 0;
  for (const part of batches) {
    await write(part);
    count += part.length;
  }
  return count / (performance.now() - started) * 1000;
}

/** The rate over turns of equal size: their harmonic mean. */
function perSecond(rates: readonly number[]): number {
  return roundFigure(rates.length / rates.reduce((sum, value) => sum + 1 / value, 0));
}

function summary(rates: Rates): string {
  return `${rates.fresh.at(-1)?.toFixed(0)} new/s, ${rates.repeat.at(-1)?.toFixed(0)} repeats/s`;
}

async function folderBytes(path: string): Promise<number> {
  let bytes = 0;
  for await (const entry of Deno.readDir(path)) {
    const inner = `${path}/${entry.name}`;
    bytes += entry.isDirectory ? await folderBytes(inner) : (await Deno.stat(inner)).size;
  }
  return bytes;
}
