// The store alone, ours and the peer's, filled with the same events by the same batches: what a
// comparison of schemas and SQL is made of, without relay and verification.
import type { NostrEvent } from "../../src/model/event.ts";
import { insertSightings } from "../../src/store/event_relays.ts";
import { knownEvents, writeBatch } from "../../src/store/events.ts";
import type { Store } from "../../src/store/connect.ts";
import { insertRelays, relaysByUrl } from "../../src/store/relays.ts";
import { parseRelayUrl, type RelayUrl } from "../../src/model/relay_url.ts";
import { createPeerSchema, peerBytes, writePeerBatch } from "./peer_schema.ts";

/** How fast a schema takes events that are new, and ones that it has from another relay. */
export interface FillRates {
  newPerS: number;
  repeatPerS: number;
}

const BATCH = 1000;
const SEEN_AT = 1_700_000_000;

/** Fills our schema: all events on each of so many relays. */
export async function fillOurs(
  store: Store,
  events: readonly NostrEvent[],
  relays: number,
  signal: AbortSignal,
): Promise<FillRates> {
  const urls = Array.from({ length: relays }, (_, i) => relayUrl(i));
  await insertRelays(store, urls, { at: SEEN_AT });
  const ids = await relaysByUrl(store, urls);
  return await fill(events, relays, signal, async (batch, relay) => {
    const relayId = ids.get(relayUrl(relay)) ?? 0;
    const known = relay === 0
      ? new Map<string, number>()
      : await knownEvents(store, batch.map(({ id }) => id));
    const seen = [...known.values()].map((seq) => ({ seq, relayId, seenAt: SEEN_AT }));
    if (seen.length > 0) await insertSightings(store, seen);
    const unknown = batch.filter(({ id }) => !known.has(id));
    if (unknown.length === 0) return;
    const sightings = unknown.map(({ id }) => ({ eventId: id, relayId, seenAt: SEEN_AT }));
    await writeBatch(store, { events: unknown, sightings });
  });
}

/** Fills the peer's schema, in a schema of its own of this store, by its own SQL. */
export async function fillPeer(
  store: Store,
  events: readonly NostrEvent[],
  relays: number,
  signal: AbortSignal,
): Promise<FillRates & { bytes: number }> {
  await createPeerSchema(store);
  const rates = await fill(events, relays, signal, async (batch, relay) => {
    await writePeerBatch(store, batch, relayUrl(relay), SEEN_AT);
  });
  return { ...rates, bytes: await peerBytes(store) / events.length };
}

async function fill(
  events: readonly NostrEvent[],
  relays: number,
  signal: AbortSignal,
  write: (batch: readonly NostrEvent[], relay: number) => Promise<void>,
): Promise<FillRates> {
  const elapsedMs: number[] = [];
  for (let relay = 0; relay < relays; relay++) {
    const started = performance.now();
    for (let at = 0; at < events.length; at += BATCH) {
      signal.throwIfAborted();
      await write(events.slice(at, at + BATCH), relay);
    }
    elapsedMs.push(performance.now() - started);
  }
  const [newMs = NaN, ...repeatMs] = elapsedMs;
  return {
    newPerS: events.length / newMs * 1000,
    repeatPerS: repeatMs.length * events.length / repeatMs.reduce((sum, ms) => sum + ms, 0) * 1000,
  };
}

function relayUrl(i: number): RelayUrl {
  const parsed = parseRelayUrl(`wss://relay${i}.example.com/`);
  if (!parsed.ok) throw new Error(`Cannot name a relay: ${parsed.failure}`);
  return parsed.value;
}
