/**
 * `bigbrotr sync <relay-url>…`: archives relays now, as far as they give, and tells what is complete
 * and what is not. In: relay URLs, a filter, a window. Out: events, sightings and coverage in the
 * database, a report per relay. Goes on where an earlier sync (or the synchronizer) has stopped.
 * Never: asks again for what is proven.
 */
import { Context, localDialer } from "../context.ts";
import { type Clock, systemClock } from "../lib/clock.ts";
import { configureLogging } from "../lib/log.ts";
import { mapConcurrent } from "../lib/pool.ts";
import type { Filter } from "../model/filter.ts";
import { networkOf, type RelayUrl } from "../model/relay_url.ts";
import { HostSlots } from "../net/host_slots.ts";
import { relaySettings } from "../synchronizer/settings.ts";
import { type SyncProgress, syncRelay, type SyncReport } from "../synchronizer/sync_relay.ts";
import { type CommandCall, type CommandSpec, EXIT, UsageError } from "./command.ts";
import { filterOption, momentOption, relayUrls } from "./event_options.ts";
import { Progress } from "./progress.ts";
import { styleFor } from "./style.ts";
import { syncProgressText, syncReportJson, syncReportLines } from "./sync_report.ts";
import { momentText } from "./table.ts";

/** Relays archived together; those of one host wait for each other. */
const AT_ONCE = 4;

export const syncCommand: CommandSpec = {
  name: "sync",
  summary: "archive relays now and tell what is complete",
  description:
    "Fetches what the archive lacks of each relay, newest first, and reports which time " +
    "spans are complete, by which proof, and why others are not. It can be stopped at any time and " +
    "goes on from there. Exit code 1 when a span stays open.\n\n" +
    "A URL that names a local address is dialled because you named it.",
  examples: [
    "sync wss://relay.damus.io --since 7d",
    `sync nos.lol relay.primal.net --filter '{"kinds":[0,3,10002]}'`,
    "sync wss://relay.damus.io --since 2024-01-01 --until 2024-02-01 --json",
  ],
  json: true,
  define(command): void {
    command
      .argument("<relay-url...>", "relays, in any spelling that has a normal form")
      .option("--filter <json>", "only events that match this NIP-01 filter")
      .option("--since <time>", "nothing older: Unix seconds, a date, or a time ago such as 7d")
      .option("--until <time>", "nothing newer; default: the present");
  },
  run,
};

async function run(call: CommandCall): Promise<number> {
  const { io, options, signal } = call;
  const urls = relayUrls(call.args);
  const wanted = wantedOf(call, systemClock);
  const config = await call.config();
  await using _logging = await configureLogging({ ...config.log, write: io.stderr });
  await using context = new Context(config, { signal });
  const deps = {
    store: await context.store(),
    ingest: await context.ingest(),
    signer: await context.signer(),
    slots: new HostSlots(),
    clock: context.clock,
  };
  const style = styleFor(io.stdoutIsTerminal);
  const running = new Map<RelayUrl, SyncProgress>();
  const startedMs = context.clock.monotonicMs();
  let complete = 0;
  const progress = new Progress(io, context.clock);
  using _progress = progress;
  const work = mapConcurrent(urls, AT_ONCE, (url, inner): Promise<SyncReport> => {
    const { limits, request } = relaySettings({ url, network: networkOf(url) }, config);
    return syncRelay(url, {
      ...deps,
      dialer: networkOf(url) === "local" ? localDialer(config) : context.dialer,
      // A person waits for all of it, and says when it is enough.
      limits: { ...limits, maxRelayMs: Infinity, slotWaitMs: Infinity },
    }, {
      ...request,
      ...wanted,
      signal: inner,
      onProgress: (now) => {
        running.set(url, now);
        const elapsedMs = context.clock.monotonicMs() - startedMs;
        progress.show(() => syncProgressText([...running.values()], elapsedMs));
      },
    });
  }, { signal });
  for await (const report of work) {
    if (report.outcome === "complete" || report.outcome === "gaps") complete++;
    progress[Symbol.dispose]();
    if (options.flag("json")) io.stdout(JSON.stringify(syncReportJson(report)));
    else for (const line of syncReportLines(report, style)) io.stdout(line);
  }
  return complete === urls.length ? EXIT.ok : EXIT.failed;
}

/** What the command line says in place of the configuration. */
function wantedOf(
  { options }: CommandCall,
  clock: Clock,
): { filter?: Filter; since?: number; until?: number } {
  const filter = filterOption(options.text("filter"), ["search", "limit"]);
  const since = momentOption("--since", options.text("since"), clock) ?? filter?.since;
  const until = momentOption("--until", options.text("until"), clock) ?? filter?.until;
  if (since !== undefined && until !== undefined && since > until) {
    throw new UsageError(
      `--since (${momentText(since)}) has to be before --until (${momentText(until)})`,
    );
  }
  return {
    ...(filter === undefined ? {} : { filter }),
    ...(since === undefined ? {} : { since }),
    ...(until === undefined ? {} : { until }),
  };
}
