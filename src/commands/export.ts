/**
 * `bigbrotr export`: the archive's events as JSON Lines, newest first. In: a filter. Out: one event
 * a line, exactly its seven fields, to standard output or a file. Reads page after page by key, in
 * constant memory, no faster than the reader takes it. Never: changes anything.
 */
import { Context } from "../context.ts";
import { configureLogging } from "../lib/log.ts";
import type { NostrEvent } from "../model/event.ts";
import type { Filter } from "../model/filter.ts";
import type { Store } from "../store/connect.ts";
import { type EventCursor, isWhole, readEvents } from "../store/events.ts";
import { type CommandCall, type CommandSpec, EXIT } from "./command.ts";
import { filterOption } from "./event_options.ts";
import type { Io } from "./io.ts";
import { elapsedText, grouped, Progress, rateText } from "./progress.ts";

export const exportCommand: CommandSpec = {
  name: "export",
  summary: "write events of the archive as JSON Lines",
  description: "Writes one event per line, newest first, each with exactly its seven fields, as " +
    "`import` reads them. A file whose name ends in .gz is packed; it appears under its name only " +
    "when it is complete.",
  examples: [
    "export > events.jsonl",
    `export --filter '{"kinds":[0,3],"since":1700000000}' --out lists.jsonl.gz`,
  ],
  define(command): void {
    command
      .option("--filter <json>", "only events that match this NIP-01 filter; limit counts, too")
      .option("--out <file>", "write to a file instead of standard output");
  },
  run,
};

/** Events read in one query. */
const PAGE_EVENTS = 500;

async function run(call: CommandCall): Promise<number> {
  const { io, options, signal } = call;
  const filter = filterOption(options.text("filter")) ?? {};
  const file = options.text("out");
  const config = await call.config();
  await using _logging = await configureLogging({ ...config.log, write: io.stderr });
  await using context = new Context(config, { signal });
  const store = await context.store();
  const { clock } = context;
  const startedMs = clock.monotonicMs();
  let written = 0;
  {
    using progress = new Progress(file === undefined && io.stdoutIsTerminal ? quiet(io) : io);
    const pages = eventPages(store, filter, signal);
    const lines = jsonLinePages(pages, (events) => {
      written += events;
      progress.show(() =>
        `${grouped(written)} events, ${rateText(written, clock.monotonicMs() - startedMs)}`
      );
    });
    if (file === undefined) { for await (const bytes of lines) await io.writeBytes(bytes); }
    else await writeFile(file, lines, signal);
  }
  const elapsedMs = clock.monotonicMs() - startedMs;
  const summary = `${grouped(written)} events written in ${elapsedText(elapsedMs)}`;
  if (file !== undefined) io.stdout(`${summary} to ${file}`);
  else if (io.stderrIsTerminal) io.stderr(summary);
  return EXIT.ok;
}

async function* eventPages(
  store: Store,
  filter: Filter,
  signal: AbortSignal,
): AsyncGenerator<readonly NostrEvent[], void, undefined> {
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

async function* jsonLinePages(
  pages: AsyncIterable<readonly NostrEvent[]>,
  onPage: (events: number) => void,
): AsyncGenerator<Uint8Array<ArrayBuffer>, void, undefined> {
  for await (const events of pages) {
    yield encoder.encode(events.map(jsonLine).join(""));
    onPage(events.length);
  }
}

/** The seven fields of NIP-01, in its order. */
function jsonLine({ id, pubkey, created_at, kind, tags, content, sig }: NostrEvent): string {
  return `${JSON.stringify({ id, pubkey, created_at, kind, tags, content, sig })}\n`;
}

async function writeFile(
  file: string,
  lines: AsyncIterable<Uint8Array<ArrayBuffer>>,
  signal: AbortSignal,
): Promise<void> {
  const partial = `${file}.partial`;
  try {
    const out = await Deno.open(partial, { write: true, create: true, truncate: true });
    const source = ReadableStream.from(lines);
    await (file.endsWith(".gz") ? source.pipeThrough(new CompressionStream("gzip")) : source)
      .pipeTo(out.writable, { signal });
    await Deno.rename(partial, file);
  } catch (error) {
    await removeIfThere(partial);
    throw error;
  }
}

async function removeIfThere(file: string): Promise<void> {
  try {
    await Deno.remove(file);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

/** Where the events themselves scroll over the terminal, progress would only disturb. */
function quiet(io: Io): Io {
  return { ...io, stderrIsTerminal: false };
}
