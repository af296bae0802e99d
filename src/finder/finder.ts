// The finder: archived events and lists on the web -> candidate. In: events in the order of their
// archiving, each read once, and JSON lists with a cooldown. Out: candidates, which the validator
// takes up. Never opens a connection to a relay and never judges one.
import { createHash } from "node:crypto";
import { LRUCache } from "lru-cache";
import { z } from "zod";
import type { FinderConfig } from "../config/finder.ts";
import { type Clock, systemClock, unixSeconds } from "../lib/clock.ts";
import type { Count, CycleContext, CycleTask } from "../lib/cycle.ts";
import { logger } from "../lib/log.ts";
import { backoffMs } from "../lib/retry.ts";
import type { Result } from "../lib/result.ts";
import { parseRelayUrl, type RelayUrl, type RelayUrlProblem } from "../model/relay_url.ts";
import type { Dialer } from "../net/dialer.ts";
import { insertCandidates } from "../store/candidates.ts";
import type { Store } from "../store/connect.ts";
import { scanEvents, settledEventSeq } from "../store/events.ts";
import { getState, putState } from "../store/service_state.ts";
import { extractRelayUrls, type ParseUrl } from "./extract.ts";
import { fetchRelayList, type RelayList } from "./json_list.ts";

/** What the finder works with. */
export interface FinderDeps {
  store: Store;
  dialer: Dialer;
  config: FinderConfig;
  clock?: Clock | undefined;
  random?: (() => number) | undefined;
}

type ListConfig = FinderConfig["lists"][number];

const SERVICE = "finder";
/** Key of the checkpoint; all events up to its `seq` have been read. */
const CHECKPOINT = "events";
const CHECKPOINT_SCHEMA = z.object({ seq: z.number().int().nonnegative() });

/** What is remembered of a list. */
const LIST_SCHEMA = z.object({
  /** Not before; Unix seconds. */
  nextFetchAt: z.number(),
  failures: z.number().int(),
  /** For people who look into the table. */
  url: z.string(),
  lastReason: z.string().optional(),
});

/** The first wait after a list that failed; doubled each time, up to the list's cooldown. */
const LIST_RETRY_MS = 5 * 60_000;
const INSERT_BATCH = 1_000;
const MAX_CONTENT_CHARS = 1_000_000;
/** Relay hints repeat by the million; parsing costs 20 times the look-up. */
const CACHED_URLS = 50_000;
const MAX_CACHED_CHARS = 200;

const log = logger("finder");

/** The stage. A cycle reads what is new, and fetches the lists whose cooldown has passed. */
export function createFinder(deps: FinderDeps): CycleTask {
  const parse = cachedParser();
  return {
    name: "finder",
    cycle: async (context) => {
      // Lists first: an archive of millions takes long to read, and a first start has no events.
      for (const list of deps.config.lists) {
        context.signal.throwIfAborted();
        if (list.enabled) await readList(deps, list, context);
      }
      if (deps.config.events.enabled) await readEvents(deps, parse, context);
    },
  };
}

async function readEvents(
  deps: FinderDeps,
  parse: ParseUrl,
  { signal, count }: CycleContext,
): Promise<void> {
  const { store, config: { events: config }, clock = systemClock } = deps;
  const checkpoint = await getState(store, SERVICE, CHECKPOINT, CHECKPOINT_SCHEMA, { signal });
  // Writers commit out of order; beyond this number a lower one may still appear.
  const settled = await settledEventSeq(store, { signal });
  let seq = checkpoint?.seq ?? 0;
  let left = config.maxEvents;
  while (seq < settled && left > 0) {
    const limit = Math.min(config.batchSize, left);
    const page = await scanEvents(store, { afterSeq: seq, limit, signal });
    const events = page.filter((event) => event.seq <= settled);
    const urls = new Set<RelayUrl>();
    for (const event of events) {
      const found = extractRelayUrls(
        event,
        { ...config, maxContentChars: MAX_CONTENT_CHARS },
        parse,
      );
      for (const url of found.urls) urls.add(url);
      countBad(found.bad, count);
    }
    await insert(deps, [...urls], "event", { signal, count });
    // After the insert: a crash between the two reads a page twice, and loses nothing.
    // Beyond the last one, numbers may be burned: the end is where no event comes.
    seq = Math.min(page.at(-1)?.seq ?? settled, settled);
    await putState(store, SERVICE, CHECKPOINT, { seq }, { at: unixSeconds(clock), signal });
    count("events_read", events.length);
    left -= events.length;
  }
}

async function readList(
  deps: FinderDeps,
  list: ListConfig,
  { signal, count }: CycleContext,
): Promise<void> {
  const { store, dialer, clock = systemClock, random = Math.random } = deps;
  const key = listKey(list);
  const before = await getState(store, SERVICE, key, LIST_SCHEMA, { signal });
  const now = unixSeconds(clock);
  if (before !== undefined && now < before.nextFetchAt) {
    count("lists_cooling");
    return;
  }
  const { maxBytes, timeoutMs, maxUrls: maxResults } = list;
  const fetched = await fetchRelayList(list, { maxBytes, timeoutMs, maxResults }, {
    dialer,
    signal,
  });
  signal.throwIfAborted();
  if (fetched.ok) {
    await takeList(deps, list, fetched.value, { signal, count });
    const nextFetchAt = now + Math.ceil(list.cooldownMs / 1000);
    await putState(store, SERVICE, key, { nextFetchAt, failures: 0, url: list.url }, {
      at: now,
      signal,
    });
    return;
  }
  const { reason, detail, retryAfterMs: askedMs = 0 } = fetched.failure;
  const failures = (before?.failures ?? 0) + 1;
  const waitMs = backoffMs(failures - 1, {
    baseMs: Math.min(LIST_RETRY_MS, list.cooldownMs),
    maxMs: list.cooldownMs,
    random,
  });
  count(`lists_failed_${reason}`);
  log.warn("The list {url} failed: {reason} {detail}", { url: list.url, reason, detail });
  const nextFetchAt = now + Math.ceil(Math.max(waitMs, askedMs) / 1000);
  const state = { nextFetchAt, failures, lastReason: reason, url: list.url };
  await putState(store, SERVICE, key, state, { at: now, signal });
}

/** By both, so that a corrected expression does not wait out the old one's cooldown. */
function listKey({ url, expression }: ListConfig): string {
  // Hashed, because a key is indexed and must stay short.
  return `list ${createHash("sha256").update(`${url} ${expression}`).digest("hex").slice(0, 32)}`;
}

async function takeList(
  deps: FinderDeps,
  { url, maxUrls }: ListConfig,
  list: RelayList,
  context: CycleContext,
): Promise<void> {
  context.count("lists_read");
  context.count("list_urls_read", list.urls.length);
  countBad(list.bad, context.count);
  if (list.cut) log.warn("The list {url} was cut at {maxUrls} results", { url, maxUrls });
  await insert(deps, list.urls, `list ${url}`, context);
}

async function insert(
  { store, clock = systemClock }: FinderDeps,
  urls: readonly RelayUrl[],
  source: string,
  { signal, count }: CycleContext,
): Promise<void> {
  for (let at = 0; at < urls.length; at += INSERT_BATCH) {
    const batch = urls.slice(at, at + INSERT_BATCH).map((url) => ({ url, source }));
    const inserted = await insertCandidates(store, batch, { at: unixSeconds(clock), signal });
    if (inserted > 0) count("candidates_inserted", inserted);
  }
}

function countBad(bad: ReadonlyMap<RelayUrlProblem, number>, count: Count): void {
  for (const [problem, n] of bad) count(`urls_bad_${problem}`, n);
}

function cachedParser(): ParseUrl {
  const cache = new LRUCache<string, Result<RelayUrl, RelayUrlProblem>>({ max: CACHED_URLS });
  return (text) => {
    if (text.length > MAX_CACHED_CHARS) return parseRelayUrl(text);
    const known = cache.get(text);
    if (known !== undefined) return known;
    const parsed = parseRelayUrl(text);
    cache.set(text, parsed);
    return parsed;
  };
}
