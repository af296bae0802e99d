/**
 * Sightings out of an export: which relay was seen to hold an event, and since when. In: lines such as
 * {"id":…,"relay":…,"seen_at":…}. Out: rows, and counts. Never: makes a relay of what is no relay URL,
 * or a sighting of an event that is not in the archive.
 */
import { z } from "zod";
import { parseRelayUrl, type RelayUrl } from "../model/relay_url.ts";
import type { Store } from "../store/connect.ts";
import { insertSightings, type SightingRow } from "../store/event_relays.ts";
import { knownEvents } from "../store/events.ts";
import { insertRelays, relaysByUrl } from "../store/relays.ts";
import { type JsonLine, jsonLines } from "./json_lines.ts";

/** What became of them. */
export interface SightingCounts {
  lines: number;
  newSightings: number;
  /** Of events that are not in the archive. */
  unknownEvents: number;
  /** Lines that are no sighting. */
  bad: number;
}

const PAGE_SIGHTINGS = 2_000;
const MAX_LINE_BYTES = 16 * 1024;
/** Sightings are stored as seconds since 2020 in four bytes. */
const FIRST_SECOND = 1_577_836_800;
const LAST_SECOND = FIRST_SECOND + 2 ** 31 - 1;

const sightingSchema = z.object({
  id: z.string().regex(/^[0-9a-f]{64}$/),
  relay: z.string().transform((text, context): RelayUrl => {
    const url = parseRelayUrl(text);
    if (url.ok) return url.value;
    context.addIssue({ code: "custom", message: url.failure });
    return z.NEVER;
  }),
  seen_at: z.int().min(FIRST_SECOND).max(LAST_SECOND),
});
type Sighting = z.infer<typeof sightingSchema>;

/** Puts a file's sightings into the archive, and adds to `counts` as it goes. */
export async function importSightings(
  store: Store,
  file: ReadableStream<Uint8Array>,
  counts: SightingCounts,
  o: { signal: AbortSignal; onPage: () => void },
): Promise<void> {
  let page: Sighting[] = [];
  const flush = async (): Promise<void> => {
    await insertPage(store, page, counts, o.signal);
    page = [];
    o.onPage();
  };
  for await (const line of jsonLines(file, { maxLineBytes: MAX_LINE_BYTES })) {
    counts.lines++;
    const sighting = parse(line);
    if (sighting === undefined) counts.bad++;
    else page.push(sighting);
    if (page.length >= PAGE_SIGHTINGS) await flush();
  }
  await flush();
}

function parse(line: JsonLine): Sighting | undefined {
  if (!line.ok) return undefined;
  const parsed = sightingSchema.safeParse(line.value);
  return parsed.success ? parsed.data : undefined;
}

async function insertPage(
  store: Store,
  page: readonly Sighting[],
  counts: SightingCounts,
  signal: AbortSignal,
): Promise<void> {
  if (page.length === 0) return;
  const seqs = await knownEvents(store, [...new Set(page.map(({ id }) => id))], { signal });
  const known = page.filter(({ id }) => seqs.has(id));
  counts.unknownEvents += page.length - known.length;
  const urls = [...new Set(known.map(({ relay }) => relay))];
  await insertRelays(store, urls, {
    at: known.reduce((first, { seen_at }) => Math.min(first, seen_at), LAST_SECOND),
    signal,
  });
  const relays = await relaysByUrl(store, urls, { signal });
  const rows = known.flatMap(({ id, relay, seen_at }): SightingRow[] => {
    const [seq, relayId] = [seqs.get(id), relays.get(relay)];
    return seq === undefined || relayId === undefined ? [] : [{ seq, relayId, seenAt: seen_at }];
  });
  counts.newSightings += await insertSightings(store, rows, { signal });
}
