/**
 * `bigbrotr export`: the archive's events as JSON Lines, newest first. In: a filter. Out: one event
 * a line, exactly its seven fields, to standard output or to files, there with a manifest and, where
 * wanted, the sightings. Reads page after page by key, in constant memory, no faster than the reader
 * takes it. Never: changes anything.
 */
import { openStoreToRead } from "../configured_store.ts";
import { parseBytes } from "../lib/bytes.ts";
import { systemClock, unixSeconds } from "../lib/clock.ts";
import { configureLogging } from "../lib/log.ts";
import { NAME, VERSION } from "../lib/version.ts";
import type { NostrEvent } from "../model/event.ts";
import type { Filter } from "../model/filter.ts";
import type { Store } from "../store/connect.ts";
import { sightingsOfEvents } from "../store/event_relays.ts";
import { type EventCursor, isWhole, readEvents, type StoredEvent } from "../store/events.ts";
import { schemaVersion } from "../store/migrate.ts";
import { archiveName, PartWriter } from "./archive_files.ts";
import { manifestPath, writeManifest } from "./archive_manifest.ts";
import { type CommandCall, type CommandSpec, EXIT, UsageError } from "./command.ts";
import { filterOption } from "./event_options.ts";
import type { Io } from "./io.ts";
import { elapsedText, grouped, Progress, rateText } from "./progress.ts";

export const exportCommand: CommandSpec = {
  name: "export",
  summary: "write events of the archive as JSON Lines",
  description: "Writes one event per line, newest first, each with exactly its seven fields, as " +
    "`import` reads them. A file whose name ends in .gz or .zst is packed; it appears under its " +
    "name only when it is complete, and beside it a manifest with counts and SHA-256 sums, which " +
    "`import` checks.",
  examples: [
    "export > events.jsonl",
    `export --filter '{"kinds":[0,3],"since":1700000000}' --out lists.jsonl.gz`,
    "export --out archive.jsonl.zst --with-sightings --split 1GiB",
  ],
  define(command): void {
    command
      .option("--filter <json>", "only events that match this NIP-01 filter; limit counts, too")
      .option("--out <file>", "write to a file, with a manifest, instead of standard output")
      .option("--with-sightings", "also write which relay was seen to hold them, and since when")
      .option("--split <size>", "begin a new file after so much before packing, such as 1GiB");
  },
  run,
};

/** Events read in one query. */
const PAGE_EVENTS = 500;
const MIN_PART_BYTES = 1024;

async function run(call: CommandCall): Promise<number> {
  const { io, options, signal } = call;
  const filter = filterOption(options.text("filter")) ?? {};
  const out = options.text("out");
  const partBytes = splitOption(options.text("split"));
  const withSightings = options.flag("withSightings");
  if (out === undefined && (withSightings || partBytes < Infinity)) {
    throw new UsageError("--with-sightings and --split need --out, for they make several files");
  }
  const config = await call.config();
  await using _logging = await configureLogging({ ...config.log, write: io.stderr });
  await using store = await openStoreToRead(config, { signal, isForReader: true });
  const clock = systemClock;
  const startedMs = clock.monotonicMs();
  let written = 0;
  {
    using progress = new Progress(out === undefined && io.stdoutIsTerminal ? quiet(io) : io);
    const pages = counted(eventPages(store, filter, signal), (events) => {
      written += events;
      progress.show(() =>
        `${grouped(written)} events, ${rateText(written, clock.monotonicMs() - startedMs)}`
      );
    });
    if (out === undefined) {
      for await (const events of pages) await io.writeBytes(jsonLines(events));
    } else {
      const at = unixSeconds(clock);
      await writeFiles(store, pages, { out, partBytes, withSightings, filter, at, signal });
    }
  }
  const elapsedMs = clock.monotonicMs() - startedMs;
  const summary = `${grouped(written)} events written in ${elapsedText(elapsedMs)}`;
  if (out !== undefined) io.stdout(`${summary} to ${out}; ${manifestPath(out)} goes with it`);
  else if (io.stderrIsTerminal) io.stderr(summary);
  return EXIT.ok;
}

function splitOption(text: string | undefined): number {
  if (text === undefined) return Infinity;
  const bytes = parseBytes(text);
  if (bytes !== undefined && bytes >= MIN_PART_BYTES) return bytes;
  throw new UsageError(`--split takes a size of at least 1KiB, such as 1GiB; it was given ${text}`);
}

async function writeFiles(
  store: Store,
  pages: AsyncIterable<readonly StoredEvent[]>,
  o: {
    out: string;
    partBytes: number;
    withSightings: boolean;
    filter: Filter;
    at: number;
    signal: AbortSignal;
  },
): Promise<void> {
  const { out, partBytes, signal } = o;
  const name = archiveName(out);
  await using events = new PartWriter(name, partBytes);
  await using sightings = new PartWriter({ ...name, stem: `${name.stem}.sightings` }, partBytes);
  let newest: number | undefined;
  let oldest: number | undefined;
  for await (const page of pages) {
    newest ??= page[0]?.created_at;
    oldest = page.at(-1)?.created_at;
    await events.write(jsonLines(page), page.length);
    if (!o.withSightings) continue;
    const seen = await sightingsOfEvents(store, page.map(({ seq }) => seq), { signal });
    const lines = page.flatMap(({ seq, id }) =>
      (seen.get(seq) ?? []).map(
        ({ relayUrl, seenAt }) => `${JSON.stringify({ id, relay: relayUrl, seen_at: seenAt })}\n`,
      )
    );
    if (lines.length > 0) await sightings.write(encoder.encode(lines.join("")), lines.length);
  }
  await writeManifest(out, {
    program: `${NAME} ${VERSION}`,
    schema: await schemaVersion(store),
    createdAt: o.at,
    filter: o.filter,
    oldest,
    newest,
    // The manifest last: with it, everything is there.
    events: await events.finish(),
    sightings: o.withSightings ? await sightings.finish() : undefined,
  });
}

async function* eventPages(
  store: Store,
  filter: Filter,
  signal: AbortSignal,
): AsyncGenerator<readonly StoredEvent[], void, undefined> {
  const { limit = Infinity, ...conditions } = filter;
  let left = limit;
  let after: EventCursor | undefined;
  while (left > 0) {
    signal.throwIfAborted();
    const page = await readEvents(store, {
      filter: conditions,
      limit: Math.min(PAGE_EVENTS, left),
      signal,
      ...(after === undefined ? {} : { after }),
    });
    if (!page.events.every(isWhole)) {
      throw new Error(
        "Cannot export events as this archive is light: it keeps neither contents nor signatures " +
          "(store.profile); `query events` gives what it has",
      );
    }
    if (page.events.length > 0) yield page.events;
    left -= page.events.length;
    if (page.next === undefined) return;
    after = page.next;
  }
}

const encoder = new TextEncoder();

async function* counted(
  pages: AsyncIterable<readonly StoredEvent[]>,
  onPage: (events: number) => void,
): AsyncGenerator<readonly StoredEvent[], void, undefined> {
  for await (const events of pages) {
    yield events;
    onPage(events.length);
  }
}

function jsonLines(events: readonly NostrEvent[]): Uint8Array {
  return encoder.encode(events.map(jsonLine).join(""));
}

/** The seven fields of NIP-01, in its order. */
function jsonLine({ id, pubkey, created_at, kind, tags, content, sig }: NostrEvent): string {
  return `${JSON.stringify({ id, pubkey, created_at, kind, tags, content, sig })}\n`;
}

/** Where the events themselves scroll over the terminal, progress would only disturb. */
function quiet(io: Io): Io {
  return { ...io, stderrIsTerminal: false };
}
