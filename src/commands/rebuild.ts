/**
 * `bigbrotr rebuild`: makes what is derived from the archive anew, from nothing: the statistics, and
 * the marks of events. In: the archive. Out: the same tables, as if all of it had just come in. Never:
 * touches an event or a sighting; until it is done, readers see what was there before.
 */
import { openConfiguredStore } from "../configured_store.ts";
import { systemClock } from "../lib/clock.ts";
import { configureLogging } from "../lib/log.ts";
import type { Store } from "../store/connect.ts";
import { rebuildEventMarks } from "../store/event_marks.ts";
import { readEventStats, rebuildStatistics } from "../store/statistics.ts";
import { type CommandCall, type CommandSpec, EXIT, UsageError } from "./command.ts";
import { elapsedText, grouped } from "./progress.ts";

/** What can be made anew; marks first, as in a cycle of the refresher. */
const PARTS = ["marks", "statistics"] as const;
type Part = typeof PARTS[number];

export const rebuildCommand: CommandSpec = {
  name: "rebuild",
  summary: "make statistics and marks anew from the archive",
  description:
    "Counts the statistics again from nothing, and reads again which events are deleted, expired or " +
    "replaced: after tables were changed by hand, or when a figure is in doubt. The refresher keeps " +
    "both in step by itself, so this is never needed for that. Each part is one transaction: half an " +
    "hour for 100 million events, and stopped it changes nothing. Meanwhile the archive goes on, and " +
    "refreshes pass their turns; an embedded database has to be free, so stop `run` first.",
  examples: ["rebuild", "rebuild statistics", "rebuild marks --json"],
  json: true,
  define(command): void {
    command.argument("[part...]", `what: ${PARTS.join(", ")} (default: both)`);
  },
  run,
};

async function run(call: CommandCall): Promise<number> {
  const { io, args, options, signal } = call;
  const wanted = wantedParts(args);
  const config = await call.config();
  await using _logging = await configureLogging({ ...config.log, write: io.stderr });
  await using store = await openConfiguredStore(config, { signal });
  const done: Record<string, Record<string, number>> = {};
  for (const part of wanted) {
    if (io.stderrIsTerminal) io.stderr(`Rebuilding ${part}…`);
    const startedMs = systemClock.monotonicMs();
    const counts = await rebuild(part, store, signal);
    const elapsedMs = Math.round(systemClock.monotonicMs() - startedMs);
    done[part] = { ...counts, elapsedMs };
    if (options.flag("json")) continue;
    const told = Object.entries(counts).map(([name, n]) => `${grouped(n)} ${name}`).join(", ");
    io.stdout(`${part} in ${elapsedText(elapsedMs)}${told === "" ? "" : `: ${told}`}`);
  }
  if (options.flag("json")) io.stdout(JSON.stringify(done));
  return EXIT.ok;
}

/** Makes one part anew; gives what it holds now, where that is counted. */
async function rebuild(
  part: Part,
  store: Store,
  signal: AbortSignal,
): Promise<Record<string, number>> {
  switch (part) {
    case "marks":
      await rebuildEventMarks(store, { signal });
      return {};
    case "statistics": {
      await rebuildStatistics(store, { signal });
      const { events, sightings, pubkeys, kinds, relays } = await readEventStats(store, { signal });
      return { events, sightings, pubkeys, kinds, relays };
    }
  }
}

function wantedParts(args: readonly string[]): readonly Part[] {
  const unknown = args.filter((name) => !PARTS.some((part) => part === name));
  if (unknown.length > 0) {
    throw new UsageError(`There is no ${unknown.join(", ")} to rebuild; only ${PARTS.join(", ")}`);
  }
  return args.length === 0 ? PARTS : PARTS.filter((part) => args.includes(part));
}
