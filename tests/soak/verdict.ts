// What a soak claims of its run, and whether it is so. In: samples, metrics, the farm's story. Out:
// rows of the summary.
import type { Summary } from "../demo/summary.ts";
import type { FarmOptions, FarmStory } from "./farm.ts";
import { judgeMemory, type Sample } from "./measure.ts";

/** With a server of its own the process is smaller than with PostgreSQL inside. */
const MAX_MB = { postgres: 400, pglite: 700 } as const;

/** With fewer samples nothing can be said of its memory. */
const MIN_SAMPLES = 10;

/** What was seen while it ran. */
export interface Run {
  samples: Sample[];
  /** Looks that gave no sample. */
  missed: number;
  jobs: { asked: number; answered: number; slowestMs: number };
  requests: number;
  /** Requests without the answer that was due, by path and status. */
  refused: Map<string, number>;
}

/** Everything that can be said before the process has ended. */
export function judge(
  summary: Summary,
  { store, farm }: { store: keyof typeof MAX_MB; farm: FarmOptions },
  { run, caughtUpMs, exposition, story }: {
    run: Run;
    caughtUpMs: number | undefined;
    exposition: string;
    story: FarmStory;
  },
): void {
  const memory = judgeMemory(run.samples);
  const mb = (n: number): string => `${n.toFixed(1)} MB`;
  summary.note(
    "Relays, events at the start and in the end",
    [
      farm.relays,
      farm.events,
      story.events,
    ].join(", "),
  );
  summary.note(
    "Faults",
    Object.entries(story.faults).map(([name, n]) => `${name} ${n}`).join(", "),
  );
  summary.note(
    "Memory at first, at most, in the end",
    [
      mb(memory.firstMb),
      mb(memory.peakMb),
      mb(memory.lastMb),
    ].join(", "),
  );
  summary.add(
    "Its metrics were there at every look",
    `${run.samples.length} times, ${run.missed} times not`,
    run.missed === 0 && run.samples.length >= MIN_SAMPLES &&
      exposition.includes("\nbigbrotr_cycles_total{"),
  );
  summary.add(
    "Memory is flat after the warm-up",
    `${memory.slopeMbPerMinute.toFixed(2)} MB a minute: ${mb(memory.growthMb)}, noise ${
      mb(memory.noiseMb)
    }`,
    memory.isFlat,
  );
  summary.add(
    `Memory stays under ${MAX_MB[store]} MB`,
    mb(memory.peakMb),
    memory.peakMb < MAX_MB[store],
  );
  const lags = run.samples.map(({ lagSeconds }) => lagSeconds).sort((a, b) => a - b);
  summary.note(
    "Event loop lag, median and longest",
    `${((lags[Math.floor(lags.length / 2)] ?? 0) * 1000).toFixed(0)} ms, ${
      ((lags.at(-1) ?? 0) * 1000).toFixed(0)
    } ms`,
  );
  summary.add(
    "Jobs answered",
    `${run.jobs.answered} of ${run.jobs.asked}, the slowest in ${run.jobs.slowestMs.toFixed(0)} ms`,
    run.jobs.answered === run.jobs.asked,
  );
  const refused = [...run.refused].map(([what, n]) => `${what} ${n} times`);
  summary.add(
    "HTTP requests answered",
    [`${run.requests} asked`, ...refused].join(", "),
    refused.length === 0 && run.requests > 0,
  );
  const failures = [...exposition.matchAll(
    /^bigbrotr_cycles_total\{stage="(\w+)",result="failure"\} ([1-9]\d*)$/gm,
  )].map(([, stage, n]) => `${stage} ${n}`);
  summary.add("Failed cycles", failures.join(", ") || "none", failures.length === 0);
  const internal = [...exposition.matchAll(
    /^bigbrotr_stage_items_total\{stage="(\w+)",item="\w*internal\w*"\} ([1-9]\d*)$/gm,
  )].map(([, stage, n]) => `${stage} ${n}`);
  summary.add("Faults of our own", internal.join(", ") || "none", internal.length === 0);
  summary.add(
    "All is archived and counted once the relays are well",
    caughtUpMs === undefined ? "not in time" : `after ${(caughtUpMs / 1000).toFixed(1)} s`,
    caughtUpMs !== undefined,
  );
}
