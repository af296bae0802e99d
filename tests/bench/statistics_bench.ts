// What it costs to keep the statistics in step: a refresh after 10,000 new events, each on four
// relays, in a store with few events and in one with many, in turn and with the same events; beside
// a recount of everything. The stores are filled in SQL: rows as the statistics read them (no tags),
// by authors and on relays of which few have much, over two years and denser towards the end.
//   deno task bench statistics [--store pglite|postgres] [--small 100000] [--large 5000000]
import { createHash, randomBytes } from "node:crypto";
import type { NostrEvent } from "../../src/model/event.ts";
import { parseRelayUrl, type RelayUrl } from "../../src/model/relay_url.ts";
import type { Store } from "../../src/store/connect.ts";
import { writeBatch } from "../../src/store/events.ts";
import { maintain } from "../../src/store/maintain.ts";
import { insertRelays, relaysByUrl } from "../../src/store/relays.ts";
import { rebuildStatistics, refreshStatistics } from "../../src/store/statistics.ts";
import { seededRandom } from "../support/events.ts";
import {
  type BenchArgs,
  type BenchResult,
  median,
  numberFlag,
  roundFigure,
  spread,
} from "./bench.ts";
import { benchServer, openBenchStore } from "./bench_store.ts";

/** A rebuild sorts all events. */
const SETTINGS = { max_wal_size: "4GB", maintenance_work_mem: "256MB", work_mem: "64MB" };
const NEW_EVENTS = 10_000;
const ROUNDS = 7;
/** As the refresher takes them. */
const BATCH_SIZE = 20_000;
const INTERVAL_SECONDS = 60;
const SIGHTINGS = 4;
const RELAYS = 500;
const AUTHORS = 200_000;
/** Rows of one statement of the filling. */
const FILL_STEP = 250_000;
const NOW = 1_780_000_000;
const TWO_YEARS = 63_072_000;
/** Kinds by how many of a hundred events have them; the rest are of a rare kind of the author's. */
const KINDS = [[1, 30], [7, 30], [6, 6], [9735, 5], [0, 4], [10002, 4], [3, 3], [4, 3], [1059, 3]];
const STAT_TABLES = [
  "stat_pubkey",
  "stat_pubkey_kind",
  "stat_pubkey_relay",
  "stat_kind_relay",
  "stat_kind",
  "stat_relay",
  "stat_pubkey_day",
  "stat_day",
];

/** One store and what its refreshes took. */
interface Side {
  store: Store;
  relayIds: number[];
  events: number;
  rebuildMs: number;
  refreshMs: number[];
}

/** Runs the benchmark in stores of its own, which are removed after. */
export async function run(args: BenchArgs): Promise<BenchResult> {
  const kind = args.store ?? "postgres";
  const small = numberFlag(args, "small", 100_000);
  const large = numberFlag(args, "large", kind === "postgres" ? 5_000_000 : 300_000);
  await using stack = new AsyncDisposableStack();
  const server = kind === "postgres" ? await benchServer(stack, SETTINGS) : undefined;
  const sides: [Side, Side] = [
    await openSide(args, stack, server, small),
    await openSide(args, stack, server, large),
  ];
  const random = seededRandom(5);
  for (let round = 0; round < ROUNDS; round++) {
    args.signal.throwIfAborted();
    const at = NOW + (round + 1) * INTERVAL_SECONDS;
    const events = Array.from({ length: NEW_EVENTS }, () => newEvent(random, at));
    const seen = events.map((event) => relaysOf(event, random));
    for (const side of sides) {
      await write(side, events, seen);
      const started = performance.now();
      while ((await refreshStatistics(side.store, { maxRows: BATCH_SIZE, at })).behind > 0);
      side.refreshMs.push(performance.now() - started);
    }
    args.progress(
      sides.map((side) => `${side.events}: ${side.refreshMs.at(-1)?.toFixed(0)} ms`).join(),
    );
  }
  const [few, many] = sides;
  const [smallMs, largeMs] = [median(few.refreshMs), median(many.refreshMs)];
  return {
    bench: "statistics",
    store: kind,
    verifier: null,
    figures: {
      events_small: small,
      events_large: large,
      refresh_ms_small: roundFigure(smallMs),
      refresh_ms_large: roundFigure(largeMs),
      rebuild_ms_small: roundFigure(few.rebuildMs),
      rebuild_ms_large: roundFigure(many.rebuildMs),
      statistics_bytes_per_event: roundFigure(await statBytes(many.store) / large),
      rss_mb: roundFigure(Deno.memoryUsage().rss / 1e6),
    },
    ratios: {
      large_vs_small: roundFigure(largeMs / smallMs),
      rebuild_vs_refresh: roundFigure(many.rebuildMs / largeMs),
    },
    notes: [
      `medians of ${ROUNDS} refreshes after ${NEW_EVENTS} events on ${SIGHTINGS} relays each`,
      `spread ${spread(few.refreshMs)} with few events, ${spread(many.refreshMs)} with many`,
      "rebuild: everything recounted; the predecessor's 13 views took 13,400 ms at 500,000 events",
    ],
  };
}

async function openSide(
  args: BenchArgs,
  stack: AsyncDisposableStack,
  server: string | undefined,
  events: number,
): Promise<Side> {
  const { store } = await openBenchStore(stack, server === undefined ? "pglite" : "postgres", {
    server,
  });
  const urls = Array.from({ length: RELAYS }, (_, i): RelayUrl => {
    const url = parseRelayUrl(`wss://relay${i}.example.com/`);
    if (!url.ok) throw new Error(url.failure);
    return url.value;
  });
  await insertRelays(store, urls, { at: NOW });
  const relayIds = [...(await relaysByUrl(store, urls)).values()].sort((a, b) => a - b);
  const startedMs = performance.now();
  await fill(args, store, events);
  args.progress(`${events} events stored after ${(performance.now() - startedMs) | 0} ms`);
  await analyze(store);
  const rebuildMs = await timed(() => rebuildStatistics(store, { at: NOW }));
  args.progress(`counted from nothing in ${rebuildMs | 0} ms`);
  await analyze(store);
  return { store, relayIds, events, rebuildMs, refreshMs: [] };
}

/** What autovacuum does meanwhile on a server that runs for long. */
async function analyze(store: Store): Promise<void> {
  await store.command("vacuum", "vacuum analyze");
  await maintain(store);
  await store.command("checkpoint", "checkpoint");
}

/** Indexes that cost most are made after the rows, as a restored dump does. */
async function fill(args: BenchArgs, store: Store, events: number): Promise<void> {
  const indexes = ["event_created", "event_kind", "event_pubkey", "event_tag"];
  const definitions = await work(store, async (sql) => {
    const rows = await sql<{ text: string }[]>`
      select replace(pg_get_indexdef(c.oid), ' ON ONLY ', ' ON ') as text from pg_class c
      where c.relname = any (${`{${indexes}}`}::text[])`;
    await sql.unsafe(`drop index ${indexes.join(", ")}`);
    return rows.map(({ text }) => text);
  });
  const kinds = KINDS.flatMap(([kind, share]) => Array.from({ length: share ?? 0 }, () => kind));
  for (let done = 0; done < events; done += FILL_STEP) {
    args.signal.throwIfAborted();
    const count = Math.min(FILL_STEP, events - done);
    await work(store, async (sql) => {
      await sql`insert into event (created_at, kind, id, pubkey, sig, tags, content)
        select ${NOW}::bigint - (${TWO_YEARS}::bigint * random() ^ 1.5)::bigint,
          coalesce((${`{${kinds}}`}::int[])[1 + floor(random() * 100)::int],
            30000 + get_byte(a.pubkey, 8) % 40),
          sha256(int8send(n)), a.pubkey,
          sha256(int8send(n)) || sha256(int8send(-n)), '[]', repeat('x', (500 * random() ^ 2)::int)
        from generate_series(${done + 1}::bigint, ${done + count}::bigint) as n
        cross join lateral (
          -- n + 0 makes it another author for each row.
          select sha256(convert_to('author' || floor(
            ${AUTHORS}::int * random() ^ 3 + 0 * n)::int, 'UTF8')) as pubkey
        ) a`;
      await sql`insert into event_relay (event_seq, relay_id, seen_at)
        select e.seq, 1 + g + ${SIGHTINGS}::int * floor(${RELAYS / SIGHTINGS}::int * (
            get_byte(e.pubkey, 2 * g + (random() < 0.5)::int) / 256.0) ^ 2)::int, 0
        from event e, generate_series(0, ${SIGHTINGS - 1}::int) as g
        where e.seq > ${done}::bigint order by e.seq`;
    });
  }
  for (const text of definitions) await work(store, (sql) => sql.unsafe(text));
}

function work<T>(store: Store, fn: Parameters<typeof store.run<T>>[1]): Promise<T> {
  return store.run("fill", fn, { statementTimeoutMs: 0 });
}

function newEvent(random: () => number, at: number): NostrEvent {
  const share = Math.floor(random() * 100);
  let below = 0;
  const pubkey = createHash("sha256").update(`author${Math.floor(AUTHORS * random() ** 3)}`)
    .digest("hex");
  const [kind = 30_000 + byteOf(pubkey, 8) % 40] =
    KINDS.find(([, of = 0]) => share < (below += of)) ?? [];
  const bytes = randomBytes(96).toString("hex");
  return {
    id: bytes.slice(0, 64),
    pubkey,
    created_at: at - Math.floor(600 * random()),
    kind,
    tags: [],
    content: "x".repeat(500 * random() ** 2),
    sig: bytes.slice(64),
  };
}

/** As in the filling: events are on four of the author's eight relays, and few relays have much. */
function relaysOf({ pubkey }: NostrEvent, random: () => number): number[] {
  return Array.from({ length: SIGHTINGS }, (_, i) => {
    const share = byteOf(pubkey, 2 * i + (random() < 0.5 ? 1 : 0)) / 256;
    return i + SIGHTINGS * Math.floor(RELAYS / SIGHTINGS * share ** 2);
  });
}

function byteOf(hex: string, place: number): number {
  return parseInt(hex.slice(2 * place, 2 * place + 2), 16);
}

async function write(side: Side, events: NostrEvent[], seen: readonly number[][]): Promise<void> {
  for (let from = 0; from < events.length; from += 1000) {
    const part = events.slice(from, from + 1000);
    const sightings = part.flatMap((event, i) =>
      (seen[from + i] ?? []).map((place) => ({
        eventId: event.id,
        relayId: side.relayIds[place] ?? 0,
        seenAt: NOW,
      }))
    );
    const done = await writeBatch(side.store, { events: part, sightings });
    if (done.newSightings !== sightings.length) {
      throw new Error(`Not every row was taken: ${JSON.stringify(done.rejected[0])}`);
    }
  }
}

async function timed(fn: () => Promise<unknown>): Promise<number> {
  const started = performance.now();
  await fn();
  return performance.now() - started;
}

function statBytes(store: Store): Promise<number> {
  return store.run("bytes", async (sql) => {
    const [row] = await sql<{ bytes: number }[]>`
      select sum(pg_total_relation_size(name::regclass))::bigint as bytes
      from unnest(${`{${STAT_TABLES}}`}::text[]) as name`;
    return row?.bytes ?? 0;
  });
}
