// What a long run is measured by: samples of the process's own metrics, and what they say of its
// memory. In: the text of /metrics. Out: numbers, and whether memory is flat. Pure.

/** One look at the process. */
export interface Sample {
  /** Since the start, in seconds. */
  at: number;
  rssBytes: number;
  heapBytes: number;
  /** The longest delay of the last minute. */
  lagSeconds: number;
}

/** What the memory did over the run. */
export interface Memory {
  firstMb: number;
  peakMb: number;
  lastMb: number;
  /** Least squares over the steady part. */
  slopeMbPerMinute: number;
  /** How much the steady part grew by that slope, and how much samples vary around it. */
  growthMb: number;
  noiseMb: number;
  /** Growth is within the noise, or too little to matter. */
  isFlat: boolean;
}

/** The first part of a run compiles code and fills caches. */
const WARM_UP_SHARE = 0.4;
/** So many standard deviations are noise. */
const NOISE = 3;
/** Less growth than this share of the whole is nothing. */
const LITTLE = 0.05;

/** Reads a sample; undefined where the text is not that of our metrics. */
export function sampleOf(exposition: string, at: number): Sample | undefined {
  const rssBytes = valueOf(exposition, "process_resident_memory_bytes");
  const heapBytes = valueOf(exposition, 'bigbrotr_heap_bytes{area="used"}');
  const lagSeconds = valueOf(exposition, "bigbrotr_event_loop_lag_seconds");
  if (rssBytes === undefined || heapBytes === undefined || lagSeconds === undefined) {
    return undefined;
  }
  return { at, rssBytes, heapBytes, lagSeconds };
}

/** One series' value. */
export function valueOf(exposition: string, series: string): number | undefined {
  const line = exposition.split("\n").find((line) => line.startsWith(`${series} `));
  return line === undefined ? undefined : Number(line.slice(series.length + 1));
}

/** Judges the memory over all samples (at least ten). */
export function judgeMemory(samples: readonly Sample[]): Memory {
  const all = samples.map(({ at, rssBytes }) => ({ at, mb: rssBytes / 1e6 }));
  const steady = all.slice(Math.floor(all.length * WARM_UP_SHARE));
  const meanAt = mean(steady.map(({ at }) => at));
  const meanMb = mean(steady.map(({ mb }) => mb));
  let [above, below] = [0, 0];
  for (const { at, mb } of steady) {
    above += (at - meanAt) * (mb - meanMb);
    below += (at - meanAt) ** 2;
  }
  const slope = below === 0 ? 0 : above / below;
  const noiseMb = NOISE * Math.sqrt(
    mean(steady.map(({ at, mb }) => (mb - meanMb - slope * (at - meanAt)) ** 2)),
  );
  const growthMb = slope * ((steady.at(-1)?.at ?? 0) - (steady[0]?.at ?? 0));
  return {
    firstMb: all[0]?.mb ?? 0,
    peakMb: Math.max(...all.map(({ mb }) => mb)),
    lastMb: all.at(-1)?.mb ?? 0,
    slopeMbPerMinute: slope * 60,
    growthMb,
    noiseMb,
    isFlat: growthMb <= Math.max(noiseMb, LITTLE * meanMb),
  };
}

function mean(values: readonly number[]): number {
  return values.length === 0 ? 0 : values.reduce((sum, value) => sum + value, 0) / values.length;
}
