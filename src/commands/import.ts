/**
 * `bigbrotr import <file|->`: events of a file into the archive, as if a relay had sent them. In:
 * JSON Lines, one event each, packed if the name says so; or the manifest of an export, whose files
 * are compared with it before the first row. Out: rows, and a summary. A line that gives no event is
 * counted by its reason and never the end of the run. Never: takes an event whose id or signature is
 * wrong.
 */
import { Context } from "../context.ts";
import { addDrops, DROP_REASONS, type DropCounts, totalDrops } from "../ingest/drop.ts";
import type { PageResult } from "../ingest/ingest.ts";
import { unixSeconds } from "../lib/clock.ts";
import { configureLogging } from "../lib/log.ts";
import { mapConcurrent } from "../lib/pool.ts";
import { ensureRelay } from "../store/relays.ts";
import { archiveName, openPacked } from "./archive_files.ts";
import { MANIFEST_ENDING, type ManifestFile, readManifest } from "./archive_manifest.ts";
import { type CommandCall, type CommandSpec, EXIT, UsageError } from "./command.ts";
import { relayUrls } from "./event_options.ts";
import { importSightings, type SightingCounts } from "./import_sightings.ts";
import type { Io } from "./io.ts";
import { type JsonLine, jsonLines, LINE_PROBLEMS, type LineProblem } from "./json_lines.ts";
import { elapsedText, grouped, Progress, rateText } from "./progress.ts";

export const importCommand: CommandSpec = {
  name: "import",
  summary: "put events of a JSON Lines file into the archive",
  description:
    "Reads one event per line, checks ids and signatures, and archives what is new. Bad " +
    "lines are counted by reason and passed over. A file whose name ends in .gz or .zst is " +
    "unpacked on the way; - is standard input. Of a manifest (.manifest.json) all files are read, " +
    "sightings too, after each was found to be what was written.",
  examples: [
    "import events.jsonl",
    "import archive.jsonl.gz --relay wss://relay.damus.io",
    "import - --json",
    "import archive.manifest.json",
  ],
  json: true,
  define(command): void {
    command
      .argument("<file>", "the file, a manifest, or - for standard input")
      .option("--relay <url>", "note that the events were seen on this relay");
  },
  run,
};

/** Events in one page of ingest; a few pages are on their way at a time. */
const PAGE_EVENTS = 500;
const PAGE_BYTES = 4 * 1024 * 1024;
const PAGES_AT_ONCE = 3;

interface Summary {
  lines: number;
  newEvents: number;
  newSightings: number;
  repeated: number;
  dropped: DropCounts;
  badLines: Partial<Record<LineProblem, number>>;
  /** Of a manifest that has some. */
  sightings?: SightingCounts;
  elapsedMs: number;
}

async function run(call: CommandCall): Promise<number> {
  const { io, args: [file], options, signal } = call;
  if (file === undefined) throw new UsageError("import takes a file, or - for standard input");
  const relayText = options.text("relay");
  const [relay] = relayText === undefined ? [] : relayUrls([relayText]);
  const config = await call.config();
  await using _logging = await configureLogging({ ...config.log, write: io.stderr });
  await using context = new Context(config, { signal });
  const { clock } = context;
  // A name that is mistyped, or a file that was changed, should not cost the opening of a database.
  if (file !== "-") await Deno.stat(file);
  const sources = await sourcesOf(file, io, signal);
  const store = await context.store();
  const relayId = relay === undefined
    ? undefined
    : await ensureRelay(store, relay, { at: unixSeconds(clock), signal });
  const ingest = await context.ingest();

  const startedMs = clock.monotonicMs();
  const summary: Summary = {
    lines: 0,
    newEvents: 0,
    newSightings: 0,
    repeated: 0,
    dropped: {},
    badLines: {},
    elapsedMs: 0,
  };
  {
    using progress = new Progress(io, clock);
    const show = (): void => {
      summary.elapsedMs = clock.monotonicMs() - startedMs;
      progress.show(() => progressText(summary));
    };
    for (const open of sources.events) {
      const lines = jsonLines(open(), { maxLineBytes: config.limits.maxFrameBytes });
      const results = mapConcurrent(
        pagesOf(lines, summary),
        PAGES_AT_ONCE,
        (events, inner) =>
          ingest.page({ relayId, events, seenAt: unixSeconds(clock) }, { signal: inner }),
        { signal },
      );
      for await (const result of results) {
        add(summary, result);
        show();
      }
    }
    for (const open of sources.sightings) {
      summary.sightings ??= { lines: 0, newSightings: 0, unknownEvents: 0, bad: 0 };
      await importSightings(store, open(), summary.sightings, { signal, onPage: show });
    }
  }
  summary.elapsedMs = Math.round(clock.monotonicMs() - startedMs);
  if (options.flag("json")) io.stdout(JSON.stringify(summary));
  else for (const line of summaryLines(summary)) io.stdout(line);
  return EXIT.ok;
}

/** What there is to read, in its order; opened when its turn comes. */
interface Sources {
  events: (() => ReadableStream<Uint8Array>)[];
  sightings: (() => ReadableStream<Uint8Array>)[];
}

async function sourcesOf(file: string, io: Io, signal: AbortSignal): Promise<Sources> {
  if (file === "-") return { events: [() => io.stdin], sightings: [] };
  if (!file.endsWith(MANIFEST_ENDING)) return { events: [() => openPacked(file)], sightings: [] };
  const { files } = await readManifest(file, signal);
  const { folder } = archiveName(file);
  const ofKind = (wanted: ManifestFile["kind"]): Sources["events"] =>
    files.filter(({ kind }) => kind === wanted).map(({ name }) => () =>
      openPacked(`${folder}${name}`)
    );
  return { events: ofKind("events"), sightings: ofKind("sightings") };
}

/** Values in pages of bounded size; bad lines are counted on the way. */
async function* pagesOf(
  lines: AsyncIterable<JsonLine>,
  summary: Summary,
): AsyncGenerator<unknown[], void, undefined> {
  let page: unknown[] = [];
  let bytes = 0;
  for await (const line of lines) {
    summary.lines++;
    if (!line.ok) {
      summary.badLines[line.problem] = (summary.badLines[line.problem] ?? 0) + 1;
      continue;
    }
    page.push(line.value);
    bytes += line.bytes;
    if (page.length < PAGE_EVENTS && bytes < PAGE_BYTES) continue;
    yield page;
    page = [];
    bytes = 0;
  }
  if (page.length > 0) yield page;
}

function add(summary: Summary, result: PageResult): void {
  summary.newEvents += result.newEvents;
  summary.newSightings += result.newSightings;
  summary.repeated += result.repeated;
  addDrops(summary.dropped, result.dropped);
}

function progressText({ lines, newEvents, dropped, badLines, elapsedMs }: Summary): string {
  const bad = totalDrops(dropped) + Object.values(badLines).reduce((a, b) => a + b, 0);
  return `${grouped(lines)} lines, ${grouped(newEvents)} new events, ${grouped(bad)} bad, ` +
    rateText(lines, elapsedMs);
}

function summaryLines(summary: Summary): string[] {
  const { lines, newEvents, newSightings, repeated, dropped, badLines, elapsedMs } = summary;
  const seen = newSightings > 0 ? `, ${grouped(newSightings)} new sightings` : "";
  const out = [
    `${grouped(lines)} lines in ${elapsedText(elapsedMs)} (${rateText(lines, elapsedMs)}): ` +
    `${grouped(newEvents)} new events, ${grouped(repeated)} known${seen}`,
  ];
  const reasons = [
    ...LINE_PROBLEMS.map((reason) => [reason, badLines[reason]] as const),
    ...DROP_REASONS.map((reason) => [reason, dropped[reason]] as const),
  ];
  for (const [reason, n] of reasons) {
    if (n !== undefined && n > 0) out.push(`  ${grouped(n)} passed over: ${spoken(reason)}`);
  }
  if (summary.sightings !== undefined) {
    const { lines, newSightings, unknownEvents, bad } = summary.sightings;
    out.push(`${grouped(lines)} sightings: ${grouped(newSightings)} new`);
    if (unknownEvents > 0) out.push(`  ${grouped(unknownEvents)} of events that are not archived`);
    if (bad > 0) out.push(`  ${grouped(bad)} passed over: no sighting`);
  }
  return out;
}

function spoken(reason: string): string {
  return reason.replaceAll("_", " ");
}
