// A small archive for tests of questions: relays in several networks and states, generated events
// with sightings, documents, checks and a ledger, with the statistics refreshed. In: an empty store.
// Out: the plain facts that were put in, for counting by brute force.
import type { NostrEvent } from "../../src/model/event.ts";
import { networkOf, parseRelayUrl, type RelayUrl } from "../../src/model/relay_url.ts";
import type { AskOptions, Query, Row } from "../../src/queries/query.ts";
import type { Store } from "../../src/store/connect.ts";
import { replaceCoverage } from "../../src/store/coverage.ts";
import { writeBatch } from "../../src/store/events.ts";
import { putRelayMetadata } from "../../src/store/metadata.ts";
import { insertChecks } from "../../src/store/relay_checks.ts";
import { insertRelays, relaysByUrl } from "../../src/store/relays.ts";
import { refreshStatistics } from "../../src/store/statistics.ts";
import { generateEvents, seededRandom } from "../support/events.ts";

/** When everything in the archive happened. */
export const AT = 1_760_000_000;

/** When the statistics of the archive were refreshed: shortly before its newest events. */
export const REFRESHED_AT = 1_709_990_000;

/** Bounds that no test reaches by accident. */
export const WIDE: AskOptions = { maxRows: 1_000, maxBytes: 4_000_000, timeoutMs: 10_000 };

/** What was put in. */
export interface Archive {
  relays: { url: RelayUrl; id: number; network: string; state: string }[];
  events: NostrEvent[];
  /** Indexes into events, by relay. */
  seen: Map<RelayUrl, Set<string>>;
}

const RELAYS = [
  "wss://alpha.example.com/",
  "wss://beta.example.com/",
  "wss://gamma.example.com/inbox",
  `ws://${"a".repeat(56)}.onion/`,
  "wss://empty.example.com/",
] as const;
const STATES = ["online", "online", "dead", "unreachable", "unknown"] as const;

/** Fills an empty store with `count` events. */
export async function fillArchive(store: Store, count = 200): Promise<Archive> {
  const random = seededRandom(7);
  const urls = RELAYS.map(relayUrl);
  await insertRelays(store, urls, { at: AT });
  const ids = await relaysByUrl(store, urls);
  const relays = urls.map((url, i) => ({
    url,
    id: ids.get(url) ?? 0,
    network: networkOf(url),
    state: STATES[i] ?? "unknown",
  }));
  await addChecks(store, relays);
  await addDocuments(store, relays);
  await addCoverage(store, relays);
  const events = generateEvents(count, { seed: 3, authors: 8, oddShare: 0.1 });
  const seen = new Map(urls.map((url) => [url, new Set<string>()]));
  const sightings: { eventId: string; relayId: number; seenAt: number }[] = [];
  for (const event of events) {
    // The last relay stays empty.
    for (const { url, id } of relays.slice(0, -1)) {
      if (random() > 0.6) continue;
      seen.get(url)?.add(event.id);
      sightings.push({ eventId: event.id, relayId: id, seenAt: AT });
    }
  }
  await writeBatch(store, { events, sightings });
  for (;;) {
    const { behind } = await refreshStatistics(store, { maxRows: 10_000, at: REFRESHED_AT });
    if (behind === 0) break;
  }
  return { relays, events, seen };
}

/** All rows of an answer, page after page of `limit` rows. */
export async function allPages(
  store: Store,
  query: Query,
  given: Record<string, unknown>,
  options: { limit: number; maxBytes?: number },
): Promise<{ rows: Row[]; pages: number }> {
  const { limit, maxBytes = WIDE.maxBytes } = options;
  const rows: Row[] = [];
  let cursor: string | undefined;
  for (let pages = 1;; pages++) {
    const asked = { ...given, limit: String(limit), ...(cursor === undefined ? {} : { cursor }) };
    const page = await query.ask(store, asked, { ...WIDE, maxBytes });
    if (!page.ok) throw new Error(`${query.name}: ${JSON.stringify(page.failure)}`);
    rows.push(...page.value.rows);
    cursor = page.value.next;
    if (cursor === undefined) return { rows, pages };
    if (pages > 2_000) throw new Error(`${query.name} has no end`);
  }
}

/** The rows of one page with everything on it. */
export async function rowsOf(
  store: Store,
  query: Query,
  given: Record<string, unknown> = {},
): Promise<Row[]> {
  const page = await query.ask(store, { limit: WIDE.maxRows, ...given }, WIDE);
  if (!page.ok) throw new Error(`${query.name}: ${JSON.stringify(page.failure)}`);
  if (page.value.next !== undefined) throw new Error(`${query.name} has more than a page`);
  return page.value.rows;
}

/** A relay URL that a test is sure of. */
export function relayUrl(text: string): RelayUrl {
  const url = parseRelayUrl(text);
  if (!url.ok) throw new Error(`${text}: ${url.failure}`);
  return url.value;
}

async function addChecks(store: Store, relays: Archive["relays"]): Promise<void> {
  const rows = relays.filter(({ state }) => state !== "unknown").flatMap(({ id, state }, i) =>
    [2, 1, 0].map((age) => ({
      relayId: id,
      checkedAt: AT - age * 3_600,
      ok: state === "online",
      ...(state === "online"
        ? { rttOpenMs: 50 * (i + 1) + age, rttReadMs: 20 + i }
        : { reason: "refused" }),
      state: state as "online",
      failures: state === "online" ? 0 : 3 - age,
      nextCheckAt: AT + 3_600,
    }))
  );
  await insertChecks(store, rows);
}

async function addDocuments(store: Store, relays: Archive["relays"]): Promise<void> {
  const documents = [
    { name: "Alpha", software: "git+https://github.com/hoytech/strfry.git", version: "1.0" },
    { name: "Beta", description: "A quiet place", supported_nips: [1, "11", 77, -3, null] },
    { name: 7, software: { not: "text" }, supported_nips: "1,2" },
  ].map((document, i) => i === 0 ? { ...document, supported_nips: [1, 11, 42, 11] } : document);
  await putRelayMetadata(
    store,
    documents.map((data, i) => ({
      relayId: relays[i]?.id ?? 0,
      type: "nip11",
      data,
      generatedAt: AT - 100,
    })),
  );
}

async function addCoverage(store: Store, relays: Archive["relays"]): Promise<void> {
  for (const { id } of relays.slice(0, 2)) {
    await replaceCoverage(store, id, "{}", [
      { since: 1_000, until: 1_999, state: "closed", proof: "eose_empty", at: AT },
      { since: 2_000, until: 2_000, state: "gap", reason: "dense_second", missing: 7, at: AT },
      { since: 2_001, until: 2_500, state: "open", reason: "idle", at: AT },
    ]);
  }
  await replaceCoverage(store, relays[0]?.id ?? 0, '{"kinds":[1]}', [
    { since: 0, until: 5_000, state: "closed", proof: "reconciled", at: AT },
  ]);
}
