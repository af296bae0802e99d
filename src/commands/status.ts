/**
 * `bigbrotr status`: how the stages of the running process fare and what the database holds. In:
 * the statuses that the process writes down as it runs. Out: two tables, or JSON. Never: changes
 * anything, and never says "running" of a process that has stopped writing.
 */
import { openStoreToRead } from "../configured_store.ts";
import { formatBytes } from "../lib/bytes.ts";
import type { CycleStatus } from "../lib/cycle.ts";
import { configureLogging } from "../lib/log.ts";
import { readStageStatuses, type StageStatus } from "../queries/status.ts";
import { readStoreFacts, type StoreFacts } from "../queries/store_facts.ts";
import { type CommandCall, type CommandSpec, EXIT } from "./command.ts";
import { storeOrProcess } from "./running.ts";
import { momentText, tableLines, terminalColumns } from "./table.ts";

/** A process writes every few seconds; one that was silent for so long does not run. */
const SILENT_SECONDS = 60;

interface Status {
  stages: readonly StageStatus[];
  /** Absent where only the running process could be asked. */
  store: StoreFacts | undefined;
}

export const statusCommand: CommandSpec = {
  name: "status",
  summary: "show how each stage fares and what the database holds",
  description: "Shows each stage's cycles, failures, last success and counts, as the running " +
    "process wrote them down, and what the database holds. While another process has the " +
    "embedded database, that one is asked over HTTP.",
  examples: ["status", "status --json"],
  json: true,
  run: runStatus,
};

async function runStatus(call: CommandCall): Promise<number> {
  const { io, options, signal } = call;
  const config = await call.config();
  await using _logging = await configureLogging({ ...config.log, write: io.stderr });
  const now = Math.floor(Date.now() / 1000);
  const status = await storeOrProcess<Status>(config, signal, {
    fromStore: async () => {
      // What stages wrote down is hidden from readers.
      await using store = await openStoreToRead(config, { signal, isForReader: false });
      return {
        stages: await readStageStatuses(store, { signal }),
        store: await readStoreFacts(store, { signal }),
      };
    },
    fromProcess: async (ask) => {
      const { body } = await ask("/");
      const stages = Array.isArray(body.stages) ? body.stages as CycleStatus[] : [];
      return { stages: stages.map((s) => ({ status: s, writtenAt: now })), store: undefined };
    },
  });
  if (options.flag("json")) {
    const stages = status.stages.map((stage) => ({
      ...stage.status,
      state: shownState(stage, now),
      writtenAt: stage.writtenAt,
    }));
    io.stdout(JSON.stringify({ stages, ...(status.store && { store: status.store }) }));
    return EXIT.ok;
  }
  show(call, status, now);
  return EXIT.ok;
}

function show({ io }: CommandCall, { stages, store }: Status, now: number): void {
  const columns = terminalColumns(io);
  if (stages.length === 0) io.stdout("No stage has run on this database yet.");
  const rows = stages.map((stage) => stageRow(stage, now));
  for (const line of tableLines(rows, columns, { alwaysTable: true })) io.stdout(line);
  for (const { status } of stages) {
    if (status.now === undefined) continue;
    io.stdout(`${status.name} now: ${countsText(status.now)}`);
  }
  for (const { status } of stages) {
    if (status.lastError === undefined) continue;
    io.stdout(`${status.name} failed last with: ${status.lastError}`);
  }
  if (store === undefined) return;
  io.stdout("");
  const facts = {
    store: store.kind,
    size: formatBytes(store.bytes),
    events: store.events,
    sightings: store.sightings,
    "not counted": store.behind,
    relays: countsText(store.relays),
    candidates: countsText(store.candidates),
    jobs: countsText(store.jobs),
  };
  for (const line of tableLines([facts], columns)) io.stdout(line);
}

function stageRow(stage: StageStatus, now: number): Record<string, unknown> {
  const { name, cycles, failures, lastSuccessAt, lastDurationMs, totals } = stage.status;
  return {
    stage: name,
    state: shownState(stage, now),
    cycles,
    failures,
    "last success": lastSuccessAt === undefined ? "-" : agoText(now - lastSuccessAt),
    took: lastDurationMs === undefined ? "-" : tookText(lastDurationMs),
    did: countsText(totals),
  };
}

/** What a process that is gone wrote last is no longer true. */
function shownState({ status, writtenAt }: StageStatus, now: number): string {
  const isSilent = now - writtenAt > SILENT_SECONDS && status.state !== "stopped";
  return isSilent ? `silent since ${momentText(writtenAt)}` : status.state;
}

function agoText(seconds: number): string {
  if (seconds < 0) return "just now";
  if (seconds < 120) return `${seconds}s ago`;
  if (seconds < 7_200) return `${Math.round(seconds / 60)}m ago`;
  if (seconds < 172_800) return `${Math.round(seconds / 3_600)}h ago`;
  return `${Math.round(seconds / 86_400)}d ago`;
}

function tookText(ms: number): string {
  if (ms < 1_000) return `${Math.round(ms)}ms`;
  return ms < 120_000 ? `${(ms / 1_000).toFixed(1)}s` : `${Math.round(ms / 60_000)}m`;
}

function countsText(counts: Readonly<Record<string, number>>): string {
  const entries = Object.entries(counts);
  return entries.length === 0 ? "-" : entries.map(([name, n]) => `${name} ${n}`).join(", ");
}
